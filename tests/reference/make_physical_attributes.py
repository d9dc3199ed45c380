"""Write `physical_attributes_matminer.csv`: what matminer 0.10.1 answers for 200 formulas; with a number, time it instead.

Environment: `pip install matminer==0.10.1` in an environment of its own (it pins pandas below 3).
Run: `python tests/reference/make_physical_attributes.py` writes the table;
`python tests/reference/make_physical_attributes.py FILE` reads one formula per line and prints CPU seconds, reading the formulas included.
"""
import sys, time, warnings
from pathlib import Path

import numpy as np
import pandas as pd
from matminer.featurizers import composition as cf
from matminer.featurizers.base import MultipleFeaturizer
from pymatgen.core import Composition

warnings.simplefilter("ignore")
here = Path(__file__).parent

known = """H2O NaCl Fe2O3 Fe3O4 SiO2 Al2O3 CaTiO3 BaTiO3 SrTiO3 LiFePO4 LiCoO2 MgO ZnO TiO2 Cu2O CuO GaAs GaN InP CdTe PbTe
Bi2Te3 Sb2Te3 Bi2Te2.7Se0.3 Mg2Si FeSi2 CoSb3 SnSe PbS ZnS HgTe MoS2 WSe2 NbSe2 TiS2 NaN Li3N Mg3N2 AlN Si3N4 BN B4C SiC TiC WC
UO2 PuO2 ThO2 CeO2 La2O3 Nd2Fe14B SmCo5 LaB6 MgB2 YBa2Cu3O7 YBa2Cu3O6.93 La1.85Sr0.15CuO4 CoCrFeMnNi Al0.5CoCrCuFeNi Ti6Al4V
Cu3Au AuCu NiTi FePt C Si Fe Cu W H N2 O2 I2 Xe KrF2 XeF2 XeO3 CsPbI3 CsPbBr3 CH3NH3PbI3 K4Fe(CN)6 Ca10(PO4)6(OH)2 Mg3Al2(SiO4)3
Na2B4O5(OH)4 CuSO4H10O5 C8H8 C2H4O C2F4 C6H6 C60 NH4NO3 (NH4)2SO4 Ca0.5Sr0.5TiO3 (Ca0.5Sr0.5)TiO3 Pb(Zr0.52Ti0.48)O3
Li7La3Zr2O12 Na3Zr2Si2PO12 Li10GeP2S12 Cu2ZnSnS4 CuInSe2 CuIn0.7Ga0.3Se2 Zr41.2Ti13.8Cu12.5Ni10Be22.5 RaCl2 PoO2 AmO2 Cm2O3 TcO2 PmCl3""".split()

calculators = MultipleFeaturizer([
    cf.Stoichiometry(), cf.ElementProperty.from_preset("magpie"), cf.ValenceOrbital(props=["frac"]), cf.IonProperty(fast=True),
])
calculators.set_n_jobs(1)


def drawn(n: int) -> list[str]:
    "Formulas of one to six elements with amounts as they occur: mostly small whole numbers, some fractions."
    symbols = pd.read_csv(here.parents[1] / "mltransfer/tables/elements_magpie.csv", keep_default_na=False).symbol.tolist()
    rng = np.random.default_rng(0)
    def amount() -> str: return f"{rng.integers(1, 13)}" if rng.random() < 0.8 else f"{rng.integers(1, 400) / 100:g}"
    return ["".join(s + amount() for s in rng.choice(symbols, rng.integers(1, 7), replace=False)) for _ in range(n)]


if __name__ == "__main__":
    formulas = Path(sys.argv[1]).read_text().split() if len(sys.argv) > 1 else known + drawn(200 - len(known))
    calculators.featurize(Composition("NaCl"))
    start = time.process_time()
    values = calculators.featurize_many([Composition(f) for f in formulas], pbar=False)
    seconds = time.process_time() - start
    if len(sys.argv) > 1: print(seconds)
    else:
        frame = pd.DataFrame(values, columns=calculators.feature_labels()).astype(float)
        frame.insert(0, "formula", formulas)
        frame.to_csv(here / "physical_attributes_matminer.csv", index=False, float_format="%.9g")
