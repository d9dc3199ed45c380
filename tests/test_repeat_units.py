"Repeat units: whatever stands for a polymer depends on the chain alone, and has the atoms and bonds of the chain."
import pytest
from rdkit import Chem

from mltransfer.keys import open_ends, polymer_key
from mltransfer.repeat_units import Repeat, chain, draw, read_molecule, ring

polymers = {
    "PE": "*CC*", "PEO": "*OCC*", "PP": "*CC(*)C", "PS": "*CC(*)c1ccccc1", "PMMA": "*CC(*)(C)C(=O)OC", "nylon-6": "*NCCCCCC(*)=O",
    "PET": "*CCOC(=O)c1ccc(C(=O)O*)cc1", "PPO": "*Oc1c(C)cc(*)cc1C", "PDMS": "*O[Si](*)(C)C", "polythiophene": "*c1ccc(*)s1",
    "polyacetylene": "*C=C*", "PVDF": "*CC(*)(F)F", "ladder": "*C1CCC(*)C1", "PEEK":
    "*Oc1ccc(Oc2ccc(C(=O)c3ccc(*)cc3)cc2)cc1", "polyethersulfone": "*Oc1ccc(S(=O)(=O)c2ccc(*)cc2)cc1",
}
each_polymer = pytest.mark.parametrize("smiles", polymers.values(), ids=polymers)
heavy = lambda mol: sum(a.GetAtomicNum() > 0 for a in mol.GetAtoms())
hydrogens = lambda mol: sum(a.GetTotalNumHs() for a in mol.GetAtoms())
backbone = lambda unit: len(Chem.GetShortestPath(unit, *(a.GetIdx() for a in open_ends(unit)))) - 2


@each_polymer
@pytest.mark.parametrize("n", [1, 2, 5])
def test_chain_has_n_units_and_two_ends(smiles, n):
    mol, unit = chain(smiles, n), chain(smiles, 1)
    assert len(Chem.GetMolFrags(mol)) == 1 and len(open_ends(mol)) == 2
    assert (heavy(mol), hydrogens(mol)) == (n * heavy(unit), n * hydrogens(unit))
    assert polymer_key(Chem.MolToSmiles(mol)) == polymer_key(smiles)


@each_polymer
def test_ring_is_whole_units_without_ends(smiles):
    mol, unit = ring(smiles), chain(smiles, 1)
    k = mol.GetNumAtoms() // heavy(unit)
    assert k == max(3, -(-12 // backbone(unit)))
    assert (mol.GetNumAtoms(), hydrogens(mol)) == (k * heavy(unit), k * hydrogens(unit))
    assert len(Chem.GetMolFrags(mol)) == 1 and all(a.GetAtomicNum() for a in mol.GetAtoms())
    assert mol.GetNumBonds() == k * (unit.GetNumBonds() - 1), "one bond per joint, the last joint included"


@each_polymer
def test_ring_has_the_atoms_of_the_chain(smiles):
    "Element, neighbours, hydrogens and aromaticity of the middle unit of a long chain, k times."
    describe = lambda a: (a.GetSymbol(), a.GetDegree(), a.GetTotalNumHs(), a.GetIsAromatic(), a.GetFormalCharge())
    mol, unit = ring(smiles), chain(smiles, 1)
    k = mol.GetNumAtoms() // heavy(unit)
    assert sorted(map(describe, mol.GetAtoms())) == sorted(d for a in unit.GetAtoms() if a.GetAtomicNum() for d in [describe(a)] * k)


@pytest.mark.parametrize("smiles", ["*c1ccc(C=C*)cc1", "*Nc1ccc(*)cc1", "*C(=O)NC(=O)c1ccc(*)cc1", "*C#Cc1ccc(*)s1", "*C(=O)c1ccc(N(*)C)cc1"])
def test_artificial_ring_is_never_aromatic(smiles):
    mol, unit = ring(smiles), chain(smiles, 1)
    aromatic = lambda m: sum(a.GetIsAromatic() for a in m.GetAtoms())
    assert aromatic(mol) == aromatic(unit) * mol.GetNumAtoms() // heavy(unit)


def test_ring_of_many_rings_is_described_by_few():
    "Round a ring of 24 phenylenes there are 2 to the 24 shortest ways; none of them is chemistry."
    unit = "*c1ccc(Oc2ccc(-c3ccc(Oc4ccc(-c5ccc(Oc6ccc(*)cc6)cc5)cc4)cc3)cc2)cc1"
    assert ring(unit).GetRingInfo().NumRings() <= 4 * 6 + 1


@each_polymer
@pytest.mark.parametrize("repeat, n", [("oligomer", 3), ("capped", 1)])
def test_ends_are_capped_with_hydrogen(smiles, repeat, n):
    mol, unit = read_molecule(smiles, repeat), chain(smiles, 1)
    assert (mol.GetNumAtoms(), hydrogens(mol)) == (n * heavy(unit), n * hydrogens(unit) + 2)


@each_polymer
@pytest.mark.parametrize("repeat", Repeat.__args__)
def test_a_doubled_unit_is_the_same_molecule(smiles, repeat):
    twice = Chem.MolToSmiles(chain(smiles, 2))
    assert Chem.MolToSmiles(read_molecule(twice, repeat)) == Chem.MolToSmiles(read_molecule(smiles, repeat))


def test_stereo_marks_are_dropped():
    assert Chem.MolToSmiles(ring("*C/C=C/C*")) == Chem.MolToSmiles(ring("*C/C=C\\C*")) == Chem.MolToSmiles(ring("*CC=CC*"))


@pytest.mark.parametrize("repeat", Repeat.__args__)
def test_molecules_stand_for_themselves(repeat):
    assert Chem.MolToSmiles(read_molecule("OCC", repeat)) == "CCO"


@pytest.mark.parametrize("smiles, reason", [
    ("*CC", "found 1"), ("*C(*)*", "found 3"), ("*C.C*", "connected"), ("**", "nothing lies between"), ("*=CC*", "different bonds"),
    ("", "empty"), (None, "expected a SMILES"), ("*C1CC*", "not valid"), ("*[*]*", "exactly two"),
])
@pytest.mark.parametrize("repeat", Repeat.__args__)
def test_bad_units_are_refused(smiles, reason, repeat):
    with pytest.raises(ValueError, match=reason): read_molecule(smiles, repeat)


def test_unknown_stand_in_is_refused():
    with pytest.raises(ValueError, match="repeat must be one of"): read_molecule("*CC*", "star")


def test_pictures_are_drawn():
    assert draw(["*CC*", "CCO"]).size == (4 * 170, 150)
