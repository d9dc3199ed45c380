"Rebuild the starter library: python -m tools.starter [--quick]. It needs the downloaded tables (set MLTRANSFER_DATA) and about an hour on two cores."
import argparse
import shutil
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from mltransfer.composition import ElementFractions
from mltransfer.core import Task
from mltransfer.data import Dataset, datasets, from_frame, load, published_test_keys
from mltransfer.featurizers import usual_descriptors
from mltransfer.keys import composition_key, in_reserve
from mltransfer.library import Library
from mltransfer.pretraining import pretrain
from mltransfer.source import SourceModel
from mltransfer.training import Schedule

SHELF = Path("mltransfer/starter")
CHECKPOINTS = Path("_proc/starter")
ORGANIC, INORGANIC = usual_descriptors("polymer"), usual_descriptors("composition")
MEASURED = {"polymer": ("polymer_heat_capacity", "polymer_thermal_conductivity", "polymer_refractive_index"), "composition": ("lattice_thermal_conductivity",)}

LIQUIDS = ("gas_heat_capacity", "liquid_heat_capacity", "solid_heat_capacity", "melting_point", "boiling_point", "molecule_refractive_index",
           "molecule_density", "viscosity", "liquid_thermal_conductivity")
COMPUTED_MOLECULES = ("qm9_heat_capacity", "qm9_dipole_moment", "qm9_polarizability", "qm9_homo", "qm9_lumo", "qm9_gap", "qm9_spatial_extent",
                      "qm9_zero_point_energy", "qm9_atomization_energy", "organic_refractive_index", "organic_polarizability", "organic_density")
MEASURED_POLYMERS = ("polymer_glass_transition", "polymer_density")
OQMD = ("oqmd_band_gap", "oqmd_energy_per_atom", "oqmd_formation_enthalpy", "oqmd_volume_per_atom")
MP = ("mp_formation_energy", "mp_band_gap", "mp_magnetic_moment", "mp_energy_above_hull")
FEW = ("mp_refractive_index", "inorganic_refractive_index", "aflow_thermal_conductivity", "crystal_refractive_index", "crystal_dielectric_constant")


def computed_polymers() -> tuple[str, ...]:
    "All computed properties of PI1070."
    return tuple(n for n in datasets()["name"] if n.startswith("pi1070_"))


@cache
def excluded(kind: str) -> frozenset[str]:
    "Keys that no shipped source may see: measured targets, the reserve of small computed sets, and all published test formulas."
    keys = {k for name in MEASURED.get(kind, ()) for k in load(name).groups}
    if kind == "polymer":
        small = [n for n in datasets()["name"] if n.startswith(("pi1070_", "khazana_"))]
        keys |= {k for n in small for k in load(n).groups if in_reserve(k)}
    if kind == "composition":
        keys |= {composition_key(f) for f in load("phonondb_thermal_conductivity").frame["formula"]}
        keys |= published_test_keys()
    return frozenset(keys)


@cache
def source_data(name: str, most: int = 0) -> Dataset:
    "A data set as sources see it: crystals by their formula, a seeded choice of at most `most` rows."
    d = load(name)
    if d.task.kind == "crystal":
        task = Task(d.task.property, d.task.unit, "composition", d.task.log)
        d = from_frame(d.frame[["formula", "value"]], "formula", "value", task, duplicates="median", name=name, nature=d.nature, citation=d.citation, licence=d.licence)
    if d.task.kind == "composition":
        readable = ElementFractions().readable(d.X)
        if not readable.all(): print(f"          {name}: {(~readable).sum()} of {len(d)} rows hold elements without descriptors (noble gases, actinides) and are left out")
        d = d.where(readable)
    if not most or len(d) <= most: return d
    return d.where(np.isin(np.arange(len(d)), np.random.default_rng(0).permutation(len(d))[:most]))


def train(names: Iterable[str], *, most: int = 0, epochs: int, batch_size: int = 64, quick: bool = False, **how: object) -> list[SourceModel]:
    "Pretrain on named data sets, without what is excluded, resuming where a killed run stopped."
    if quick: most, epochs, how["n_models"] = 300, 2, 1
    data = [source_data(n, most) for n in names]
    kinds = {d.task.kind for d in data}
    out = frozenset().union(*(excluded(k) for k in kinds))
    return pretrain(data, INORGANIC if kinds == {"composition"} else ORGANIC, exclude=out, forest=5 if quick else 20, random_state=0, n_jobs=2,
                    checkpoint=CHECKPOINTS, progress=False, schedule=Schedule(epochs=epochs, batch_size=batch_size), **how)


def plan(quick: bool) -> Iterator[tuple[str, list[SourceModel]]]:
    "What is trained, small things first: multi-task encoders of each kind with several seeds, then a few diverse networks per property."
    computed, inorganic = computed_polymers(), (*OQMD, *MP, *FEW)
    wide = dict(hidden=(256, 64), quick=quick)
    yield "polymers, computed", train(computed, epochs=60, batch_size=32, n_models=5, **wide)
    yield "polymers, all", train((*computed, *MEASURED_POLYMERS), epochs=60, batch_size=32, n_models=5, **wide)
    yield "polymers and heat capacities", train((*MEASURED_POLYMERS, *LIQUIDS[:3]), epochs=60, batch_size=32, n_models=5, **wide)
    yield "molecules", train((*LIQUIDS, *COMPUTED_MOLECULES), most=20_000, epochs=40, n_models=4, **wide)
    yield "molecules and polymers", train((*LIQUIDS, *COMPUTED_MOLECULES, *computed, *MEASURED_POLYMERS), most=20_000, epochs=40, n_models=4, **wide)
    yield "compositions", train(inorganic, epochs=12, batch_size=256, n_models=4, recipe="encoder", hidden=(256,) * 3, quick=quick)
    one = dict(recipe="yamada-1", n_columns=(100, 200), quick=quick)
    for name in (*computed, *MEASURED_POLYMERS): yield name, train([name], epochs=60, batch_size=32, n_models=2, **one)
    for name in LIQUIDS: yield name, train([name], epochs=60, n_models=2, transform="auto", **one)
    for name in COMPUTED_MOLECULES: yield name, train([name], most=10_000, epochs=30, batch_size=128, n_models=2, **one)
    for name in FEW: yield name, train([name], epochs=40, n_models=3, **one)
    for name in (*OQMD, *MP): yield name, train([name], most=20_000, epochs=20, batch_size=128, n_models=2, **one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, two epochs: does the script still run?")
    parser.add_argument("--to", type=Path, default=SHELF, help="folder of the library, replaced when all is trained")
    args, start, sources = *[parser.parse_args()], time.time(), []
    for name, made in plan(args.quick):
        sources += made
        m = made[0].card["metrics"]
        share = np.median([e["test_mae"] / e["test_mae_of_median"] for e in m.values() if e.get("test_mae_of_median")])
        print(f"{time.time() - start:6.0f} s  {len(sources):4} models  {name}: test MAE {share:.2f} of the median's", flush=True)
    part = args.to.with_name(args.to.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    library = Library(part)
    library.add(sources, half=True, shard_size=6)
    library.reindex()
    shutil.rmtree(args.to, ignore_errors=True)
    part.rename(args.to)
    size = sum(f.stat().st_size for f in args.to.rglob("*") if f.is_file())
    print(f"{len(sources)} models, {size / 2**20:.1f} MiB, digest {Library(args.to, read_only=True).digest}")


if __name__ == "__main__": main()
