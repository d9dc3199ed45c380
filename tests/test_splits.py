"Splitters: nothing is torn apart, nothing is lost, the same seed gives the same rows, and scikit-learn accepts them."
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, StratifiedGroupKFold, cross_val_predict, cross_val_score

from mltransfer.splits import (
    BalancedGroupKFold, ExtrapolationSplit, RepeatedDraws, check_groups, cluster_groups, groups_of, scaffold_groups,
)

quick = settings(max_examples=60)


@st.composite
def grouped(draw):
    "Groups of very unequal size, and a target that may depend on them."
    seed, n_groups, n_extra = draw(st.integers(0, 2**31)), draw(st.integers(2, 12)), draw(st.integers(0, 50))
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(n_groups, draw(st.sampled_from([0.1, 1.0, 10.0]))))
    g = rng.permutation(np.r_[np.arange(n_groups), rng.choice(n_groups, n_extra, p=share)])
    y = rng.normal(size=len(g)) + draw(st.sampled_from([0, 1, 10])) * rng.normal(size=n_groups)[g]
    return np.round(y, draw(st.sampled_from([0, 8]))), np.array([f"group {i}" for i in g])


def torn(train, test, groups): return set(np.asarray(groups)[train]) & set(np.asarray(groups)[test])


# --- stratified group k-fold

@quick
@given(grouped(), st.integers(2, 8), st.integers(0, 5))
def test_folds_hold_every_row_once_and_whole_groups(data, k, seed):
    y, groups = data
    assume(np.ptp(y) > 0 and len(set(groups)) >= k)
    folds = list(BalancedGroupKFold(k, random_state=seed).split(y, y, groups))
    tests = [test for _, test in folds]
    assert len(folds) == k and min(map(len, tests)) > 0, "scikit-learn's own may leave folds empty"
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(len(y)))
    for train, test in folds:
        assert not torn(train, test, groups)
        assert len(train) + len(test) == len(y)


@quick
@given(st.integers(0, 10**6), st.integers(6, 80), st.integers(2, 6))
def test_without_groups_the_folds_are_equal(seed, n, k):
    y = np.random.default_rng(seed).lognormal(size=n)
    folds = [test for _, test in BalancedGroupKFold(k, random_state=seed).split(y, y)]
    assert max(map(len, folds)) - min(map(len, folds)) <= 2
    below = [np.sum(y[test] <= np.median(y)) for test in folds]
    assert max(below) - min(below) <= 2, "every fold has its share of the lower half"


def gap(y, test):
    "Largest distance between the distribution of the target in a fold and in all."
    return max(abs(np.mean(y[test] <= t) - np.mean(y <= t)) for t in y)


def test_folds_are_as_alike_as_those_of_sklearn_and_of_more_equal_size():
    ours, theirs = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(58), rng.integers(1, 4, size=58))[:58]
        y = rng.normal(size=58)[groups] + 0.2 * rng.normal(size=58)
        fifths = np.argsort(np.argsort(y)) * 5 // 58
        for out, cv, target in ((ours, BalancedGroupKFold(6, random_state=seed), y),
                                (theirs, StratifiedGroupKFold(6, shuffle=True, random_state=seed), fifths)):
            tests = [test for _, test in cv.split(y, target, groups)]
            out.append((np.ptp([len(t) for t in tests]), np.mean([gap(y, t) for t in tests])))
    (size, alike), (size_sklearn, alike_sklearn) = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    assert size <= 1.2 and size < size_sklearn
    assert alike < alike_sklearn * 1.05


def test_same_seed_same_folds_and_another_seed_others():
    rng = np.random.default_rng(0)
    y, groups = rng.normal(size=60), rng.integers(0, 25, size=60)
    folds = lambda cv: [test.tolist() for _, test in cv.split(y, y, groups)]
    assert folds(BalancedGroupKFold(5)) == folds(BalancedGroupKFold(5, random_state=0))
    assert folds(BalancedGroupKFold(5)) != folds(BalancedGroupKFold(5, random_state=1))


def test_folds_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    y, groups, order = rng.normal(size=60), rng.integers(0, 25, size=60), rng.permutation(60)
    parts = lambda y, g: [sorted(set(g[test])) for _, test in BalancedGroupKFold(5).split(y, y, g)]
    assert parts(y, groups) == parts(y[order], groups[order])


def test_exactly_as_many_groups_as_folds():
    y, groups = np.arange(12.0), np.repeat(np.arange(6), [1, 1, 1, 1, 1, 7])
    assert sorted(len(test) for _, test in BalancedGroupKFold(6).split(y, y, groups)) == [1, 1, 1, 1, 1, 7]


@pytest.mark.parametrize("n, y, groups, k, words", [
    (4, np.arange(4.0), None, 5, "n_splits=5: need 2 to 4"),
    (6, np.arange(6.0), [0, 0, 0, 1, 1, 1], 3, "n_splits=3: need 2 to 2"),
    (6, np.arange(6.0), None, 1, "n_splits=1: need 2 to 6"),
    (6, np.full(6, 2.0), None, 3, "y is constant"),
    (3, [1.0, np.nan, 2.0], None, 2, "row 1: nan: not a finite"),
    (3, [1.0, 3.0, 2.0], ["a", None, "b"], 2, "row 1: None: no group"),
    (3, [1.0, 3.0, 2.0], [1.0, np.nan, 2.0], 2, "row 1: nan: no group"),
])
def test_bad_input_of_folds(n, y, groups, k, words):
    with pytest.raises(ValueError, match=words): list(BalancedGroupKFold(k).split(np.zeros((n, 1)), y, groups))


@pytest.mark.parametrize("n_groups", [5, 6, 12, 20, 60])
def test_folds_say_when_the_seed_changes_nothing(n_groups):
    y, groups = np.random.default_rng(0).normal(size=60), np.arange(60) % n_groups
    folds = lambda r: {tuple(test) for _, test in BalancedGroupKFold(5, random_state=r).split(y, y, groups)}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = [folds(r) for r in (0, 1, 2, 3, 4)]
    only = all(f == found[0] for f in found)
    assert [("the same for every random_state" in str(w.message)) for w in said] == [True] * 4 * only
    assert only if n_groups == 5 else not only or n_groups < 20


# --- draws

@quick
@given(grouped(), st.integers(1, 40), st.integers(0, 5))
def test_draws_keep_groups_whole_and_never_exceed_n(data, n, seed):
    _, groups = data
    sizes = np.unique(groups, return_counts=True)[1]
    assume(n < len(groups) and sizes.min() <= n)
    possible = {0}
    for s in sizes: possible |= {p + s for p in possible}
    for train, test in RepeatedDraws(n, 4, random_state=seed).split(groups, groups=groups):
        assert not torn(train, test, groups)
        assert len(train) == max(p for p in possible if p <= n)
        assert np.array_equal(np.sort(np.r_[train, test]), np.arange(len(groups)))


@quick
@given(st.integers(2, 100), st.data())
def test_draws_without_groups(n_rows, data):
    n = data.draw(st.integers(1, n_rows - 1))
    X = np.zeros((n_rows, 2))
    few, many = (list(RepeatedDraws(n, k, random_state=7).split(X)) for k in (2, 6))
    assert all(len(train) == n and len(test) == n_rows - n for train, test in many)
    assert [t.tolist() for t, _ in few] == [t.tolist() for t, _ in many[:2]], "more draws never change the first"
    if n > 1:
        less = next(RepeatedDraws(n - 1, 1, random_state=7).split(X))[0]
        assert set(less) < set(many[0][0]), "a smaller draw is part of a larger one"


def test_every_row_is_drawn_equally_often():
    drawn = np.bincount(np.concatenate([train for train, _ in RepeatedDraws(5, 2000).split(np.zeros(20))]), minlength=20)
    assert drawn.min() > 430 and drawn.max() < 570  # 500 expected, standard deviation 19


@pytest.mark.parametrize("n, groups, words", [
    (0, None, "n=0: need 1 to 5"), (6, None, "n=6: need 1 to 5"), (9, None, "n=9"),
    (2, [0, 0, 0, 1, 1, 1], "n=2: even the smallest group has 3 rows"), (2, [0, 1], "2 groups for 6 rows"),
])
def test_bad_input_of_draws(n, groups, words):
    with pytest.raises(ValueError, match=words): list(RepeatedDraws(n).split(np.zeros(6), groups=groups))


# --- extrapolation

@quick
@given(grouped(), st.floats(0.05, 0.95))
def test_extrapolation_trains_below_and_tests_above(data, quantile):
    y, groups = data
    limit = np.quantile(y, quantile)
    assume(np.ptp(y) > 0 and (y > limit).any())
    train, test = next(ExtrapolationSplit(quantile).split(y, y))
    assert y[train].max() <= limit < y[test].min() and len(train) + len(test) == len(y)
    if set(groups) - set(groups[y > limit]):
        fewer, same = next(ExtrapolationSplit(quantile).split(y, y, groups))
        assert np.array_equal(same, test) and set(fewer) <= set(train) and not torn(fewer, same, groups)
    else:
        with pytest.raises(ValueError, match="all groups reach above"): next(ExtrapolationSplit(quantile).split(y, y, groups))


@pytest.mark.parametrize("quantile, y, words", [
    (0.8, [1.0, 1.0, 1.0], "constant"), (0.5, [1.0, 2.0, 2.0, 2.0], "no target lies above 2"),
    (0.0, [1.0, 2.0], "between 0 and 1"), (80, [1.0, 2.0], "got 80"), (0.8, [1.0, np.nan], "row 1"),
])
def test_bad_input_of_extrapolation(quantile, y, words):
    with pytest.raises(ValueError, match=words): list(ExtrapolationSplit(quantile).split(y, y))


# --- inside scikit-learn

splitters = [BalancedGroupKFold(4), RepeatedDraws(12, 4), ExtrapolationSplit(0.7)]
each_splitter = pytest.mark.parametrize("cv", splitters, ids=lambda cv: type(cv).__name__)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc"), index=rng.permutation(40) + 100)
    return X, X["a"] + 0.1 * pd.Series(rng.normal(size=40), index=X.index), np.repeat(np.arange(20), 2)


@each_splitter
def test_inside_sklearn(cv, table):
    X, y, groups = table
    n = cv.get_n_splits()
    assert cross_val_score(Ridge(), X, y, groups=groups, cv=cv).shape == (n,)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=cv, scoring="neg_mean_absolute_error")
    assert clone(search).fit(X, y, groups=groups).n_splits_ == n
    assert len(list(cv.split(X.values.tolist(), y.tolist(), groups.tolist()))) == n


def test_folds_predict_every_row(table):
    X, y, groups = table
    assert cross_val_predict(DummyRegressor(), X, y, groups=groups, cv=BalancedGroupKFold(4)).shape == (40,)


@each_splitter
def test_groups_are_routed(cv, table):
    X, y, groups = table
    with config_context(enable_metadata_routing=True):
        assert len(cross_val_score(Ridge(), X, y, params={"groups": groups}, cv=cv)) == cv.get_n_splits()
        assert cv.get_metadata_routing().split.requests["groups"] is True


@each_splitter
def test_splitters_are_copied_and_shown_by_their_arguments(cv):
    copy = clone(cv, safe=False)
    assert copy is not cv and vars(copy) == vars(cv)
    assert repr(cv).startswith(type(cv).__name__) and all(name in repr(cv) for name in vars(cv))


# --- groups

def test_groups_of_are_keys():
    assert groups_of(pd.Series(["OCC", "CCO", "CC"]), "molecule").tolist() == ["CCO", "CCO", "CC"]
    assert len(set(groups_of(["*OCC*", "*COC*", "*CCOCCO*"], "polymer"))) == 1
    with pytest.raises(ValueError, match="2 of 3 rows cannot be used as a composition"): groups_of(["NaCl", "Xx", ""], "composition")
    with pytest.raises(ValueError, match="kind must be one of"): groups_of(["C"], "alloy")


def test_check_groups_takes_any_labels():
    assert check_groups(pd.Series([2, 1, 2], index=[7, 8, 9]), 3).tolist() == [1, 0, 1]
    assert check_groups([("a", 1), ("b", 2), ("a", 1)], 3).tolist() == [0, 1, 0]
    assert check_groups(np.array(["x", "y"]), 2).tolist() == [0, 1]
    with pytest.raises(ValueError, match="row 1: <NA>"): check_groups(pd.Series(["a", pd.NA], dtype="string"), 2)


def test_scaffolds():
    assert scaffold_groups(["Cc1ccccc1", "OCCc1ccccc1", "CCC", "C1CCCCC1"]).tolist() == ["c1ccccc1", "c1ccccc1", "", "C1CCCCC1"]
    assert set(scaffold_groups(["*CC(*)c1ccccc1", "*C(c1ccccc1)C*"], "polymer")) == {"c1ccccc1"}
    with pytest.raises(ValueError, match="1 of 2 rows cannot be used as a molecule"): scaffold_groups(["CC", "C1CC"])
    with pytest.raises(ValueError, match="a composition has no scaffold"): scaffold_groups(["NaCl"], "composition")


def test_clusters():
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(4), 10)
    X = rng.normal(scale=5, size=(4, 3))[family] + 0.1 * rng.normal(size=(40, 3))
    found = cluster_groups(X, 4)
    assert len(set(zip(family, found))) == 4
    assert np.array_equal(found, cluster_groups(X, 4, random_state=0))
    assert len(set(zip(family, cluster_groups(X * [1, 1e6, 1e-6], 4)))) == 4, "units do not matter"
    folds = list(LeaveOneGroupOut().split(X, groups=found))
    assert len(folds) == 4 and not any(torn(train, test, family) for train, test in folds)


def test_fingerprints_are_clustered_unscaled():
    "Scaled to unit variance, the rare bits of a single polymer make it a family of its own."
    table = Path(os.environ.get("MLTRANSFER_DATA", "nowhere")) / "polymer/radonpy_pi1070.csv"
    if not table.exists(): pytest.skip("needs polymer/radonpy_pi1070.csv in the folder MLTRANSFER_DATA")
    smiles = pd.read_csv(table)["smiles"].sample(300, random_state=0)
    morgan = GetMorganGenerator(radius=2, fpSize=1024)
    X = np.array([morgan.GetFingerprintAsNumPy(Chem.MolFromSmiles(s)) for s in smiles])
    smallest = lambda scale: np.bincount(cluster_groups(X, 6, scale=scale)).min()
    assert smallest(True) < 5 < 15 <= smallest(False)


@pytest.mark.parametrize("X, k, words", [
    ([[0.0], [1.0], [1.0]], 3, "n_clusters=3: need 2 to 2"), ([[0.0], [1.0]], 1, "n_clusters=1"),
    ([[0.0, 1.0], [np.nan, np.inf], [2.0, 2.0]], 2, "row 1: nan: in column 0"), ([1.0, 2.0], 2, "2D array"),
])
def test_bad_input_of_clusters(X, k, words):
    with pytest.raises(ValueError, match=words): cluster_groups(X, k)
