"What ships inside the package is whole, small, honest about its errors, and has seen no target."
import os

import numpy as np
import pytest

from mltransfer.data import datasets, load, published_test_keys
from mltransfer.keys import composition_key, in_reserve
from mltransfer.library import Library
from mltransfer.source import hash_keys

real = pytest.mark.skipif("MLTRANSFER_DATA" not in os.environ,
    reason="needs the downloaded tables: set MLTRANSFER_DATA")


@pytest.fixture(scope="module")
def starter(): return Library.starter()


@pytest.fixture(scope="module")
def sources(starter): return starter.load(starter)


@pytest.fixture(scope="module")
def seen(sources):
    "All hashes of one kind of material."
    return lambda kind: np.unique(np.concatenate([s.seen
        for s in sources if kind in {t.kind for t in s.tasks}]))


def test_it_is_whole_and_small(starter):
    assert len(starter) >= 100 and starter.verify(progress=False) == len(starter.folder.listing())
    assert sum(f.stat().st_size for f in starter.path.rglob("*") if f.is_file()) < 32 * 2**20
    assert starter.read_only


def test_every_kind_has_encoders_and_single_networks(starter, sources):
    for kind in ("molecule", "polymer", "composition"):
        tasks = [len(s.tasks) for s in sources if kind in {t.kind for t in s.tasks}]
        assert sum(n > 4 for n in tasks) >= 4 and tasks.count(1) >= 20
        assert len(starter.query(kind=kind))


def test_every_card_has_its_errors_beside_median_and_forest(sources):
    for s in sources:
        assert {"data", "schedule", "random_state", "split", "versions", "recipe", "metrics"} <= set(s.card)
        assert list(s.card["metrics"]) == list(s.card["data"])
        for d in s.card["data"].values(): assert d["citation"] and d["licence"] and "GPL" not in d["licence"]
        tested = [m for m in s.card["metrics"].values() if m["rows"]["test"]]
        assert tested
        assert all({"test_mae", "test_mae_of_median", "test_mae_of_forest"} <= set(m) for m in tested)


def test_most_sources_know_something(sources):
    ratios = [m["test_mae"] / m["test_mae_of_median"] for s in sources
        for m in s.card["metrics"].values() if m.get("test_mae_of_median")]
    assert np.median(ratios) < 0.6 and np.mean(np.array(ratios) < 1) > 0.9


def test_a_card_tells_the_truth_although_weights_are_rounded(starter, sources):
    "The rows that a source has not seen are its test rows; its error there is the one on the card."
    data = load("boiling_point")
    s = next(s for s in sources if list(s.card["data"]) == ["boiling_point"])
    frame = data.frame.assign(key=data.keys, group=data.groups, x=data.X)
    frame = frame.groupby("key").agg({"value": "median", "x": "last", "group": "first"})
    fresh = frame[[not np.isin(hash_keys([g], "molecule"), s.seen)[0] for g in frame["group"]]]
    metrics = s.card["metrics"]["boiling_point"]
    assert len(fresh) == metrics["rows"]["test"]
    assert np.abs(s.predict(fresh["x"])[:, 0] - fresh["value"]).mean() == pytest.approx(metrics["test_mae"],
        rel=0.01)


@pytest.mark.parametrize("kind, name",
    [("polymer", "polymer_heat_capacity"), ("polymer", "polymer_thermal_conductivity"),
                                        ("polymer", "polymer_refractive_index"),
                                        ("composition", "lattice_thermal_conductivity")])
def test_measured_targets_are_unseen(seen, kind, name):
    assert not np.isin(hash_keys(load(name).groups, kind), seen(kind)).any()


def test_the_hash_of_something_seen_is_found(seen):
    assert np.isin(hash_keys(load("polymer_glass_transition").groups, "polymer"),
        seen("polymer")).mean() > 0.4


@real
def test_the_reserve_is_unseen(seen):
    polymers = {k for n in datasets()["name"] if n.startswith(("pi1070_", "khazana_"))
        for k in load(n).groups if in_reserve(k)}
    crystals = {composition_key(f) for f in load("phonondb_thermal_conductivity").frame["formula"]}
    assert len(polymers) > 1000 and len(crystals) > 60
    assert not np.isin(hash_keys(polymers, "polymer"), seen("polymer")).any()
    assert not np.isin(hash_keys(crystals, "composition"), seen("composition")).any()


@real
def test_no_published_test_formula_is_seen(seen):
    tested = published_test_keys()
    assert datasets()["name"].str.startswith("crossproperty_").sum() == 41 and len(tested) > 5000
    assert not np.isin(hash_keys(tested, "composition"), seen("composition")).any()
