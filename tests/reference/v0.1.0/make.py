"Write what version 0.1.0 wrote: a small library, a saved search and predictions. Run it with that version alone."
import json
import shutil
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from mltransfer.data import load
from mltransfer.featurizers import usual_descriptors
from mltransfer.library import Library
from mltransfer.pretrain import pretrain
from mltransfer.saved import save_fit
from mltransfer.shotgun import Shotgun
from mltransfer.source import EstimatorSource
from mltransfer.training import Schedule

HERE = Path(__file__).parent
SCHEDULE = Schedule(epochs=5)
TREES = {"molecule": RandomForestRegressor(2, max_leaf_nodes=6, random_state=0)}
MADE = {
    "molecule": ("melting_point", ("yamada-1", "residual")),
    "polymer": ("polymer_glass_transition", ("yamada-1", "encoder", "elastic net")),
    "composition": ("aflow_thermal_conductivity", ("yamada-1",)),
}
ROWS = {
    "molecule": ["c1ccccc1", "CCO", "CC(C)C(=O)OC", "Clc1ccccc1Br", "OCC(F)(F)F", "N#Cc1ccncc1"],
    "polymer": ["*CC*", "*CC(*)c1ccccc1", "*CC(C)(*)C(=O)OC", "*Oc1ccc(*)cc1", "*CCO*", "*CC(*)(F)F"],
    "composition": ["GaAs", "SiO2", "PbTe", "MgO", "ZnO", "Bi2Te3"],
}


def sources(kind):
    "A few tiny models of one kind."
    name, recipes = MADE[kind]
    data = load(name)
    data = data.where(np.isin(np.arange(len(data)), np.random.default_rng(0).permutation(len(data))[:100]))
    for recipe in recipes:
        shape = {} if recipe == "elastic net" else {"hidden": (6, 6)}
        yield (made := pretrain([data], usual_descriptors(kind), recipe=recipe, n_columns=(20, 30), schedule=SCHEDULE,
                                progress=False, **shape)[0])
    if kind in TREES:
        table, label = made._scaled(made.describe(data.X)), (data.y - made.y_scaling[0, 0]) / made.y_scaling[1, 0]
        yield EstimatorSource(TREES[kind].fit(table, label), made.featurizer, made.tasks, columns=made.columns,
                              x_scaling=made.x_scaling, y_scaling=made.y_scaling, seen=made.seen, card=made.card)


def main():
    "Make everything anew."
    for folder in ("library", "fit"): shutil.rmtree(HERE / folder, ignore_errors=True)
    library, found = Library(HERE / "library"), {}
    for kind, rows in ROWS.items():
        made = list(sources(kind))
        for i, s in zip(library.add(made), made):
            found[i] = {"kind": kind, "predicted": s.predict(rows).tolist(), "seen": len(s.seen)}
            if hasattr(s, "net"): found[i]["hidden"] = s.hidden(rows).tolist()
    ids = [i for i, f in found.items() if f["kind"] == "polymer"]
    target = load("polymer_heat_capacity")
    search = Shotgun(library.load(ids), random_state=0).fit(list(target.X)[:30], target.y.to_numpy()[:30])
    save_fit(search, HERE / "fit", target.task)
    for index in HERE.rglob("index.sqlite"): index.unlink()
    said = {"rows": ROWS, "sources": found, "fit": search.predict(ROWS["polymer"]).tolist()}
    (HERE / "said.json").write_text(json.dumps(said, indent=0), encoding="utf-8")


if __name__ == "__main__": main()
