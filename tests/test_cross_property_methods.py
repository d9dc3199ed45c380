"The published methods: what chooses, what is kept apart, and what the demo returns."
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mltransfer.cases.cross_property_methods import (
    ELEMNET,
    PROPERTIES,
    blank,
    choose,
    line,
    run,
    scratch_methods,
    transfer_methods,
    try_methods,
)
from mltransfer.composition import ElementFractions, PhysicalAttributes
from mltransfer.data import load
from mltransfer.published import Published
from mltransfer.training import Schedule

needs_data = pytest.mark.skipif(
    "MLTRANSFER_DATA" not in os.environ, reason="needs downloaded tables: set MLTRANSFER_DATA"
)
SHORT = Schedule(epochs=1)


@pytest.fixture(scope="module")
def toy():
    d = load("lattice_thermal_conductivity")
    fractions = ElementFractions().fit_transform(d.X)
    X = np.hstack([fractions, PhysicalAttributes().fit_transform(d.X)])
    return Published(
        "exfoliation_energy",
        "1",
        X,
        fractions,
        np.log(d.y.to_numpy()),
        d.groups.to_numpy().astype(object),
        np.arange(len(d)) % 4 == 0,
    )


@pytest.fixture(scope="module")
def source(toy): return blank(toy.fractions, (16, 16, 16, 16, 8))


def test_elemnet_is_the_published_one():
    assert len(ELEMNET) == 16 and ELEMNET[0] == 1024 and ELEMNET[-1] == 32 and len(set(PROPERTIES)) == 8


def test_the_grid_is_whole(toy, source):
    names = {*scratch_methods(toy, 0), *transfer_methods(toy, source, 0)}
    layers = ("FeatExtr 1", "FeatExtr 2", "FeatExtr 3", "FeatExtr 4", "Freezing")
    assert names == {"ML(EF)", "DL(EF)", "ML(PA)", "DL(PA)", "FineTune", "ModFineTune"} | {
        f"{head}({layer})" for head in ("ML", "DL") for layer in layers
    }
    assert {kind for kind, _, _ in scratch_methods(toy, 0).values()} == {"scratch"} and {
        kind for kind, _, _ in transfer_methods(toy, source, 0).values()
    } == {"transfer"}


def test_some_of_the_grid(toy, source):
    some = transfer_methods(toy, source, 0, names=["DL(Freezing)", "ModFineTune"])
    assert (
        list(some) == ["DL(Freezing)", "ModFineTune"]
        and some["DL(Freezing)"][1].shape == (len(toy.y), 8)
        and some["ModFineTune"][1] is toy.fractions
    )


def test_test_values_change_nothing(toy, source):
    found, other = (
        try_methods(d, transfer_methods(d, source, 0, SHORT), 0)
        for d in (toy, replace(toy, y=np.where(toy.test, 1e6, toy.y)))
    )
    assert (
        found["test"].shape == (12, toy.test.sum())
        and np.isfinite(found["test"]).all()
        and (found["valid"] > 0).all()
    )
    for name in found: np.testing.assert_array_equal(found[name], other[name])


def test_validation_rows_choose_and_test_rows_judge(toy):
    y = toy.y[toy.test]
    tried = {
        "names": np.array(["a", "b", "c"]),
        "kinds": np.array(["scratch", "transfer", "transfer"]),
        "valid": np.array([1.0, 0.2, 0.1]),
        "test": np.stack([y + 3, y + 1, y + 2]),
    }
    table = choose(toy, [tried])
    assert list(table["chosen"]) == [True, False, True]
    row = line(toy, table)
    assert (row["transfer again"], row["transfer in hindsight"], row["scratch again"]) == pytest.approx(
        (2, 1, 3)
    ) and row["transfer by"] == "c"
    assert isinstance(table, pd.DataFrame) and row["transfer published"] == 51.56


def test_wrong_size_is_refused():
    with pytest.raises(ValueError, match="size must be"): run("huge")


def test_wrong_method_is_refused():
    with pytest.raises(ValueError, match="no transfer method 'finetune'; there are FineTune"):
        run(methods=["finetune"])


@needs_data
def test_some_methods_only(tmp_path):
    report = run("demo", methods=["ML(Freezing)"], folder=tmp_path)
    table, = report.details.values()
    assert (
        list(table.index[table["kind"] == "transfer"]) == ["ML(Freezing) from inorganic_refractive_index"]
        and (table["kind"] == "scratch").sum() == 4
    )


@needs_data
def test_demo_runs_and_repeats(tmp_path):
    report = run("demo", folder=tmp_path)
    assert (
        list(report.table.index) == ["exfoliation_energy"] and len(report.details["exfoliation_energy"]) == 16
    )
    pieces = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    assert len(pieces) == 2 and report.table.equals(run("demo", folder=tmp_path).table)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")} == pieces
