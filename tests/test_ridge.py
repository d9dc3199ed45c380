"Closed forms against scikit-learn, against refitting, and against the published iteration of the evidence."
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from mltransfer.ridge import PENALTIES, KernelRidgeCV, Ridges


COPIES = {"check_sample_weight_equivalence_on_dense_data": "the copies of a row are left out one by one"}


@parametrize_with_checks([KernelRidgeCV(), KernelRidgeCV(kernel="linear")], expected_failed_checks=lambda e: COPIES)
def test_sklearn_contract(estimator, check): check(estimator)


@settings(max_examples=25)
@given(n=st.integers(5, 40), widths=st.lists(st.integers(1, 90), min_size=1, max_size=6), seed=st.integers(0, 99), constant=st.booleans())
def test_leave_one_out_is_exact(n, widths, seed, constant):
    "Against scikit-learn, on the same standardised and clipped columns; stacking tables of other widths changes nothing."
    rng = np.random.default_rng(seed)
    tables = [rng.standard_t(3, size=(n, p)) * 10.0 ** rng.integers(-3, 4, p) + rng.normal(size=p) for p in widths]
    if constant: tables[0][:, 0] = 3.0
    y = rng.normal(size=n) + 1000
    ours = Ridges().fit(tables, y)
    for i, table in enumerate(tables):
        spread = table.std(0)
        Z = np.clip((table - table.mean(0)) / np.where(spread > 1e-6 * np.abs(table).max(0), spread, 1), -3, 3)
        scale = ((Z - Z.mean(0)) ** 2).sum() / n
        if scale == 0: continue
        theirs = RidgeCV(np.multiply(PENALTIES, scale), store_cv_results=True).fit(Z, y)
        errors = np.sqrt(theirs.cv_results_.mean(0).min())
        assert ours.rmse_[i] == pytest.approx(errors, rel=1e-6)
        np.testing.assert_allclose(ours.predict([table], which=[i])[0], theirs.predict(Z), rtol=1e-8)


def test_leave_one_out_is_what_leaving_out_gives():
    "By refitting without each row, the columns and the penalty held."
    rng = np.random.default_rng(0)
    table, y = rng.normal(size=(15, 30)), rng.normal(size=15)
    ours = Ridges(clip=np.inf).fit([table], y)
    Z = (table - table.mean(0)) / table.std(0)
    for i in range(15):
        k = np.arange(15) != i
        A, b = Z[k] - Z[k].mean(0), y[k] - y[k].mean()
        w = A.T @ np.linalg.solve(A @ A.T + ours.penalty_[0] * np.eye(14), b)
        assert ours.loo_[0, i] == pytest.approx(y[k].mean() + (Z[i] - Z[k].mean(0)) @ w)


@pytest.mark.parametrize("p", [3, 25, 60])
def test_evidence_agrees_with_the_published_iteration(p):
    "You et al. 2021, algorithm 1, in the dimensions beside the intercept."
    rng = np.random.default_rng(p)
    F = rng.normal(size=(30, p))
    y = F[:, 0] + 0.5 * rng.normal(size=30)
    found = Ridges(clip=np.inf).fit([F], y).logme_[0]
    basis, n = np.linalg.svd(np.ones((1, 30)))[2][1:], 29
    F, y = basis @ ((F - F.mean(0)) / F.std(0)), basis @ y / y.std(ddof=1)
    a, b = 1.0, 1.0
    for _ in range(2000):
        A = a * np.eye(p) + b * F.T @ F
        m = b * np.linalg.solve(A, F.T @ y)
        s = np.linalg.eigvalsh(F.T @ F)
        g = (b * s / (a + b * s)).sum()
        a, b = g / (m @ m), (n - g) / ((F @ m - y) ** 2).sum()
    A = a * np.eye(p) + b * F.T @ F
    m = b * np.linalg.solve(A, F.T @ y)
    evidence = p / 2 * np.log(a) + n / 2 * np.log(b) - n / 2 * np.log(2 * np.pi) - b / 2 * ((F @ m - y) ** 2).sum() - a / 2 * m @ m - np.linalg.slogdet(A)[1] / 2
    assert found == pytest.approx(evidence / n, abs=1e-4)


def test_a_table_that_says_nothing_predicts_the_mean():
    y = np.random.default_rng(0).normal(size=12)
    ridge = Ridges().fit([np.zeros((len(y), 4))], y)
    np.testing.assert_allclose(ridge.predict([np.zeros((2, 4))]), y.mean())
    others = (y.sum() - y) / (len(y) - 1)
    np.testing.assert_allclose(ridge.loo_[0], others)


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
def test_kernel_leave_one_out_is_what_leaving_out_gives(kernel):
    "By refitting a kernel regression with a free mean without each row."
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(14, 6)), rng.normal(size=14)
    ours = KernelRidgeCV(kernel=kernel, clip=np.inf).fit(X, y)
    Z = (X - X.mean(0)) / X.std(0) / np.sqrt(6)
    squared = ((Z[:, None] - Z) ** 2).sum(2)
    K = Z @ Z.T if kernel == "linear" else np.exp(-squared / (ours.width_ * np.median(squared)))
    for i in range(14):
        k = np.arange(14) != i
        A = np.block([[K[np.ix_(k, k)] + ours.penalty_ * np.eye(13), np.ones((13, 1))], [np.ones((1, 13)), 0.0]])
        weights = np.linalg.solve(A, np.r_[y[k], 0])
        assert ours.loo_[i] == pytest.approx(np.r_[K[i, k], 1] @ weights)


def test_gaussian_kernel_against_scikit_learn():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(30, 5)), rng.normal(size=30)
    ours = KernelRidgeCV(clip=np.inf, widths=[1.0], penalties=[0.1]).fit(X, y)
    Z = (X - X.mean(0)) / X.std(0) / np.sqrt(5)
    K = RBF(np.sqrt(ours._unit / 2))(Z)
    middle = np.eye(30) - 1 / 30
    theirs = KernelRidge(alpha=ours.penalty_, kernel="precomputed").fit(middle @ K @ middle, y - y.mean())
    np.testing.assert_allclose(ours.predict(X), y.mean() + theirs.predict(middle @ K @ middle), rtol=1e-6)


def test_blocks_have_one_vote_each():
    "Repeating the columns of a block changes nothing; columns outside of all blocks are not read."
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(25, 8)), rng.normal(size=25)
    once = KernelRidgeCV(blocks=[[0, 1, 2], [3, 4]]).fit(X, y)
    many = KernelRidgeCV(blocks=[[0, 1, 2], [3, 4, 3, 4, 3, 4]]).fit(X, y)
    np.testing.assert_allclose(once.predict(X), many.predict(X))
    other = X.copy(); other[:, 5:] = 0
    np.testing.assert_allclose(once.predict(other), once.predict(X))


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
def test_units_and_far_rows(kernel):
    "Units of columns and target do not matter, and a row far outside stays near the data."
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(30, 4)), rng.normal(size=30) + 50
    model, units, offsets = KernelRidgeCV(kernel=kernel), [1, 1000, 1e-6, 5], [7, 7, 0, 7]
    other = model.fit(X * units + offsets, 10 * y).predict(X * units + offsets)
    np.testing.assert_allclose(other, 10 * model.fit(X, y).predict(X), rtol=1e-6)
    assert np.abs(model.predict(X * 1e9) - y.mean()).max() < 30 * y.std()


def test_repeated_rows_do_not_flatten_the_kernel():
    rng = np.random.default_rng(0)
    X = np.vstack([np.zeros((45, 3)), rng.normal(size=(15, 3))])
    y = X[:, 0] + 0.1 * rng.normal(size=60)
    new = rng.normal(size=(200, 3))
    assert np.abs(KernelRidgeCV().fit(X, y).predict(new) - new[:, 0]).mean() < 0.5
