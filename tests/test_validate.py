"Validation: intervals as right as they promise, interrupted runs that go on, nulls, and verdicts in words."
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LassoCV, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV
from sklearn.model_selection import permutation_test_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from mltransfer.auditing import LeakageWarning
from mltransfer.core import Task
from mltransfer.data import load
from mltransfer.molecule import Constitution
from mltransfer.pretraining import pretrain
from mltransfer.source import save_source
from mltransfer.splits import BalancedGroupKFold, RepeatedDraws
from mltransfer.training import Schedule
from mltransfer.transfer import FrozenFeatures
from mltransfer.validate import evaluate, learning_curve, permutation_null, piece, untrained
from mltransfer.verdicts import NegativeTransferWarning, verdict

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = X @ [3, -2, 1, 0] + rng.normal(size=60)
methods = {"median": DummyRegressor(strategy="median"), "ridge": Ridge(),
    "noise": make_pipeline(FunctionTransformer(np.sign), Ridge())}
draws = [[s] for s in RepeatedDraws(20, 6).split(X)]
quick = partial(evaluate, progress=False)


def same(a, b):
    tables = [result.table.drop(columns="seconds") for result in (a, b)]
    return a.predictions.equals(b.predictions) and tables[0].equals(tables[1])


def test_crossed_interval_is_never_wider_than_the_corrected_one_and_shares_its_ratio():
    result = quick(methods, X, y, draws)
    c = {i: result.compare("ridge", "median", interval=i) for i in ("corrected t", "crossed t")}
    assert len({round(v["ratio"], 12) for v in c.values()}) == 1
    assert np.ptp(c["crossed t"][["low", "high"]]) <= np.ptp(c["corrected t"][["low", "high"]]) + 1e-9
    assert all(v["low"] < v["ratio"] < v["high"] and v.name == "ridge" for v in c.values())
    wide, narrow = (np.ptp(result.compare("ridge", "median", interval="crossed t", level=l)[["low", "high"]])
        for l in (0.99, 0.5))
    assert wide > narrow


def test_a_method_against_itself():
    result = quick({"a": Ridge(), "b": Ridge()}, X, y, draws)
    for i in ("corrected t", "crossed t"):
        c = result.compare("a", "b", interval=i)
        assert c[["ratio", "low", "high", "p"]].tolist() == [1, 1, 1, 1] and c["wins"] == 0


def test_compare_works_on_folds_of_unequal_size():
    result = quick(methods, X[:58], y[:58],
        [list(KFold(5, shuffle=True, random_state=r).split(X[:58])) for r in range(2)])
    for i in ("corrected t", "crossed t"): assert result.compare("ridge", "median", interval=i)["high"] < 1


@pytest.mark.parametrize("call, said", [
    (lambda: quick(methods, X, y, draws).compare("ridge", "median", interval="bootstrap"),
        "interval must be one of"),
    (lambda: quick(methods, X, y, draws).compare("ridge", "best"), "no method 'best'"),
    (lambda: quick({}, X, y, draws), "models by name"),
    (lambda: quick(Ridge(), X, y, draws), "models by name"),
    (lambda: quick(methods, X[1:], y, draws), "59 rows, but y has 60"),
    (lambda: quick(methods, X, y, list(KFold(3).split(X))), "wrap what"),
    (lambda: quick(methods, "CCO", y, draws), "put it in a list"),
    (lambda: quick(methods, X, np.ones(60), draws), "constant"),
    (lambda: learning_curve(methods, X, y, [], baseline="median"), "sizes is empty"),
    (lambda: learning_curve(methods, X, y, [60], baseline="median"), "n=60"),
    (lambda: learning_curve(methods, X, y, [10], baseline="best"), "no method 'best'"),
    (lambda: permutation_null(Ridge(), X, y, draws, n_permutations=0), "at least 1"),
])
def test_bad_input_gets_one_clear_error(call, said):
    with pytest.raises(ValueError, match=said): call()


def test_words_of_an_evaluation():
    result = quick(methods, X, y, draws)
    found = result.compare_all("median")
    assert found["verdict"].to_dict() == {"ridge": "better", "noise": "better"}
    assert verdict(result.compare("median", "ridge"), warn=False) == "worse"
    with pytest.warns(NegativeTransferWarning, match=r"negative transfer: the error of median"):
        verdict(result.compare("median", "ridge"))
    few = quick(methods, X, y, draws[:4])
    assert set(few.compare_all("median")["verdict"]) == {"too few draws to say"}, "four draws"
    one = found.loc["noise", "high"], result.compare_all("median", ["noise"]).loc["noise", "high"]
    assert one[1] == pytest.approx(result.compare("noise", "median")["high"]) and one[0] >= one[1]
    folds = quick(methods, X, y, [list(KFold(5).split(X))])
    assert folds.compare("ridge", "median")["draws"] == 5, "the folds of one repeat count"


def test_ratios_are_those_of_the_printed_errors():
    result = quick(methods, X[:58], y[:58],
        [list(KFold(5, shuffle=True, random_state=r).split(X[:58])) for r in range(2)])
    errors = result.summary()["mae"]
    for interval in ("crossed t", "corrected t"):
        found = result.compare("ridge", "median", interval=interval)
        assert found[["mae", "baseline", "ratio"]].tolist() == pytest.approx([errors["ridge"],
            errors["median"], errors["ridge"] / errors["median"]])


def test_names_of_the_verdicts_are_found_here_too():
    import mltransfer.validate, mltransfer.verdicts
    for name in ("compare", "compare_rows", "verdict", "NegativeTransferWarning", "Interval"):
        assert getattr(mltransfer.validate, name) is getattr(mltransfer.verdicts, name)


# --- copies of a split

def test_copies_are_refused():
    with pytest.raises(ValueError, match="split 0 of repeat 6 is split 2 of repeat 0 again"):
        quick(methods, X, y, [[*draws[0], *draws[1], *draws[2]], *draws[3:],
            *[[s] for s in RepeatedDraws(20, 6, random_state=9).split(X)][:2],
                              [(draws[2][0][0][::-1], draws[2][0][1])]])
    groups = np.arange(60) % 5
    copies = [list(BalancedGroupKFold(5, random_state=r).split(X, y, groups)) for r in (0, 0)]
    with pytest.raises(ValueError, match="a copy is no new draw"): quick(methods, X, y, copies)


def test_draws_that_come_again_are_left_out_of_a_curve():
    groups = np.arange(60) // 20
    with pytest.warns(UserWarning, match="5 of 8 draws of 20 rows came before"):
        curve = learning_curve({"a": Ridge(), "b": DummyRegressor()}, X, y, [20], baseline="b", n_draws=8,
            groups=groups, progress=False)
    assert curve.loc[(20, "a"), "verdict"] == "too few draws to say"


# --- tables, groups and tasks reach the fits

class Heard(Ridge):
    "Remembers what its fit was given."
    given = []
    def fit(self, X, y, groups=None, task=None):
        Heard.given.append((groups, task))
        return super().fit(X, y)


def test_frames_keep_their_columns():
    frame = pd.DataFrame(X, columns=list("abcd"), index=range(5, 65)).assign(e="text")
    choose = make_column_transformer(("passthrough", ["a", "b"]), (OneHotEncoder(), ["e"]))
    named = quick({"m": make_pipeline(choose, Ridge())}, frame, y, draws)
    plain = quick({"m": Ridge()}, np.c_[X[:, :2], np.ones(60)], y, draws)
    assert np.allclose(named.predictions["predicted"], plain.predictions["predicted"])
    assert same(quick({"m": Ridge()}, csr_array(X), y, draws[:2]),
        quick({"m": Ridge()}, csr_array(X), y, draws[:2]))


def test_frames_are_told_apart_by_their_names(tmp_path):
    for names in ("abcd", "dcba", "abcd"):
        quick({"m": Ridge()}, pd.DataFrame(X, columns=list(names)), y, draws[:1], checkpoint=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("wrap", [
    lambda m: m, lambda m: make_pipeline(FunctionTransformer(), m),
    lambda m: TransformedTargetRegressor(make_pipeline(FunctionTransformer(), m))])
def test_groups_and_task_reach_a_fit(wrap):
    Heard.given.clear()
    groups, task = np.repeat(np.arange(20), 3), Task("x", "K")
    splits = [list(GroupKFold(4).split(X, groups=groups))]
    quick({"m": wrap(Heard())}, X, y, splits, groups=groups.astype(str), task=task)
    assert len(Heard.given) == 4 and all(t is task for _, t in Heard.given)
    for (train, _), (given, _) in zip(splits[0], Heard.given):
        assert len(set(zip(given, groups[train]))) == len(set(groups[train])) == len(set(given))


@pytest.mark.parametrize("wrap", [
    lambda m: m, lambda m: make_pipeline(FunctionTransformer(), m), lambda m: TransformedTargetRegressor(m)])
@pytest.mark.parametrize("search", [
    GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=GroupKFold(3)), LassoCV(cv=GroupKFold(3)),
    RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1]}, n_iter=2, cv=GroupKFold(3))])
def test_inner_searches_get_groups(search, wrap):
    groups = np.repeat(np.arange(20), 3)
    splits = [list(GroupKFold(4).split(X, groups=groups))]
    if isinstance(search, LassoCV) and isinstance(wrap(search), TransformedTargetRegressor):
        pytest.skip("scikit-learn routes nothing there")
    assert len(quick({"m": wrap(search)}, X, y, splits, groups=groups).predictions) == 60
    with pytest.raises(ValueError, match="method 'm' in split 0 of repeat 0"):
        quick({"m": wrap(search)}, X, y, splits)


def test_weights_reach_the_fits():
    weight = np.repeat([0.0, 1.0], 30)
    rows = [[(np.r_[0:20, 30:50], np.r_[20:30, 50:60])]]
    half = [[(np.r_[30:50], np.r_[20:30, 50:60])]]
    weighted = quick({"m": Ridge()}, X, y, rows, sample_weight=weight)
    less = quick({"m": Ridge()}, X, y, half)
    assert np.allclose(weighted.predictions["predicted"], less.predictions["predicted"])
    with pytest.raises(ValueError, match="sample_weight has shape"):
        quick({"m": Ridge()}, X, y, rows, sample_weight=weight[1:])


def test_groups_count_as_one_material():
    "Every row ten times is no new knowledge."
    groups = np.repeat(np.arange(60), 5)
    copies = lambda rows: np.flatnonzero(np.isin(groups, rows))
    many = [[(copies(train), copies(test))] for (train, test), in draws]
    short = lambda g: quick({"a": DummyRegressor(), "b": DummyRegressor(strategy="median")}, X[groups],
        y[groups], many, groups=g).compare("a", "b")
    single = quick({"a": DummyRegressor(), "b": DummyRegressor(strategy="median")}, X, y, draws).compare("a",
        "b")
    assert short(groups)["spread"] == pytest.approx(single["spread"], rel=1e-6)
    assert short(None)["spread"] < short(groups)["spread"]


def test_a_torn_group_is_a_leak():
    with pytest.warns(LeakageWarning, match="in 6 of 6 splits a group is in training and in test"):
        quick({"m": Ridge()}, X, y, draws, groups=np.arange(60) // 2)


def test_the_fit_that_fails_is_named():
    nine = GridSearchCV(Ridge(), {"alpha": [1]}, cv=9)
    with pytest.raises(ValueError,
            match=r"method 'm' in split 0 of repeat 0 cannot be fitted on its 8 .* rows train"):
        quick({"ok": Ridge(), "m": nine}, X[:12], y[:12], [list(KFold(3).split(X[:12]))])


def test_rows_may_be_mappings():
    rows = [{"a": float(a), "b": float(b)} for a, b in X[:, :2]]
    model = make_pipeline(DictVectorizer(), Ridge())
    assert np.allclose(quick({"m": model}, rows, y, draws).predictions["predicted"],
        quick({"m": Ridge()}, X[:, :2], y, draws).predictions["predicted"])


# --- decades

def test_decades_are_judged_by_factors(tmp_path):
    z = 10 ** (X @ [1, -0.5, 0.3, 0] + 0.2 * np.random.default_rng(1).normal(size=60))
    learn = TransformedTargetRegressor(Ridge(), func=np.log10, inverse_func=partial(np.power, 10))
    models = {"ridge": learn, "median": DummyRegressor(strategy="median")}
    logs = quick({"ridge": Ridge(), "median": DummyRegressor(strategy="median")}, X, np.log10(z), draws)
    found = quick(models, X, z, draws, task=Task("conductivity", "S/cm", log=True), checkpoint=tmp_path)
    assert found.summary()["mae"].tolist() == pytest.approx(logs.summary()["mae"].tolist(), rel=0.02)
    assert found.summary()["factor"].tolist() == pytest.approx((10 ** found.summary()["mae"]).tolist())
    for interval in ("crossed t", "corrected t"):
        a, b = (r.compare("ridge", "median", interval=interval) for r in (found, logs))
        assert a.drop("p").tolist() == pytest.approx(b.drop("p").tolist(), rel=0.05)
    means = found.table.groupby("method")["mae"].mean()
    assert means.to_dict() == pytest.approx(found.summary()["mae"].to_dict())
    assert found.predictions["measured"].max() == z.max(), "predictions stay in the unit of the target"
    curve = learning_curve(models, X, z, [20], baseline="median", n_draws=6, progress=False, task=found.task)
    assert curve.loc[(20, "ridge"), "mae"] == pytest.approx(found.summary().loc["ridge", "mae"])
    plain = quick(models, X, z, draws, checkpoint=tmp_path)
    assert plain.compare("ridge", "median")["ratio"] != pytest.approx(found.compare("ridge",
        "median")["ratio"], rel=0.05)


def test_decades_need_positive_numbers():
    task = Task("conductivity", "S/cm", log=True)
    with pytest.raises(ValueError, match="no logarithm"): quick(methods, X, y, draws, task=task)
    with pytest.raises(ValueError,
            match=r"method 'ridge' in split 0 of repeat 0 predicts -.* for row \d+.*learn the logarithm"):
        quick({"ridge": Ridge()}, X, np.exp(y), draws, task=task)


# --- pieces

def test_pieces_know_what_they_were_made_of(tmp_path):
    source, = pretrain([load("solid_heat_capacity")], Constitution(), hidden=(4,),
        schedule=Schedule(epochs=1), progress=False)
    other, = untrained([source])
    made = lambda *of: float(piece(tmp_path / "a" / "it.npz",
        lambda: {"n": np.array(len(list(tmp_path.rglob("*.npz"))))}, *of)["n"])
    first = [made(X, source, 3), made(X, other, 3), made(X + 1, source, 3), made(X, source, 4)]
    assert first == [made(X, source, 3), made(X, other, 3), made(X + 1, source, 3),
        made(X, source, 4)] == sorted(set(first))


def test_another_version_computes_anew(tmp_path, monkeypatch):
    make = lambda: [piece(tmp_path / "it.npz", lambda: {"n": np.ones(2)}, 1),
        quick({"a": Ridge()}, X, y, draws[:1], checkpoint=tmp_path)]
    make(), make()
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("mltransfer.validate.__version__", "9.9")
    make()
    assert len(list(tmp_path.iterdir())) == 4


def test_raw_inputs_of_any_container():
    words = ["C" * (i % 7 + 1) + "O" * (i % 3) for i in range(60)]
    model = {"letters": make_pipeline(CountVectorizer(analyzer="char"), Ridge())}
    results = [quick(model, W, y, draws)
        for W in (words, tuple(words), np.array(words), np.array(words, dtype=object),
                pd.Series(words, index=range(100, 160)))]
    assert all(same(results[0], r) for r in results[1:])
    lists, frame = (quick({"a": Ridge()}, table, y, draws).predictions["predicted"]
        for table in (X.tolist(), pd.DataFrame(X)))
    assert np.allclose(lists, frame)


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
    assert len(files) == 18
    assert {f: f.stat().st_mtime_ns
        for f in tmp_path.iterdir()} == files, "the name of a method does not matter"
    assert again.table.query("method != 'renamed'").reset_index(drop=True).equals(first.table)
    assert same(first, quick(methods, X, y, draws))
    assert same(first, quick(methods, X, y, draws, checkpoint=tmp_path, n_jobs=2))


@pytest.mark.parametrize("other",
    [dict(methods={"a": Ridge(2)}), dict(X=X + 1), dict(y=y + 1), dict(splits=draws[1:2]),
        dict(methods={"a": make_pipeline(Ridge())})])
def test_whatever_differs_is_fitted_anew(tmp_path, other):
    how = {"methods": {"a": Ridge()}, "X": X, "y": y, "splits": draws[:1]}
    quick(**how, checkpoint=tmp_path)
    quick(**(how | other), checkpoint=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("given",
    [dict(groups=np.arange(60)), dict(sample_weight=np.arange(60) + 1.0), dict(task=Task("x", "K"))])
def test_what_a_fit_is_given_is_part_of_its_name(tmp_path, given):
    for how in ({}, given, {}, given): quick({"a": Ridge()}, X, y, draws[:1], checkpoint=tmp_path, **how)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_library_that_has_grown_is_another_one(tmp_path):
    from mltransfer.library import Library
    from mltransfer.validate import _digest
    library = Library(tmp_path / "a")
    empty = _digest(library, "it")
    library.add(pretrain([load("liquid_heat_capacity")], Constitution(), hidden=(4,),
        schedule=Schedule(epochs=1), progress=False))
    Library(tmp_path / "b").merge(library)
    assert empty != _digest(library, "it") == _digest(Library(tmp_path / "b"),
        "it"), "content counts, not the place"


class Column(Ridge):
    "Predicts a column."
    def predict(self, X): return super().predict(X)[:, None]


def test_a_column_of_predictions_is_taken():
    assert same(quick({"a": Ridge()}, X, y, draws[:1]), quick({"a": Column()}, X, y, draws[:1]))


def test_broken_files_are_fitted_again(tmp_path):
    first = quick(methods, X, y, draws, checkpoint=tmp_path)
    for i, f in enumerate(sorted(tmp_path.iterdir())):
        f.write_bytes([b"", b"junk", f.read_bytes()[:-9]][i % 3])
    assert same(first, quick(methods, X, y, draws, checkpoint=tmp_path))


def test_a_lambda_cannot_be_named(tmp_path):
    with pytest.raises(ValueError, match="method 'odd' holds something"):
        quick({"odd": make_pipeline(FunctionTransformer(lambda X: X), Ridge())}, X, y, draws,
            checkpoint=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="must be a folder"):
        quick(methods, X, y, draws, checkpoint=tmp_path / "file")


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
draws = [[s] for s in RepeatedDraws(10, 12).split(smiles)]
how = {"progress": False, "checkpoint": sys.argv[2]}
result = evaluate(models, smiles, np.arange(30.0) ** 1.5, draws, **how)
result.predictions.to_csv(sys.argv[4])
"""


def test_a_killed_run_goes_on_and_gives_the_same_table(tmp_path):
    "The source is loaded anew in every process, so its name must come from its content."
    source, = pretrain([load("solid_heat_capacity")], Constitution(), n_models=1, hidden=(8,),
        schedule=Schedule(epochs=1), progress=False)
    save_source(source, tmp_path / "source.safetensors")
    (tmp_path / "slow.py").write_text(slow)
    run = lambda folder, wait, out: [sys.executable, str(tmp_path / "slow.py"),
        str(tmp_path / "source.safetensors"), folder, str(wait), str(tmp_path / out)]
    folder = tmp_path / "fits"
    process = subprocess.Popen(run(str(folder), 0.3, "killed.csv"))
    end = time.time() + 120
    while (not folder.exists() or len(list(folder.glob("*.npy")))
        < 4) and process.poll() is None and time.time() < end: time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {f: f.stat().st_mtime_ns for f in folder.glob("*.npy")}
    assert 4 <= len(kept) < 12 and not (tmp_path / "killed.csv").exists()
    subprocess.run(run(str(folder), 0, "resumed.csv"), check=True)
    smiles = ["C" * i + "O" for i in range(1, 31)]
    whole = quick({"frozen": make_pipeline(FrozenFeatures([source]), Ridge())}, smiles,
        np.arange(30.0) ** 1.5, [[s] for s in RepeatedDraws(10, 12).split(smiles)])
    whole.predictions.to_csv(tmp_path / "whole.csv")
    assert (tmp_path / "resumed.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert all(f.stat().st_mtime_ns == t for f, t in kept.items()) and len(list(folder.glob("*.npy"))) == 12


def test_learning_curve_has_a_row_per_size_and_method_and_resumes(tmp_path):
    curve = learning_curve(methods, X, y, [10, 30], baseline="median", n_draws=5, progress=False,
        checkpoint=tmp_path)
    assert list(curve.index) == [(n, m) for n in (10, 30) for m in methods]
    assert (curve.xs("median", level="method")["ratio"] == 1).all()
    assert set(curve.xs("median", level="method")["verdict"]) == {"baseline"}
    assert curve.loc[(30, "ridge"), "mae"] < curve.loc[(10, "ridge"), "mae"]
    direct = quick(methods, X, y, [[s] for s in RepeatedDraws(10, 5).split(X)])
    assert curve.loc[(10, "ridge"), "mae"] == pytest.approx(direct.summary().loc["ridge", "mae"])
    assert curve.equals(learning_curve(methods, X, y, [10, 30], baseline="median", n_draws=5, progress=False,
        checkpoint=tmp_path))
    assert len(list(tmp_path.iterdir())) == 30


def test_learning_curve_keeps_groups_together():
    groups = np.arange(60) // 2
    curve = learning_curve({"a": Ridge(), "b": DummyRegressor()}, X, y, [20], baseline="b", n_draws=3,
        groups=groups, progress=False)
    splits = [[s] for s in RepeatedDraws(20, 3).split(X, groups=groups)]
    assert curve["mae"].tolist() == pytest.approx(quick({"a": Ridge(), "b": DummyRegressor()}, X, y,
        splits).summary()["mae"].tolist())


def test_permutation_null_agrees_with_scikit_learn():
    folds = list(KFold(4, shuffle=True, random_state=0).split(X))
    ours = permutation_null(Ridge(), X, y, [folds], n_permutations=39, progress=False)
    theirs = permutation_test_score(Ridge(), X, y, cv=folds, n_permutations=39,
        scoring="neg_mean_absolute_error", random_state=0)
    assert ours.score == pytest.approx(-theirs[0]) and ours.p == theirs[2] == 1 / 40
    assert np.mean(ours.null) == pytest.approx(-np.mean(theirs[1]), rel=0.1)


def test_permutation_null_is_uniform_when_there_is_nothing_to_learn():
    p = [permutation_null(Ridge(), X, np.random.default_rng(s).normal(size=60), draws[:1], n_permutations=9,
        progress=False).p for s in range(25)]
    assert 0.3 < np.mean(p) < 0.8 and np.mean(np.array(p) <= 0.1) <= 0.25


def test_permutation_null_is_reproducible_and_resumes(tmp_path):
    a, b = (permutation_null(Ridge(), X, y, draws[:2], n_permutations=5, random_state=3, progress=False,
        checkpoint=tmp_path) for _ in range(2))
    assert np.array_equal(a.null, b.null)
    assert len(list(tmp_path.iterdir())) == 12
    assert len(np.unique(a.null)) == 5
