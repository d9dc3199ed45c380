"Time the same job on two checkouts in turn: python -m tools.compare_checkouts OLD NEW --job fit40"
import argparse, importlib, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path
from statistics import median

import numpy as np

PIECES = "C CC CCC C(C) C(C)(C) C(F)(F) C(=O) C(=O)O C(=O)N O S N(C) [Si](C)(C) C=C c1ccc(cc1) c1cccc(c1) C(c1ccccc1) C(Cl) C(C#N)".split()
ELEMENTS = "Li Na K Mg Ca Sr Ba Al Ga In Si Ge Sn Ti Zr V Nb Cr Mo Mn Fe Co Ni Cu Zn O S Se Te N P F Cl Br".split()


def repeat_units(n: int) -> list[str]:
    "Chains of three to six pieces, none twice, the same ones every time."
    rng, found = np.random.default_rng(0), {}
    while len(found) < n:
        chain = rng.choice(PIECES, rng.integers(3, 7))
        if not any(a[-1] == b[0] == "O" for a, b in zip(chain, chain[1:])): found[f"*C{''.join(chain)}*"] = None
    return list(found)


def formulas(n: int) -> list[str]:
    "Two to four elements with amounts from 1 to 9, none twice, the same ones every time."
    rng, found = np.random.default_rng(0), {}
    while len(found) < n:
        names = rng.choice(ELEMENTS, rng.integers(2, 5), replace=False)
        found["".join(f"{e}{k}" for e, k in zip(names, rng.integers(1, 10, len(names))))] = None
    return list(found)


def shotgun() -> type:
    "The class, from the module where a checkout keeps it."
    import mltransfer
    here = Path(mltransfer.__file__).with_name("search.py").exists()
    return importlib.import_module(f"mltransfer.{'search' if here else 'shotgun'}").Shotgun


def search(target: str, n: int, kinds: tuple[str, ...], **query) -> tuple[object, list[object]]:
    "A search of the starter library, and the first rows of a bundled table, which it will be fitted to."
    from mltransfer.data import load
    from mltransfer.library import Library
    Shotgun = shotgun()
    rows, library = load(target), Library.starter()
    ids = dict.fromkeys(i for kind in kinds for i in library.query(kind=kind, limit=None, **query).index)
    return Shotgun(library, ids=list(ids)), [rows.X[:n], rows.y[:n]]


def clocked(work) -> tuple[object, float, float]:
    "What comes out, seconds of CPU, seconds on the wall."
    cpu, wall = time.process_time(), time.perf_counter()
    out = work()
    return out, time.process_time() - cpu, time.perf_counter() - wall


def run(job: str) -> dict[str, object]:
    "Do one job in this process; reading of tables is not timed, nor the fit before predictions."
    shotgun() # imports are not the job
    import mltransfer
    units, half = ("polymer", "molecule"), {"max_error": 0.5}
    fits = {"fit40": lambda: search("polymer_refractive_index", 40, units, **half),
            "fit300": lambda: search("polymer_glass_transition", 300, units, **half),
            "formulas20000": lambda: search("lattice_thermal_conductivity", 40, ("composition",)),
            "units20000": lambda: search("polymer_refractive_index", 40, units)}
    model, given = fits[job]()
    model, cpu, wall = clocked(lambda: model.fit(*given))
    rows = {"formulas20000": formulas, "units20000": repeat_units}.get(job)
    if rows: _, cpu, wall = clocked(lambda: model.predict(rows(20_000)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": cpu, "wall": wall, "peak": peak, "package": mltransfer.__file__, "error": model.estimated_mae_}


def fresh(checkout: Path, job: str) -> dict[str, object]:
    "Do one job in a new process that imports this checkout."
    env = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as empty:
        out = subprocess.run([sys.executable, "-P", __file__, "--run", job], cwd=empty, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(out.splitlines()[-1])
    assert Path(found["package"]).is_relative_to(checkout), f"{found['package']} is not in {checkout}"
    return found


def compare(old: Path, new: Path, job: str, rounds: int) -> None:
    "Old, new, old, new, ...: print medians, and the median of the ratios of neighbours."
    pairs = []
    for k in range(rounds):
        pairs.append((fresh(old, job), fresh(new, job)))
        print(f"{job}, round {k + 1}: " + "; ".join(f"{w} {r['cpu']:.1f} s CPU, {r['wall']:.1f} s, {r['peak']:.0f} MB" for w, r in zip(("old", "new"), pairs[-1])), flush=True)
    for what, unit in (("cpu", "s"), ("wall", "s"), ("peak", "MB"), ("error", "")):
        a, b = (median(p[k][what] for p in pairs) for k in (0, 1))
        ratio = median(p[1][what] / p[0][what] for p in pairs)
        print(f"{job} {what}: old {a:.4g} {unit}, new {b:.4g} {unit}, new / old {ratio:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="OLD NEW")
    jobs = ["fit40", "fit300", "formulas20000", "units20000"]
    parser.add_argument("--job", nargs="+", choices=jobs, default=jobs)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", choices=jobs, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run: print(json.dumps(run(args.run)))
    elif len(args.checkouts) != 2: parser.error("name two checkouts, the old one first")
    else:
        for job in args.job: compare(*(c.resolve() for c in args.checkouts), job, args.rounds)
