"The cross-property study: what is chosen inside the training rows, and what never looks at the test rows."
import os
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from mltransfer.cases import cross_property
from mltransfer.cases.cross_property import DATASETS, LabelScale, TrainOn, Published, blank, blend, blocks, contenders, cross_fit, judge, ours, paper, piece, published, run, scaled, starter_sources
from mltransfer.composition import ElementFractions
from mltransfer.data import load
from mltransfer.rank import untrained_like
from mltransfer.training import Schedule

needs_data = pytest.mark.skipif("MLTRANSFER_DATA" not in os.environ, reason="needs downloaded tables: set MLTRANSFER_DATA")


@pytest.fixture(scope="module")
def sources(): return starter_sources()[:2]


@pytest.fixture(scope="module")
def toy(sources):
    "Measured lattice conductivities, a quarter of them as test; one test formula is repeated in training."
    d = load("lattice_thermal_conductivity")
    X, y, groups = sources[0].describe(d.X), np.log(d.y.to_numpy()), d.groups.to_numpy().astype(object)
    test = np.arange(len(y)) % 4 == 0
    again = [*range(len(y)), 0]
    test = np.append(test, False)
    return Published("exfoliation_energy", "1", X[again], ElementFractions().fit_transform(d.X)[again], y[again], groups[again], test)


def test_published_errors():
    table = published()
    assert len(table) == 41 and len(DATASETS) == 40 and set(DATASETS) < set(table.index)
    assert (table[["scratch_mae", "transfer_mae"]] > 0).all(axis=None) and (table["best"] <= table["transfer_mae"]).all()
    assert (table["transfer_mae"] < table["scratch_mae"]).sum() == 29, "27 of 39 computed sets and both measured ones"


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("values", [np.geomspace(1e-3, 1e3, 50), np.linspace(-5, 5, 50), np.r_[np.zeros(40), np.arange(10)]])
def test_labels_go_there_and_back(values, bent):
    scale = LabelScale(bent).fit(values[:, None])
    label = scale.transform(values[:, None])
    np.testing.assert_allclose(scale.inverse_transform(label)[:, 0], values, atol=1e-6 * np.ptp(values))
    assert (np.diff(label[:, 0]) >= 0).all(), "order is kept"
    far = scale.inverse_transform(np.array([[-1e9], [1e9]]))
    np.testing.assert_allclose(far[:, 0], [values.min(), values.max()], rtol=1e-6)


def test_constant_target_is_no_division_by_zero():
    model = scaled(DummyRegressor()).fit(np.zeros((5, 1)), np.ones(5))
    np.testing.assert_allclose(model.predict(np.zeros((2, 1))), 1)


def test_training_on_beats_training_from_scratch_on_the_same_property(sources):
    d = load("inorganic_refractive_index")
    X, y = sources[0].describe(d.X), d.y.to_numpy()
    rows = np.arange(len(y)) % 2 == 0
    short = Schedule(epochs=5, batch_size=64, loss="mae")
    error = lambda s: np.abs(scaled(TrainOn(s, schedule=short)).fit(X[rows], y[rows]).predict(X[~rows]) - y[~rows]).mean()
    assert error(sources[0]) < error(untrained_like(sources[0], 0))


def test_closest_output_is_found(sources):
    X = sources[0].describe(load("lattice_thermal_conductivity").X)
    said = sources[0].predict(X)
    for j in (0, 5): assert TrainOn(sources[0])._closest(sources[0].inputs(X), np.asarray(sources[0].net(sources[0].inputs(X))[:, j].detach())) == j
    assert said.shape[1] == 13


def test_training_on_is_seeded_and_leaves_the_source_alone(sources, toy):
    model, before = TrainOn(sources[0], schedule=Schedule(epochs=2)), {k: v.clone() for k, v in sources[0].net.state_dict().items()}
    first, second = (clone(model).fit(toy.X, toy.y).predict(toy.X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all((v == before[k]).all() for k, v in sources[0].net.state_dict().items())


def test_blend_prefers_what_is_right_and_sums_to_one():
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    weights = blend(np.stack([np.zeros(500), y, rng.normal(size=500)]), y)
    np.testing.assert_allclose(weights, [0, 1, 0])
    assert blend(rng.normal(size=(7, 500)), y).sum() == pytest.approx(1)


def test_cross_fit_never_predicts_a_row_it_has_seen():
    X, y = np.eye(12), np.arange(12.0)
    folds = list(KFold(4).split(X))
    left_out, test = cross_fit(Ridge(alpha=1e-6), X, y, folds, X)
    assert left_out.shape == test.shape == (12,)
    for k, (fit, out) in enumerate(folds): np.testing.assert_allclose(left_out[3 * k : 3 * k + 3], y[fit].mean(), atol=1e-3)


def test_direct_models_see_no_source(sources, toy):
    table, columns = blocks(sources, toy.X, ~toy.test)
    spoilt = table.copy()
    spoilt[:, columns["predicted"] + columns["hidden"]] = 0
    for name, (kind, model) in contenders(sources, columns, 500, False, 0, quick=True).items():
        model.fit(table, toy.y)
        same = np.array_equal(model.predict(table), model.predict(spoilt))
        assert same == (kind == "direct"), name


def test_components_are_fitted_to_training_rows_only(sources, toy):
    a, _ = blocks(sources, toy.X, ~toy.test)
    moved = toy.X.copy()
    moved[toy.test] = moved[toy.test][::-1]
    b, _ = blocks(sources, moved, ~toy.test)
    np.testing.assert_allclose(a[~toy.test], b[~toy.test], rtol=1e-4, atol=1e-4)


def test_test_values_change_nothing(sources, toy):
    other = replace(toy, y=np.where(toy.test, 1e6, toy.y))
    a, b = (ours(d, sources, 0, quick=True) for d in (toy, other))
    for name in ("direct", "transfer", "forest", "weights"): np.testing.assert_array_equal(a[name], b[name])
    assert a["weights"].sum() == pytest.approx(1) and set(a["kinds"]) == {"direct", "transfer"}
    assert (a["direct_weights"][a["kinds"] == "transfer"] == 0).all()


def test_judge_counts_new_formulas_apart(sources, toy):
    assert (~toy.new).sum() == 1, "one test formula is repeated"
    found = ours(toy, sources, 0, quick=True)
    row = judge(toy, [found, found])
    off = np.abs(found["transfer"] - toy.y[toy.test])
    assert row["transfer"] == pytest.approx(off.mean()) and row["transfer, new formulas"] == pytest.approx(off[toy.new].mean())
    assert row["spread"] == 0 and row["low"] < row["ratio"] < row["high"] and row["gain low"] <= row["gain"] <= row["gain high"]
    assert row["ratio"] == pytest.approx(off.mean() / 51.56)


def test_a_finished_piece_is_read_and_not_computed(tmp_path):
    first = piece(tmp_path / "a" / "one.npz", lambda: {"x": np.arange(3), "names": np.array(["b"])})
    again = piece(tmp_path / "a" / "one.npz", lambda: 1 / 0)
    for k in first: np.testing.assert_array_equal(first[k], again[k])
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["one.npz"]


def test_an_interrupted_piece_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError): piece(tmp_path / "one.npz", lambda: 1 / 0)
    assert not list(tmp_path.iterdir())


def test_paper_methods_choose_on_the_same_rows(toy, monkeypatch):
    monkeypatch.setattr(cross_property, "_SIXTY", Schedule(epochs=1))
    d = replace(toy, X=np.hstack([toy.X, np.ones((len(toy.y), 145), np.float32)]))
    found = paper(d, blank(toy.fractions, (16, 16, 16, 16, 8)), 0)
    assert found["test"].shape == (len(found["names"]), toy.test.sum()) and np.isfinite(found["test"]).all()
    assert set(found["kinds"]) == {"scratch", "transfer"} and (found["valid"] > 0).all()
    other = paper(replace(d, y=np.where(toy.test, 1e6, toy.y)), blank(toy.fractions, (16, 16, 16, 16, 8)), 0)
    np.testing.assert_array_equal(found["test"], other["test"])


@pytest.mark.parametrize("wrong, message", [(dict(size="huge"), "size must be"), (dict(datasets=["klo"]), "no data set 'klo'"), (dict(datasets=["nem300k"]), "nem300k is pem300k")])
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message): run(**wrong)


@needs_data
def test_twins_are_one_file():
    a, b = load("crossproperty_nem300k"), load("crossproperty_pem300k")
    assert list(a.X) == list(b.X) and (a.y == b.y).all() and list(a.frame["part"]) == list(b.frame["part"])


@needs_data
def test_demo_runs_and_repeats(tmp_path):
    names = ("exfoliation_energy", "piezo_max_dij")
    report = run("demo", datasets=names, folder=tmp_path)
    assert list(report.table.index) == list(names) and set(report.figures) == {"ratios", "shares", "sources"}
    assert (report.table["transfer"] < report.table["median"] * 1.2).all() and "2 computed sets" in report.verdict
    pieces = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    again = run("demo", datasets=names, folder=tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")} == pieces
    assert report.table.equals(again.table)
