"The same seed gives the same networks: alone, in threads, in processes and on a cluster of workers."
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import parallel_config

from mltransfer.core import Task
from mltransfer.data import load
from mltransfer.finetune import FineTune
from mltransfer.molecule import Constitution
from mltransfer.networks import ResidualMLP, build_network, random_spec
from mltransfer.pretraining import pretrain
from mltransfer.rank import rank, untrained_like
from mltransfer.source import SourceModel
from mltransfer.training import Schedule, train

N = 8


@pytest.fixture(scope="module")
def liquid(): return load("liquid_heat_capacity").where(np.arange(len(load("liquid_heat_capacity"))) < 200)


def learn(data, recipe="yamada-1", n_jobs=1, **how):
    return pretrain([data], Constitution(), recipe=recipe, n_models=N, n_jobs=n_jobs, progress=False,
                    schedule=Schedule(epochs=3), **how)


@pytest.fixture(scope="module")
def alone(liquid): return learn(liquid)


def same(a, b):
    "Whether two lists of sources hold the same networks, bit by bit."
    pairs = [(p, q) for s, t in zip(a, b, strict=True) for p,
        q in zip(s.net.parameters(), t.net.parameters())]
    return all(torch.equal(p, q) for p, q in pairs)


def test_a_backend_of_threads_does_not_change_what_is_learnt(liquid, alone):
    with parallel_config("threading"): assert same(alone, learn(liquid, n_jobs=4))


def test_runs_beside_each_other_learn_the_same(liquid, alone):
    with ThreadPoolExecutor(4) as pool: runs = list(pool.map(lambda _: learn(liquid), range(4)))
    assert all(same(alone, run) for run in runs)


def test_a_cluster_of_workers_with_two_threads_learns_the_same(liquid, alone):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, processes=False,
            dashboard_address=None) as cluster:
        with distributed.Client(cluster), parallel_config("dask"): assert same(alone, learn(liquid, n_jobs=4))


@pytest.mark.parametrize("recipe", ["residual", "encoder", "elemnet"])
def test_first_weights_and_dropout_are_drawn_locally(recipe):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 12)).astype(np.float32), rng.normal(size=(60, 2)).astype(np.float32)
    spec = random_spec(recipe, 12, 2, hidden=(16, 16, 16))

    def run(seed):
        net = build_network({**spec, "dropout": 0.3}, random_state=seed)
        return train(net, X, Y, np.arange(40), np.arange(40, 60), Schedule(epochs=4, batch_size=8),
            random_state=seed)

    once = [run(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool: assert list(pool.map(run, range(6))) == once
    assert len({tuple(h) for h in once}) == 6, "and another seed is another network"


def test_the_global_generator_is_left_alone(liquid):
    before = torch.get_rng_state()
    source = learn(liquid)[0]
    rank([source], liquid.X[:30], liquid.y[:30])
    FineTune(source, n_splits=2, n_repeats=1, schedule=Schedule(epochs=2)).fit(liquid.X[:30], liquid.y[:30])
    assert torch.equal(before, torch.get_rng_state())


def test_untrained_twins_and_rankings_are_the_same_in_threads(liquid, alone):
    def nulls(_): return rank(alone, list(liquid.X[:40]), liquid.y[:40].to_numpy(), random_state=1)
    with ThreadPoolExecutor(3) as pool: first, *others = pool.map(nulls, range(3))
    assert all(first.equals(t) for t in others) and first.equals(nulls(0))
    with ThreadPoolExecutor(8) as pool:
        twins = list(pool.map(lambda i: untrained_like(alone[0], i), range(40)))
    assert same(twins, [untrained_like(alone[0], i) for i in range(40)])


def test_fine_tuning_is_the_same_in_threads(liquid):
    n = Constitution().fit_transform(["C"]).shape[1]
    source = SourceModel(ResidualMLP([n, 12, 12, 1], "gelu", 0.2, torch.Generator().manual_seed(0)),
        Constitution(), [Task("a")],
                         columns=np.arange(n), x_scaling=np.tile([[0.0], [1.0]], n),
                         y_scaling=np.array([[0.0], [1.0]]), seen=np.array([], np.uint64))
    X, y = list(liquid.X[:40]), liquid.y[:40].to_numpy()

    def run(seed):
        model = FineTune(source, n_splits=2, n_repeats=1, schedule=Schedule(epochs=4), random_state=seed)
        return model.fit(X, y).predict(X)

    once = [run(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool: together = list(pool.map(run, range(4)))
    np.testing.assert_array_equal(together, once)
