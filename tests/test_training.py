"Training: stacks learn what their members learn alone, a killed run goes on, a cluster loses nothing."
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from joblib import parallel_config

from mltransfer.core import seeds
from mltransfer.networks import MLP, ResidualMLP, build, random_spec
from mltransfer.training import (
    Schedule, _captured, _forward, _jobs, _orders, _pad_columns, _read_job, _see, _stack, _write_job, masked_loss, train, train_many, train_stack,
)

quick = settings(max_examples=25)
CPU = torch.device("cpu")


def data(n=260, d=12, n_tasks=2, missing=0.4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    Y = np.stack([np.sin(X[:, j] + X[:, j + 1]) for j in range(n_tasks)], axis=1).astype(np.float32)
    Y[rng.random(Y.shape) < missing] = np.nan
    return X, Y, np.arange(n - 60), np.arange(n - 60, n)


def same(a, b): return all(torch.equal(p, q) for (m, _), (n, _) in zip(a, b, strict=True) for p, q in zip(m.parameters(), n.parameters()))


# --- one network

def test_the_default_path_is_train_with_a_seeded_network():
    task, widths = data(), [(12, 20, 8, 2), (12, 9, 2)]
    many = train_many(widths, *task, Schedule(epochs=5), random_state=7, progress=False)
    for (net, error), w, seed in zip(many, widths, seeds(7, 2)):
        alone = build(w, random_state=seed)
        assert min(train(alone, *task, Schedule(epochs=5), random_state=seed)) == error
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), alone.parameters()))


@quick
@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 4), st.sampled_from(["mae", "mse", "huber"]), st.integers(0, 99))
def test_the_loss_of_a_stack_is_the_loss_of_each(k, n, t, loss, seed):
    g = torch.Generator().manual_seed(seed)
    found, label = torch.randn(k, n, t, generator=g), torch.randn(n, t, generator=g)
    label[torch.rand(n, t, generator=g) < 0.5] = torch.nan
    each = torch.stack([masked_loss(f, label, loss) for f in found])
    torch.testing.assert_close(masked_loss(found, label, loss), each)


# --- stacks

def test_a_stack_predicts_what_its_members_predict():
    nets, x = [build(w, random_state=i) for i, w in enumerate([(12, 20, 8, 2), (12, 9, 9, 2)])], torch.randn(30, 12)
    for net, found in zip(nets, _forward(_stack(nets, CPU), x)): torch.testing.assert_close(found, net(x))


def test_every_network_keeps_the_order_of_rows_that_train_gives_it():
    epochs = _orders([3, 4], n=11, n_steps=3)
    first, second = next(epochs), next(epochs)
    for k, seed in enumerate([3, 4]):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for epoch in (first, second):
                for ours, theirs in zip(epoch[:, k], torch.randperm(11).tensor_split(3), strict=True):
                    assert ours[ours < 11].tolist() == theirs.tolist()


def test_padded_columns_see_an_empty_one():
    x = torch.arange(12.0).reshape(3, 4)
    columns = _pad_columns([np.array([2, 0]), np.array([1])], 4)
    padded = torch.nn.functional.pad(x, (0, 1))
    assert _see(padded, torch.tensor([[0], [2]]), columns).tolist() == [[[2.0, 0.0]], [[9.0, 0.0]]]
    assert _see(padded, torch.arange(3), columns).shape == (2, 3, 2)
    assert _pad_columns([np.arange(4)] * 2, 4) is None


@pytest.mark.parametrize("loss", ["mae", "mse", "huber"])
@pytest.mark.parametrize("own_columns", [False, True])
def test_a_stack_learns_what_its_members_learn_alone(loss, own_columns):
    task = data(n=263)
    columns = [np.arange(12), np.arange(0, 12, 2), np.array([3, 1, 7])] if own_columns else [np.arange(12)] * 3
    nets = [build((len(c), *hidden, 2), random_state=i) for i, (c, hidden) in enumerate(zip(columns, [(20, 8), (9, 9), (16, 4)]))]
    schedule = Schedule(epochs=12, batch_size=50, loss=loss)
    errors = train_stack(nets, *task, schedule, columns=columns, random_states=[0, 1, 2])
    for i, (net, error, c) in enumerate(zip(nets, errors, columns)):
        alone = build(net.widths, random_state=i)
        assert np.isclose(min(train(alone, task[0][:, c], *task[1:], schedule, random_state=i)), error, atol=1e-5)
        for p, q in zip(net.parameters(), alone.parameters()): torch.testing.assert_close(p, q, atol=1e-3, rtol=1e-3)


def test_in_double_precision_a_stack_stays_with_its_members_through_a_long_schedule():
    X, Y, rows, valid = data(n=400)
    torch.set_default_dtype(torch.float64)
    try: one, four = ([e for _, e in train_many([(12, 40, 20, 2), (12, 30, 9, 2)], X.astype(float), Y.astype(float), rows, valid, Schedule(batch_size=40),
                                                stack=k, progress=False)] for k in (1, 4))
    finally: torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(one, four, rtol=1e-9)


def test_networks_of_a_stack_stop_each_at_its_own_epoch():
    X, Y, rows, valid = data(missing=0)
    Y = np.random.default_rng(0).normal(size=Y.shape).astype(np.float32)
    schedule = Schedule(epochs=60, patience=3, learning_rate=1e-2)
    widths = [(12, 30, 2), (12, 4, 2), (12, 64, 2)]
    alone = [build(w, random_state=i) for i, w in enumerate(widths)]
    histories = [train(net, X, Y, rows, valid, schedule, random_state=i) for i, net in enumerate(alone)]
    assert len({len(h) for h in histories}) > 1 and max(map(len, histories)) < 60
    nets = [build(w, random_state=i) for i, w in enumerate(widths)]
    errors = train_stack(nets, X, Y, rows, valid, schedule, random_states=range(3))
    np.testing.assert_allclose(errors, [min(h) for h in histories], atol=1e-5)
    for a, b in zip(alone, nets):
        for p, q in zip(a.parameters(), b.parameters()): torch.testing.assert_close(p, q, atol=1e-3, rtol=1e-3)


def test_a_stack_leaves_the_random_numbers_of_the_caller_alone():
    state = torch.get_rng_state()
    train_stack([build((12, 4, 2))], *data(), Schedule(epochs=2), random_states=[0])
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("nets, message", [
    ([MLP((12, 4, 2)), MLP((12, 4, 4, 2))], "one depth"),
    ([MLP((12, 4, 2), activation="gelu")], "ReLU and without dropout"),
    ([MLP((12, 4, 2), dropout=0.1)], "ReLU and without dropout"),
    ([ResidualMLP((12, 4, 2))], "plain networks"),
])
def test_what_cannot_be_stacked_is_refused(nets, message):
    with pytest.raises(ValueError, match=message): train_stack(nets, *data(), random_states=range(len(nets)))


@quick
@given(st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=5), max_size=20), st.integers(1, 6))
def test_jobs_hold_every_network_once_and_one_depth_each(widths, stack):
    jobs = _jobs([{"widths": w} for w in widths], stack)
    assert sorted(i for job in jobs for i in job) == list(range(len(widths)))
    assert all(len(job) <= stack and len({len(widths[i]) for i in job}) == 1 for job in jobs)


def test_stacks_come_back_in_the_order_of_the_shapes():
    widths = [(12, 30, 2), (12, 8, 4, 2), (12, 10, 2), (12, 20, 2)]
    one, four = (train_many(widths, *data(), Schedule(epochs=4), stack=k, progress=False) for k in (1, 4))
    assert [net.widths for net, _ in four] == widths
    np.testing.assert_allclose([e for _, e in one], [e for _, e in four], atol=1e-5)
    again = train_many(widths, *data(), Schedule(epochs=4), stack=4, n_jobs=2, progress=False)
    assert same(four, again) and [e for _, e in four] == [e for _, e in again], "the number of workers changes nothing"


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="stack is a number"): train_many([(12, 4, 2)], *data(), stack=0, progress=False)
    with pytest.raises(ValueError, match="1 shapes of networks, but 2"): train_many([(12, 4, 2)], *data(), columns=[np.arange(12)] * 2, progress=False)


def test_without_a_gpu_nothing_is_captured():
    compute = lambda: None
    assert _captured(compute, CPU) is compute


def test_a_network_that_diverges_is_named():
    X, Y, *rows = data()
    wild, holed = Schedule(epochs=3, learning_rate=1e30), np.where(np.arange(len(X))[:, None] == 3, np.nan, X).astype(np.float32)
    for table, how in ((X, wild), (holed, Schedule(epochs=3))):
        with pytest.raises(ValueError, match="the network diverged"): train(build((12, 4, 2)), table, Y, *rows, how)
        with pytest.raises(ValueError, match=r"networks \[0, 1\] diverged"): train_stack([build((12, 4, 2)) for _ in range(2)], table, Y, *rows, how, random_states=[0, 1])


@pytest.fixture
def elsewhere(monkeypatch):
    "A device that keeps shapes only: whatever is left behind, or read before the end of an epoch, is an error there."
    adamw = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda *a, fused, **how: adamw(*a, **how)) # the fused one is for real devices
    return "meta"


@pytest.mark.parametrize("columns", [None, [np.arange(12), np.array([3, 1, 7])]])
def test_a_stack_keeps_an_epoch_on_its_device(elsewhere, columns):
    nets = [build((12 if columns is None else len(columns[i]), 9, 2), random_state=i) for i in range(2)]
    with pytest.raises(RuntimeError, match="item.. cannot be called on meta") as stopped:
        train_stack.__wrapped__(nets, *data(), Schedule(epochs=1, batch_size=50), columns=columns, random_states=[0, 1], device=elsewhere)
    assert "update" in [step.name for step in stopped.traceback] # only there is a number read


@pytest.mark.parametrize("net", [MLP((12, 9, 2), dropout=0.1), ResidualMLP((12, 8, 8, 2))])
def test_one_network_keeps_an_epoch_on_its_device(elsewhere, net):
    with pytest.raises(RuntimeError, match="item.. cannot be called on meta"):
        train.__wrapped__(net, *data(), Schedule(epochs=1, batch_size=50), device=elsewhere)
    assert not net.training and all(p.device.type == elsewhere and p.grad is not None for p in net.parameters()) # all steps done, and the first validation


def test_networks_that_cannot_be_stacked_are_trained_on_any_device():
    encoder = random_spec("encoder", 12, 2, hidden=(8, 8))
    here, = train_many([encoder], *data(), Schedule(epochs=2), progress=False, device="cpu:0") # a name unlike "cpu", the same device
    assert same([here], train_many([encoder], *data(), Schedule(epochs=2), progress=False))


# --- checkpoints

widths = [(12, 20 + i, 8, 2) for i in range(10)]
schedule = Schedule(epochs=12)


def test_a_finished_job_is_read_back_bit_for_bit_and_a_damaged_one_is_not(tmp_path):
    file, trained = tmp_path / "job", [(build((3, 2, 1), random_state=i).state_dict(), 0.1 + i) for i in range(12)]
    assert _read_job(file) is None
    _write_job(file, trained)
    back = _read_job(file)
    assert [e for _, e in back] == [e for _, e in trained]
    assert all(torch.equal(s[k], v) for (s, _), (t, _) in zip(back, trained) for k, v in t.items())
    for cut in (5, len(file.read_bytes()) - 4):
        file.write_bytes(file.read_bytes()[:-cut])
        assert _read_job(file) is None


@pytest.mark.parametrize("change", [
    {"random_state": 1}, {"schedule": Schedule(epochs=2)}, {"stack": 2}, {"columns": [np.arange(1, 13) % 12] * 2}, {"data": 1}])
def test_a_checkpoint_is_used_for_the_same_work_only(tmp_path, change):
    def run(data_seed=0, schedule=Schedule(epochs=1), **how):
        return train_many(widths[:2], *data(seed=data_seed), schedule, checkpoint=tmp_path, progress=False, **how)
    run()
    before = set(tmp_path.iterdir())
    run()
    assert set(tmp_path.iterdir()) == before
    run(**({"data_seed": 1} if "data" in change else change))
    assert set(tmp_path.iterdir()) > before


def finished(folder): return {f: f.stat().st_mtime_ns for f in Path(folder).glob("*.safetensors")}


@pytest.mark.parametrize("stack", [1, 2])
def test_killed_and_started_again_it_ends_with_the_same_weights(tmp_path, stack):
    script = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from test_training import data, schedule, train_many, widths
train_many(widths, *data(), schedule, stack={stack}, checkpoint={str(tmp_path)!r}, progress=False)
"""
    for n in (1, 3):
        process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
        while len(finished(tmp_path)) < n and process.poll() is None: time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    kept = finished(tmp_path)
    resumed = train_many(widths, *data(), schedule, stack=stack, checkpoint=tmp_path, progress=False)
    whole = train_many(widths, *data(), schedule, stack=stack, progress=False)
    assert same(resumed, whole) and [e for _, e in resumed] == [e for _, e in whole]
    assert len(kept) >= 3 and {f: t for f, t in finished(tmp_path).items() if f in kept} == kept, "what was finished is not trained again"
    assert len(finished(tmp_path)) == len(widths) // stack


# --- a cluster

def test_a_cluster_loses_a_worker_and_nothing_else(tmp_path):
    import distributed
    many = [(12, 30 + i, 10, 2) for i in range(24)]
    long = Schedule(epochs=30)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        assert len(set(pids)) == 2 and os.getpid() not in pids

        def kill_one():
            while len(finished(tmp_path)) < 4: time.sleep(0.01)
            killed.update(finished(tmp_path))
            os.kill(pids[0], signal.SIGKILL)

        killed = {}
        killer = threading.Thread(target=kill_one)
        killer.start()
        with parallel_config("dask"): there = train_many(many, *data(), long, n_jobs=-1, checkpoint=tmp_path, progress=False)
        killer.join()
        assert 4 <= len(killed) < len(many), "the worker died in the middle"
    here = train_many(many, *data(), long, progress=False)
    assert same(there, here), "nothing is lost, and the numbers are those of one process"
    assert len(finished(tmp_path)) == len(many), "one file for each network"
    assert {f: t for f, t in finished(tmp_path).items() if f in killed} == killed, "what was finished is not trained again"
