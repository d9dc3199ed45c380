"Intervals and applicability domain: equal to MAPIE, scikit-learn's contracts, any input, bad input."
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut, LeaveOneOut
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mltransfer.heads import BestOfRegressor
from mltransfer.composition import ElementFractions
from mltransfer.data import load
from mltransfer.metrics import coverage
from mltransfer.molecule import Constitution
from mltransfer.splits import BalancedGroupKFold
from mltransfer.uncertainty import ApplicabilityDomain, ConformalRegressor, plus_interval


def sample(n=60, n_new=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n + n_new, 4))
    y = X @ [1, -2, 0, 0.5] + rng.standard_t(4, size=len(X))
    return X[:n], y[:n], X[n:], y[n:]


# scikit-learn's contracts

raw = {"check_fit2d_predict1d": "raw inputs are one column, so a 1-d X is left to the wrapped model"}

@parametrize_with_checks([
    ConformalRegressor(Ridge(), cv=3),
    ConformalRegressor(Ridge(), cv=3, domain=ApplicabilityDomain(2)),
    ConformalRegressor(BestOfRegressor({"ridge": Ridge(), "median": DummyRegressor(strategy="median")},
        n_splits=2), cv=3),
    ApplicabilityDomain(2),
], expected_failed_checks=lambda e: raw if isinstance(getattr(e, "estimator", None), BestOfRegressor) else {})
def test_sklearn_contract(estimator, check): check(estimator)


def test_sits_in_searches_and_scores():
    X, y, _, _ = sample()
    model = ConformalRegressor(Ridge())
    search = GridSearchCV(model, {"estimator__alpha": [0.1, 10], "cv": [5, 10]}, cv=3).fit(X, y)
    assert search.best_estimator_.predict_interval(X).shape == (60, 2)
    assert np.isfinite(cross_val_score(model, X, y, error_score="raise")).all()
    assert ConformalRegressor(Ridge()).fit(pd.DataFrame(X, columns=list("abcd")),
        y).feature_names_in_.tolist() == list("abcd")


# the intervals are those of the paper

def by_definition(model, X, level):
    "Barber et al. (2021): order statistics, by sorting, one row at a time."
    n = len(model.residuals_)
    rows = []
    for x in X:
        unseen = np.array([model.models_[k][0].predict([x])[0] for k in model.fold_])
        low, high = np.sort(unseen - np.abs(model.residuals_)), np.sort(unseen + np.abs(model.residuals_))
        rows.append((low[int(np.floor((1 - level) * (n + 1) + 1e-9)) - 1],
            high[int(np.ceil(level * (n + 1) - 1e-9)) - 1]))
    return np.array(rows)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_equals_the_definition(level):
    X, y, X_new, _ = sample(39)
    model = ConformalRegressor(ExtraTreesRegressor(5, random_state=0)).fit(X, y)
    np.testing.assert_allclose(model.predict_interval(X_new[:20], level),
        by_definition(model, X_new[:20], level), rtol=1e-12)


@pytest.mark.parametrize("n", [20, 47, 101])
@pytest.mark.parametrize("cv", [KFold(5, shuffle=True, random_state=1), LeaveOneOut()],
    ids=["CV+", "jackknife+"])
@pytest.mark.parametrize("level", [0.6, 0.9, 0.95])
def test_equals_mapie(n, cv, level):
    from mapie import regression
    X, y, X_new, _ = sample(n)
    model = ExtraTreesRegressor(5, random_state=0) if n == 20 else Ridge()
    theirs = regression.CrossConformalRegressor(model, confidence_level=level, method="plus",
        cv=cv).fit_conformalize(X, y)
    expected = theirs.predict_interval(X_new)[1][:, :, 0]
    np.testing.assert_allclose(ConformalRegressor(model, cv=cv).fit(X, y).predict_interval(X_new, level),
        expected, rtol=1e-10)


def test_equals_mapie_on_our_own_random_folds():
    from mapie import regression
    X, y, X_new, _ = sample(58)
    ours = ConformalRegressor(Ridge(), random_state=3).fit(X, y)
    theirs = regression.CrossConformalRegressor(Ridge(), confidence_level=0.9,
        cv=PredefinedSplit(ours.fold_)).fit_conformalize(X, y)
    np.testing.assert_allclose(ours.predict_interval(X_new), theirs.predict_interval(X_new)[1][:, :, 0],
        rtol=1e-10)


@pytest.mark.parametrize("level, n", [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_fewest_rows_of_each_level(level, n):
    rng = np.random.default_rng(0)
    residuals = rng.normal(size=n)
    low, high = plus_interval(np.zeros((1, n)), residuals, level)[0]
    assert (low, high) == (-np.abs(residuals).max(), np.abs(residuals).max())
    if n > 1:
        with pytest.raises(ValueError, match=f"it takes {n} rows"):
            plus_interval(np.zeros((1, n - 1)), residuals[1:], level)


@pytest.mark.parametrize("n", range(2, 200, 9))
def test_the_level_that_the_error_names_works(n):
    with pytest.raises(ValueError, match="a level of at most") as error:
        plus_interval(np.zeros((1, n)), np.ones(n), 0.9999)
    most = float(str(error.value).split()[-1])
    assert np.isfinite(plus_interval(np.zeros((1, n)), np.ones(n), most)).all()


@pytest.mark.parametrize("n", [20, 58, 1000])
@pytest.mark.parametrize("domain", [None, ApplicabilityDomain()], ids=["plain", "domain"])
def test_covers_what_it_says(n, domain):
    "30 data sets with heavy tails; the standard error of the mean coverage is about 0.015 at n = 20."
    shares = []
    for seed in range(30 if n < 1000 else 3):
        X, y, X_new, y_new = sample(n, 300, seed)
        shares.append(coverage(y_new, *ConformalRegressor(Ridge(), domain=domain).fit(X,
            y).predict_interval(X_new).T))
    assert 0.85 <= np.mean(shares) <= 0.95


@pytest.mark.parametrize("change", [lambda y: -y, lambda y: 1000 * y + 7])
def test_intervals_follow_the_unit(change):
    X, y, X_new, _ = sample(39)
    bounds, changed = (ConformalRegressor(LinearRegression()).fit(X, t).predict_interval(X_new)
        for t in (y, change(y)))
    np.testing.assert_allclose(np.sort(change(bounds), axis=1), changed, rtol=1e-6)


def test_batches_are_one_array(monkeypatch):
    X, y, X_new, _ = sample()
    model = ConformalRegressor(Ridge()).fit(X, y)
    whole = model.predict_interval(X_new)
    np.testing.assert_allclose(np.vstack([model.predict_interval(x[None]) for x in X_new]), whole, rtol=1e-9)
    monkeypatch.setattr("mltransfer.uncertainty.gen_batches",
        lambda n, size: (slice(i, i + 7) for i in range(0, n, 7)))
    assert np.array_equal(model.predict_interval(X_new), whole)


# folds, groups, workers

@pytest.mark.parametrize("cv", [5, LeaveOneGroupOut(), GroupKFold(5), BalancedGroupKFold(5)], ids=str)
def test_groups_stay_whole(cv):
    X, y, _, _ = sample()
    groups = np.arange(60) // 3
    fold = ConformalRegressor(Ridge(), cv=cv).fit(X, y, groups=[f"g{g}" for g in groups]).fold_
    assert all(len(set(fold[groups == g])) == 1 for g in groups)


class WantsGroups(RegressorMixin, BaseEstimator):
    def fit(self, X, y, groups=None):
        self.groups_, self.mean_ = groups, float(np.mean(y))
        return self

    def predict(self, X): return np.full(len(X), self.mean_)


@pytest.mark.parametrize("kind", [np.array, list, pd.Series])
def test_groups_reach_a_search_that_takes_them(kind):
    X, y, _, _ = sample()
    groups = np.arange(60) // 3
    model = ConformalRegressor(WantsGroups(), cv=5).fit(X, y, groups=kind(groups))
    assert list(model.model_.groups_) == list(groups)
    for k, (fold, _) in enumerate(model.models_): assert list(fold.groups_) == list(groups[model.fold_ != k])
    assert ConformalRegressor(WantsGroups()).fit(X, y).model_.groups_ is None


def test_any_number_of_workers_gives_the_same():
    X, y, X_new, _ = sample(30, 20)
    model = ConformalRegressor(ExtraTreesRegressor(5, random_state=0), domain=ApplicabilityDomain(), cv=3)
    one, two = (clone(model).set_params(n_jobs=n).fit(X, y).predict_interval(X_new) for n in (1, 2))
    assert np.array_equal(one, two)


def test_seed_decides_the_folds_and_nothing_global_is_touched():
    X, y, _, _ = sample()
    state = np.random.get_state()[1].copy()
    folds = [ConformalRegressor(Ridge(), random_state=seed).fit(X, y).fold_ for seed in (0, 0, 1)]
    assert (folds[0] == folds[1]).all() and (folds[0] != folds[2]).any()
    assert (np.random.get_state()[1] == state).all()


def test_the_wrapped_model_is_never_fitted_itself():
    X, y, _, _ = sample()
    inner, domain = Ridge(), ApplicabilityDomain()
    ConformalRegressor(inner, domain=domain).fit(X, y)
    assert not hasattr(inner, "coef_") and not hasattr(domain, "threshold_")


@pytest.mark.parametrize("n_groups", range(2, 12))
def test_few_groups_are_as_many_folds(n_groups):
    X, y, X_new, _ = sample(40)
    model = ConformalRegressor(Ridge()).fit(X, y, groups=np.arange(40) % n_groups)
    assert len(model.models_) == min(10, n_groups) and np.isfinite(model.predict_interval(X_new)).all()


@pytest.mark.parametrize("n", range(2, 13))
def test_few_rows_are_as_many_folds(n):
    X, y, X_new, _ = sample(n)
    model = ConformalRegressor(Ridge()).fit(X, y)
    assert len(model.models_) == min(10, n) and np.isfinite(model.predict_interval(X_new, 0.5)).all()


# weights

class Averages(RegressorMixin, BaseEstimator):
    "The mean, without weights."
    def fit(self, X, y):
        self.mean_ = np.mean(y)
        return self

    def predict(self, X): return np.full(len(X), self.mean_)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3), min_size=12, max_size=30), st.integers(0, 99))
@pytest.mark.parametrize("estimator",
    [Ridge(), make_pipeline(StandardScaler(), Ridge()),
        TransformedTargetRegressor(LinearRegression(), func=np.cbrt, inverse_func=lambda v: v**3)],
        ids=lambda e: type(e).__name__)
def test_weights_equal_repeated_rows(estimator, weights, seed):
    "Weighted rows are fitted as repeated rows of one group; each row counts once in the bounds."
    X, y, X_new, _ = sample(len(weights), 5, seed)
    model = ConformalRegressor(estimator, random_state=seed).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(len(weights)), weights)
    copies = ConformalRegressor(estimator, random_state=seed).fit(X[rows], y[rows], groups=rows)
    np.testing.assert_allclose(model.predict(X_new), copies.predict(X_new), rtol=1e-6)
    first = np.unique(rows, return_index=True)[1]
    np.testing.assert_allclose(model.predicted_, copies.predicted_[first], rtol=1e-6)
    unseen = np.column_stack([m.predict(X_new) for m, _ in copies.models_])[:, copies.fold_[first]]
    np.testing.assert_allclose(model.predict_interval(X_new, 0.8),
        plus_interval(unseen, copies.residuals_[first], 0.8), rtol=1e-6)


def test_a_row_of_weight_zero_is_predicted_and_counts_nowhere():
    X, y, X_new, _ = sample()
    some, folds = np.arange(60) % 4 > 0, np.arange(60) % 7
    model = ConformalRegressor(Ridge(), cv=PredefinedSplit(folds)).fit(X, y, sample_weight=some)
    less = ConformalRegressor(Ridge(), cv=PredefinedSplit(folds[some])).fit(X[some], y[some])
    np.testing.assert_allclose(model.predict_interval(X_new), less.predict_interval(X_new), rtol=1e-9)
    np.testing.assert_allclose(model.predicted_[some], less.predicted_)
    assert np.isfinite(model.predicted_).all() and model.counted_.tolist() == some.tolist()


@pytest.mark.parametrize("weight, says", [
    (np.ones(59), "sample_weight has shape"),
    (np.r_[-1, np.ones(59)], "row 0: -1.0: not a finite number from 0 on"),
    (np.r_[np.ones(59), np.nan], "row 59: nan"), (np.zeros(60), "zero everywhere")])
def test_wrong_weights_are_named(weight, says):
    X, y, _, _ = sample()
    with pytest.raises(ValueError, match=says): ConformalRegressor(Ridge()).fit(X, y, sample_weight=weight)


def test_weights_are_not_ignored_in_silence():
    X, y, _, _ = sample()
    with pytest.raises(ValueError, match="Averages takes no sample_weight"):
        ConformalRegressor(Averages()).fit(X, y, sample_weight=np.ones(60))
    one, other = (ConformalRegressor(LinearRegression()).fit(X, y, sample_weight=w).predict_interval(X)
        for w in (None, 2.5))
    np.testing.assert_allclose(one, other)


# any input

def test_mappings_and_compositions_are_rows():
    from pymatgen.core import Composition
    formulas = ["NaCl", "MgO", "Fe2O3", "TiO2", "SiO2", "GaAs", "ZnS", "CaF2", "LiF", "KBr", "AlN", "InP"]
    y = np.arange(12.0)
    bounds = [ConformalRegressor(make_pipeline(ElementFractions(), Ridge())).fit(rows,
        y).predict_interval(rows[:3]) for rows in (
        formulas, [dict(Composition(f).get_el_amt_dict()) for f in formulas],
        [Composition(f) for f in formulas])]
    np.testing.assert_allclose(bounds[1:], [bounds[0]] * 2, rtol=1e-6)
    drawn = ConformalRegressor(make_pipeline(ElementFractions(), Ridge())).fit((f for f in formulas), y)
    np.testing.assert_allclose(drawn.predict_interval(formulas[:3]), bounds[0], rtol=1e-6)
    with pytest.raises(ValueError, match="got one dict"):
        ConformalRegressor(Ridge()).fit({"Na": 1, "Cl": 1}, y)


@pytest.fixture(scope="module")
def polymers():
    data = load("polymer_density")
    return data.X[:20], data.y[:20]


@pytest.mark.parametrize("kind",
    [list, pd.Series, lambda s: np.array(s, dtype=object), lambda s: pd.Series(list(s), index=range(7, 27))])
def test_raw_inputs_of_any_kind(polymers, kind):
    smiles, y = polymers
    describe = Constitution()
    table = ConformalRegressor(Ridge(), cv=3, domain=ApplicabilityDomain()).fit(describe.transform(smiles), y)
    raw = ConformalRegressor(make_pipeline(describe, Ridge()), cv=3,
        domain=make_pipeline(describe, ApplicabilityDomain())).fit(kind(smiles), y)
    np.testing.assert_allclose(raw.predict_interval(kind(smiles)),
        table.predict_interval(describe.transform(smiles)), rtol=1e-6)


def test_structures_are_raw_inputs_too():
    from pymatgen.core import Lattice, Structure
    cells = [Structure(Lattice.cubic(3 + 0.1 * i), ["Na", "Cl"][: 1 + i % 2],
        [[0, 0, 0], [0.5, 0.5, 0.5]][: 1 + i % 2]) for i in range(12)]
    volume = FunctionTransformer(lambda rows: np.array([[s.volume] for s in rows]))
    model = ConformalRegressor(make_pipeline(volume, Ridge()), cv=4).fit(cells, [s.volume for s in cells])
    assert model.predict_interval(cells[:3]).shape == (3, 2)


def test_tables_of_any_kind():
    X, y, X_new, _ = sample()
    expected = ConformalRegressor(Ridge()).fit(X, y).predict_interval(X_new)
    frame, new = (pd.DataFrame(t, columns=list("abcd")) for t in (X, X_new))
    labelled = ConformalRegressor(Ridge()).fit(frame,
        pd.Series(y, index=range(60, 0, -1))).predict_interval(new)
    listed = ConformalRegressor(Ridge()).fit(X.tolist(), y.tolist()).predict_interval(X_new.tolist())
    for bounds in (labelled, listed): np.testing.assert_allclose(bounds, expected, rtol=1e-9)


# bad input

X, y, X_new, _ = sample()


class UpsideDown(ApplicabilityDomain):
    def score_samples(self, X): return 1 + self.distance(X)


@pytest.mark.parametrize("model, rows, groups, says", [
    (ConformalRegressor(Ridge(), cv=1), 60, None, "cv=1: need at least 2 folds"),
    (ConformalRegressor(Ridge()), 60, np.zeros(60), "at least 2 groups, got 1"),
    (ConformalRegressor(BestOfRegressor({"a": Ridge()})), 5, None,
        "fold 1 of 5 leaves 4 of 5 rows, on which the fit fails: y has 4 samples, need at least 5\n"
        "Give more rows"),
    (ConformalRegressor(Ridge(), cv="loo"), 60, None, "cv"),
    (ConformalRegressor(Ridge(), cv=KFold(5)), 60, np.arange(60) // 7, "rows of one group on both sides"),
    (ConformalRegressor(Ridge(), cv=[([0, 1], [2, 3]), ([2, 3], [0, 1])]), 5, None, "row 4: 0: times tested"),
    (ConformalRegressor(Ridge(), cv=[([0, 1, 2], [2, 3]), ([2, 3], [0, 1])]), 4, None, "on both sides"),
    (ConformalRegressor(Ridge()), 60, [0, None, *range(58)], "row 1: None: no group"),
    (ConformalRegressor(Ridge()), 60, range(59), "inconsistent numbers of samples"),
    (ConformalRegressor(Ridge(), domain=ApplicabilityDomain(80)), 60, None,
        "n_neighbors=80: need 1 to 53 for 54 samples"),
    (ConformalRegressor(Ridge(), domain=UpsideDown()), 60, None, "must be minus a distance"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_folds_and_groups(model, rows, groups, says):
    with pytest.raises(ValueError, match=says): model.fit(X[:rows], y[:rows], groups=groups)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_wrong_targets_are_named(wrong):
    bad = y.copy()
    bad[[3, 5]] = wrong
    with pytest.raises(ValueError, match="2 of 60 rows cannot be used as a target(.|\n)*row 3(.|\n)*row 5"):
        ConformalRegressor(Ridge()).fit(X, bad)
    with pytest.raises(ValueError, match="requires y to be passed"): ConformalRegressor(Ridge()).fit(X, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ConformalRegressor(Ridge()).fit(X, y[:-1])


def test_bad_raw_rows_keep_their_positions(polymers):
    smiles, y = polymers
    bad = [*smiles[:17], "C1CC", *smiles[18:]]
    with pytest.raises(ValueError, match="row 17: 'C1CC'"):
        ConformalRegressor(make_pipeline(Constitution(), Ridge())).fit(bad, y)


class FailsOnSome(RegressorMixin, BaseEstimator):
    def fit(self, X, y): return self
    def predict(self, X): return np.where(X[:, 0] > 1.5, np.nan, 0.0)


def test_predictions_that_are_no_numbers_are_named():
    with pytest.raises(ValueError, match="cannot be used as a prediction(.|\n)*without these rows"):
        ConformalRegressor(FailsOnSome()).fit(X, y)


@pytest.mark.parametrize("level", [0.49, 1, 1.5, 90, -0.1, np.nan])
def test_wrong_levels(level):
    model = ConformalRegressor(Ridge()).fit(X, y)
    with pytest.raises(ValueError, match="level must be at least 0.5 and below 1"):
        model.predict_interval(X_new, level)


def test_wrong_columns_and_not_fitted():
    model, domain = ConformalRegressor(Ridge()).fit(X, y), ApplicabilityDomain().fit(X)
    for call in (model.predict, model.predict_interval, domain.predict, domain.distance):
        with pytest.raises(ValueError, match="3 features"): call(X_new[:, :3])
    fresh, nowhere = ConformalRegressor(Ridge()), ApplicabilityDomain()
    for call in (fresh.predict, fresh.predict_interval, nowhere.predict, nowhere.distance,
            nowhere.score_samples, nowhere.decision_function):
        with pytest.raises(NotFittedError): call(X_new)


# the applicability domain

def test_distance_by_hand():
    domain = ApplicabilityDomain(1).fit([[-1.0], [0.0], [1.0]])
    np.testing.assert_allclose(domain.distance([[1.0], [2.0], [4.0]]), [0, 1, 3])
    assert domain.threshold_ == pytest.approx(1) and domain.predict([[1.5], [4.0]]).tolist() == [1, -1]


def test_distance_knows_no_units():
    scale, shift = np.array([1e-3, 1, 1e4, 7]), np.array([5, 0, -1e4, 1])
    one, other = ApplicabilityDomain().fit(X), ApplicabilityDomain().fit(X * scale + shift)
    np.testing.assert_allclose(one.distance(X_new), other.distance(X_new * scale + shift), rtol=1e-6)
    assert one.threshold_ == pytest.approx(other.threshold_)


def test_share_of_training_rows_inside():
    own = ApplicabilityDomain(level=0.9).fit(X)
    assert np.mean(own.neighbors_.kneighbors()[0].mean(axis=1) / own.typical_
        <= own.threshold_) == pytest.approx(0.9, abs=0.02)
    assert (own.predict(np.full((1, 4), 50.0)) == -1).all()


def test_copies_and_constant_columns_do_no_harm():
    same = ApplicabilityDomain().fit(np.ones((10, 2)))
    assert same.distance([[1, 1], [1, 4]]).tolist() == [0,
        3], "a column that never varied is measured in its own unit"
    assert same.predict([[1, 1], [1, 4]]).tolist() == [1, -1]


def test_intervals_widen_with_distance():
    model = ConformalRegressor(Ridge(), domain=ApplicabilityDomain()).fit(X, y)
    near, far = np.zeros((1, 4)), np.full((1, 4), 8.0)
    assert np.diff(model.predict_interval(far)) > 2 * np.diff(model.predict_interval(near))
    assert (model.spread_ >= 1).all()
