"Molecules: no spelling of a chain changes a row, plain molecules get RDKit's own numbers, and no NaN comes out."
import os, random
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem, Descriptors, MACCSkeys, rdMHFPFingerprint
from rdkit.Chem.EState import Fingerprinter
from sklearn.base import clone
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.estimator_checks import parametrize_with_checks

from mltransfer.composition import MoleculeComposition
from mltransfer.keys import open_ends, read_smiles
from mltransfer.fingerprints import (
    AtomPairFingerprint, CDKExtendedFingerprint, CDKGraphFingerprint,
    CDKHybridizationFingerprint, CDKStandardFingerprint, EStateFingerprint,
    FeatureMorganFingerprint, KlekotaRothFingerprint, LayeredFingerprint,
    MACCSFingerprint, MorganFingerprint, PathFingerprint, PatternFingerprint, PubChemFingerprint,
    SECFPFingerprint, SparseFilter, TopologicalTorsionFingerprint,
    published_fingerprints,
)
from mltransfer.molecule import Constitution, RDKitDescriptors
from mltransfer.repeat_units import Repeat, chain, read_molecule

counting = [MorganFingerprint, FeatureMorganFingerprint, AtomPairFingerprint, TopologicalTorsionFingerprint,
            PathFingerprint, EStateFingerprint,
            CDKStandardFingerprint, CDKExtendedFingerprint, CDKGraphFingerprint, CDKHybridizationFingerprint]
fingerprints = [f for k in counting for f in (k(), k(counts=True), k(counts=True, per_heavy_atom=True))]
fingerprints += [LayeredFingerprint(), SECFPFingerprint(), PatternFingerprint(), MACCSFingerprint(),
                 MorganFingerprint(64, radius=3, ring_membership=True)]
native = [*fingerprints, Constitution(), RDKitDescriptors()]
borrowed = [PubChemFingerprint(), KlekotaRothFingerprint(), KlekotaRothFingerprint(counts=True)]
each_native = pytest.mark.parametrize("featurizer", native, ids=repr)
each_fingerprint = pytest.mark.parametrize("featurizer", fingerprints, ids=repr)
molecules = ["C", "CCO", "[H][H]", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "C1CC2CCC1C2", "O=C([O-])c1ccccc1.[Na+]",
             "C[Si](C)(C)O[Si](C)(C)C", "C12C3C4C1C5C2C3C45", "FC(F)(F)C#N", "c1ccc2ccccc2c1", "BrC=CCl", "CS(=O)(=O)N"]


# ---- polymers: cut, spelling, direction, doubling

def doubled(smiles: str) -> str:
    "The repeat unit twice, joined head to tail atom by atom."
    mol = Chem.RWMol(read_smiles(smiles))
    n, (first, last) = mol.GetNumAtoms(), (a.GetIdx() for a in open_ends(mol))
    bond = mol.GetAtomWithIdx(first).GetBonds()[0].GetBondType()
    mol.InsertMol(read_smiles(smiles))
    ends = (last, first + n)
    mol.AddBond(*(mol.GetAtomWithIdx(i).GetNeighbors()[0].GetIdx() for i in ends), bond)
    for i in sorted(ends, reverse=True): mol.RemoveAtom(i)
    Chem.SanitizeMol(mol)
    return Chem.MolToSmiles(mol)


def cut_elsewhere(smiles: str, rng: random.Random) -> str:
    "The same chain cut at another bond of its backbone, with the atoms in random order."
    mol = Chem.RWMol(read_smiles(smiles))
    Chem.RemoveStereochemistry(mol)
    path = list(Chem.GetShortestPath(mol, *(a.GetIdx() for a in open_ends(mol))))
    bond = lambda a, b: mol.GetBondBetweenAtoms(a, b)
    cuts = [i for i in range(1, len(path) - 2) if not bond(path[i], path[i + 1]).IsInRing()]
    joint = bond(path[0], path[1]).GetBondType()
    if cuts and joint == Chem.BondType.SINGLE:
        i = rng.choice(cuts)
        kind = bond(path[i], path[i + 1]).GetBondType()
        for a, b in [(path[i], path[i + 1]), (path[0], path[1]), (path[-1], path[-2])]: mol.RemoveBond(a, b)
        mol.AddBond(path[1], path[-2], joint)
        mol.AddBond(path[i], path[0], kind); mol.AddBond(path[i + 1], path[-1], kind)
        Chem.SanitizeMol(mol)
    return shuffled(mol, rng)


def shuffled(mol: Chem.Mol, rng: random.Random) -> str:
    "SMILES with the atoms, and so the direction, in random order."
    return Chem.MolToSmiles(Chem.RenumberAtoms(Chem.Mol(mol), rng.sample(range(mol.GetNumAtoms()), mol.GetNumAtoms())), canonical=False)


@cache
def polymers() -> list[list[str]]:
    "Sixty polymers of the downloaded tables, each in five spellings."
    folder = Path(os.environ.get("MLTRANSFER_DATA", "")) / "polymer"
    files = [f for name in ("radonpy_pi1070.csv", "khazana_*.csv") for f in sorted(folder.glob(name))]
    if len(files) < 5: pytest.skip("MLTRANSFER_DATA names no folder with the polymer tables")
    units = sorted({s for f in files for s in pd.read_csv(f).filter(like="smiles").iloc[:, 0] if len(s) < 80})
    rng = random.Random(0)
    return [[s, doubled(s), cut_elsewhere(s, rng), cut_elsewhere(doubled(s), rng), shuffled(read_smiles(s), rng)]
            for s in rng.sample(units, 60)]


@cache
def stand_ins(repeat: str) -> list[Chem.Mol]:
    return [read_molecule(s, repeat) for ways in polymers() for s in ways]


def test_spellings_differ_but_names_do_not():
    ways = polymers()
    assert np.mean([len(set(w)) for w in ways]) > 3.5, "or the next tests are empty"


@each_fingerprint
def test_no_spelling_of_a_chain_changes_a_fingerprint(featurizer):
    Z = np.asarray(featurizer._compute(stand_ins(featurizer.repeat))).reshape(60, 5, -1)
    assert (Z == Z[:, :1]).all() and (Z != 0).any(axis=2).all()


@each_fingerprint
def test_no_order_of_atoms_changes_a_fingerprint(featurizer):
    "Not by the grace of a canonical SMILES, but because fragments do not depend on the order."
    rng, mols = random.Random(1), stand_ins(featurizer.repeat)[::5]
    turned = [Chem.RenumberAtoms(m, rng.sample(range(m.GetNumAtoms()), m.GetNumAtoms())) for m in mols]
    np.testing.assert_array_equal(featurizer._compute(turned), featurizer._compute(mols))


@pytest.mark.parametrize("featurizer", [Constitution(), RDKitDescriptors()], ids=repr)
def test_no_spelling_of_a_chain_changes_a_property(featurizer):
    Z = featurizer.transform([s for ways in polymers()[:12] for s in ways]).reshape(12, 5, -1)
    np.testing.assert_array_equal(Z, np.repeat(Z[:, :1], 5, axis=1))


@pytest.mark.parametrize("featurizer", [k(counts=True, per_heavy_atom=True) for k in counting if k is not AtomPairFingerprint] + [LayeredFingerprint(), SECFPFingerprint()], ids=repr)
@pytest.mark.parametrize("unit, middle", [("*CC*", "C"), ("*OCC*", "OCC"), ("*O[Si](*)(C)C", "O[Si](C)(C)")])
def test_the_ring_is_the_inside_of_a_long_chain(featurizer, unit, middle):
    "What two long chains differ by is what one more unit adds; a ring has nothing else."
    long, longer = (C[0] for C in (clone(featurizer).transform([middle * n]) for n in (200, 300)))
    ring = featurizer.transform([unit])[0]
    if featurizer.counts: np.testing.assert_allclose(ring, long, atol=0.05)
    else: assert (ring <= long).all() and (long == longer).all()


def test_an_alkane_has_no_ring_bit_unless_asked():
    for kind in (MorganFingerprint, LayeredFingerprint, SECFPFingerprint):
        blind, seeing = (kind(ring_membership=r).transform(["*CC*", "C" * 60]) for r in (False, True))
        assert (blind[0] <= blind[1]).all() and not (seeing[0] <= seeing[1]).all()


@pytest.mark.parametrize("repeat", Repeat.__args__)
def test_all_stand_ins_work_everywhere(repeat):
    for featurizer in fingerprints:
        assert np.isfinite(clone(featurizer).set_params(repeat=repeat).transform(["*OCC*", "CCO"])).all()


# ---- plain molecules: RDKit's own numbers

bit = lambda v: np.array(v)
secfp = rdMHFPFingerprint.MHFPEncoder()
theirs = {
    MorganFingerprint(ring_membership=True): AllChem.GetMorganGenerator(2).GetFingerprintAsNumPy,
    MorganFingerprint(512, radius=3, ring_membership=True, counts=True): AllChem.GetMorganGenerator(3, fpSize=512).GetCountFingerprintAsNumPy,
    FeatureMorganFingerprint(): AllChem.GetMorganGenerator(2, atomInvariantsGenerator=AllChem.GetMorganFeatureAtomInvGen()).GetFingerprintAsNumPy,
    AtomPairFingerprint(counts=True): AllChem.GetAtomPairGenerator().GetCountFingerprintAsNumPy,
    TopologicalTorsionFingerprint(counts=True): AllChem.GetTopologicalTorsionGenerator().GetCountFingerprintAsNumPy,
    PathFingerprint(): Chem.RDKFingerprint,
    LayeredFingerprint(ring_membership=True): lambda m: Chem.LayeredFingerprint(m, layerFlags=0x3F),
    SECFPFingerprint(ring_membership=True): secfp.EncodeSECFPMol,
    PatternFingerprint(): Chem.PatternFingerprint,
    MACCSFingerprint(): lambda m: bit(MACCSkeys.GenMACCSKeys(m))[1:],
    EStateFingerprint(counts=True): lambda m: Fingerprinter.FingerprintMol(m)[0],
    RDKitDescriptors(): lambda m: [v for k, v in Descriptors.CalcMolDescriptors(m).items() if k != "Ipc"],
}


@pytest.mark.parametrize("featurizer", theirs, ids=repr)
def test_plain_molecules_get_rdkits_own_numbers(featurizer):
    some = [s for s in molecules if s not in ("[H][H]", "O=C([O-])c1ccccc1.[Na+]")]
    expected = np.array([bit(theirs[featurizer](Chem.MolFromSmiles(s))) for s in some], dtype=np.float32)
    np.testing.assert_array_equal(featurizer.transform(some), expected)


@each_fingerprint
@given(seed=st.integers(0, 10_000))
@settings(max_examples=5)
def test_order_of_atoms_and_rows_does_not_matter(featurizer, seed):
    rng = random.Random(seed)
    turned = [shuffled(Chem.MolFromSmiles(s), rng) for s in molecules[:2] + molecules[3:]]
    order = rng.sample(range(len(turned)), len(turned))
    Z = featurizer.transform(molecules[:2] + molecules[3:])
    np.testing.assert_array_equal(featurizer.transform([turned[i] for i in order]), Z[order])


def test_concentrations_of_a_molecule_without_heavy_atoms_are_finite():
    for kind in counting: assert np.isfinite(kind(counts=True, per_heavy_atom=True).transform(["[H][H]"])).all()


def test_what_the_cdk_like_kinds_see():
    same = lambda kind, a, b: bool(np.array_equal(*kind(counts=True).transform([a, b])))
    assert same(CDKGraphFingerprint, "CC=O", "CCO") and not same(CDKStandardFingerprint, "CC=O", "CCO")
    assert same(CDKGraphFingerprint, "C1CCCCC1", "c1ccccc1")
    assert not same(CDKHybridizationFingerprint, "C1CCCCC1", "c1ccccc1")
    assert same(CDKHybridizationFingerprint, "C=CC=C", "C=CC=C")
    assert not same(CDKGraphFingerprint, "CC=O", "CC=S")
    rings = pd.DataFrame(CDKExtendedFingerprint(counts=True).transform(["C1CC1", "c1ccc2ccccc2c1", "C1CCCCCCCC1", "*CC*"])[:, -6:])
    assert rings.to_numpy().tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 2, 0, 0], [0] * 6, [0] * 6]


# ---- one material, one row of descriptors

spellings = [
    ("CCO", "OCC", "C(O)C", "[CH3][CH2][OH]", "CC([2H])O", "[13CH3]CO"), ("CS(C)=O", "C[S+](C)[O-]", "[O-][S+](C)C"), ("CN=[N+]=[N-]", "C[N-][N+]#N"),
    ("CCCC[n+]1ccn(C)c1.[Cl-]", "[Cl-].CCCCn1cc[n+](C)c1", "CCCCN1C=C[N+](C)=C1.[Cl-]"), ("O=C(O)/C=C/C(=O)O", r"O=C(O)/C=C\C(=O)O", "O=C(O)C=CC(=O)O"),
    ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O"), ("CC(=O)O[Na]", "CC(=O)[O-].[Na+]", "[Na+].[O-]C(C)=O"),
    ("*CC(*)S(C)=O", "*C(C*)[S+](C)[O-]", "*CC(S(C)=O)CC(*)S(C)=O"), ("*C/C=C/C*", "*CC=CC*", r"*C/C=C\C*", "*/C=C/CC*"),
    ("*CC(*)C(=O)[O-].[Na+]", "[Na+].*C(C*)C(=O)[O-]", "*CC(*)C(=O)O[Na]", "*CC(C([O-])=O)CC(*)C([O-])=O.[Na+].[Na+]"),
    ("*CC[n+]1ccn(*)c1.[Br-]", "[Br-].*CCn1cc[n+](*)c1", "*C[n+]1ccn(C*)c1.[Br-]"), ("*CC(*)C", "*CC([2H])(*)C", "*C[C@H](C)*"),
    ({"*CC*": 1, "*CC(*)C": 1}, {"*C(C)C*": 2, "*CCCC*": 1}, "*CC*:0.5|*CC(*)C:0.5", "*C*:2|*CC(*)C:1"), ({"*CC*": 1}, "*CC*", {"*C*": 1, "*CC*": 3}),
]


@pytest.mark.parametrize("featurizer", [*native, MoleculeComposition()], ids=repr)
def test_one_material_has_one_row_of_descriptors(featurizer):
    chosen = [w for w in spellings if not isinstance(featurizer, RDKitDescriptors) or not any(ion in str(w) for ion in ("+", "Na"))]
    Z, start = featurizer.transform([w for ways in chosen for w in ways]), 0
    for ways in chosen:
        np.testing.assert_array_equal(Z[start:start + len(ways)], Z[[start] * len(ways)], err_msg=str(ways))
        start += len(ways)
    assert len(np.unique(Z, axis=0)) > len(chosen) // 2, "and different ones differ"


@settings(max_examples=25)
@given(st.sampled_from([ways for ways in spellings if isinstance(ways[0], str) and "*" not in ways[0]]), st.randoms(use_true_random=False))
def test_no_order_of_atoms_or_spelling_of_charges_changes_a_row(ways, random):
    turned = [shuffled(Chem.MolFromSmiles(w), random) for w in ways]
    for featurizer in (MorganFingerprint(256, counts=True, per_heavy_atom=True), Constitution(), MoleculeComposition()):
        Z = featurizer.transform([*ways, *turned])
        np.testing.assert_array_equal(Z, Z[[0] * len(Z)])


def test_a_copolymer_is_its_units_by_mass():
    "An alternating copolymer written as one unit holds the same atoms as the mixture of its units."
    mixed, alternating = {"*CC(*)C": 1, "*OCC(*)c1ccccc1": 1}, "*CC(C)OCC(*)c1ccccc1"
    count = Constitution().set_output(transform="pandas").transform([mixed, alternating])
    atoms = [f"{e} [mol/kg]" for e in ("atoms", "H", "C", "O", "aromatic_atom", "ring_atom")]
    np.testing.assert_allclose(count.loc[0, atoms], count.loc[1, atoms], rtol=1e-5)
    atoms = MoleculeComposition().set_output(transform="pandas").transform([mixed, alternating])
    atoms = atoms.loc[:, ~atoms.columns.str.startswith("sum:")].to_numpy() # sums are per mole of units
    np.testing.assert_allclose(*atoms, rtol=1e-4, atol=1e-4)
    blend = {"*CC*": 0.5, "*CC(*)c1ccccc1": 0.5}
    a, b, both = MorganFingerprint(256).transform(["*CC*", "*CC(*)c1ccccc1", blend])
    np.testing.assert_allclose(both, 0.2122 * a + 0.7878 * b, atol=1e-3)
    with pytest.raises(ValueError, match="row 1: .*fraction of .* must be positive"): MorganFingerprint(64).fit(["*CC*", {"*CC*": -1}])
    rows = [{"*CC*": 1, "*CC(*)C": 1}, {"*CC*": 0}, "*CC"]
    assert list(MorganFingerprint(64).readable(rows)) == [True, False, False]


# ---- constitution

def capped_minus_caps(smiles: str) -> dict[str, int]:
    "Element counts of the shortest unit, from the capped unit with its two hydrogens taken off."
    mol = Chem.AddHs(read_molecule(smiles, "capped"))
    symbols = [a.GetSymbol() for a in mol.GetAtoms()]
    counts = {e: symbols.count(e) for e in sorted(set(symbols))}
    return {**counts, "H": counts["H"] - 2}


def test_constitution_of_the_ring_is_that_of_the_unit():
    for unit in [ways[0] for ways in polymers()]:
        counts = capped_minus_caps(unit)
        mass = (Descriptors.MolWt(read_molecule(unit, "capped")) - Descriptors.MolWt(Chem.MolFromSmiles("[H][H]"))) / 1000
        row = Constitution().set_output(transform="pandas").transform([unit]).iloc[0]
        known = {e: row[f"{e} [mol/kg]"] for e in ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I")}
        assert known == pytest.approx({e: counts.get(e, 0) / mass for e in known}, rel=1e-5)
        assert row["other_element [mol/kg]"] == pytest.approx(sum(n for e, n in counts.items() if e not in known) / mass, abs=1e-6)
        assert row["atoms [mol/kg]"] == pytest.approx(sum(counts.values()) / mass, rel=1e-5)


@pytest.mark.parametrize("unit", ["*CC(*)c1ccccc1", "*OCC*", "*CCOC(=O)c1ccc(C(=O)O*)cc1", "*NCCCCCC(*)=O", "*O[Si](*)(C)C", "*C1CCC(*)C1"])
def test_groups_of_the_ring_are_those_of_the_unit(unit):
    "What the chain of four units has more than the chain of three is one unit; the ring divides into such units."
    four, three = (Constitution()._row(chain_without_ends(unit, n), queries()) for n in (4, 3))
    mass = lambda n: Descriptors.MolWt(chain_without_ends(unit, n)) / 1000
    one = (four * mass(4) - three * mass(3)) / (mass(4) - mass(3))
    np.testing.assert_allclose(Constitution().transform([unit])[0], one, rtol=1e-5, atol=1e-5)


def chain_without_ends(unit: str, n: int) -> Chem.Mol:
    mol = Chem.RWMol(chain(unit, n))
    for end in open_ends(mol): end.SetAtomicNum(1)
    return Chem.RemoveHs(mol.GetMol())


def queries() -> list[Chem.Mol]:
    from mltransfer.molecule import _GROUPS
    return [Chem.MolFromSmarts(s) for s in _GROUPS.values()]


# ---- no NaN

@pytest.mark.parametrize("smiles", ["[Na+].[Cl-]", "[Fe]", "[He]", "[C-]#[O+]", "C[Sn](C)(C)C", "[H][H]"])
def test_missing_values_are_refused_by_name(smiles):
    with pytest.raises(ValueError, match=r"1 of 2 rows cannot be used as molecules with these descriptors:\n  row 1: .*RDKit has no value for \w+"):
        RDKitDescriptors().fit_transform(["CCO", smiles])
    assert np.isfinite(RDKitDescriptors(["MolWt", "RingCount"]).fit_transform(["CCO", smiles])).all()


def test_ipc_overflows_and_is_left_out():
    assert "Ipc" not in RDKitDescriptors().get_feature_names_out() and "AvgIpc" in RDKitDescriptors().get_feature_names_out()
    with pytest.raises(ValueError, match="no value for Ipc"): RDKitDescriptors(["Ipc"]).fit(["C" * 300])


def test_all_values_of_real_polymers_are_finite():
    assert np.isfinite(RDKitDescriptors().transform([ways[0] for ways in polymers()])).all()


# ---- the conventions of scikit-learn

@each_native
def test_scikit_learn_conventions(featurizer):
    rows = pd.Series(["CCO", "*OCC*"], index=["a", "b"])
    frame = clone(featurizer).set_output(transform="pandas").fit(rows).transform(rows)
    assert list(frame.index) == ["a", "b"] and list(frame.columns) == list(featurizer.get_feature_names_out())
    assert frame.columns.is_unique and (frame.dtypes == np.float32).all()
    assert featurizer.transform([]).shape == (0, frame.shape[1])
    assert featurizer.citations() or isinstance(featurizer, Constitution)
    np.testing.assert_array_equal(frame, featurizer.fit_transform(rows))


@each_native
def test_all_bad_rows_are_in_one_error(featurizer):
    with pytest.raises(ValueError, match="5 of 7 rows cannot be used as") as error:
        featurizer.transform(["CCO", "C1CC", "*CC", "", None, "*CC(*)C", float("nan")])
    assert all(f"row {i}:" in str(error.value) for i in (1, 2, 3, 4, 6))


def test_kinds_join_into_one_table():
    fingerprints = [MorganFingerprint(128), LayeredFingerprint(128), MACCSFingerprint(), EStateFingerprint(counts=True)]
    union = make_union(*fingerprints, Constitution(), RDKitDescriptors(["TPSA"]))
    table = make_pipeline(union, SparseFilter(max_features=20, random_state=0)).set_output(transform="pandas").fit_transform(molecules[:6])
    assert table.shape == (6, 20) and table.columns.is_unique


# ---- the filter

sparse = np.random.default_rng(0).random((200, 900)) * (np.random.default_rng(1).random((200, 900)) < np.linspace(0, 0.5, 900))


@parametrize_with_checks([SparseFilter(random_state=0), SparseFilter(max_features=(2, 3), random_state=0)])
def test_filter_is_a_transformer(estimator, check): check(estimator)


@given(st.floats(0.7, 1), st.one_of(st.none(), st.integers(1, 2000), st.tuples(st.integers(1, 400), st.integers(400, 600))), st.integers(0, 99))
@settings(max_examples=50)
def test_filter_keeps_what_it_says(max_zeros, max_features, seed):
    fitted = SparseFilter(max_zeros, max_features=max_features, random_state=seed).fit(sparse)
    full = (sparse == 0).mean(axis=0) <= max_zeros
    low, high = np.broadcast_to(900 if max_features is None else max_features, 2)
    assert (fitted.get_support() <= full).all()
    assert min(low, full.sum()) <= fitted.get_support().sum() <= min(high, full.sum())
    np.testing.assert_array_equal(fitted.transform(sparse), sparse[:, clone(fitted).fit(sparse).get_support()])


def test_filter_learns_from_training_rows_only_and_seeds_matter():
    fitted = SparseFilter(max_features=(400, 600), random_state=0).fit(sparse[:100])
    assert fitted.transform(np.zeros((3, 900))).shape == (3, fitted.support_.sum())
    sizes = {SparseFilter(max_features=(400, 600), random_state=s).fit(sparse).support_.sum() for s in range(20)}
    assert len(sizes) > 10 and 400 <= min(sizes) and max(sizes) <= 600


@pytest.mark.parametrize("bad", [0, -1, (600, 400), (0, 5)])
def test_filter_refuses_senseless_sizes(bad):
    with pytest.raises(ValueError, match="max_features must be > 0"): SparseFilter(max_features=bad).fit(sparse)


def test_filter_says_when_nothing_is_left():
    with pytest.raises(ValueError, match="all 20 columns are zero in more than 90% of 200 rows"): SparseFilter().fit(sparse[:, :20])
    with pytest.raises(ValueError, match="NaN"): SparseFilter().fit([[np.nan, 1.0]])


# ---- scikit-fingerprints

def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skfp", None)
    for featurizer in borrowed:
        with pytest.raises(ImportError, match=r"pip install mltransfer\[fingerprints\]"): featurizer.fit_transform(["CCO"])


@pytest.mark.fingerprints
@pytest.mark.parametrize("featurizer", borrowed, ids=repr)
def test_borrowed_kinds(featurizer):
    rows = [s for ways in polymers()[:12] for s in ways]
    Z = featurizer.set_output(transform="pandas").fit_transform(rows).to_numpy().reshape(12, 5, -1)
    assert (Z == Z[:, :1]).all() and Z.shape[2] == featurizer.n_bits and Z.any(axis=2).all()


@pytest.mark.fingerprints
def test_nine_kinds_have_11106_columns():
    nine = published_fingerprints().set_output(transform="pandas")
    table = nine.fit_transform(["CCO", "*OCC*", "*COCCOC*"])
    assert table.shape == (3, 11_106) and table.columns.is_unique and (table.iloc[1] == table.iloc[2]).all()


@pytest.mark.parametrize("made", [
    MorganFingerprint, AtomPairFingerprint, TopologicalTorsionFingerprint, PathFingerprint, LayeredFingerprint,
    SECFPFingerprint, CDKExtendedFingerprint])
def test_a_fingerprint_without_columns_is_refused(made):
    with pytest.raises(ValueError, match="n_bits must be at least"): made(0).fit_transform(["CCO"])
    assert made(np.int64(64)).fit_transform(["CCO"]).shape == (1, 64), "a number of NumPy, as a grid search gives it"
