"Scores: they agree with their definitions, ignore the order of rows, and never skip a missing prediction."

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from mltransfer.metrics import (
    coverage, interval_width, mae, mae_over_baseline, r2, rmse, scores, spearman,
)

quick = settings(max_examples=50)
number = st.floats(-1e4, 1e4).map(lambda v: round(v, 3))
pairs = st.integers(2, 40).flatmap(lambda n: st.tuples(arrays(float, n, elements=number), arrays(float, n, elements=number)))
of_two = pytest.mark.parametrize("score", [mae, rmse, r2, spearman])


@quick
@given(pairs)
def test_definitions(pair):
    y, p = pair
    assert mae(y, p) == pytest.approx(np.mean(np.abs(y - p)))
    assert rmse(y, p) == pytest.approx(np.sqrt(np.mean((y - p) ** 2)))
    assert rmse(y, p) >= mae(y, p) * (1 - 1e-9)
    assert mae(y, p) == mae(p, y)
    if np.ptp(y): assert r2(y, p) == pytest.approx(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))


@quick
@given(pairs, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(pair, random):
    y, p = pair
    order = random.sample(range(len(y)), len(y))
    a, b = scores(y, p, y_train=0.5), scores(y[order], p[order], y_train=0.5)
    assert a.keys() == b.keys()
    np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-6, atol=1e-9)


@quick
@given(pairs, st.floats(0.01, 100))
def test_units(pair, factor):
    "Errors scale with the unit; ratios and ranks do not depend on it."
    y, p = pair
    a, b = scores(y, p, y_train=y), scores(y * factor, p * factor, y_train=y * factor)
    for name in ("mae", "rmse"): assert b[name] == pytest.approx(a[name] * factor)
    for name in ("r2", "mae_over_baseline"): assert b[name] == pytest.approx(a[name], rel=1e-6, nan_ok=True)


def test_spearman_sees_the_order_only():
    y, p = np.random.default_rng(0).normal(size=(2, 30))
    assert spearman(y, p) == pytest.approx(spearman(np.exp(y), p**3))
    assert spearman(y, y) == pytest.approx(1) and spearman(y, -y) == pytest.approx(-1)


@of_two
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_missing_predictions_are_named(score, hole):
    with pytest.raises(ValueError, match=r"1 of 3 rows cannot be used as a prediction:\n  row 1"): score([1, 2, 3], [1, hole, 3])
    with pytest.raises(ValueError, match=r"1 of 3 rows cannot be used as a target:\n  row 2"): score([1, 2, hole], [1, 2, 3])


@of_two
def test_shapes_must_agree(score):
    with pytest.raises(ValueError, match=r"prediction has shape \(2,\), but y has shape \(3,\)"): score([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match=r"\(3, 1\)"): score([1, 2, 3], [[1], [2], [3]])
    with pytest.raises(ValueError, match="0 samples"): score([], [])


@pytest.mark.filterwarnings("error")
def test_undefined_is_nan_without_a_warning():
    assert np.isnan(r2([1], [2])) and np.isnan(r2([3, 3], [1, 2]))
    assert np.isnan(spearman([1, 2], [5, 5])) and np.isnan(spearman([5, 5], [1, 2]))
    assert np.isnan(mae_over_baseline([2, 2], [1, 3], y_train=2))


@quick
@given(pairs)
def test_baseline_is_the_median_of_training(pair):
    y, train = pair
    if np.abs(y - np.median(train)).mean() > 0:
        assert mae_over_baseline(y, np.full(len(y), np.median(train)), train) == pytest.approx(1)
        assert mae_over_baseline(y, y, train) == 0


def test_scores_are_plain_floats():
    table = scores(np.float32([1, 2, 3]), np.float32([1, 2, 4]), y_train=[1, 2])
    assert {type(v) for v in table.values()} == {float}
    assert list(table) == ["mae", "rmse", "r2", "spearman", "mae_over_baseline"]
    assert "mae_over_baseline" not in scores([1, 2], [1, 2])


@quick
@given(pairs, st.floats(0, 100), st.floats(0, 100))
def test_wider_intervals_hold_more(pair, a, b):
    y, p = pair
    a, b = sorted((a, b))
    assert coverage(y, p - a, p + a) <= coverage(y, p - b, p + b) <= 1
    assert interval_width(p - a, p + a) == pytest.approx(2 * a, abs=1e-6)
    assert coverage(y, y, y) == 1 and coverage(y, np.full(len(y), -np.inf), np.full(len(y), np.inf)) == 1


def test_what_is_no_interval_is_named():
    with pytest.raises(ValueError, match=r"2 of 3 rows cannot be used as an interval"): coverage([1, 2, 3], [0, 5, np.nan], [1, 4, 2])
    with pytest.raises(ValueError, match="of one length"): interval_width([1, 2], [3])
    with pytest.raises(ValueError, match="y has 1 rows, but there are 2"): coverage([1], [1, 2], [3, 4])
