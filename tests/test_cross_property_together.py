"One split for all sets, and networks that predict only what they have not seen."
import os

import numpy as np
import pytest

from mltransfer.auditing import seen_by
from mltransfer.cases.cross_property_together import (
    FOLDS,
    WAYS,
    learn,
    line,
    predict_all,
    run,
    split_formulas,
    unseen,
)
from mltransfer.data import Dataset, load
from mltransfer.published import distinct
from mltransfer.training import Schedule

needs_data = pytest.mark.skipif(
    "MLTRANSFER_DATA" not in os.environ, reason="needs downloaded tables: set MLTRANSFER_DATA"
)
SHORT = Schedule(epochs=1, batch_size=64)


@pytest.fixture(scope="module")
def toys(): return [load("inorganic_refractive_index"), load("lattice_thermal_conductivity")]


@pytest.fixture(scope="module")
def fold(toys): return split_formulas(toys, 0)


@pytest.fixture(scope="module")
def networks(toys, fold): return learn(toys, fold, SHORT, 0)


def test_one_split_for_all(toys, fold):
    assert {*fold.index} == {g for d in toys for g in d.groups} and fold.index.is_unique
    assert np.isclose((fold < 0).mean(), 0.1, atol=0.01) and fold[
        fold >= 0
    ].value_counts().min() > 0.15 * len(fold)
    assert fold.equals(split_formulas(toys[::-1], 0)) and not fold.equals(split_formulas(toys, 1))


def test_no_network_has_seen_what_it_predicts(fold, networks):
    for k, network in enumerate(networks):
        seen = seen_by([network], list(fold.index), "composition")
        assert (
            not seen[fold < 0].any()
            and not seen[fold == k].any()
            and seen[(fold >= 0) & (fold != k)].mean() > 0.8
        )


def test_each_row_is_predicted_by_the_right_networks(toys, fold, networks):
    formulas, table = toys[1].groups, networks[0].describe(toys[1].X)
    said, place = unseen(networks, fold, table, formulas), fold[formulas].to_numpy()
    for k in range(FOLDS):
        np.testing.assert_allclose(
            said[place == k], networks[k].predict(table[place == k]), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(
        said[place < 0],
        np.mean([s.predict(table[place < 0]) for s in networks], axis=0),
        rtol=1e-4,
        atol=1e-5,
    )


def test_values_of_tested_formulas_change_nothing_in_any_set(toys, fold, networks):
    spoilt = [
        Dataset(d.frame.assign(value=d.y.mask((fold[d.groups] < 0).to_numpy(), 1e6)), d.task, name=d.name)
        for d in toys
    ]
    first, second = (
        predict_all(d, toys[1].name, n, fold, 0, SHORT)
        for d, n in ((toys, networks), (spoilt, learn(spoilt, fold, SHORT, 0)))
    )
    for way in WAYS: np.testing.assert_array_equal(first[way], second[way])
    assert (second["y"] == 1e6).all() and (first["y"] < 1e6).all()


def test_line_compares_row_by_row(toys):
    rng, draws = np.random.default_rng(0), []
    for k in range(5):
        rows = np.arange(k, len(toys[1]), 5)
        off = rng.uniform(1, 2, len(rows))
        draws.append(
            {"rows": rows, "y": toys[1].y.to_numpy()[rows]}
            | {
                w: toys[1].y.to_numpy()[rows]
                + off * (rng.uniform(0.4, 0.6, len(rows)) if w == "together" else 1)
                for w in WAYS
            }
        )
    row = line(toys[1], draws)
    assert (
        row["together / direct"] == pytest.approx(0.5, rel=0.1)
        and row["together / direct verdict"] == "better"
    )
    assert (
        row["alone / direct"] == pytest.approx(1) and row["alone / direct verdict"] == "no difference shown"
    )


def test_wrong_size_is_refused():
    with pytest.raises(ValueError, match="size must be"): run("huge")


@needs_data
def test_demo_runs_and_repeats(tmp_path):
    report = run("demo", folder=tmp_path)
    assert (
        list(report.table.index) == distinct()[:2]
        and "4 sets together" in report.verdict
        and set(report.figures) == {"ratios"}
    )
    pieces = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    assert len(pieces) == 4 and report.table.equals(run("demo", folder=tmp_path).table)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")} == pieces
