"Rankings do not depend on spelling, order or units; the null is level; memory is flat; bad input is named."
import threading
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_union

from mltransfer.core import Task
from mltransfer.library import Library
from mltransfer.fingerprints import MorganFingerprint
from mltransfer.molecule import Constitution
from mltransfer.networks import build, random_pyramid
from mltransfer.rank import DescriptorTables, expected_best, rank, read_layers, untrained_like
from mltransfer.estimator_source import EstimatorSource
from mltransfer.source import SourceModel, model_id

featurizer = Constitution()
N_COLUMNS = len(featurizer.get_feature_names_out())
SMILES = ["C" * k + end for k in range(1, 9) for end in ("O", "N", "C(=O)O", "F", "Cl")]


def source(seed: int, *, n_out: int = 1, depth: tuple[int, int] = (2, 3), features=featurizer) -> SourceModel:
    "A network with initial weights on all descriptors."
    n = len(features.get_feature_names_out())
    net = build(random_pyramid(n, n_out, depth=depth, random_state=seed), random_state=seed)
    tasks = [Task(f"p{j}") for j in range(n_out)]
    return SourceModel(net, features, tasks, columns=np.arange(n), x_scaling=np.tile([[0.0], [1.0]], n),
        y_scaling=np.tile([[0.0], [1.0]], n_out), seen=np.array([], np.uint64))


@pytest.fixture(scope="module")
def X(): return featurizer.fit_transform(SMILES)


@pytest.fixture(scope="module")
def y():
    return np.array([len(s) + (s[-1] == "l") for s in SMILES],
        float) + np.random.default_rng(0).normal(scale=0.1, size=len(SMILES))


def test_layers_are_those_of_the_source(X):
    sources = [source(0), source(1, n_out=3), source(2)]
    for i, layer, values in read_layers(sources, DescriptorTables(X)):
        np.testing.assert_allclose(values, sources[i].hidden(X, layer), rtol=1e-5, atol=1e-6)
    assert {l for i, l, _ in read_layers(sources, DescriptorTables(X), (-1, 2)) if i == 0} <= {-1, 2}


def test_raw_inputs_and_their_table_give_the_same_ranking(X, y):
    sources = [source(i) for i in range(4)]
    raw, table = rank(sources, SMILES, y), rank(sources, X, y)
    pd.testing.assert_frame_equal(raw, table)
    shuffled = np.random.default_rng(0).permutation(len(y))
    pd.testing.assert_frame_equal(rank(sources, X[shuffled], y[shuffled]), table, rtol=1e-4)


def test_units_of_the_target_do_not_matter(X, y):
    sources = [source(i) for i in range(4)]
    one, thousand = rank(sources, X, y), rank(sources, X, 1000 * y - 5)
    np.testing.assert_allclose(thousand["mae"], 1000 * one["mae"], rtol=1e-6)
    np.testing.assert_allclose(thousand[["ratio", "logme"]], one[["ratio", "logme"]], rtol=1e-6)


def test_a_library_and_its_models_rank_alike(tmp_path, X, y):
    sources = [source(i) for i in range(5)]
    library = Library(tmp_path)
    ids = library.add(sources)
    a, b = rank(library, X, y, n_null=0), rank(sources, X, y, n_null=0)
    named = b.assign(source=[model_id(sources[int(s)]) if k == "source" else s for k,
        s in zip(b["kind"], b["source"])])
    pd.testing.assert_frame_equal(a, named, check_dtype=False)
    some = rank(library, X, y, ids=[ids[3], ids[3], ids[0]])
    assert set(some.query("kind == 'source'")["source"]) == {ids[0], ids[3]}


def test_mixed_descriptors_need_raw_inputs(X, y):
    mixed = [source(0), source(1, features=make_union(Constitution(), MorganFingerprint(32)))]
    table = rank(mixed, SMILES, y)
    assert (table["kind"] == "direct").sum() == 2
    with pytest.raises(ValueError, match="read different ones|has 28 descriptors|featurizer of"):
        rank(mixed, X, y)


def test_a_forest_takes_part_with_its_predictions(X, y):
    forest = RandomForestRegressor(5, random_state=0).fit(X, y)
    s = EstimatorSource(forest, featurizer, [Task("p")], columns=np.arange(N_COLUMNS),
        x_scaling=np.tile([[0.0], [1.0]], N_COLUMNS),
                        y_scaling=np.array([[0.0], [1.0]]), seen=np.array([], np.uint64))
    table = rank([s, source(0)], X, y)
    assert list(table.query("kind == 'source' and source == 0")["layer"]) == ["output"]
    assert "best of 1" in set(table["source"]), "there is no untrained forest"
    assert set(rank([s], X, y)["kind"]) == {"source", "direct"}


def test_untrained_sources_are_no_better_than_the_null(X, y):
    "The search is level: networks that know nothing win against as many nulls half of the time."
    wins = 0
    for k in range(20):
        table = rank([source(1000 * k + i) for i in range(5)], X[:20], y[:20], random_state=k)
        kinds = [kind for kind in table["kind"].iloc[:2] if kind != "direct"]
        wins += kinds[0] == "source"
    assert 4 <= wins <= 16


def test_the_null_is_small_and_repeatable(X, y):
    sources = [source(i) for i in range(6)]
    table = rank(sources, X, y, n_null=3)
    assert {"best of 3", "median of 3", "best of any 3"} <= set(table["source"])
    pd.testing.assert_frame_equal(table, rank(sources, X, y, n_null=3))
    assert not np.allclose(untrained_like(sources[0], 7).hidden(X), sources[0].hidden(X))


@settings(max_examples=30)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.data())
def test_expected_best_is_the_mean_over_all_choices(errors, data):
    from itertools import combinations
    m = data.draw(st.integers(1, len(errors)))
    assert expected_best(errors, m) == pytest.approx(np.mean([min(c) for c in combinations(errors, m)]))


def test_memory_does_not_grow_with_the_number_of_sources(X, y):
    sources = [source(i) for i in range(20)]
    def peak(times: int) -> int:
        tracemalloc.start()
        rank(sources * times, X, y, n_null=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found
    peak(1)
    assert peak(30) < 2 * peak(5)


@pytest.mark.parametrize("X_, y_, said", [
    (lambda X: X[:, :5], None, "X has 5 descriptors"),
    (lambda X: np.where(np.arange(len(X))[:, None] == 2, np.nan, X), None, "row 2"),
    (lambda X: SMILES[:-1] + ["C1CC"], None, "^1 of 40 rows(.|\n)*row 39"),
    (None, lambda y: np.r_[y[:-1], np.nan], "row 39"), (None, np.ones_like, "constant"),
    (lambda X: X[:3], lambda y: y[:3], "need at least 5"), (None, lambda y: y[:-1], "40 rows, but y has 39"),
    (lambda X: ["Fe2O3"] * 40, None, "^40 of 40 rows(.|\n)*X does not fit a source"),
    (lambda X: [], None, "X has no rows"),
])
def test_bad_input_is_named(X, y, X_, y_, said):
    with pytest.raises(ValueError, match=said): rank([source(0)], X_(X) if X_ else X, y_(y) if y_ else y)


@pytest.mark.parametrize("sources, options, said", [
    ([], {}, "no sources"), ([3], {}, "must be SourceModel, got int"),
    ([source(0)], {"ids": ["a"]}, "not a Library"), ([source(0)], {"layers": (9,)}, "has a layer"),
])
def test_bad_sources_are_named(X, y, sources, options, said):
    with pytest.raises(ValueError, match=said): rank(sources, X, y, **options)


def test_ranking_in_threads(X, y):
    "Threads do not disturb each other."
    sources, found = [source(i) for i in range(4)], []
    threads = [threading.Thread(target=lambda: found.append(rank(sources, X, y, n_null=0))) for _ in range(3)]
    for t in threads: t.start()
    for t in threads: t.join()
    for f in found[1:]: pd.testing.assert_frame_equal(f, found[0])
