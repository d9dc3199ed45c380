"Contracts of the crystal network: batches, the convolution by hand, invariance, seeds, descriptions."
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mltransfer.crystal_networks import CGCNN, GraphConvolution, build_crystal_network, collate, train_graphs


def graph(numbers, neighbors, distances):
    d = np.asarray(distances, dtype=np.float32)
    return SimpleNamespace(numbers=np.asarray(numbers), neighbors=np.asarray(neighbors), edges=np.exp(-((d[..., None] - np.arange(5)) ** 2)).astype(np.float32))


def random_graph(seed, n=6, k=4):
    rng = np.random.default_rng(seed)
    return graph(rng.integers(1, 90, n), rng.integers(0, n, (n, k)), np.sort(rng.uniform(1, 4, (n, k)), axis=1))


def reordered(g, order):
    place = np.argsort(order)
    return SimpleNamespace(numbers=g.numbers[order], neighbors=place[g.neighbors[order]], edges=g.edges[order])


def doubled(g):
    n = len(g.numbers)
    swap = np.random.default_rng(0).integers(0, 2, g.neighbors.shape) # a neighbour may sit in either half
    return SimpleNamespace(numbers=np.tile(g.numbers, 2), neighbors=np.vstack([g.neighbors + n * swap, g.neighbors + n * (1 - swap)]), edges=np.tile(g.edges, (2, 1, 1)))


def network(seed=0, **options):
    return CGCNN(5, **{"width": 6, "hidden": (7, 4), "n_out": 2, "random_state": seed} | options)


def used(net):
    "A network whose batch normalisation has seen data, in evaluation mode."
    net.train()
    for s in range(5): net(collate([random_graph(s), random_graph(s + 50, n=3)]))
    return net.eval()


graphs = [random_graph(s, n) for s, n in enumerate((6, 1, 3, 20))]


def test_batch():
    batch = collate(graphs)
    assert len(batch) == 4 and batch.crystal.tolist() == [0] * 6 + [1] + [2] * 3 + [3] * 20
    assert torch.equal(batch.crystal[batch.neighbors], batch.crystal[:, None].expand(-1, 4))
    assert torch.equal(batch.numbers[batch.neighbors[7:10]], torch.tensor(graphs[2].numbers[graphs[2].neighbors]))
    assert (batch.numbers.dtype, batch.neighbors.dtype, batch.edges.dtype) == (torch.int64, torch.int64, torch.float32)


def test_batch_refuses():
    with pytest.raises(ValueError, match="at least one crystal graph"): collate([])
    with pytest.raises(ValueError, match=r"agree in neighbours and Gaussians, got \[\(3, 5\), \(4, 5\)\]"): collate([random_graph(0, k=3), random_graph(0)])


def test_convolution_by_hand():
    c = GraphConvolution(1, 1).eval()
    with torch.no_grad():
        c.mix.weight.copy_(torch.tensor([[0, -np.log(3), 0], [0, 0, np.log(np.e - 1)]])); c.mix.bias.zero_()
        out = c(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1, 1], [0, 0]]), torch.ones(2, 2, 1))
    want = np.log1p(np.exp([1 + 2 * 0.75, -1 + 2 * 0.25]))
    np.testing.assert_allclose(out.ravel(), want, atol=2e-5)


def test_convolution_is_the_published_formula():
    c, (atoms, b) = GraphConvolution(6, 5), (torch.randn(30, 6), collate(graphs))
    for _ in range(3): c.train()(atoms, b.neighbors, b.edges)
    c.eval()
    with torch.no_grad():
        w, bias, norm = c.mix.weight.numpy(), c.mix.bias.numpy(), c.norm_mix
        a, edges, out = atoms.numpy(), b.edges.numpy(), np.zeros((30, 6))
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).numpy()
        for i in range(30):
            for j, u in zip(b.neighbors[i].tolist(), edges[i]):
                z = (w @ np.concatenate([a[i], a[j], u]) + bias - norm.running_mean.numpy()) * scale + norm.bias.numpy()
                out[i] += 1 / (1 + np.exp(-z[:6])) * np.log1p(np.exp(z[6:]))
        want = torch.nn.functional.softplus(atoms + c.norm_sum(torch.tensor(out, dtype=torch.float32)))
        torch.testing.assert_close(c(atoms, b.neighbors, b.edges), want, atol=1e-5, rtol=1e-5)


def test_protocol():
    net, batch = used(network()), collate(graphs)
    layers = net.hidden(batch)
    assert net.widths == (119, 6, 7, 4, 2) and len(layers) == len(net.widths) - 2
    assert [tuple(after.shape) for _, after in layers] == [(4, 6), (4, 7), (4, 4)]
    for before, after in layers: torch.testing.assert_close(after, torch.nn.functional.softplus(before))
    torch.testing.assert_close(net.layers[-1](layers[-1][1]), net(batch))
    assert net(batch).shape == (4, 2)


def test_parameter_count_of_the_paper():
    net = CGCNN(41, elements=np.zeros((101, 92)), width=64, n_convolutions=3, hidden=(128,))
    assert sum(p.numel() for p in net.parameters()) == 92 * 64 + 64 + 3 * (169 * 128 + 128 + 2 * 128 + 2 * 64) + 64 * 128 + 128 + 129 == 80_833


def test_order_of_atoms_and_crystals_does_not_matter():
    net, rng = used(network()), np.random.default_rng(1)
    with torch.no_grad():
        want = net(collate(graphs))
        torch.testing.assert_close(net(collate([reordered(g, rng.permutation(len(g.numbers))) for g in graphs])), want, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(net(collate(graphs[::-1])).flip(0), want, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(torch.cat([net(collate([g])) for g in graphs]), want, atol=1e-5, rtol=1e-4)


def test_order_of_neighbours_does_not_matter():
    net, g = used(network()), graphs[0]
    turned = SimpleNamespace(numbers=g.numbers, neighbors=g.neighbors[:, ::-1], edges=g.edges[:, ::-1])
    with torch.no_grad(): torch.testing.assert_close(net(collate([turned])), net(collate([g])), atol=1e-5, rtol=1e-4)


def test_doubled_cell_is_the_same_crystal():
    net = used(network())
    with torch.no_grad(): torch.testing.assert_close(net(collate([doubled(g) for g in graphs])), net(collate(graphs)), atol=1e-5, rtol=1e-4)


def test_elements_and_distances_are_seen():
    net, g = used(network()), graphs[0]
    other = SimpleNamespace(**vars(g) | {"numbers": g.numbers % 89 + 1})
    longer = SimpleNamespace(**vars(g) | {"edges": g.edges[..., ::-1].copy()})
    with torch.no_grad(): a, b, c = net(collate([g, other, longer]))
    assert (a - b).abs().min() > 1e-5 and (a - c).abs().min() > 1e-5


def test_equal_element_rows_are_one_element():
    table = np.random.default_rng(0).normal(size=(100, 4))
    table[17] = table[9]
    net = used(network(elements=table))
    with torch.no_grad(): a, b = net(collate([graph([11, z], [[1] * 3, [0] * 3], np.full((2, 3), 2.0)) for z in (9, 17)]))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("numbers", [[0, 1], [1, 12], [1, -3]])
def test_unknown_elements(numbers):
    net = network(elements=np.zeros((12, 4)))
    with pytest.raises(ValueError, match="atomic numbers must be 1 to 11"): net(collate([graph(numbers, [[1], [0]], [[2.0], [2.0]])]))


@pytest.mark.parametrize("bad", [dict(width=0), dict(hidden=()), dict(hidden=(4, 0)), dict(n_convolutions=0), dict(n_out=0), dict(elements=np.zeros(5))])
def test_bad_sizes(bad):
    with pytest.raises(ValueError): CGCNN(5, **bad)


@pytest.mark.parametrize("elements", [None, np.random.default_rng(0).normal(size=(100, 4))], ids=["names", "table"])
@pytest.mark.parametrize("as_arrays", [False, True])
def test_description_brings_the_network_back(elements, as_arrays):
    net, batch = used(network(elements=elements)), collate(graphs)
    state = {k: v.numpy() if as_arrays else v for k, v in net.state_dict().items()}
    again = build_crystal_network(json.loads(json.dumps(net.spec())), state)
    assert again.spec() == net.spec() and not again.training and torch.equal(again(batch), net(batch))
    with torch.no_grad(): again.embedding.weight.add_(1)
    assert not torch.equal(again.embedding.weight, net.embedding.weight), "weights are copied, not shared"


@pytest.mark.parametrize("change", [{"name": "os.system"}, {"name": None}, {"width": 10**9}, {"width": "6"}, {"elements": [10**12, 10**12]}, {"elements": 3}, {"n_convolutions": 10**12},
                                    {"n_convolutions": "3"}, {"hidden": [7]}, {"hidden": "74"}, {"n_edges": -1}, {"n_out": 3}, {"device": "cuda"}, {"elements": None}])
def test_hostile_descriptions(change):
    net = network()
    with pytest.raises(ValueError, match="unknown crystal network|cannot build"): build_crystal_network(net.spec() | change, net.state_dict())


@pytest.mark.parametrize("missing", ["n_convolutions", "elements"])
def test_incomplete_description(missing):
    net = network()
    spec = {k: v for k, v in net.spec().items() if k != missing}
    with pytest.raises(ValueError, match="cannot build CGCNN"): build_crystal_network(spec, net.state_dict())


def trained(seed=0, epochs=4, labels=None):
    some = [random_graph(s) for s in range(40)]
    Y = np.stack([[g.numbers.mean() / 50 - 1, g.edges[..., 0].mean()] for g in some]).astype(np.float32) if labels is None else labels
    net = network(seed)
    return net, train_graphs(net, some, Y, np.arange(30), np.arange(30, 40), epochs=epochs, batch_size=8, random_state=seed)


def test_training_learns_and_is_seeded():
    (a, first), (b, second) = trained(), trained()
    assert first == second and all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values()))
    assert not a.training and min(trained(epochs=30)[1]) < 0.5 * first[0]


def test_no_global_random_numbers():
    before = torch.get_rng_state()
    net, some = network(), [random_graph(s) for s in range(12)]
    assert torch.equal(net.embedding.weight, network().embedding.weight) and not torch.equal(net.embedding.weight, network(1).embedding.weight)
    train_graphs(net, some, np.zeros((12, 2), np.float32), np.arange(8), np.arange(8, 12), epochs=2)
    assert torch.equal(before, torch.get_rng_state())


def test_missing_labels():
    labels = np.full((40, 2), np.nan, dtype=np.float32)
    labels[:, 0] = np.linspace(-1, 1, 40)
    net, history = trained(labels=labels)
    assert np.isfinite(history).all() and all(torch.isfinite(v).all() for v in net.state_dict().values())


def test_rows_are_kept_apart():
    some, Y = [random_graph(s) for s in range(6)], np.zeros((6, 2), np.float32)
    with pytest.raises(ValueError, match="2 rows are in training and validation"): train_graphs(network(), some, Y, np.arange(4), np.arange(2, 6))
    with pytest.raises(ValueError, match="0 training and 6 validation"): train_graphs(network(), some, Y, np.arange(0), np.arange(6))


def test_graphs_of_the_crystal_page():
    from pymatgen.core import Lattice, Structure
    from mltransfer.crystal import CrystalGraphs
    nacl = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [.5, .5, .5]])
    net = CGCNN(width=8).eval()
    with torch.no_grad(): out = net(collate(CrystalGraphs().transform([nacl, nacl * (2, 1, 1), nacl.get_primitive_structure()])))
    torch.testing.assert_close(out, out[:1].expand(3, 1), atol=1e-5, rtol=1e-4)


def test_what_reads_tables_refuses_a_graph_network():
    from pymatgen.core import Lattice, Structure

    from mltransfer.core import Task
    from mltransfer.crystal import CrystalGraphs
    from mltransfer.finetune import FineTune
    from mltransfer.rank import rank
    from mltransfer.search import Shotgun
    from mltransfer.crystal_source import CrystalSource
    from mltransfer.transfer import FrozenFeatures
    from mltransfer.validate import untrained
    source = CrystalSource(CGCNN(width=8, hidden=(6,)), CrystalGraphs(), [Task("gap", "eV", "crystal")], y_scaling=[[4], [2]], seen=np.zeros(0, np.uint64))
    salts = [Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]) for a in np.linspace(5, 6, 12)]
    y = np.arange(12.0)
    for refused in (lambda: rank([source], salts, y), lambda: Shotgun([source]).fit(salts, y), lambda: FineTune(source).fit(salts, y)):
        with pytest.raises(ValueError, match="reads graphs of crystals"): refused()
    with pytest.raises(ValueError, match="has no untrained twin"): untrained([source])
    assert FrozenFeatures(source).fit_transform(salts).shape == (12, 6)
