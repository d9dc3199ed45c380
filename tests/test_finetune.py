"Fine-tuning: scikit-learn's contract, determinism, no row lost, nothing left behind in torch."
import numpy as np
import pytest
import torch
from fake_source import OfAnyTable
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from mltransfer.composition import ElementFractions
from mltransfer.core import Task
from mltransfer.finetune import FineTune
from mltransfer.molecule import Constitution
from mltransfer.networks import build_network
from mltransfer.estimator_source import EstimatorSource
from mltransfer.source import SourceModel
from mltransfer.training import Schedule
from mltransfer.transfer import FrozenFeatures, RescaledRegressor, SourcePrediction

few = Schedule(epochs=3)
RAW = "what is not a 2-d array or frame is raw input, which the featurizer refuses in its own words"


def of_numbers(kind: str = "MLP", n_in: int = 1, n_tasks: int = 1, dropout: float = 0.0) -> SourceModel:
    "An untrained source that reads the first columns of any table of numbers."
    net = build_network({"name": kind, "widths": [n_in, 8, 8, n_tasks], "activation": "gelu",
        "dropout": dropout})
    return OfAnyTable(net, Constitution(), [Task(f"task {k}") for k in range(n_tasks)],
        columns=np.arange(n_in), x_scaling=[[0] * n_in, [1] * n_in],
                       y_scaling=[[0] * n_tasks, [1] * n_tasks], seen=np.zeros(0, np.uint64))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    return X, (np.tanh(X[:, 0]) + 0.5 * X[:, 1] + 3).astype(float)


@parametrize_with_checks([FineTune(of_numbers(), schedule=few, n_splits=2, n_repeats=1)],
    expected_failed_checks=lambda e: {
    "check_regressor_data_not_an_array": RAW, "check_regressors_train": RAW, "check_fit2d_predict1d": RAW,
    "check_sample_weights_not_an_array": RAW,
    "check_sample_weight_equivalence_on_dense_data": "copies fall into several folds; see below",
    "check_parameters_default_constructible": "the default schedule is a frozen dataclass, a plain value",
    "check_methods_subset_invariance": "networks round in float32, batches of other sizes otherwise"})
def test_sklearn_contract(estimator, check): check(estimator)


@pytest.mark.parametrize("kind", ["MLP", "ResidualMLP", "MultiTaskEncoder"])
@pytest.mark.parametrize("keep", [None, 1])
@pytest.mark.parametrize("unfrozen", ["gradual", "all", 2])
def test_every_network_learns(data, kind, keep, unfrozen):
    X, y = data
    source = of_numbers(kind, 3, 2, dropout=0.1)
    model = FineTune(source, keep=keep, unfrozen=unfrozen, schedule=Schedule(learning_rate=0.02)).fit(X, y)
    assert np.abs(model.predict(X) - y).mean() < 0.5 * np.abs(y - y.mean()).mean()
    still = {k for k, d in model.members_.moved.items() if not d.any()}
    below = {k for k in still if k.startswith(("layers.0", "norms.0"))}
    assert bool(below) == (unfrozen == 2), "only what is frozen stays"


def test_same_seed_same_numbers_and_nothing_left_behind(data):
    X, y = data
    source = of_numbers("ResidualMLP", 3, dropout=0.2)
    before = {k: v.clone() for k, v in source.net.state_dict().items()}
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    one = FineTune(source, schedule=few).fit(X, y)
    torch.rand(3)
    two = clone(one).fit(X, y)
    assert np.array_equal(one.predict(X), two.predict(X))
    assert not np.array_equal(one.predict(X), clone(one).set_params(random_state=1).fit(X, y).predict(X))
    assert torch.get_num_threads() == threads and source.net.training is False
    torch.random.set_rng_state(state)
    FineTune(source, schedule=few).fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in source.net.state_dict().items())


def test_threads_are_restored_after_an_error(data, monkeypatch):
    from mltransfer import finetune
    X, y = data
    threads = torch.get_num_threads()
    def fail(*ignored): raise RuntimeError("broken")
    monkeypatch.setattr(finetune._Members, "train", fail)
    with pytest.raises(RuntimeError, match="broken"): FineTune(of_numbers(n_in=3)).fit(X, y)
    assert torch.get_num_threads() == threads


def test_every_row_is_learnt_from(data):
    "Changing any one label changes the predictions."
    X, y = data
    model = FineTune(of_numbers(n_in=3), schedule=few, n_repeats=1)
    found = clone(model).fit(X, y).predict(X)
    for row in (0, 17, 39):
        other = y.copy(); other[row] += 5
        assert not np.allclose(clone(model).fit(X, other).predict(X), found)


def test_noise_is_not_learnt_by_heart(data):
    "Members stop on rows that they do not learn: of a target without any law, they keep the mean."
    X, _ = data
    y = np.random.default_rng(1).normal(size=40)
    model = FineTune(of_numbers(n_in=3), unfrozen="all",
        schedule=Schedule(epochs=300, learning_rate=0.02, weight_decay=0, patience=300))
    assert np.abs(model.fit(X, y).predict(X) - y).mean() > 0.8 * np.abs(y - y.mean()).mean()


@settings(max_examples=6)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=20).filter(lambda w: sum(map(bool, w)) > 6),
    st.integers(0, 99), st.sampled_from([None, 0]))
def test_weights_equal_repeated_rows_of_one_group(weights, seed, keep):
    "With whole batches; smaller ones tear copies apart."
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(len(weights), 3)).astype(np.float32)
    y, rows = X[:, 0] + 0.3 * rng.normal(size=len(X)), np.repeat(np.arange(len(weights)), weights)
    model = FineTune(of_numbers(n_in=3), keep=keep, schedule=Schedule(epochs=20, learning_rate=0.01),
        n_splits=3, random_state=seed)
    weighted = clone(model).fit(X, y, groups=np.arange(len(y)), sample_weight=weights)
    repeated = clone(model).fit(X[rows], y[rows], groups=rows)
    np.testing.assert_allclose(weighted.scaling_, repeated.scaling_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=2e-3 * y.std())
    assert not np.allclose(weighted.predict(X), clone(model).fit(X, y, groups=np.arange(len(y))).predict(X),
        atol=2e-3 * y.std()) or len(set(weights)) == 1


def test_groups_stay_whole(data):
    "Twins in one fold cannot tell a member when it remembers well."
    X, _ = data
    y, twice = np.random.default_rng(1).normal(size=40), np.repeat(np.arange(40), 2)
    model = FineTune(of_numbers(n_in=3), unfrozen="all",
        schedule=Schedule(epochs=300, learning_rate=0.02, weight_decay=0, patience=300))
    kept, torn = (np.abs(clone(model).fit(X[twice], y[twice], groups=g).predict(X) - y).mean()
        for g in (twice, None))
    assert kept > 0.8 * np.abs(y - y.mean()).mean() > torn
    assert len(clone(model).set_params(schedule=few).fit(X, y,
        groups=np.arange(40) % 3).members_.moved["layers.0.weight"]) == 6, "three groups are three folds"
    with pytest.raises(ValueError, match="at least 2 groups, got 1"): model.fit(X, y, groups=np.zeros(40))


def test_mappings_compositions_and_frames_are_rows():
    import pandas as pd
    from pymatgen.core import Composition
    formulas = ["NaCl", "MgO", "Fe2O3", "TiO2", "SiO2", "GaAs", "ZnS", "CaF2", "LiF", "KBr"]
    source = SourceModel(build_network({"name": "MLP",
        "widths": [len(ElementFractions().get_feature_names_out()), 8, 1]}), ElementFractions(),
        [Task("a", kind="composition")],
                         columns=np.arange(len(ElementFractions().get_feature_names_out())),
                         x_scaling=np.tile([[0.0], [1.0]], len(ElementFractions().get_feature_names_out())),
                         y_scaling=[[0], [1]], seen=np.zeros(0, np.uint64))
    y, rows = np.arange(10.0), [Composition(f) for f in formulas]
    spelt = [formulas, rows, [dict(c.get_el_amt_dict()) for c in rows], pd.DataFrame({"formula": formulas}),
        pd.Series(formulas, index=range(5, 15))]
    found = [FineTune(source, schedule=few).fit(X, y).predict(X) for X in spelt]
    for other in found[1:]: np.testing.assert_allclose(other, found[0], rtol=1e-5)


def test_monomers_are_not_taken_for_repeat_units():
    n = len(Constitution().get_feature_names_out())
    source = SourceModel(build_network({"name": "MLP", "widths": [n, 8, 1]}), Constitution(),
        [Task("a", kind="polymer")], columns=np.arange(n),
                         x_scaling=np.tile([[0.0], [1.0]], n), y_scaling=[[0], [1]],
                         seen=np.zeros(0, np.uint64))
    units = ["*CC*", "*CC(*)C", "*CC(*)c1ccccc1", "*CCO*", "*CC(*)Cl", "*CC(*)F"]
    model = FineTune(source, schedule=few).fit(units, np.arange(6.0))
    for model_ in (model, FrozenFeatures(source).fit(units), SourcePrediction(source).fit(units),
            RescaledRegressor(source).fit(units, np.arange(6.0))):
        read = getattr(model_, "transform", getattr(model_, "predict", None))
        with pytest.raises(ValueError,
                match="1 of 2 rows cannot be used as a polymer(.|\n)*row 1: 'C=C': has no open ends"):
            read(["*CC*", "C=C"])
        with pytest.raises(ValueError, match="row 0: 'C=C'"): model_.fit(["C=C", *units[1:]], np.arange(6.0))


def test_more_pull_less_distance(data):
    X, y = data
    source = of_numbers(n_in=3)
    def distance(**options):
        return sum(d.square().sum().item()
            for d in FineTune(source, unfrozen="all", **options).fit(X, y).members_.moved.values())
    free, pulled = (distance(schedule=Schedule(learning_rate=0.01, weight_decay=w)) for w in (0, 50))
    assert pulled < free


def test_lower_layers_take_smaller_steps(data):
    X, y = data
    one = Schedule(epochs=1, learning_rate=0.01, weight_decay=0)
    def first(decay):
        model = FineTune(of_numbers(n_in=3), keep=0, unfrozen="all", decay=decay, schedule=one).fit(X, y)
        first = "layers.0.weight"
        return (model.members_.steps[first] * model.members_.moved[first]).abs().max().item()
    assert first(0.1) < 0.05 * first(1.0)


def test_works_with_scikit_learn(data):
    X, y = data
    model = FineTune(of_numbers(n_in=3), schedule=few, n_splits=2, n_repeats=1)
    search = GridSearchCV(model, {"unfrozen": ["gradual", "all", 1], "keep": [None, 0]}, cv=2,
        error_score="raise").fit(X, y)
    assert set(search.best_params_) == {"unfrozen", "keep"}
    logged = TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp)
    assert np.isfinite(cross_val_score(logged, X, y, cv=2, error_score="raise")).all()


def test_ten_rows_and_the_unit_of_the_target(data):
    X, y = data
    small = FineTune(of_numbers(n_in=3), schedule=few).fit(X[:10], y[:10]).predict(X)
    large = FineTune(of_numbers(n_in=3), schedule=few).fit(X[:10], 1e6 * y[:10] - 1e7).predict(X)
    assert np.allclose(large, 1e6 * small - 1e7, rtol=1e-4)


@pytest.mark.parametrize("options, said",
    [({"keep": 1}, "position from 0 to 0"), ({"unfrozen": 9}, "from 1 to 3, got 9"),
        ({"unfrozen": "some"}, "got 'some'"),
    ({"unfrozen": True}, "got True"), ({"decay": 2}, "at most 1, got 2"), ({"n_splits": 1}, "n_splits=1"),
    ({"n_repeats": 0}, "n_repeats=0")])
def test_bad_options_are_named(data, options, said):
    with pytest.raises(ValueError, match=said): FineTune(of_numbers(n_in=3), **options).fit(*data)


def test_bad_sources_and_rows_are_named(data):
    from sklearn.linear_model import Ridge
    X, y = data
    ridge = EstimatorSource(Ridge().fit(X, y), Constitution(), [Task("a")], columns=np.arange(3),
        x_scaling=[[0] * 3, [1] * 3], y_scaling=[[0], [1]], seen=np.zeros(0, np.uint64))
    for source, said in ((ridge, "Ridge has no weights"), ([of_numbers()], "one SourceModel, got list"),
            (None, "got NoneType")):
        with pytest.raises(ValueError, match=said): FineTune(source).fit(X, y)
    model = FineTune(of_numbers(n_in=3))
    for bad, said in ((np.ones(40), "constant"), (np.r_[np.nan, y[1:]], "row 0"),
            (y[:39], "inconsistent|X has 40 rows"), (None, "requires y")):
        with pytest.raises(ValueError, match=said): model.fit(X, bad)
    with pytest.raises(ValueError, match="need at least 5"): model.fit(X[:4], y[:4])
    with pytest.raises(ValueError, match="NaN"): model.fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(ValueError, match="row 1: 'C1'"): model.fit(["CC", "C1"], y[:2])
