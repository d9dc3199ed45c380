"Make the bundled tables from the collected facts: `python -m tools.make_tables FACTS REGISTRY`."
import re
import sys
from pathlib import Path

import pandas as pd

TABLES = Path(__file__).parents[1] / "mltransfer" / "tables"
COLUMNS = ["name", "formula", "smiles", "value", "unit", "temperature_K", "state", "flag", "source_id", "source_grade"]


def simple(formula: str) -> bool:
    "Whether a formula has at most four elements and no hydrogen."
    elements = set(re.findall("[A-Z][a-z]?", formula))
    return len(elements) <= 4 and "H" not in elements


def minerals(facts: pd.DataFrame) -> pd.DataFrame:
    "One value per simple formula whose polymorphs and polarisations agree to 0.1."
    spread = pd.to_numeric(facts["spread_nonfilm_same_formula"]).fillna(0)
    return facts[(facts["recommended"] == "1") & facts["formula"].map(simple) & (spread <= 0.1)].assign(unit="")


def main(folder: Path, registry: Path) -> None:
    "Write one table per property, the table of their sources, and the registry of downloads."
    def read(name: str) -> pd.DataFrame: return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    other = read("polymer_other")
    conductivity = read("lattice_thermal_conductivity")
    tables = {
        "polymer_heat_capacity": read("polymer_heat_capacity"),
        "polymer_thermal_conductivity": read("polymer_thermal_conductivity"),
        "polymer_refractive_index": read("polymer_refractive_index"),
        "polymer_glass_transition": other[other["property"] == "Tg"],
        "polymer_density": other[other["property"] == "density"],
        "inorganic_refractive_index": minerals(read("inorganic_refractive_index")),
        "lattice_thermal_conductivity": conductivity.rename(columns={"sample": "state"}),
    }
    for name, facts in tables.items():
        material = "smiles" if "smiles" in facts else "formula"
        facts = facts[facts[material] != ""].sort_values([material, "source_id", "value"], kind="stable")
        tables[name] = facts
        facts[[c for c in COLUMNS if c in facts]].to_csv(TABLES / f"{name}.csv", index=False, lineterminator="\n")
    sources = pd.concat(tables.values())[["source_id", "source_title", "source_url"]].drop_duplicates("source_id")
    sources = sources.rename(columns={"source_title": "title", "source_url": "url"}).sort_values("source_id")
    sources.to_csv(TABLES / "sources.csv", index=False, lineterminator="\n")
    files = pd.read_csv(registry, dtype=str, keep_default_na=False).rename(columns={"origin": "citation"})
    files = files[["file", "rows", "url", "sha256", "licence", "citation"]]
    files.to_csv(TABLES / "registry.csv", index=False, lineterminator="\n")


if __name__ == "__main__": main(Path(sys.argv[1]), Path(sys.argv[2]))
