"""Write `composition_xenonpy.csv`: what XenonPy 0.6.7 answers for 24 formulas.

Environment: `pip install xenonpy==0.6.7 rdkit`, one of its own. XenonPy downloads its element table; here it is pointed at the bundled one.
Run: `python tests/reference/make_composition_xenonpy.py`
"""
from pathlib import Path

import pandas as pd
from pymatgen.core import Composition
from xenonpy.datatools import preset
from xenonpy.descriptor import Compositions

here = Path(__file__).parent
table = pd.read_csv(here.parents[1] / "mltransfer/tables/elements_xenonpy.csv", index_col=0, keep_default_na=False)
type(preset).elements_completed = property(lambda self: table)

formulas = [
    "NaCl", "Fe2O3", "H2O", "C", "SiO2", "NaN", "LiFePO4", "CaTiO3", "Ca0.5Sr0.5TiO3", "RbCuO", "HfMgO3", "Rb2Te",
    "CdCl2", "MnI2", "LaN", "K4Fe(CN)6", "C8H8", "C2H4O", "C2F4", "YBa2Cu3O6.93", "Bi2Te2.7Se0.3", "CoCrFeMnNi",
    "UO2", "PuO2",
]
rows = [Composition(f).get_el_amt_dict() for f in formulas]
frame = Compositions(elemental_info=table, n_jobs=1, on_errors="raise").transform(rows)
frame.insert(0, "formula", formulas)
frame.to_csv(here / "composition_xenonpy.csv", index=False, float_format="%.9g")
