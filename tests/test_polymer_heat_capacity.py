"Nothing leaks, every model keeps to its own columns, tables say what was measured."
import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from mltransfer.auditing import seen_by
from mltransfer.heads import stack
from mltransfer.cases import polymer_heat_capacity as case
from mltransfer.data import Dataset, load
from mltransfer.featurizers import usual_descriptors
from mltransfer.library import Library
from mltransfer.molecule import Constitution
from mltransfer.splits import RepeatedDraws
from mltransfer.validate import evaluate, learning_curve, untrained


@pytest.fixture(scope="module")
def target(): return load(case.TARGET)


@pytest.fixture(scope="module")
def starter(target): return case.starter_encoders(target)


@pytest.fixture(scope="module")
def table(target): return usual_descriptors("polymer").fit_transform(target.X)


def test_no_suitable_model_has_seen_a_target_polymer(target, starter):
    library = Library.starter()
    ids = case.suitable(library)
    models = library.load(ids)
    assert len(set(ids)) == len(ids) > len(starter)
    assert not seen_by(models, target.groups, "polymer").any()
    assert {t.kind for m in models for t in m.tasks} == {"molecule", "polymer"}
    assert all(len(s.tasks) > 1 for s in starter) and 0 < sum(
        case.GLASS in s.card["data"] for s in starter
    ) < len(starter)


def test_polymers_that_a_source_has_seen_are_refused(starter):
    d = load(case.GLASS)
    seen = Dataset(d.frame[seen_by(starter, d.groups, "polymer")], d.task, name=d.name)
    assert len(seen) > 100
    with pytest.raises(ValueError, match="in the starter library"): case.starter_encoders(seen)
    with pytest.raises(ValueError, match="are in a source"): case.columns(seen, {"starter": starter}, [])


def test_a_rubber_is_above_its_glass_transition():
    p = case.rubbery(np.linspace(100, 500, 41), 30.0)
    assert (np.diff(p) < 0).all() and p[0] > 0.999 and p[-1] < 0.001
    np.testing.assert_allclose(case.rubbery([300.0], 10.0, temperature=300.0), 0.5)


def test_encoders_of_the_same_properties_are_averaged(table, starter):
    read = case.read_sources(table, starter, "starter")
    families = {s.tasks: [r for r in starter if r.tasks == s.tasks] for s in starter}
    knowing = sum(case.GLASS in f[0].card["data"] for f in families.values())
    assert set(read) == {"starter hidden", "starter predicted"}
    assert read["starter predicted"].shape == (len(table), sum(map(len, families)) + knowing)
    assert read["starter hidden"].shape == (len(table), sum(s.net.widths[-2] for s in starter))
    chance = read["starter predicted"].min(0), read["starter predicted"].max(0)
    assert ((0 <= chance[0]) & (chance[1] <= 1)).sum() >= knowing


def test_the_null_has_the_shape_of_what_it_stands_for(table, starter):
    known = [s for s in starter if case.GLASS in s.card["data"]][:1]
    real, null = (case.read_sources(table, group, "x") for group in (known, untrained(known, random_state=0)))
    assert {k: v.shape for k, v in real.items()} == {k: v.shape for k, v in null.items()}
    assert not np.allclose(real["x hidden"], null["x hidden"]) and not np.allclose(
        real["x predicted"], null["x predicted"]
    )


# a kernel parameter of a Gaussian process at its bound
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("source", [None, "a"])
def test_a_search_keeps_to_its_own_columns(source):
    rng = np.random.default_rng(0)
    X, block = stack(
        {
            n: rng.normal(size=(40, 6))
            for n in ("atoms", "groups", "fragments", "a hidden", "a predicted", "b hidden", "b predicted")
        }
    )
    own = ["atoms", "groups", "fragments"] if source is None else ["groups", "a hidden", "a predicted"]
    other = X.copy()
    other[:, [c for n, cs in block.items() if n not in own for c in cs]] = rng.normal(
        size=(40, 42 - 6 * len(own))
    )
    y = X[:, block[own[-1]][0]]
    first, second = (case.best_of(block, source).fit(Z[:30], y[:30]).predict(Z[30:]) for Z in (X, other))
    np.testing.assert_array_equal(first, second)


def test_families_stay_whole(target, table):
    y, size = target.y.to_numpy(), dataclasses.replace(case.SIZES["full"], repeats=1)
    made = case.protocols(table, y, size, 0)
    assert set(made) == set(size.folds) and len(made["group 6-fold"][0]) == 6
    family = case.cluster_groups(table, n_clusters=20, random_state=0)
    for train, test in made["group 6-fold"][0]: assert not set(family[train]) & set(family[test])


def test_side_by_side_holds_every_method_and_protocol():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    models = {"median": DummyRegressor(strategy="median"), case.BEST: Ridge(), case.HEAT_ONLY: Ridge(100.0)}
    folds = evaluate(
        models, X, y, [[s] for s in RepeatedDraws(30, 4, random_state=0).split(X)], progress=False
    )
    judged = case.judged(folds)
    assert judged.loc[case.BEST, "ratio"] == 1 and judged.loc[case.BEST, "verdict"] == "baseline"
    assert set(judged["verdict"]) <= {"baseline", "too few draws to say"}, "four draws"
    curve = learning_curve(
        models | {case.SHOTGUN: Ridge(1.0)}, X, y, (20,), baseline=case.BEST, n_draws=5, progress=False
    )
    compared = pd.concat({"5-fold": judged, "n = 20": curve.loc[20]}, names=["protocol", "method"])
    shown = case.side_by_side(compared)
    assert list(shown.index) == [case.BEST, case.HEAT_ONLY, case.SHOTGUN] and list(
        shown.columns.unique(0)
    ) == ["5-fold", "n = 20"]
    assert (
        shown.loc[case.SHOTGUN, ("5-fold", "MAE")] == "" and shown.loc[case.BEST, ("n = 20", "ratio")] == "1"
    )
    compared = compared.rename(index={case.HEAT_ONLY: case.WITH_GLASS}, level="method")
    text = case.verdict_text(compared)
    assert text.startswith(
        "Heat capacity of polymers, 20 to learn from. "
        "With heat capacities and a glass transition as sources the error is"
    )
    assert text.count(". ") == 2 and text.endswith("no difference shown."), "three sentences, of five draws"


def test_numbers_of_the_verdict_are_those_of_the_table():
    rows = {
        "mae": [24.0, 27.0],
        "ratio": [24 / 27, 1.0],
        "low": [0.76, 1.0],
        "high": [1.02, 1.0],
        "verdict": ["no difference shown", "baseline"],
    }
    compared = pd.concat(
        {"n = 20": pd.DataFrame(rows, index=[case.WITH_GLASS, case.BEST])}, names=["protocol", "method"]
    )
    assert case.said(compared, "n = 20") == (
        "With heat capacities and a glass transition as sources the error is 24 J/(kg K), "
        "with the best direct model "
        "27 J/(kg K): 11 % less (between 24 % less and 2 % more): no difference shown."
    )


def test_demo_has_draws_enough_for_a_verdict():
    assert case.SIZES["demo"].draws >= 8 and case.SIZES["full"].draws >= 20


def test_atoms_per_kilogram_come_first():
    assert Constitution().get_feature_names_out()[0] == "atoms [mol/kg]"


def test_run_refuses_an_unknown_size():
    with pytest.raises(ValueError, match="size must be one of"): case.run("huge")
