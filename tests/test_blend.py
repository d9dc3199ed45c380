"Contracts of `blend`: nothing outside the training rows decides, direct models see no source, labels survive."
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict

from mltransfer.blend import MANY, Blend, LabelScale, TrainOn, _folds, blend_weights, contenders, cross_fit, scaled, scheduled
from mltransfer.data import load
from mltransfer.library import Library
from mltransfer.rank import untrained_like
from mltransfer.training import Schedule


@pytest.fixture(scope="module")
def sources():
    library = Library.starter()
    return [s for s in library.load(library.query(kind="composition").index.unique().sort_values()) if len(s.tasks) > 1][:2]


@pytest.fixture(scope="module")
def toy(sources):
    d = load("lattice_thermal_conductivity")
    return sources[0].describe(d.X), np.log(d.y.to_numpy()), d.groups.to_numpy()


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


def test_closest_output_is_found(sources, toy):
    x = sources[0].inputs(toy[0])
    for j in (0, 5): assert TrainOn(sources[0])._closest(x, sources[0].net(x)[:, j].detach().numpy()) == j


def test_training_on_is_seeded_and_leaves_the_source_alone(sources, toy):
    model, before = TrainOn(sources[0], schedule=Schedule(epochs=2)), {k: v.clone() for k, v in sources[0].net.state_dict().items()}
    first, second = (clone(model).fit(*toy[:2]).predict(toy[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all((v == before[k]).all() for k, v in sources[0].net.state_dict().items())


@pytest.mark.parametrize("n, rows, epochs", [(100, 32, 20), (2000, 40, 20), (MANY, 100, 20), (MANY + 1, 100, 12), (10**6, 256, 12)])
def test_schedule_follows_the_rows(n, rows, epochs):
    assert (scheduled(n).batch_size, scheduled(n).epochs) == (rows, epochs)


@pytest.mark.parametrize("n, fitted", [(100, 5), (2000, 5), (2500, 4), (6000, 2), (7000, 1), (30_000, 1)])
def test_folds_follow_the_rows_and_keep_groups_whole(n, fitted):
    groups = np.arange(n) // 3
    folds = _folds(groups, 0, False)
    assert len(folds) == fitted and all(abs(len(out) - n / 10) < 10 for _, out in folds)
    assert not any(set(groups[fit]) & set(groups[out]) for fit, out in folds)
    assert len(set(np.concatenate([out for _, out in folds]))) == sum(len(out) for _, out in folds)


def test_weights_prefer_what_is_right_and_sum_to_one():
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    np.testing.assert_allclose(blend_weights(np.stack([np.zeros(500), y, rng.normal(size=500)]), y), [0, 1, 0])
    weights = blend_weights(rng.normal(size=(7, 500)), y)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()


def test_cross_fit_never_predicts_a_row_it_has_seen():
    X, y, folds = np.eye(12), np.arange(12.0), list(KFold(4).split(np.eye(12)))
    left_out, models = cross_fit(Ridge(alpha=1e-6), X, y, folds)
    assert len(models) == 4
    for k, (fit, _) in enumerate(folds): np.testing.assert_allclose(left_out[3 * k : 3 * k + 3], y[fit].mean(), atol=1e-3)


def test_direct_models_see_no_source(sources, toy):
    model = Blend(sources, quick=True).fit(*toy)
    table, columns = model._table(toy[0], model._hidden(toy[0]))
    spoilt = table.copy()
    spoilt[:, columns["predicted"] + columns["hidden"]] = 0
    for name, (kind, m) in contenders(sources, columns, 500, False, 0, quick=True).items():
        m.fit(table, toy[1])
        assert np.array_equal(m.predict(table), m.predict(spoilt)) == (kind == "direct"), name


@pytest.fixture(scope="module")
def known(sources, toy):
    "What the sources predict, band gaps, with a little noise."
    X, rng = toy[0], np.random.default_rng(0)
    said = np.sum([s.predict(X)[:, 0] for s in sources], axis=0)
    return X, said + 0.1 * said.std() * rng.normal(size=len(X)), toy[2]


@pytest.fixture(scope="module")
def mixed(sources, known): return Blend(sources, quick=True).fit(*known)


def test_the_direct_prediction_knows_no_source(sources, known, mixed):
    "It is the same whatever the sources have learnt; the mixture is not."
    X, y, groups = known
    null = Blend([untrained_like(s, 5) for s in sources], quick=True).fit(X, y, groups)
    assert 0.5 < mixed.transfer_share_
    np.testing.assert_allclose(mixed.predict_direct(X), null.predict_direct(X), rtol=1e-6)
    assert mixed.direct_mae_ > 1.05 * mixed.inner_mae_
    assert not np.allclose(mixed.predict(X), mixed.predict_direct(X), rtol=1e-2)


def test_a_single_row_is_predicted_like_many(known, mixed):
    X = known[0]
    for predict in (mixed.predict, mixed.predict_direct):
        np.testing.assert_allclose([predict(X[[i]])[0] for i in range(3)], predict(X)[:3], rtol=1e-3)


def test_most_rows_are_learnt_and_few_say_when_to_stop(sources, toy):
    "The share is that of the rows that decide when to stop: the larger it is, the less is learnt."
    source, rng = untrained_like(sources[0], 0), np.random.default_rng(0)
    X = rng.permuted(np.tile(toy[0], (6, 1)), axis=0)
    y = source.inputs(X).numpy()[:, :40] @ rng.normal(size=40)
    y, new, rest = (y - y.mean()) / y.std(), slice(0, 200), slice(200, None)
    few, most = (TrainOn(source, stop=share, schedule=Schedule(epochs=30, batch_size=16)).fit(X[rest], y[rest]) for share in (0.1, 0.9))
    few, most = (np.abs(m.predict(X[new]) - y[new]).mean() for m in (few, most))
    assert few < 0.7 * most


def test_raw_inputs_equal_their_table_and_seeds_decide(sources, toy):
    d = load("lattice_thermal_conductivity")
    a = Blend(sources, quick=True).fit(list(d.X), toy[1], d.groups)
    b = clone(a).fit(*toy)
    np.testing.assert_array_equal(a.predict(list(d.X)), b.predict(toy[0]))
    assert a.leaderboard_.equals(b.leaderboard_)
    assert not a.leaderboard_.equals(clone(a).set_params(random_state=1).fit(*toy).leaderboard_)


def test_cross_validation_with_groups_works(sources, toy):
    predicted = cross_val_predict(Blend(sources, quick=True), *toy[:2], groups=toy[2], cv=GroupKFold(3))
    assert np.abs(predicted - toy[1]).mean() < np.abs(np.median(toy[1]) - toy[1]).mean()


def test_the_whole_search_with_networks(sources, toy, monkeypatch):
    monkeypatch.setattr("mltransfer.blend.scheduled", lambda n: Schedule(epochs=1))
    model = Blend(sources).fit(*toy)
    assert {"network", "source, trained on", "trees and sources, other scale"} <= set(model.leaderboard_["contender"])
    assert model.inner_mae_ <= model.leaderboard_["inner_mae"].min() + 1e-9 and np.isfinite(model.predict(toy[0])).all()


def test_what_cannot_work_is_refused(sources, toy):
    X, y, groups = toy
    for change, message in ((dict(y=None), "requires y"), (dict(y=y[:-1]), "rows"), (dict(y=np.ones(len(y))), "constant"), (dict(groups=groups[:-1]), "groups"), (dict(X=X[:, :5]), "descriptors"),
                            (dict(X=np.where(np.arange(X.shape[1]) == 3, np.nan, X)), "not all finite|NaN")):
        with pytest.raises(ValueError, match=message): Blend(sources, quick=True).fit(**({"X": X, "y": y, "groups": groups} | change))
    with pytest.raises(ValueError, match="between 0 and 1"): TrainOn(sources[0], stop=1.5).fit(X, y)
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"n_components must be at least 1, got {n}"): Blend(sources, n_components=n, quick=True).fit(X, y)


@pytest.mark.parametrize("predictions, y, how, message", [
    (np.ones((2, 3)), np.ones(3), {"n_rounds": 0}, "n_rounds must be at least 1, got 0"), ([[1, 2, 3], [1, np.nan, 3]], np.ones(3), {}, r"contenders \[1\] are not all finite"),
    ([[1, np.inf], [np.nan, 1], [1, 1]], np.ones(2), {}, r"contenders \[0, 1\] are not all finite"), (np.ones((2, 3)), [1, 2, np.nan], {}, "y is not all finite"),
    (np.ones((2, 3)), np.ones(2), {}, r"\(2, 3\) do not fit y of shape \(2,\)"), (np.ones(3), np.ones(3), {}, "do not fit"), (np.ones((0, 3)), np.ones(3), {}, "do not fit")])
def test_weights_are_refused_rather_than_wrong(predictions, y, how, message):
    with pytest.raises(ValueError, match=message): blend_weights(predictions, y, **how)


def test_monomers_are_not_taken_for_repeat_units():
    library = Library.starter()
    polymers = library.load(library.query(kind="polymer", limit=None).index.unique())
    source = next(s for s in polymers if {t.kind for t in s.tasks} == {"polymer"} and hasattr(s, "net"))
    with pytest.raises(ValueError, match="60 of 60 rows cannot be used as a polymer(.|\n)*'C=C': has no open ends"):
        Blend([source], quick=True).fit(["C=C"] * 60, np.arange(60.0))


def test_three_groups_are_three_folds(sources, toy):
    X, y, _ = toy
    model = Blend(sources, quick=True).fit(X, y, groups=np.arange(len(y)) % 3)
    assert np.isfinite(model.predict(X)).all() and np.isfinite(model.inner_mae_)


def test_without_a_seed_one_is_drawn_and_kept(sources, toy):
    X, y, _ = toy
    models = [Blend(sources, quick=True, random_state=None).fit(X[:60], y[:60]), TrainOn(sources[0], schedule=Schedule(epochs=1), random_state=None).fit(X, y)]
    for model in models:
        again = clone(model).set_params(random_state=model.seed_).fit(X[:60] if isinstance(model, Blend) else X, y[:60] if isinstance(model, Blend) else y)
        np.testing.assert_array_equal(model.predict(X), again.predict(X))


def test_the_fold_that_fails_is_named():
    folds = [(np.arange(4), np.arange(4, 8)), (np.arange(2), np.arange(2, 8))]
    with pytest.raises(ValueError, match="fold 2 of 2 leaves 2 rows, on which a contender fails: too few\nGive more rows"):
        cross_fit(FailsOnTwo(), np.eye(8), np.arange(8.0), folds)


class FailsOnTwo(Ridge):
    def fit(self, X, y):
        if len(y) < 3: raise ValueError("too few")
        return super().fit(X, y)


def test_steps_stay_below_a_thousand():
    for n in (50, 500, 1600, 2000, MANY, MANY + 1, 12_800, 27_000):
        s = scheduled(n)
        assert s.epochs * (round(0.9 * 0.88 * n) // s.batch_size) <= 1000


def test_scratch_is_the_same_class(sources, toy):
    null = untrained_like(sources[0], 0)
    assert np.isfinite(TrainOn(null, schedule=Schedule(epochs=1)).fit(*toy[:2]).predict(toy[0])).all()


def test_narrow_sources_are_mixed(toy):
    X, y, groups = toy[:3]
    narrow = [s for s in Library.starter().load(Library.starter().query(kind="composition", limit=None).index.unique()) if len(s.tasks) == 1 and s.net.widths[-2] < 30][:2]
    model = Blend(narrow, quick=True).fit(X[:80], y[:80])
    assert model.components_[-1].n_components_ == sum(s.net.widths[-2] for s in narrow) < 48
