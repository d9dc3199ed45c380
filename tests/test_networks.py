"Contracts of the networks that take descriptors: shapes, seeds, dropout, recipes, descriptions."
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from mltransfer.networks import MLP, NETWORKS, RECIPES, MultiTaskEncoder, ResidualMLP, build, build_network, random_pyramid, random_spec

WIDTHS = [7, 6, 6, 6, 3]
kinds = pytest.mark.parametrize("kind", NETWORKS)
recipes = pytest.mark.parametrize("recipe", RECIPES)


def make(kind, dropout=0.0, activation="relu", seed=0):
    return build_network({"name": kind, "widths": WIDTHS, "dropout": dropout, "activation": activation}, random_state=seed)


def rows(n=5): return torch.randn(n, WIDTHS[0], generator=torch.Generator().manual_seed(1))


@kinds
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu"])
def test_protocol(kind, activation):
    net, x = make(kind, activation=activation), rows()
    layers = net.hidden(x)
    assert net.widths == tuple(WIDTHS) and len(layers) == len(net.widths) - 2
    assert [tuple(t.shape) for pair in layers for t in pair] == [(5, 6)] * 6
    assert net(x).shape == (5, 3)
    torch.testing.assert_close(net.layers[-1](layers[-1][1]), net(x))


@kinds
def test_rows_do_not_depend_on_each_other(kind):
    net, x = make(kind).eval(), rows(9)
    torch.testing.assert_close(net(x)[4:5], net(x[4:5]))
    assert net(x[:0]).shape == (0, 3)


@kinds
def test_seeds(kind):
    before = torch.get_rng_state()
    a, b, c = (make(kind, seed=s) for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
    assert not torch.equal(a.layers[0].weight, c.layers[0].weight)


@kinds
@pytest.mark.parametrize("dropout", [0.5, [0.0, 0.5, 0.0]])
def test_dropout_is_for_training_only(kind, dropout):
    net, x = make(kind, dropout), rows(50)
    assert not torch.equal(net.train()(x), net(x))
    assert torch.equal(net.eval()(x), net(x))
    for mode in (True, False):
        for (a, b), (c, d) in zip(net.train(mode).hidden(x), make(kind).eval().hidden(x)):
            assert torch.equal(a, c) and torch.equal(b, d)


def test_dropout_scales_what_is_left():
    torch.manual_seed(0)
    kept = torch.nn.functional.dropout(torch.ones(10_000), 0.3, True)
    net = MLP([1, 10_000, 1], dropout=[0.3]).train()
    with torch.no_grad():
        net.layers[0].weight.zero_(); net.layers[0].bias.fill_(1); net.layers[1].weight.fill_(1e-4); net.layers[1].bias.zero_()
        assert net(torch.ones(1, 1)).item() == pytest.approx(1.0, abs=0.05) and kept.mean().item() == pytest.approx(1.0, abs=0.05)


@kinds
def test_labels_of_one_property_leave_other_heads_alone(kind):
    net = make(kind)
    net(rows())[:, 1].sum().backward()
    head = net.layers[-1]
    grad = head.weight.grad if kind != "MultiTaskEncoder" else head.own.weight.grad.reshape(3, -1)
    assert (grad.abs().sum(1) > 0).tolist() == [False, True, False]
    assert net.layers[0].weight.grad.abs().sum() > 0


def test_heads_are_small_networks_of_their_own():
    net, x = make("MultiTaskEncoder"), rows()
    seen, head = net.hidden(x)[-1][1], net.layers[-1]
    for k in range(3):
        mine = slice(k * net.head, (k + 1) * net.head)
        own = torch.relu(seen @ head.own.weight[mine].T + head.own.bias[mine])
        torch.testing.assert_close(own @ head.weight[k] + head.bias[k], net(x)[:, k])


def test_residual_by_hand():
    net = ResidualMLP([1, 2, 2, 1])
    with torch.no_grad():
        for layer, (w, b) in zip(net.layers, [([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 0.0], [0.0, 2.0]], [0.5, 0.0]), ([[3.0, 1.0]], [0.25])]):
            layer.weight.copy_(torch.tensor(w)); layer.bias.copy_(torch.tensor(b))
        (h1, a1), (h2, a2) = net.hidden(torch.tensor([[2.0]]))
    # stream (2, -2), normed (1, -1), after relu (1, 0); adds (1 + 0.5, 0): stream (3.5, -2), normed (1, -1)
    for got, want in ((h1, [2, -2]), (a1, [1, 0]), (h2, [3.5, -2]), (a2, [1, 0])):
        torch.testing.assert_close(got[0], torch.tensor(want, dtype=torch.float32), atol=1e-4, rtol=0)
    assert net(torch.tensor([[2.0]])).item() == pytest.approx(3.25, abs=1e-4)


def test_parameter_counts():
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert count(build_network(random_spec("elemnet", 86))) == 4_631_361
    assert count(MLP([10, 8, 2])) == 10 * 8 + 8 + 8 * 2 + 2
    assert count(ResidualMLP([10, 8, 8, 2])) == 88 + 72 + 18 + 2 * 16
    assert count(MultiTaskEncoder([10, 8, 8, 2], head=4)) == 88 + 72 + 2 * 16 + (8 * 8 + 8) + 2 * 4 + 2


def test_elemnet_layers():
    spec = random_spec("elemnet", 86, 2, random_state=9)
    assert spec["widths"] == [86] + [1024] * 4 + [512] * 3 + [256] * 3 + [128] * 3 + [64] * 2 + [32, 2]
    assert {k: p for k, p in enumerate(spec["dropout"], 1) if p} == {4: 0.2, 7: 0.1, 10: 0.3, 13: 0.2}


@recipes
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n_in=st.integers(2, 3000), n_out=st.integers(1, 9))
def test_recipes(recipe, seed, n_in, n_out):
    spec = random_spec(recipe, n_in, n_out, random_state=seed)
    assert spec == random_spec(recipe, n_in, n_out, random_state=seed) == json.loads(json.dumps(spec))
    assert spec["widths"][0] == n_in and spec["widths"][-1] == n_out and min(spec["widths"]) >= 1
    if recipe != "xenonpy-pool": assert spec["widths"][1:-1] == sorted(spec["widths"][1:-1], reverse=True)


def test_drawing_a_shape_draws_no_weights():
    before = torch.get_rng_state()
    random_spec("elemnet", 86)
    assert torch.equal(before, torch.get_rng_state())


@recipes
def test_recipes_are_diverse(recipe):
    shapes = {tuple(random_spec(recipe, 290, random_state=i)["widths"]) for i in range(100)}
    assert len(shapes) == 1 if recipe == "elemnet" else len(shapes) > 90


def test_pyramid_is_what_it_was():
    assert random_pyramid(500, random_state=0) == (500, 100, 64, 61, 27, 1)
    assert random_pyramid(500, random_state=1) == (500, 364, 362, 78, 19, 1)
    assert random_spec("yamada-1", 500, random_state=1)["widths"] == [500, 364, 362, 78, 19, 1]
    assert build([5, 4, 1]).spec() == {"name": "MLP", "widths": [5, 4, 1], "activation": "relu", "dropout": 0.0}
    assert list(build([5, 4, 1]).state_dict()) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]


@kinds
@pytest.mark.parametrize("dropout", [0.0, 0.25, [0.1, 0.0, 0.3]])
@pytest.mark.parametrize("as_arrays", [False, True])
def test_description_brings_the_network_back(kind, dropout, as_arrays):
    net = make(kind, dropout, "gelu", seed=2)
    state = {k: v.numpy() if as_arrays else v for k, v in net.state_dict().items()}
    again = build_network(json.loads(json.dumps(net.spec())), state)
    assert type(again) is type(net) and again.spec() == net.spec() and not again.training
    assert torch.equal(again(rows()), net.eval()(rows()))
    with torch.no_grad(): again.layers[0].weight.add_(1)
    assert not torch.equal(again.layers[0].weight, net.layers[0].weight), "weights are copied, not shared"
    again(rows()).sum().backward()


hostile = {
    "no name": {"widths": [2, 3, 1]},
    "a class of torch": {"name": "Linear", "widths": [2, 3, 1]},
    "a base class": {"name": "Network", "widths": [2, 3, 1]},
    "a dotted name": {"name": "os.system", "widths": [2, 3, 1]},
    "no widths": {"name": "MLP"},
    "widths of text": {"name": "MLP", "widths": ["2", "3", "1"]},
    "one number": {"name": "MLP", "widths": 3},
    "negative width": {"name": "MLP", "widths": [2, -3, 1]},
    "an unknown option": {"name": "MLP", "widths": [2, 3, 1], "device": "cuda"},
    "an unknown activation": {"name": "MLP", "widths": [2, 3, 1], "activation": "__import__"},
    "huge": {"name": "MLP", "widths": [2, 10**9, 10**9, 1]},
    "huger": {"name": "MLP", "widths": [2, 10**18, 10**18, 1]},
    "beyond any integer": {"name": "MLP", "widths": [2, 10**30, 1]},
}


@pytest.mark.parametrize("why", hostile)
def test_hostile_descriptions(why):
    state = MLP([2, 3, 1]).state_dict()
    with pytest.raises(ValueError, match="unknown network|cannot build"): build_network(hostile[why], state)


def test_weights_must_fit():
    net = MLP([2, 3, 1])
    state = dict(net.state_dict())
    for change in ({"layers.0.bias": torch.zeros(4)}, {"extra": torch.zeros(1)}):
        with pytest.raises(ValueError, match=f"weights do not fit: {list(change)[0]}"): build_network(net.spec(), state | change)
    del state["layers.1.bias"]
    with pytest.raises(ValueError, match="weights do not fit: layers.1.bias"): build_network(net.spec(), state)


def test_half_precision_becomes_single():
    net = make("ResidualMLP")
    half = {k: v.half().numpy() for k, v in net.state_dict().items()}
    again = build_network(net.spec(), half)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    np.testing.assert_allclose(again(rows()).detach(), net.eval()(rows()).detach(), atol=5e-3)


@pytest.mark.parametrize("bad", [dict(widths=[5, 1]), dict(widths=[5, 0, 1]), dict(widths=[5, 4, 1], dropout=1.0), dict(widths=[5, 4, 1], dropout=-0.1),
                                 dict(widths=[5, 4, 1], dropout=[0.1, 0.1]), dict(widths=[5, 4, 1], activation="tanh")])
@pytest.mark.parametrize("kind", NETWORKS.values())
def test_bad_shapes(kind, bad):
    with pytest.raises(ValueError): kind(**bad)


def test_heads_need_units():
    with pytest.raises(ValueError, match="head must be at least 1"): MultiTaskEncoder([5, 4, 1], head=0)
