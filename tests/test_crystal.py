"Crystal descriptors: hand-worked crystals, invariance, agreement with pymatgen, real structures, bad rows."
import os, pickle, re, subprocess, sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from pymatgen.analysis.local_env import VoronoiNN
from pymatgen.core import DummySpecies, Element, Lattice, Molecule, Structure
from scipy.spatial.transform import Rotation
from sklearn.base import clone
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from mltransfer.crystal import (
    ORBITALS, CrystalGraphs, OrbitalFieldMatrix, RadialDistribution, _final_cells, read_crystal, valence_vector, voronoi_neighbors,
)

root = Path(__file__).parents[1]
nacl = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [.5, .5, .5]])
cscl = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [.5, .5, .5]])
po = Structure(Lattice.cubic(3.36), ["Po"], [[0, 0, 0]])
iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [.5, .5, .5]])
copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
magnesium = Structure(Lattice.hexagonal(3.21, 5.21), ["Mg"] * 2, [[1/3, 2/3, .25], [2/3, 1/3, .75]])
perovskite = Structure(Lattice.cubic(3.905), ["Sr", "Ti", "O", "O", "O"], [[0, 0, 0], [.5] * 3, [.5, .5, 0], [.5, 0, .5], [0, .5, .5]])
low = Structure(Lattice.from_parameters(4.1, 5.3, 6.7, 81, 97, 108), ["Ca", "O", "S"], [[.05, .1, .2], [.4, .6, .3], [.75, .2, .8]])
known = {"NaCl": nacl, "CsCl": cscl, "Po": po, "Fe": iron, "Cu": copper, "Mg": magnesium, "SrTiO3": perovskite, "triclinic": low}
each_crystal = pytest.mark.parametrize("crystal", known.values(), ids=known)
transformers = [RadialDistribution(), OrbitalFieldMatrix(), CrystalGraphs()]
each_transformer = pytest.mark.parametrize("transformer", transformers, ids=lambda t: type(t).__name__)


def rotated(s, turn): return Structure(s.lattice.matrix @ turn, s.species, s.frac_coords)


def rewritten(s, rng):
    "The same crystal in other cells, with another origin, order of atoms and direction."
    return [s * (2, 1, 1), s * [[1, 1, 0], [0, 1, 0], [1, 0, 1]], s * (1, 2, 2),
            s.copy().translate_sites(range(len(s)), rng.random(3)),
            Structure.from_sites([s[i] for i in rng.permutation(len(s))]),
            rotated(s, Rotation.random(random_state=int(rng.integers(1000))).as_matrix())]


def environments(graph):
    "Each atom with its neighbours as (element, distance), in an order that does not depend on the order of atoms."
    atoms = [(int(z), *sorted((round(float(d), 3), int(graph.numbers[j])) for j, d in zip(js, ds)))
             for z, js, ds in zip(graph.numbers, graph.neighbors, graph.distances)]
    return {a: atoms.count(a) / len(atoms) for a in atoms}


# hand-worked

@pytest.mark.parametrize("crystal, shell, n, r", [
    (nacl, 28, 6, 2.82), (nacl, 39, 12, 3.988), (cscl, 35, 8, 3.568), (po, 33, 6, 3.36), (po, 47, 12, 4.752),
    (iron, 24, 8, 2.485), (copper, 25, 12, 2.553)])
def test_rdf_by_hand(crystal, shell, n, r):
    assert shell / 10 <= r < (shell + 1) / 10
    volume = 4 / 3 * np.pi * (((shell + 1) / 10) ** 3 - (shell / 10) ** 3)
    assert RadialDistribution().transform([crystal])[0, shell] == pytest.approx(n / volume / (len(crystal) / crystal.volume), rel=1e-5)


def test_rdf_is_empty_below_the_first_neighbour(): assert not RadialDistribution().transform([nacl])[0, :28].any()


def test_rdf_on_an_edge_belongs_to_the_outer_shell():
    # 0.1 Å shells, neighbours at 3.0 (6), 4.2426 (12), 6.0 (6 of 30) Å: 3.0 and 6.0 are edges
    cubic = Structure(Lattice.cubic(3.0), ["Po"], [[0, 0, 0]])
    rng = np.random.default_rng(0)
    for turn in Rotation.random(20, random_state=1).as_matrix():
        g = RadialDistribution().transform([rotated(cubic, turn).translate_sites([0], rng.random(3))])[0]
        assert g[29] == 0 and g[30] > 0 and g[59] == 0 and g[60] > 0


def test_rdf_stops_at_r_max():
    g = RadialDistribution(r_max=3.0, n_bins=30).transform([Structure(Lattice.cubic(3.0), ["Po"], [[0, 0, 0]])])
    assert g.shape == (1, 30) and not g.any()


@pytest.mark.parametrize("crystal, counts", [
    (nacl, {2.82: 6}), (copper, {2.553: 12}), (po, {3.36: 6}), (iron, {2.485: 8, 2.87: 6}), (cscl, {3.568: 8, 4.12: 6})])
def test_voronoi_by_hand(crystal, counts):
    center, _, angle, distance = voronoi_neighbors(crystal)
    for k in range(len(crystal)):
        at = (center == k) & (angle > 1e-6)
        r, n = np.unique(distance[at].round(3), return_counts=True)
        assert dict(zip(r.tolist(), n.tolist())) == counts


def test_truncated_octahedron():
    # bcc: square faces end at the corners (1/2, 1/4, 0) a; by symmetry hexagons take the rest
    center, _, angle, distance = voronoi_neighbors(iron)
    squares = angle[(center == 0) & np.isclose(distance, 2.87)]
    h, r = 1 / 2, 1 / 4 # distance to the face, distance from its centre to a corner, in a
    side = r * 2**.5
    by_hand = 4 * np.arcsin(side**2 / (side**2 + 4 * h**2)) # solid angle of a square seen from above its centre
    assert squares == pytest.approx([by_hand] * 6)


def test_ofm_by_hand():
    m = OrbitalFieldMatrix().transform([nacl, po, cscl]).reshape(3, 32, 32)
    at = {o: k for k, o in enumerate(ORBITALS)}
    assert {(ORBITALS[i], ORBITALS[j]) for i, j in np.argwhere(m[0])} == {("s1", "s2"), ("s1", "p5"), ("s2", "s1"), ("p5", "s1")}
    assert m[0][m[0] > 0] == pytest.approx([3 / 2.82] * 4)
    assert {ORBITALS[i] for i, _ in np.argwhere(m[1])} == {"s2", "p4", "d10", "f14"}
    assert m[1][m[1] > 0] == pytest.approx([6 / 3.36] * 16)
    # CsCl: each ion sees 8 of the other kind (weight 1) and 6 of its own (weight: ratio of square to hexagon)
    square = 4 * np.arcsin(1 / 9); hexagon = (4 * np.pi - 6 * square) / 8
    assert m[2][at["s1"], at["s1"]] == pytest.approx(6 * square / hexagon / 4.12 / 2, rel=1e-5)
    assert m[2][at["s1"], at["p5"]] == pytest.approx(8 / (4.12 * 3**.5 / 2) / 2, rel=1e-5)


def test_ofm_without_distance():
    m = OrbitalFieldMatrix(per_distance=False).transform([nacl])[0]
    assert m[m > 0] == pytest.approx([3.0] * 4)


@pytest.mark.parametrize("crystal", [perovskite, low, magnesium], ids=["SrTiO3", "triclinic", "Mg"])
def test_ofm_against_a_loop(crystal):
    "Site by site and neighbour by neighbour, with the faces of pymatgen; rows belong to the neighbour."
    expected = dict.fromkeys(OrbitalFieldMatrix().get_feature_names_out(), 0.0)
    marked = lambda site: [o for o, v in zip(ORBITALS, valence_vector(site.specie.symbol)) if v]
    for k, site in enumerate(crystal):
        for nn in VoronoiNN().get_nn_info(crystal, k):
            distance = np.linalg.norm(nn["site"].coords - site.coords)
            for around in marked(nn["site"]):
                for center in marked(site): expected[f"ofm:{around}-{center}"] += nn["weight"] / distance / len(crystal)
    found = dict(zip(expected, OrbitalFieldMatrix().transform([crystal])[0]))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_cells_that_a_far_atom_could_cut_are_not_final():
    octahedron = np.vstack([np.zeros(3), 2 * np.eye(3), -2 * np.eye(3)]) # cell: a cube, corners at sqrt(3)
    assert _final_cells(octahedron, 1, reach=3.5) is not None
    assert _final_cells(octahedron, 1, reach=3.4) is None
    assert _final_cells(octahedron, 2, reach=99.0) is None # the second cell is open
    assert _final_cells(octahedron * [1, 1, 0], 1, reach=3.5) is None # all in one plane


@pytest.mark.parametrize("symbol, subshells", [
    ("H", "s1"), ("He", "s2"), ("Li", "s1"), ("B", "s2 p1"), ("Ne", "s2 p6"), ("Ar", "s2 p6"), ("K", "s1"), ("Sc", "s2 d1"), ("Cr", "s1 d5"),
    ("Fe", "s2 d6"), ("Cu", "s1 d10"), ("Zn", "s2 d10"), ("Ga", "s2 p1 d10"), ("Br", "s2 p5 d10"), ("Pd", "d10"), ("I", "s2 p5 d10"),
    ("La", "s2 d1"), ("Ce", "s2 d1 f1"), ("Nd", "s2 f4"), ("Gd", "s2 d1 f7"), ("Yb", "s2 f14"), ("W", "s2 d4 f14"), ("Au", "s1 d10 f14"),
    ("Rn", "s2 p6 d10 f14"), ("U", "s2 d1 f3")])
def test_valence(symbol, subshells):
    # ground-state configurations of the NIST Atomic Spectra Database
    assert " ".join(o for o, v in zip(ORBITALS, valence_vector(symbol)) if v) == subshells


def test_valence_electrons_complete_the_core():
    fill = np.array([int(o[1:]) for o in ORBITALS])
    for z in range(1, 104):
        core = max((n for n in (0, 2, 10, 18, 36, 54, 86) if n < z))
        assert valence_vector(Element.from_Z(z).symbol) @ fill == z - core


def test_valence_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError): valence_vector("Na")[0] = 5


def test_graph_by_hand():
    salt, cesium, metal = CrystalGraphs().transform([nacl, cscl, po])
    assert salt.numbers.tolist() == [11] * 4 + [17] * 4
    assert salt.numbers[salt.neighbors[0]].tolist() == [17] * 6 + [11] * 6
    assert salt.distances[0] == pytest.approx([2.82] * 6 + [2.82 * 2**.5] * 6)
    assert cesium.distances[0] == pytest.approx([4.12 * 3**.5 / 2] * 8 + [4.12] * 4)
    assert metal.neighbors.tolist() == [[0] * 12] and len(metal) == 1
    grid = np.arange(41) * 0.2
    assert salt.edges.shape == (8, 12, 41) and salt.edges.dtype == np.float32
    assert salt.edges[0, 0] == pytest.approx(np.exp(-((2.82 - grid) / 0.2) ** 2), abs=1e-6)


def test_graph_keeps_the_lighter_of_equally_far_neighbours():
    # six neighbours at 3 Å, four Na and two Cl, in both orders of sites
    layered = Structure(Lattice.tetragonal(3.0, 6.0), ["Cl", "Na"], [[0, 0, 0], [0, 0, .5]])
    for s in (layered, Structure.from_sites(layered.sites[::-1])):
        g = CrystalGraphs(n_neighbors=5).transform([s])[0]
        cl = list(g.numbers).index(17)
        assert g.numbers[g.neighbors[cl]].tolist() == [11, 11, 17, 17, 17]


@pytest.mark.parametrize("a", [9.0, 30.0])
def test_graph_widens_its_search(a):
    g = CrystalGraphs().transform([Structure(Lattice.cubic(a), ["He"], [[0, 0, 0]])])[0]
    assert g.distances[0] == pytest.approx([a] * 6 + [a * 2**.5] * 6)
    assert np.isfinite(g.edges).all()


def test_graph_parameters():
    g = CrystalGraphs(n_neighbors=4, r_max=6.0, step=0.5).transform([nacl])[0]
    assert g.edges.shape == (8, 4, 13)
    with pytest.raises(ValueError, match="n_neighbors >= 1"): CrystalGraphs(n_neighbors=0).transform([nacl])
    with pytest.raises(ValueError, match="step"): CrystalGraphs(step=0.0).transform([nacl])
    with pytest.raises(ValueError, match="r_max > 0"): RadialDistribution(r_max=0).transform([nacl])
    with pytest.raises(ValueError, match="n_bins >= 1"): RadialDistribution(n_bins=0).get_feature_names_out()


# the same crystal, written differently

@each_crystal
def test_descriptors_are_invariant(crystal):
    both = make_union(RadialDistribution(r_max=12.0, n_bins=120), OrbitalFieldMatrix())
    reference, *others = both.fit_transform([crystal, *rewritten(crystal, np.random.default_rng(0))])
    for x in others: np.testing.assert_allclose(x, reference, rtol=1e-4, atol=1e-5)


@each_crystal
def test_graphs_are_invariant(crystal):
    reference, *others = map(environments, CrystalGraphs().transform([crystal, *rewritten(crystal, np.random.default_rng(1))]))
    for x in others: assert x == pytest.approx(reference)


@st.composite
def crystals(draw):
    lengths = [draw(st.floats(3, 9)) for _ in range(3)]
    angles = [draw(st.floats(65, 115)) for _ in range(3)]
    n = draw(st.integers(1, 5))
    atoms = [draw(st.sampled_from(["H", "Li", "O", "Na", "Cl", "Fe", "La", "Pb"])) for _ in range(n)]
    places = [[draw(st.floats(0, 1)) for _ in range(3)] for _ in range(n)]
    s = Structure(Lattice.from_parameters(*lengths, *angles), atoms, places)
    assume((s.get_neighbor_list(0.8)[3] >= 0.7).all())
    return s


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(crystals(), st.integers(0, 999))
def test_any_crystal_is_invariant(crystal, seed):
    both = make_union(RadialDistribution(r_max=8.0, n_bins=80), OrbitalFieldMatrix())
    reference, *others = both.fit_transform([crystal, *rewritten(crystal, np.random.default_rng(seed))])
    assert np.isfinite(reference).all() and reference[80:].any()
    for x in others: np.testing.assert_allclose(x, reference, rtol=1e-3, atol=1e-4)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(crystals())
def test_faces_close_each_cell(crystal):
    center, neighbor, angle, _ = voronoi_neighbors(crystal)
    assert np.bincount(center, angle) == pytest.approx([4 * np.pi] * len(crystal))
    assert set(neighbor) <= set(range(len(crystal)))


@each_crystal
def test_faces_agree_with_pymatgen(crystal):
    center, _, angle, distance = voronoi_neighbors(crystal)
    for k in range(len(crystal)):
        theirs = [(nn["weight"], np.linalg.norm(nn["site"].coords - crystal[k].coords)) for nn in VoronoiNN().get_nn_info(crystal, k)]
        ours = np.stack([angle, distance], axis=1)[center == k] / [angle[center == k].max(), 1]
        order = lambda x: np.array(sorted((round(d, 4), round(w, 6)) for w, d in x if w > 1e-6))
        np.testing.assert_allclose(order(ours), order(theirs), atol=2e-4)


@pytest.mark.parametrize("lengths", [(2.5, 2.5, 25.0), (25.0, 25.0, 2.5), (20.0, 20.0, 20.0)])
def test_cells_of_extreme_shape(lengths):
    s = Structure(Lattice.orthorhombic(*lengths), ["C"], [[0, 0, 0]])
    center, _, angle, distance = voronoi_neighbors(s)
    assert angle.sum() == pytest.approx(4 * np.pi)
    assert set(distance[angle > 1e-6].round(6)) == set(lengths)
    assert np.isfinite(OrbitalFieldMatrix().transform([s])).all()


# the scikit-learn side

@each_transformer
def test_sklearn_contract(transformer):
    again = clone(transformer)
    assert again.get_params() == transformer.get_params() and again is not transformer
    assert transformer.fit([nacl]) is transformer and vars(pickle.loads(pickle.dumps(transformer))) == vars(transformer)
    assert all(doi.startswith("10.") for doi in transformer.citations())
    assert len(transformer.fit_transform([nacl, po])) == 2 and len(transformer.transform([])) == 0


@pytest.mark.parametrize("transformer, n", [(RadialDistribution(), 200), (OrbitalFieldMatrix(), 1024)], ids=["rdf", "ofm"])
def test_tables(transformer, n):
    names = transformer.get_feature_names_out()
    x = transformer.transform([nacl, po])
    assert x.shape == (2, n) and x.dtype == np.float32 and len(set(names)) == n
    frame = clone(transformer).set_output(transform="pandas").fit_transform([nacl, po])
    assert list(frame.columns) == list(names)
    assert make_pipeline(clone(transformer), StandardScaler()).fit_transform([nacl, po]).shape == (2, n)


def test_rows_do_not_depend_on_each_other():
    both = make_union(RadialDistribution(), OrbitalFieldMatrix())
    together = both.fit_transform(list(known.values()))
    assert together.shape == (len(known), 1224)
    np.testing.assert_array_equal(together[2:3], both.transform([po]))


@each_transformer
def test_oxidation_states_change_nothing(transformer):
    ions = nacl.copy().add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    a, b = transformer.transform([nacl, ions])
    if isinstance(transformer, CrystalGraphs): a, b = a.edges, b.edges
    np.testing.assert_array_equal(a, b)


@each_transformer
def test_input_is_left_alone(transformer):
    before = nacl.copy()
    transformer.fit_transform([nacl])
    assert nacl == before


# bad rows

cube = Lattice.cubic(4)
bad = {
    "a str is no pymatgen Structure": "NaCl", "a NoneType is no": None, "a float is no": np.nan,
    "a Molecule is no": Molecule(["C", "O"], [[0, 0, 0], [0, 0, 1.1]]),
    "it has no atoms": Structure(cube, [], []),
    "not periodic along all three": Structure(Lattice(cube.matrix, pbc=(True, True, False)), ["C"], [[0, 0, 0]]),
    "disordered sites; order them": Structure(cube, [{"Na": .5, "K": .5}], [[0, 0, 0]]),
    "Na0.9: disordered": Structure(cube, [{"Na": .9}], [[0, 0, 0]]),
    "is no chemical element": Structure(cube, [DummySpecies("Xa")], [[0, 0, 0]]),
    "two atoms 0.00 Å apart": Structure(cube, ["Na", "Na"], [[0, 0, 0], [1, 0, 0]]),
    "two atoms 0.40 Å apart": Structure(cube, ["Na", "Na"], [[0, 0, 0], [.1, 0, 0]]),
    "two atoms 0.30 Å apart": Structure(Lattice.orthorhombic(.3, 9, 9), ["Na"], [[0, 0, 0]]),
    "not a finite number": Structure(cube, ["Na"], [[np.nan, 0, 0]]),
    "is the lattice in Å": Structure(Lattice.cubic(.4), ["Na"], [[0, 0, 0]]),
}


@each_transformer
def test_every_bad_row_is_named(transformer):
    rows = [nacl, *bad.values(), po]
    for call in (transformer.fit, transformer.transform):
        with pytest.raises(ValueError) as error: call(rows)
        text = str(error.value)
        assert f"{len(bad)} of {len(rows)} rows cannot be used as crystals" in text and "row 0" not in text
        assert [why for why in list(bad)[:10] if why not in text] == [] and "drop these rows" in text


@pytest.mark.parametrize("why", bad)
def test_each_bad_row_says_why(why):
    with pytest.raises(ValueError, match=re.escape(why)): read_crystal(bad[why])


def test_element_without_configuration():
    rows = [nacl, Structure(cube, ["Og"], [[0, 0, 0]])]
    assert np.isfinite(RadialDistribution().transform(rows)).all()
    for call in (OrbitalFieldMatrix().fit, OrbitalFieldMatrix().transform):
        with pytest.raises(ValueError, match=r"1 of 2 rows(.|\n)*row 1(.|\n)*no electron configuration is known for Og; H to Lr have one"): call(rows)


@each_transformer
def test_one_crystal_without_a_list(transformer):
    with pytest.raises(ValueError, match="put a lone structure in a list"): transformer.transform(nacl)
    with pytest.raises(ValueError, match="put it in a list"): transformer.transform("NaCl")


# import and real data

def test_import_is_light():
    code = "import mltransfer.crystal, sys; sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib', 'pymatgen.analysis.local_env')))"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def extxyz(path):
    "Read the frames of an extended XYZ file of species and Cartesian positions."
    lines = iter(path.read_text().splitlines())
    for n in map(int, lines):
        cell = np.array(re.search(r'Lattice="([^"]+)"', next(lines))[1].split(), dtype=float).reshape(3, 3)
        atoms = [next(lines).split() for _ in range(n)]
        yield Structure(cell, [a[0] for a in atoms], np.array([a[1:4] for a in atoms], dtype=float), coords_are_cartesian=True)


@pytest.fixture(scope="module")
def phonondb():
    path = Path(os.environ.get("MLTRANSFER_DATA", "")) / "crystal/phonondb_structures.extxyz"
    if not path.is_file(): pytest.skip("set MLTRANSFER_DATA to a folder with crystal/phonondb_structures.extxyz")
    return list(extxyz(path))


def test_real_crystals(phonondb):
    assert len(phonondb) == 103
    x = make_union(RadialDistribution(), OrbitalFieldMatrix()).fit_transform(phonondb)
    assert x.shape == (103, 1224) and np.isfinite(x).all()
    assert x[:, :200].any(axis=1).all() and x[:, 200:].any(axis=1).all()
    assert len(np.unique(x[:, :200], axis=0)) == 103
    for s, g in zip(phonondb, CrystalGraphs().fit_transform(phonondb)):
        assert len(g) == len(s) and np.isfinite(g.edges).all() and g.edges.any(axis=2).all()
        assert (np.diff(g.distances, axis=1) >= -2e-5).all()


def test_real_faces_agree_with_pymatgen(phonondb):
    for s in phonondb[::13]:
        center, _, angle, distance = voronoi_neighbors(s)
        theirs = sum(nn["weight"] / np.linalg.norm(nn["site"].coords - s[0].coords) for nn in VoronoiNN(cutoff=10.0).get_nn_info(s, 0))
        at = center == 0
        assert (angle[at] / angle[at].max() / distance[at]).sum() == pytest.approx(theirs)
