"""Write the bundled element tables `mltransfer/tables/elements_{xenonpy,magpie}.csv`.

Environment: `pip install elementembeddings` for `xenonpy`, `pip install matminer` for `magpie` (two environments; matminer pins pandas below 3).
Run: `python tests/reference/make_element_tables.py xenonpy` and `python tests/reference/make_element_tables.py magpie`
"""
import sys
from pathlib import Path

import pandas as pd

tables = Path(__file__).parents[2] / "mltransfer/tables"
properties = """Number MendeleevNumber AtomicWeight MeltingT Column Row CovalentRadius Electronegativity NsValence NpValence
NdValence NfValence NValence NsUnfilled NpUnfilled NdUnfilled NfUnfilled NUnfilled GSvolume_pa GSbandgap GSmagmom
SpaceGroupNumber""".split()


def xenonpy() -> pd.DataFrame:
    "94 elements x 58 properties; missing values were imputed by XenonPy's authors."
    from elementembeddings.core import Embedding
    return Embedding.load_data("xenonpy").as_dataframe().astype(float)


def magpie() -> pd.DataFrame:
    "Elements for which Magpie has all 22 properties and pymatgen an electronegativity: 90, nothing imputed."
    from matminer.utils.data import MagpieData
    from pymatgen.core import Element
    data = MagpieData(impute_nan=False).all_elemental_props
    elements = [Element.from_Z(z) for z in range(1, 119)]
    table = pd.DataFrame({p: [data[p][e.symbol] for e in elements] for p in properties}, index=[e.symbol for e in elements])
    table = table[table.notna().all(axis=1)]
    table["pauling_electronegativity"] = [Element(e).X for e in table.index]
    table["common_oxidation_states"] = [" ".join(map(str, Element(e).common_oxidation_states)) for e in table.index]
    return table


if __name__ == "__main__":
    name = sys.argv[1]
    table = {"xenonpy": xenonpy, "magpie": magpie}[name]()
    table.rename_axis("symbol").to_csv(tables / f"elements_{name}.csv", float_format="%.10g")
