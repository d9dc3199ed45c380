"Contracts of the case study on the thermal conductivity of crystals."
import os

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from mltransfer.auditing import seen_by
from mltransfer.cases import lattice_thermal_conductivity as study
from mltransfer.library import Library

needs_tables = pytest.mark.skipif(
    "MLTRANSFER_DATA" not in os.environ, reason="needs the downloaded tables: set MLTRANSFER_DATA"
)


def test_starter_sources_have_seen_no_measured_crystal():
    pool = study.read_pool(computed=False)
    library = Library.starter()
    sources = library.load(library.query(kind="composition").index.unique())
    assert not seen_by(sources, pool["key"], "composition").any()


def test_sources_that_have_seen_the_pool_are_refused(monkeypatch):
    monkeypatch.setattr(study, "seen_by", lambda sources, keys, kind: np.array([True, False]))
    with pytest.raises(ValueError, match="1 target crystals"): study.read_sources(0, ["C", "Si"], 0)


@needs_tables
def test_pool_holds_every_crystal_once_and_prefers_measurements():
    pool = study.read_pool(computed=True)
    assert pool["key"].is_unique and len(pool) == 115
    assert (pool["nature"] == "measured").sum() == 95
    assert pool.set_index("key").loc["BN", "nature"] == "computed"
    assert (pool["value"] > 0).all()


def test_the_best_are_never_trained_on_and_always_tested():
    y = np.random.default_rng(1).lognormal(size=100)
    best = set(np.argsort(-y)[:study.N_HIDDEN])
    for [(train, test)] in study.extrapolation(y, 5, 3):
        assert len(train) == study.N_TRAIN and not best & set(train) and best <= set(test)
        assert len(train) + len(test) == 100 and not set(train) & set(test)


def test_ten_folds_cover_each_draw_once():
    rows = np.arange(200, 260)
    for repeat in study.interpolation(rows, 3, 0):
        tested = np.concatenate([test for _, test in repeat])
        assert (
            len(repeat) == 10
            and len(set(tested)) == len(tested) == study.N_TRAIN
            and set(tested) <= set(rows)
        )


def test_finds_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=60), rng.integers(0, 6, 60)
    order = rng.permutation(60)
    assert study.found(y, p) == pytest.approx(study.found(y[order], p[order]))
    assert study.found(y, y) == 10 and study.found(y, -y) == 0
    assert study.found(y, np.zeros(60)) == pytest.approx(100 / 60)


def test_choice_upwards_never_reads_test_rows_and_clones():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X[:, 0] + 0.1 * rng.normal(size=60)
    model = study.ChosenUpwards(
        {"tree": DecisionTreeRegressor(random_state=0), "line": LinearRegression()}, average=1
    )
    fitted = clone(model).fit(X[:40], y[:40])
    assert fitted.chosen_ == ["line"] and list(fitted.scores_.index) == ["line", "tree"]
    assert fitted.predict(X[40:]).shape == (20,)
    assert model.get_params()["quantiles"] == (0.6, 0.7, 0.8) and not hasattr(model, "scores_")


def test_rules_do_not_depend_on_how_a_formula_is_written():
    assert study.rules(["SiO2", "Si2O4"]) == pytest.approx(np.repeat(study.rules(["SiO2"]), 2, axis=0))
    assert study.rules(["SiO2"]).shape == (1, 5)


def test_unknown_size_is_refused():
    with pytest.raises(ValueError, match="'demo', 'full'"): study.run("large")
