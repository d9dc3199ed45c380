"Transfer and validation: scikit-learn's contracts, bad input, and no target row in any source."
import numpy as np
import pandas as pd
import pytest
from fake_source import OfAnyTable
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mltransfer.auditing import seen_by
from mltransfer.heads import BestOfRegressor, MiddleTrees, heads, on, pair, paper_forest, stack
from mltransfer.composition import ElementFractions
from mltransfer.core import Task
from mltransfer.data import load
from mltransfer.molecule import Constitution
from mltransfer.networks import build
from mltransfer.pretraining import join, pretrain
from mltransfer.source import SourceModel
from mltransfer.splits import RepeatedDraws
from mltransfer.training import Schedule
from mltransfer.transfer import FrozenFeatures, RescaledRegressor, ResidualRegressor, SourcePrediction
from mltransfer.validate import compare, evaluate, untrained

few = Schedule(epochs=2)


@pytest.fixture(scope="module")
def target(): return load("polymer_heat_capacity")


@pytest.fixture(scope="module")
def sources(target):
    return pretrain([load("polymer_glass_transition"), load("solid_heat_capacity")], Constitution(),
        n_models=2, exclude=target.groups, schedule=few, progress=False)


@parametrize_with_checks([MiddleTrees(8, random_state=0)])
def test_middle_trees_conform(estimator, check): check(estimator)


def test_middle_trees_are_between_the_trees_and_deaf_to_outliers():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 5)), rng.lognormal(0, 2, 200)
    model = MiddleTrees(40, random_state=0).fit(X, y)
    each = np.stack([t.predict(X.astype(np.float32) + 0.1) for t in model.estimators_])
    said = model.predict(X + 0.1)
    np.testing.assert_allclose(said, np.sort(each, axis=0)[10:30].mean(0))
    assert (said <= np.quantile(each, 0.75, axis=0) + 1e-9).all() and said.mean() < each.mean()
    assert MiddleTrees(8, random_state=0).fit(X, np.c_[y, y]).predict(X).shape == (200, 2)


two_models = {"ridge": Ridge(), "median": DummyRegressor(strategy="median")}
@parametrize_with_checks([BestOfRegressor(two_models, n_splits=2)],
    expected_failed_checks=lambda e: {"check_fit2d_predict1d": "raw inputs are one column: a 1-d X is fine"})
def test_sklearn_contract(estimator, check): check(estimator)


def test_no_target_material_in_any_source(target, sources):
    assert not seen_by(sources, target.groups, "polymer").any()
    glass = load("polymer_glass_transition")
    assert seen_by(sources, glass.groups[~glass.groups.isin(target.groups)],
        "polymer").mean() > 0.8, "what was trained on is on record"


def test_excluded_keys_leave_nothing_behind(target):
    glass = load("polymer_glass_transition")
    X, Y = join([glass], exclude=target.groups)
    assert not set(Y.index) & set(target.groups) and len(X) == len(Y)


@pytest.mark.parametrize("make",
    [lambda s: FrozenFeatures(s), lambda s: FrozenFeatures(s, layers=(0, -1), activation="pre"),
        lambda s: SourcePrediction(s)])
def test_transformers_clone_and_sit_in_pipelines(target, sources, make):
    pipe = make_pipeline(make(sources), Ridge())
    scores = cross_val_score(clone(pipe), target.X[:30], target.y[:30], cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    frame = make(sources).set_output(transform="pandas").fit_transform(target.X[:3])
    assert list(frame.index) == list(target.X.index[:3]) and frame.columns.is_unique


def test_grid_search_over_layers(target, sources):
    search = GridSearchCV(make_pipeline(FrozenFeatures(sources), Ridge()),
        {"frozenfeatures__layers": [(0,), (-1,), ("output",)]}, cv=3)
    assert search.fit(target.X[:30], target.y[:30]).best_params_


@pytest.mark.parametrize("bad, said",
    [(["CC", "C1CC"], "row 1"), (["*CC"], "two open ends"), ([None], "row 0"),
        (pd.Series(["CC", np.nan]), "row 1")])
def test_bad_rows_are_named(sources, bad, said):
    for model in (FrozenFeatures(sources), SourcePrediction(sources)):
        with pytest.raises(ValueError, match=said): model.fit(bad).transform(bad)


def test_bad_targets_are_named(target):
    X = Constitution().fit_transform(target.X)
    best = BestOfRegressor({"ridge": Ridge()})
    for y, said in [(np.r_[np.nan, target.y[1:]], "row 0"), (np.ones(79), "constant")]:
        with pytest.raises(ValueError, match=said): best.fit(X, y)
    with pytest.raises(ValueError, match="at least 5"): best.fit(X[:4], target.y[:4])
    with pytest.raises(ValueError, match="row 0"):
        evaluate({"a": Ridge()}, X, np.r_[np.nan, target.y[1:]], [])


def test_results_do_not_depend_on_workers(target):
    X, y = Constitution().fit_transform(target.X), target.y.to_numpy()
    splits = [[s] for s in RepeatedDraws(40, 3, random_state=1).split(X)]
    best = BestOfRegressor({"ridge": Ridge(), "median": DummyRegressor()})
    methods = {"ridge": heads()["ridge"], "best": best}
    one, two = (evaluate(methods, X, y, splits, n_jobs=n, progress=False) for n in (1, 2))
    assert one.predictions.equals(two.predictions)


def test_every_method_is_tested_on_the_same_rows(target):
    X = Constitution().fit_transform(target.X)
    result = evaluate({"a": Ridge(), "b": DummyRegressor()}, X, target.y,
        [[s] for s in RepeatedDraws(40, 3).split(X)], progress=False)
    a, b = (result.predictions.query("method == @m")["row"].tolist() for m in "ab")
    assert a == b and len(a) == 3 * 39


def noisy_line(seed: int = 0, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    "A target that a line predicts, and that a model may remember."
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [2.0, -1.0, 0.5] + rng.normal(size=n)


def test_best_of_chooses_by_rows_left_out():
    "A model that remembers its rows has no error on them; the inner error is that of rows left out."
    X, y = noisy_line()
    memory, line = KNeighborsRegressor(1), Ridge()
    best = BestOfRegressor({"memory": memory, "line": line}, random_state=3).fit(X, y)
    assert best.chosen_ == ["line"]
    folds = KFold(5, shuffle=True, random_state=3)
    for name, model in (("memory", memory), ("line", line)):
        unseen = cross_val_predict(model, X, y, cv=folds)
        assert best.scores_[name] == pytest.approx(np.abs(unseen - y).mean())
    np.testing.assert_allclose(best.predict(X), line.fit(X, y).predict(X))


def test_best_of_keeps_groups_whole():
    "Twins of a row give it away, unless both stand in one fold."
    X, y = noisy_line()
    twice = np.repeat(np.arange(40), 2)
    both = BestOfRegressor({"memory": KNeighborsRegressor(1), "line": Ridge()})
    assert both.fit(X[twice], y[twice]).chosen_ == ["memory"]
    assert both.fit(X[twice], y[twice], groups=twice).chosen_ == ["line"]
    assert both.fit(X, y, groups=np.arange(40) % 3).chosen_ == ["line"], "three groups are three folds"
    with pytest.raises(ValueError, match="at least 2 groups, got 1"): both.fit(X, y, groups=np.zeros(40))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 4), min_size=10, max_size=30), st.integers(0, 99))
def test_best_of_with_weights_equals_repeated_rows(weights, seed):
    X, y = noisy_line(seed, len(weights))
    rows = np.repeat(np.arange(len(y)), weights)
    line = make_pipeline(StandardScaler(), Ridge())
    both = BestOfRegressor({"line": line, "mean": DummyRegressor()}, average=2)
    weighted = clone(both).fit(X, y, groups=np.arange(len(y)), sample_weight=weights)
    repeated = both.fit(X[rows], y[rows], groups=rows)
    pd.testing.assert_series_equal(weighted.scores_, repeated.scores_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X))
    with pytest.raises(ValueError, match="KNeighborsRegressor takes no sample_weight"):
        BestOfRegressor({"memory": KNeighborsRegressor(1)}).fit(X, y, sample_weight=weights)


def test_null_has_the_shapes_but_not_the_knowledge(target, sources):
    null = untrained(sources, random_state=5)
    assert [n.net.widths for n in null] == [s.net.widths for s in sources]
    assert not seen_by(null, target.groups, "polymer").any()
    assert not np.allclose(null[0].hidden(target.X[:5]), sources[0].hidden(target.X[:5]))


def test_an_even_comparison_is_not_a_gain():
    "A method compared with itself plus noise is hardly called better: 2 of 40 at a nominal 2.5 %."
    rng = np.random.default_rng(0)
    pairs = [(b + rng.normal(scale=5, size=20), b) for b in rng.normal(100, 10, (40, 20))]
    called = [compare(a, b, test_over_train=0.5)["high"] < 1 for a, b in pairs]
    assert sum(called) <= 2


def test_compare_agrees_with_the_ordinary_t_test_without_overlap():
    from scipy import stats
    rng = np.random.default_rng(1)
    a, b = rng.normal(95, 5, 12), rng.normal(100, 5, 12)
    assert compare(a, b, test_over_train=0.0)["p"] == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=0.05)


def test_stack_and_pair_name_their_columns():
    X, block = stack({"a": np.zeros((4, 2)), "b": np.ones((4, 3))})
    assert X.shape == (4, 5) and block == {"a": [0, 1], "b": [2, 3, 4]}
    assert on(block["b"], Ridge()).fit(X, [1, 2, 3, 4]).predict(X).shape == (4,)
    with pytest.raises(KeyError): pair(block, {"c": ["ridge"]})


def of_numbers(seed: int = 0, log: bool = False) -> SourceModel:
    "A source that reads the first column of any table of numbers."
    return OfAnyTable(build((1, 4, 3, 1), random_state=seed), Constitution(), [Task("a", log=log)],
        columns=[0], x_scaling=[[0], [1]],
                       y_scaling=[[0], [1]], seen=np.zeros(0, np.uint64))


on_tables = [FrozenFeatures([of_numbers(0), of_numbers(1)], layers="all", n_units=5),
    SourcePrediction(of_numbers()), RescaledRegressor(of_numbers()), ResidualRegressor(of_numbers(), Ridge())]
RAW = "what is not a 2-d array or frame is raw input, which the featurizer refuses in its own words"


@parametrize_with_checks(on_tables, expected_failed_checks=lambda e: {
    "check_transformer_data_not_an_array": RAW, "check_regressor_data_not_an_array": RAW,
    "check_regressors_train": RAW, "check_fit2d_predict1d": RAW, "check_sample_weights_not_an_array": RAW,
    "check_sample_weight_equivalence_on_dense_data": "leave-one-out takes a weighted row with all copies",
    "check_transformer_preserve_dtypes": "activations are float32, as the networks are",
    "check_methods_subset_invariance": "networks round in float32, batches of other sizes otherwise"})
def test_sklearn_contract_on_tables(estimator, check): check(estimator)


def test_a_subset_of_units_is_the_same_every_time(sources):
    X = ["CC", "CCO", "c1ccccc1"]
    every = FrozenFeatures(sources, layers="all").fit_transform(X)
    some = FrozenFeatures(sources, layers="all", n_units=7, random_state=3).fit(X)
    assert np.array_equal(some.transform(X), every[:, some.units_])
    assert np.array_equal(clone(some).fit(X).units_, some.units_)
    assert set(some.get_feature_names_out()) < set(FrozenFeatures(sources,
        layers="all").fit(X).get_feature_names_out())
    assert not np.array_equal(some.units_, clone(some).set_params(random_state=4).fit(X).units_)


def test_many_sources_fill_one_table():
    "Besides the result itself, no second copy of it is held."
    import tracemalloc
    many = FrozenFeatures([of_numbers(k) for k in range(50)], layers="all")
    X = np.random.default_rng(0).normal(size=(5000, 1))
    many.fit(X)
    tracemalloc.start()
    size = many.transform(X).nbytes
    assert tracemalloc.get_traced_memory()[1] < 1.3 * size
    tracemalloc.stop()


def test_an_unfitted_rescaled_source_is_the_source():
    source, X = of_numbers(log=True), np.linspace(-2, 2, 30)[:, None]
    assert np.allclose(RescaledRegressor(source).predict(X), source.predict(X)[:, 0])
    y = 3 * source.predict(X)[:, 0] ** 1.5
    assert np.allclose(RescaledRegressor(source).fit(X, y).predict(X), y,
        rtol=1e-4), "a power law is a line in the logarithm"
    assert np.allclose(ResidualRegressor(source, Ridge()).fit(X, y).predict(X), y, rtol=1e-4)
    with pytest.raises(ValueError, match="row 2: -1.0: not positive"):
        RescaledRegressor(source).fit(X[:3], [1, 2, -1])


def test_a_refitted_line_forgets_the_first():
    source, X = of_numbers(), np.linspace(-2, 2, 30)[:, None]
    model = RescaledRegressor(source).fit(X, np.sin(X[:, 0]))
    again = RescaledRegressor(source).fit(X, X[:, 0])
    assert np.array_equal(model.fit(X, X[:, 0]).predict(X), again.predict(X))


@settings(max_examples=8)
@given(st.lists(st.integers(0, 3), min_size=8, max_size=14).filter(lambda w: sum(map(bool, w)) > 3),
    st.integers(0, 99))
def test_a_weighted_line_is_that_of_copies_left_out_together(weights, seed):
    source, rng = of_numbers(), np.random.default_rng(seed)
    X = rng.normal(size=(len(weights), 1))
    y = 2 * source.predict(X)[:, 0] + 0.1 * rng.normal(size=len(X))
    rows = np.repeat(np.arange(len(X)), weights)
    said = RescaledRegressor(source).predict(X[rows])[:, None]
    Z, missed = StandardScaler().fit_transform(said), y[rows] - said[:, 0]
    def left_out(alpha):
        return sum(((missed - Ridge(alpha).fit(Z[rows != r], missed[rows != r]).predict(Z))[rows
            == r] ** 2).sum() for r in set(rows))
    best = min(np.logspace(-6, 3, 19), key=left_out)
    line = RescaledRegressor(source).fit(X, y, sample_weight=weights)
    assert line.line_[-1].alpha_ == pytest.approx(best)
    np.testing.assert_allclose(line.predict(X[rows]), said[:, 0] + Ridge(best).fit(Z, missed).predict(Z),
        rtol=1e-6)
    head = ResidualRegressor(source, Ridge()).fit(X, y, sample_weight=weights)
    copies = Ridge().fit(X[rows], y[rows] - line.predict(X[rows]))
    np.testing.assert_allclose(head.predict(X), line.predict(X) + copies.predict(X), rtol=1e-6)


def test_weights_of_a_residual_are_not_ignored_in_silence():
    X = np.linspace(-2, 2, 12)[:, None]
    with pytest.raises(ValueError, match="KNeighborsRegressor takes no sample_weight"):
        ResidualRegressor(of_numbers(), KNeighborsRegressor()).fit(X, X[:, 0], sample_weight=np.ones(12))
    with pytest.raises(ValueError, match="row 2: -1.0"):
        RescaledRegressor(of_numbers()).fit(X, X[:, 0], sample_weight=[1, 1, -1, *[1] * 9])


def test_many_rows_are_read_in_blocks(monkeypatch):
    "Blocks change nothing; bad rows keep their positions, also beyond the first block."
    from mltransfer import transfer
    liquids = load("liquid_heat_capacity")
    sources = pretrain([liquids], Constitution(), n_models=2, schedule=few, progress=False)
    models = [FrozenFeatures(sources, layers="all", n_units=9), SourcePrediction(sources)]
    whole = [m.fit(liquids.X).transform(liquids.X) for m in models]
    line = RescaledRegressor(sources).fit(liquids.X, liquids.y)
    predicted = line.predict(liquids.X)
    sizes = []
    one = transfer.describe_each
    monkeypatch.setattr(transfer, "ROWS", 50)
    monkeypatch.setattr(transfer, "describe_each", lambda s, X: sizes.append(len(X)) or one(s, X))
    for m, expected in zip(models, whole):
        np.testing.assert_allclose(m.transform(liquids.X), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(line.predict(s for s in liquids.X), predicted, rtol=1e-4)
    assert max(sizes) == 50
    bad = [*liquids.X[:120], "C1CC", *liquids.X[:60], "CC(C"]
    for m in (*models, line):
        with pytest.raises(ValueError, match="2 of 182 rows(.|\n)*row 120: 'C1CC'(.|\n)*row 181: 'CC\\(C'"):
            getattr(m, "transform", m.predict if m is line else None)(bad)


def test_mappings_compositions_and_frames_are_rows():
    from pymatgen.core import Composition
    formulas = load("lattice_thermal_conductivity").X[:30]
    y = np.log(load("lattice_thermal_conductivity").y[:30].to_numpy())
    source = pretrain([load("lattice_thermal_conductivity")], ElementFractions(), schedule=few,
        progress=False)[0]
    rows = [Composition(f) for f in formulas]
    spelt = [list(formulas), rows, [dict(c.get_el_amt_dict()) for c in rows],
        pd.DataFrame({"formula": formulas})]
    for model in (FrozenFeatures(source), SourcePrediction(source), RescaledRegressor(source),
            ResidualRegressor(source, make_pipeline(ElementFractions(), Ridge()))):
        found = [getattr(fitted := clone(model).fit(X, np.exp(y)), "transform",
            fitted.predict if hasattr(fitted, "predict") else None)(X) for X in spelt]
        for other in found[1:]: np.testing.assert_allclose(other, found[0], rtol=1e-5)
    with pytest.raises(ValueError, match="got one dict"): FrozenFeatures(source).fit({"Na": 1, "Cl": 1})


def test_residual_takes_any_head_and_raw_inputs(target, sources):
    head = make_pipeline(Constitution(), Ridge())
    scores = cross_val_score(ResidualRegressor(sources, head, task=1), target.X[:30], target.y[:30], cv=3,
        error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("make, said", [
    (lambda s: FrozenFeatures(s, layers="last"), "a sequence such as"),
    (lambda s: FrozenFeatures(s, layers=(9,)), "there is no layer 9"),
    (lambda s: FrozenFeatures(s, activation="both"), "activation must be"),
    (lambda s: FrozenFeatures(s, n_units=0), "n_units=0"),
    (lambda s: RescaledRegressor(s, task=2), "position from 0 to 1"),
    (lambda s: RescaledRegressor([]), "sources is empty"),
    (lambda s: ResidualRegressor("best", Ridge()), "must be SourceModel")])
def test_bad_options_are_named(target, sources, make, said):
    with pytest.raises(ValueError, match=said): make(sources).fit(target.X[:20], target.y[:20])


def test_kernel_head_and_logarithms_inside(target):
    X, y = Constitution().fit_transform(target.X), target.y.to_numpy()
    for log in (False, True):
        for name, head in heads(log=log).items():
            assert np.isfinite(clone(head).fit(X[:40], y[:40]).predict(X[40:])).all(), name
    block = {"groups": list(range(X.shape[1]))}
    plan = {"groups": ["kernel"]}
    logged = pair(block, plan, log=True)["groups, kernel"].fit(X[:40], y[:40])
    by_hand = pair(block, plan)["groups, kernel"].fit(X[:40], np.log10(y[:40]))
    assert np.allclose(np.log10(logged.predict(X)), by_hand.predict(X))


def test_paper_forest_is_drawn_by_its_seed():
    params = [paper_forest(1, 19, random_state=k).get_params() for k in (0, 0, 1)]
    assert params[0] == params[1] != params[2] and 10 <= params[0]["n_estimators"] <= 19
    assert paper_forest(1, 1).n_estimators == 1
    with pytest.raises(ValueError, match="n_samples"): paper_forest(1, 0)


def test_a_choice_of_no_model_is_refused():
    with pytest.raises(ValueError, match="average must be at least 1"):
        BestOfRegressor({"a": Ridge()}, average=0).fit(np.eye(6), np.arange(6.0))
