"Verdicts: the formulas, how often they are wrong, and words that never contradict their numbers."
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mltransfer.verdicts import (NegativeTransferWarning, compare, compare_rows, in_words, judge,
                                 mean_ratio, ratio_text, verdict)

WORDS = {"better", "worse", "no difference shown", "too few draws to say"}
word = lambda c: verdict(c, warn=False)
errors = st.integers(5, 12).flatmap(
    lambda n: st.tuples(*(arrays(float, n, elements=st.floats(1e-3, 1e3)) for _ in range(2))))


def simulated(seed, n_draws=20, n_rows=80, n_train=40, ratio=1.0, of_draws=0.15, of_rows=0.5, tail=0.5, methods=2):
    "Lognormal errors of methods; what a training row brings is shared by all draws that hold it."
    rng = np.random.default_rng(seed)
    trains = rng.permuted(np.tile(np.arange(n_rows), (n_draws, 1)), axis=1) < n_train
    hard, made = rng.normal(0, tail, n_rows), []
    for factor in [ratio] + [1.0] * (methods - 1):
        own, helpful = rng.normal(0, of_rows, n_rows), rng.normal(0, of_draws, n_rows)
        noise = rng.normal(0, 0.1, (n_draws, n_rows))
        M = factor * np.exp(hard + own + (trains @ helpful / np.sqrt(n_train))[:, None] + noise)
        made.append(np.where(trains, np.nan, M))
    return made


def called(n_train, n=300, **how):
    "Share of pairs of equal methods that are called different."
    said = [word(compare_rows(*simulated(s, n_train=n_train, **how), n_train=n_train)) for s in range(n)]
    return np.mean([w in ("better", "worse") for w in said])


# --- intervals

@settings(max_examples=100, deadline=None)
@given(errors, st.floats(0, 3))
def test_laws_of_an_interval(pair, share):
    a, b = pair
    c, turned = compare(a, b, test_over_train=share), compare(b, a, test_over_train=share)
    scaled = compare(3 * a, 3 * b, test_over_train=share)
    assert c["ratio"] == pytest.approx(a.mean() / b.mean())
    if np.isnan(c["low"]): return
    assert 0 <= c["low"] <= c["ratio"] <= c["high"], "no bound below zero"
    assert 1 / turned["high"] == pytest.approx(c["low"]), "exchanging the methods turns the interval over"
    assert scaled["low"] == pytest.approx(c["low"]), "the unit does not matter"
    assert (c["p"] < 0.05) == (not c["low"] <= 1 <= c["high"]) or c["p"] == pytest.approx(0.05)
    assert word(c) in WORDS


def test_the_interval_of_draws_is_that_of_nadeau_and_bengio_on_the_logarithm():
    rng = np.random.default_rng(0)
    b = rng.uniform(0.9, 1.1, 12)
    a = 0.8 * b * np.exp(rng.normal(0, 0.01, 12))
    c = compare(a, b, test_over_train=0.5)
    logs = np.log(a / b)
    error = np.sqrt((1 / 12 + 0.5) * logs.var(ddof=1))
    half = stats.t.ppf(0.975, 11) * error
    expected = np.exp([logs.mean() - half, logs.mean() + half])
    assert c[["low", "high"]].tolist() == pytest.approx(expected.tolist(), rel=0.002)


@pytest.mark.parametrize("n_train", [10, 40, 70])
def test_the_crossed_interval_adds_draws_and_materials(n_train):
    E, B = simulated(3, n_train=n_train)
    J, N = E.shape
    c = compare_rows(E, B, n_train=n_train)
    e, b = np.nanmean(E, axis=1), np.nanmean(B, axis=1)
    draws = e / e.mean() - b / b.mean()
    rows = pd.DataFrame(E / e.mean() - B / b.mean()).mean().to_numpy()
    crossed = draws.var(ddof=1) * (1 / J + n_train / (N - n_train)) + np.nanvar(rows, ddof=1) / np.isfinite(rows).sum()
    corrected = draws.var(ddof=1) * (1 / J + (N - n_train) / n_train)
    assert c["spread"] == pytest.approx(np.sqrt(min(crossed, corrected)))
    assert c["high"] <= compare(e, b, test_over_train=(N - n_train) / n_train)["high"] + 1e-12


@pytest.mark.parametrize("how", [
    dict(n_train=16), dict(n_train=40), dict(n_train=40, n_draws=5), dict(n_train=16, tail=1.5),
    dict(n_train=40, n_rows=120, of_draws=0.5, of_rows=0.02),  # wrong in two thirds without the term for shared rows
])
def test_equal_methods_are_seldom_called_different(how):
    assert called(**how) <= 0.08


def test_a_plain_difference_is_seen():
    said = [word(compare_rows(*simulated(s, n_train=16, ratio=0.5), n_train=16)) for s in range(20)]
    assert said.count("better") >= 18
    assert word(compare_rows(*simulated(0, n_train=16, ratio=3), n_train=16)) == "worse"


def test_rows_that_no_draw_tests_do_not_count():
    E, B = simulated(0)
    more = [np.c_[M, np.full((20, 5), np.nan)] for M in (E, B)]
    a, b = compare_rows(E, B, n_train=40), compare_rows(*more, n_train=40)
    assert b["ratio"] == a["ratio"] and b["spread"] == pytest.approx(a["spread"])


# --- words

@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_draws_get_no_interval_and_no_word(n):
    rng = np.random.default_rng(0)
    c = compare(0.1 * rng.uniform(0.9, 1, n), np.ones(n), test_over_train=0)
    r = compare_rows(0.1 * rng.uniform(0.9, 1, (n, 30)), np.ones((n, 30)), n_train=5)
    for found in (c, r):
        assert word(found) == "too few draws to say" and found[["low", "high", "p"]].isna().all()
        assert "(" not in ratio_text(found) and in_words(found).endswith("too few draws to say.")


@pytest.mark.parametrize("n", [5, 20])
def test_no_spread_is_no_certainty(n):
    b = np.random.default_rng(0).uniform(1, 2, n)
    assert word(compare(b, b, test_over_train=1)) == "no difference shown"
    constant = compare(0.9 * b, b, test_over_train=1)
    assert word(constant) == "too few draws to say" and constant[["low", "high", "p"]].isna().all()
    assert word(compare(np.full(n, 0.9), np.ones(n), test_over_train=1)) == "too few draws to say"
    assert word(compare(np.zeros(n), b, test_over_train=1)) == "too few draws to say", "an error of zero"


@settings(max_examples=200, deadline=None)
@given(st.floats(0.5, 2), st.floats(1e-4, 0.5), st.integers(5, 40))
def test_words_never_contradict_the_printed_interval(ratio, spread, n):
    half = np.exp(2 * spread)
    c = pd.Series({"ratio": ratio, "low": ratio / half, "high": ratio * half, "p": 0.5, "wins": 0.5, "mae": ratio,
                   "baseline": 1.0, "spread": spread, "draws": n})
    low, high = map(float, ratio_text(c).split("(")[1].rstrip(")").split("-"))
    assert word(c) == ("better" if high < 1 else "worse" if low > 1 else "no difference shown")
    said = in_words(c, "K")
    assert ("better." in said) == (" more" not in said and "the same" not in said and "times" not in said)


def test_a_warning_comes_with_numbers_unless_there_is_a_gain(recwarn):
    better, worse = (compare_rows(*simulated(0, n_train=16, ratio=r), n_train=16) for r in (0.3, 3))
    assert verdict(better) == "better" and verdict(worse, warn=False) == "worse" and not recwarn
    with pytest.warns(NegativeTransferWarning, match=r"negative transfer: the error of it is \d.\d\d \(.*\) times"):
        verdict(worse.rename("it"))
    with pytest.warns(NegativeTransferWarning, match="too few draws to say: the error of the method is 0.50 times"):
        verdict(compare([1, 2], [2, 4], test_over_train=0))


@pytest.mark.parametrize("low, high, said", [
    (0.98, 0.996, "no difference shown"), (0.98, 0.994, "better"), (1.004, 1.2, "no difference shown"), (1.006, 1.2, "worse")])
def test_no_word_beside_a_bound_that_prints_as_one(low, high, said):
    c = pd.Series({"ratio": np.sqrt(low * high), "low": low, "high": high, "wins": 1.0, "mae": 1.0, "baseline": 1.0})
    assert word(c) == said and ("1.00" in ratio_text(c)) == (said == "no difference shown")


def test_five_draws_are_enough_for_a_word():
    assert word(compare([1, 1.1, 1, 0.9, 1], [3, 3, 3.1, 3, 2.9], test_over_train=0.2)) == "better"


# --- many targets

def test_mean_over_targets_is_a_t_interval_of_the_logarithms():
    ratios = np.random.default_rng(0).uniform(0.7, 1.1, 12)
    found, logs = mean_ratio(ratios), np.log(ratios)
    low, high = stats.t.interval(0.95, 11, logs.mean(), logs.std(ddof=1) / np.sqrt(12))
    assert found[["ratio", "low", "high"]].tolist() == pytest.approx(np.exp([logs.mean(), low, high]).tolist())
    assert found["wins"] == (ratios < 1).mean() and word(mean_ratio(ratios[:4])) == "too few draws to say"


# --- several methods

def table(p, n=20):
    "Comparisons with given p-values."
    t = stats.t.isf(np.array(p) / 2, n - 1)
    spread = 0.1
    return {i: pd.Series({"ratio": np.exp(-x * spread), "low": 0.0, "high": 0.0, "p": q, "wins": 1.0, "mae": 1.0,
                          "baseline": 1.0, "spread": spread, "draws": n}) for i, (x, q) in enumerate(zip(t, p))}


def test_p_values_are_those_of_holm():
    found = judge(table([0.01, 0.04, 0.03, 0.005]))
    assert found["p"].tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert judge(table([0.01, 0.04, 0.03, 0.005]), adjust=False)["p"].tolist() == pytest.approx([0.01, 0.04, 0.03, 0.005])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=9))
def test_adjusted_intervals_agree_with_adjusted_p_values(p):
    found, plain = judge(table(p)), judge(table(p), adjust=False)
    assert ((found["p"] < 0.05) == (found["high"] < 1))[abs(found["p"] - 0.05) > 1e-9].all()
    assert (found["p"] >= plain["p"] - 1e-12).all() and (found["high"] >= plain["high"] - 1e-12).all()
    if len(p) == 1: pd.testing.assert_frame_equal(found, plain)


def test_methods_without_an_interval_do_not_count():
    few = compare([1, 2], [2, 3], test_over_train=0)
    found = judge(table([0.04]) | {"few": few})
    assert found["p"].iloc[0] == pytest.approx(0.04) and found.loc["few", "verdict"] == "too few draws to say"


def test_nine_equal_methods_seldom_make_a_wrong_table():
    wrong = 0
    for seed in range(150):
        base, *rest = simulated(seed, n_rows=60, n_train=16, methods=10)
        found = judge({i: compare_rows(M, base, n_train=16) for i, M in enumerate(rest)})
        wrong += found["verdict"].isin(["better", "worse"]).any()
    assert wrong / 150 <= 0.06


# --- English

@pytest.mark.parametrize("ours, theirs, said", [
    (24.0, 27.0, "With sources the error is 24 K, without 27 K: 11 % less:"),
    (0.012, 0.0101, "With sources the error is 0.012 K, without 0.010 K: 19 % more:"),
    (300.0, 100.0, "With sources the error is 300 K, without 100 K: 3.0 times as much:"),
    (100.0, 100.2, "With sources the error is 100 K, without 100 K: the same:"),
])
def test_sentences(ours, theirs, said):
    assert in_words(compare([ours], [theirs], test_over_train=0), "K") == said + " too few draws to say."


def test_a_paragraph_has_at_most_three_sentences():
    c = compare([24.0] * 3, [27.0] * 3, test_over_train=0)
    said = in_words(c, "K", about="Glass transition of 40 polymers", within=52, materials="polymers")
    assert said.count(". ") == 2 and said.endswith("Expect new polymers within 52 K, nine times in ten.")


@pytest.mark.parametrize("call, said", [
    (lambda: compare([1, 2], [1, 2, 3], test_over_train=1), "2 errors against 3"),
    (lambda: compare([1, np.nan], [1, 2], test_over_train=1), "row 1"),
    (lambda: compare([1, -2], [1, 2], test_over_train=1), "must not be negative"),
    (lambda: compare([1, 2], [1, 2], test_over_train=1, level=95), "level must lie"),
    (lambda: compare([1, 2], [0, 0], test_over_train=1), "no error"),
    (lambda: compare_rows(np.ones((2, 3)), np.ones((2, 4)), n_train=1), "same rows of the same draws"),
    (lambda: compare_rows(np.ones((2, 3)), np.ones((2, 3)), n_train=0), "n_train must be above 0"),
    (lambda: compare_rows(np.full((2, 3), np.nan), np.full((2, 3), np.nan), n_train=1), "no tested row"),
    (lambda: judge({}, level=2), "level must lie"),
])
def test_bad_input_gets_one_clear_error(call, said):
    with pytest.raises(ValueError, match=said): call()
