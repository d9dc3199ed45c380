"Validation: intervals that are right as often as they say, interrupted runs that go on, nulls, and verdicts in words."
import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, permutation_test_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mltransfer.molecule import Constitution
from mltransfer.pretrain import pretrain
from mltransfer.data import load
from mltransfer.source import save_source
from mltransfer.splits import RepeatedDraws
from mltransfer.training import Schedule
from mltransfer.transfer import FrozenFeatures
from mltransfer.validate import (NegativeTransferWarning, compare, compare_rows, evaluate, learning_curve,
                                 permutation_null, verdict)

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = X @ [3, -2, 1, 0] + rng.normal(size=60)
methods = {"median": DummyRegressor(strategy="median"), "ridge": Ridge(), "noise": make_pipeline(FunctionTransformer(np.sign), Ridge())}
draws = [[s] for s in RepeatedDraws(20, 6).split(X)]
quick = partial(evaluate, progress=False)


def same(a, b): return a.predictions.equals(b.predictions) and a.table.drop(columns="seconds").equals(b.table.drop(columns="seconds"))


def simulated(seed, J=20, N=80, shift=0.0):
    "Errors of two methods with effects of materials and of draws."
    rng = np.random.default_rng(seed)
    row, draw = rng.normal(scale=0.3, size=(1, N)), rng.normal(scale=0.1, size=(J, 1))
    B = rng.uniform(1, 3, size=(J, N))
    B[rng.random((J, N)) < 0.2] = np.nan
    return B + row + draw + shift + rng.normal(scale=0.3, size=(J, N)), B


@pytest.mark.parametrize("interval, most", [("crossed t", 0.08), ("bootstrap", 0.12)])
def test_equal_methods_are_seldom_called_different(interval, most):
    said = [verdict(compare_rows(*simulated(s), n_train=16, interval=interval, n_resamples=500), warn=False) for s in range(150)]
    assert np.mean([s != "not distinguishable" for s in said]) <= most


@pytest.mark.parametrize("interval", ["crossed t", "bootstrap"])
def test_a_plain_difference_is_seen(interval):
    assert verdict(compare_rows(*simulated(0, shift=-0.5), n_train=16, interval=interval)) == "helps"
    assert verdict(compare_rows(*simulated(0, shift=0.5), n_train=16, interval=interval), warn=False) == "hurts"


def test_crossed_interval_is_never_wider_than_the_corrected_one_and_shares_its_ratio():
    result = quick(methods, X, y, draws)
    c = {i: result.compare("ridge", "median", interval=i) for i in ("corrected t", "crossed t", "bootstrap")}
    assert len({round(v["ratio"], 12) for v in c.values()}) == 1
    assert np.ptp(c["crossed t"][["low", "high"]]) <= np.ptp(c["corrected t"][["low", "high"]]) + 1e-9
    assert all(v["low"] < v["ratio"] < v["high"] and v.name == "ridge" for v in c.values())
    wide, narrow = (np.ptp(result.compare("ridge", "median", interval="crossed t", level=l)[["low", "high"]]) for l in (0.99, 0.5))
    assert wide > narrow


def test_a_method_against_itself():
    result = quick({"a": Ridge(), "b": Ridge()}, X, y, draws)
    for i in ("corrected t", "crossed t", "bootstrap"):
        c = result.compare("a", "b", interval=i)
        assert c[["ratio", "low", "high", "p"]].tolist() == [1, 1, 1, 1] and c["wins"] == 0


def test_compare_works_on_folds_of_unequal_size():
    result = quick(methods, X[:58], y[:58], [list(KFold(5, shuffle=True, random_state=r).split(X[:58])) for r in range(2)])
    for i in ("corrected t", "crossed t", "bootstrap"): assert result.compare("ridge", "median", interval=i)["high"] < 1


@pytest.mark.parametrize("call, said", [
    (lambda: compare([1, 2], [1, 2, 3], test_over_train=1), "2 errors against 3"), (lambda: compare([1, np.nan], [1, 2], test_over_train=1), "row 1"),
    (lambda: compare([1, 2], [1, 2], test_over_train=1, level=95), "level must lie"), (lambda: compare([1, 2], [0, 0], test_over_train=1), "no error"),
    (lambda: compare_rows(np.ones((2, 3)), np.ones((2, 4)), n_train=1), "same rows of the same splits"),
    (lambda: compare_rows(np.ones((2, 3)), np.ones((2, 3)), n_train=1, interval="t"), "interval must be"),
    (lambda: quick(methods, X, y, draws).compare("ridge", "best"), "no method 'best'"),
    (lambda: quick({}, X, y, draws), "models by name"), (lambda: quick(Ridge(), X, y, draws), "models by name"),
    (lambda: quick(methods, X[1:], y, draws), "59 rows, but y has 60"), (lambda: quick(methods, X, y, list(KFold(3).split(X))), "wrap what"),
    (lambda: quick(methods, "CCO", y, draws), "put it in a list"), (lambda: quick(methods, X, np.ones(60), draws), "constant"),
    (lambda: learning_curve(methods, X, y, [], baseline="median"), "sizes is empty"), (lambda: learning_curve(methods, X, y, [60], baseline="median"), "n=60"),
    (lambda: learning_curve(methods, X, y, [10], baseline="best"), "no method 'best'"),
    (lambda: permutation_null(Ridge(), X, y, draws, n_permutations=0), "at least 1"),
])
def test_bad_input_gets_one_clear_error(call, said):
    with pytest.raises(ValueError, match=said): call()


def test_verdict_warns_with_numbers_unless_there_is_a_gain():
    result = quick(methods, X, y, draws)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verdict(result.compare("ridge", "median")) == "helps"
        assert verdict(result.compare("median", "ridge"), warn=False) == "hurts"
    with pytest.warns(NegativeTransferWarning, match=r"negative transfer: median has \d\.\d\d times .* \(interval .* to .*, better in 0%\)"):
        verdict(result.compare("median", "ridge"))
    with pytest.warns(NegativeTransferWarning, match="no gain is shown"): assert verdict(compare([1, 2, 3], [1.1, 2.1, 2.8], test_over_train=1)) == "not distinguishable"


def test_raw_inputs_of_any_container():
    words = ["C" * (i % 7 + 1) + "O" * (i % 3) for i in range(60)]
    model = {"letters": make_pipeline(CountVectorizer(analyzer="char"), Ridge())}
    results = [quick(model, W, y, draws) for W in (words, tuple(words), np.array(words), np.array(words, dtype=object), pd.Series(words, index=range(100, 160)))]
    assert all(same(results[0], r) for r in results[1:])
    assert same(quick({"a": Ridge()}, X.tolist(), y, draws), quick({"a": Ridge()}, pd.DataFrame(X), y, draws))


class Rows(RegressorMixin, BaseEstimator):
    "Takes anything that has a length, as a structure does."
    def fit(self, X, y): self.mean_ = np.mean(y) + 0 * sum(len(x) for x in X); return self
    def predict(self, X): return np.full(len(X), self.mean_)


def test_rows_that_are_sequences_stay_whole():
    class Structure:
        def __len__(self): return 2
        def __getitem__(self, i): return [1, 2][i]
    assert len(quick({"rows": Rows()}, [Structure() for _ in range(60)], y, draws[:1]).predictions) == 40


def test_finished_fits_are_not_repeated(tmp_path):
    first = quick(methods, X, y, draws, checkpoint=tmp_path)
    files = {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    again = quick({"renamed": Ridge(), **methods}, X, y, draws, checkpoint=str(tmp_path))
    assert len(files) == 18 and {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()} == files, "the name of a method does not matter"
    assert again.table.query("method != 'renamed'").reset_index(drop=True).equals(first.table) and same(first, quick(methods, X, y, draws))
    assert same(first, quick(methods, X, y, draws, checkpoint=tmp_path, n_jobs=2))


@pytest.mark.parametrize("other", [dict(methods={"a": Ridge(2)}), dict(X=X + 1), dict(y=y + 1), dict(splits=draws[1:2]), dict(methods={"a": make_pipeline(Ridge())})])
def test_whatever_differs_is_fitted_anew(tmp_path, other):
    how = {"methods": {"a": Ridge()}, "X": X, "y": y, "splits": draws[:1]}
    quick(**how, checkpoint=tmp_path)
    quick(**(how | other), checkpoint=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_library_that_has_grown_is_another_one(tmp_path):
    from mltransfer.library import Library
    from mltransfer.validate import _digest
    library = Library(tmp_path / "a")
    empty = _digest(library, "it")
    library.add(pretrain([load("liquid_heat_capacity")], Constitution(), hidden=(4,), schedule=Schedule(epochs=1), progress=False))
    Library(tmp_path / "b").merge(library)
    assert empty != _digest(library, "it") == _digest(Library(tmp_path / "b"), "it"), "content counts, not the place"


class Column(Ridge):
    "Predicts a column."
    def predict(self, X): return super().predict(X)[:, None]


def test_a_column_of_predictions_is_taken(): assert same(quick({"a": Ridge()}, X, y, draws[:1]), quick({"a": Column()}, X, y, draws[:1]))


def test_broken_files_are_fitted_again(tmp_path):
    first = quick(methods, X, y, draws, checkpoint=tmp_path)
    for i, f in enumerate(sorted(tmp_path.iterdir())): f.write_bytes([b"", b"junk", f.read_bytes()[:-9]][i % 3])
    assert same(first, quick(methods, X, y, draws, checkpoint=tmp_path))


def test_a_lambda_cannot_be_named(tmp_path):
    with pytest.raises(ValueError, match="method 'odd' holds something"):
        quick({"odd": make_pipeline(FunctionTransformer(lambda X: X), Ridge())}, X, y, draws, checkpoint=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="must be a folder"): quick(methods, X, y, draws, checkpoint=tmp_path / "file")


slow = """
import sys, time
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from mltransfer.source import load_source
from mltransfer.splits import RepeatedDraws
from mltransfer.transfer import FrozenFeatures
from mltransfer.validate import evaluate

class Slow(Ridge):
    def fit(self, X, y):
        time.sleep(float(sys.argv[3])); return super().fit(X, y)

smiles = np.array(["C" * i + "O" for i in range(1, 31)], dtype=object)
models = {"frozen": make_pipeline(FrozenFeatures([load_source(sys.argv[1])]), Slow())}
result = evaluate(models, smiles, np.arange(30.0) ** 1.5, [[s] for s in RepeatedDraws(10, 12).split(smiles)], progress=False, checkpoint=sys.argv[2])
result.predictions.to_csv(sys.argv[4])
"""


def test_a_killed_run_goes_on_and_gives_the_same_table(tmp_path):
    "The source is loaded anew in every process, so its name must come from its content."
    source, = pretrain([load("solid_heat_capacity")], Constitution(), n_models=1, hidden=(8,), schedule=Schedule(epochs=1), progress=False)
    save_source(source, tmp_path / "source.safetensors")
    (tmp_path / "slow.py").write_text(slow)
    run = lambda folder, wait, out: [sys.executable, str(tmp_path / "slow.py"), str(tmp_path / "source.safetensors"), folder, str(wait), str(tmp_path / out)]
    folder = tmp_path / "fits"
    process = subprocess.Popen(run(str(folder), 0.3, "killed.csv"))
    end = time.time() + 120
    while (not folder.exists() or len(list(folder.glob("*.npy"))) < 4) and process.poll() is None and time.time() < end: time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {f: f.stat().st_mtime_ns for f in folder.glob("*.npy")}
    assert 4 <= len(kept) < 12 and not (tmp_path / "killed.csv").exists()
    subprocess.run(run(str(folder), 0, "resumed.csv"), check=True)
    smiles = ["C" * i + "O" for i in range(1, 31)]
    whole = quick({"frozen": make_pipeline(FrozenFeatures([source]), Ridge())}, smiles, np.arange(30.0) ** 1.5, [[s] for s in RepeatedDraws(10, 12).split(smiles)])
    whole.predictions.to_csv(tmp_path / "whole.csv")
    assert (tmp_path / "resumed.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert all(f.stat().st_mtime_ns == t for f, t in kept.items()) and len(list(folder.glob("*.npy"))) == 12


def test_learning_curve_has_a_row_per_size_and_method_and_resumes(tmp_path):
    curve = learning_curve(methods, X, y, [10, 30], baseline="median", n_draws=5, progress=False, checkpoint=tmp_path)
    assert list(curve.index) == [(n, m) for n in (10, 30) for m in methods]
    assert (curve.xs("median", level="method")["ratio"] == 1).all() and set(curve.xs("median", level="method")["verdict"]) == {"baseline"}
    assert curve.loc[(30, "ridge"), "mae"] < curve.loc[(10, "ridge"), "mae"]
    direct = quick(methods, X, y, [[s] for s in RepeatedDraws(10, 5).split(X)])
    assert curve.loc[(10, "ridge"), "mae"] == pytest.approx(direct.summary().loc["ridge", "mae"])
    assert curve.equals(learning_curve(methods, X, y, [10, 30], baseline="median", n_draws=5, progress=False, checkpoint=tmp_path))
    assert len(list(tmp_path.iterdir())) == 30


def test_learning_curve_keeps_groups_together():
    groups = np.arange(60) // 2
    curve = learning_curve({"a": Ridge(), "b": DummyRegressor()}, X, y, [20], baseline="b", n_draws=3, groups=groups, progress=False)
    splits = [[s] for s in RepeatedDraws(20, 3).split(X, groups=groups)]
    assert curve["mae"].tolist() == pytest.approx(quick({"a": Ridge(), "b": DummyRegressor()}, X, y, splits).summary()["mae"].tolist())


def test_permutation_null_agrees_with_scikit_learn():
    folds = list(KFold(4, shuffle=True, random_state=0).split(X))
    ours = permutation_null(Ridge(), X, y, [folds], n_permutations=39, progress=False)
    theirs = permutation_test_score(Ridge(), X, y, cv=folds, n_permutations=39, scoring="neg_mean_absolute_error", random_state=0)
    assert ours.score == pytest.approx(-theirs[0]) and ours.p == theirs[2] == 1 / 40
    assert np.mean(ours.null) == pytest.approx(-np.mean(theirs[1]), rel=0.1)


def test_permutation_null_is_uniform_when_there_is_nothing_to_learn():
    p = [permutation_null(Ridge(), X, np.random.default_rng(s).normal(size=60), draws[:1], n_permutations=9, progress=False).p for s in range(25)]
    assert 0.3 < np.mean(p) < 0.8 and np.mean(np.array(p) <= 0.1) <= 0.25


def test_permutation_null_is_reproducible_and_resumes(tmp_path):
    a, b = (permutation_null(Ridge(), X, y, draws[:2], n_permutations=5, random_state=3, progress=False, checkpoint=tmp_path) for _ in range(2))
    assert np.array_equal(a.null, b.null) and len(list(tmp_path.iterdir())) == 12 and len(np.unique(a.null)) == 5
