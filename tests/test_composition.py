"Compositions: which rows are read, which are refused, and that every descriptor equals its published definition."
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pymatgen.core import Composition
from sklearn.base import clone

from mltransfer.composition import (
    CompositionDescriptors, ElementFractions, PhysicalAttributes, composition_of_smiles, element_table,
)
from mltransfer.featurizers import usual_descriptors
from mltransfer.keys import SYMBOLS, composition_key, parse_formula, read_composition

reference = Path(__file__).parent / "reference"
featurizers = [ElementFractions(), CompositionDescriptors(), PhysicalAttributes()]
each_featurizer = pytest.mark.parametrize("featurizer", featurizers, ids=lambda f: type(f).__name__)
seven = ("ave", "sum", "var", "gmean", "hmean", "max", "min")


def read_reference(name: str) -> tuple[list[str], pd.DataFrame]:
    frame = pd.read_csv(reference / name, keep_default_na=False)
    return frame.pop("formula").tolist(), frame.astype(float)


# what others compute

def test_290_descriptors_equal_xenonpy():
    formulas, expected = read_reference("composition_xenonpy.csv")
    ours = CompositionDescriptors(as_written=True).set_output(transform="pandas").fit_transform(formulas)
    assert list(ours.columns) == list(expected.columns)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


def test_145_physical_attributes_equal_matminer():
    formulas, expected = read_reference("physical_attributes_matminer.csv")
    ours = PhysicalAttributes().set_output(transform="pandas").fit_transform(formulas)
    assert len(formulas) == 200 and list(ours.columns) == list(expected.columns)
    plain = np.array(["." not in f for f in formulas]) # fractional amounts are rounded to 1e-4 of the least, as in the key
    np.testing.assert_allclose(ours[plain], expected[plain], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours[~plain], expected[~plain], rtol=1e-4, atol=1e-6)


def test_means_equal_scipy_where_all_values_are_positive():
    from scipy import stats
    table = element_table()
    ours = CompositionDescriptors(statistics=["gmean", "hmean"]).set_output(transform="pandas").fit_transform(["Fe2O3", "CaTiO3"])
    for i, row in enumerate([{"Fe": 2, "O": 3}, {"Ca": 1, "Ti": 1, "O": 3}]):
        for column in table.columns[(table.loc[list(row)] > 0).all()]:
            values, weights = table.loc[list(row), column], list(row.values())
            assert ours[f"gmean:{column}"].iloc[i] == pytest.approx(stats.gmean(values, weights=weights), rel=1e-5)
            assert ours[f"hmean:{column}"].iloc[i] == pytest.approx(stats.hmean(values, weights=weights), rel=1e-5)


def test_element_tables_are_complete():
    assert element_table("xenonpy").shape == (94, 58) and element_table("magpie").shape == (90, 22)
    assert list(element_table("xenonpy").index) == list(SYMBOLS[:94])
    assert all(np.isfinite(element_table(name)).all(axis=None) for name in ("xenonpy", "magpie"))
    assert set(ElementFractions().get_feature_names_out()) < set(element_table("magpie").index)


@pytest.mark.parametrize("name", ["xenonpy", "magpie"])
def test_element_tables_equal_elementembeddings(name):
    from elementembeddings import core as embeddings
    ours, theirs = element_table(name), embeddings.Embedding.load_data(name).as_dataframe()
    shared = [c for c in ours.columns if c in theirs.columns]
    assert len(shared) == ours.shape[1]
    np.testing.assert_allclose(ours, theirs.loc[ours.index, ours.columns].astype(float), rtol=1e-8)


@pytest.mark.parametrize("name, width", [("mat2vec", 200), ("megnet16", 16), ("mace_mp0", 128), ("orb_v2", 256), ("oliynyk", 44)])
def test_other_tables_come_from_elementembeddings(name, width):
    X = CompositionDescriptors(name, statistics=["ave"]).fit_transform(["Fe2O3", "NaCl"])
    assert X.shape == (2, width) and np.isfinite(X).all()


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "elementembeddings.core", None)
    with pytest.raises(ImportError, match=r"pip install mltransfer\[elements\]"): element_table("not bundled")


# rows

amounts = st.one_of(st.integers(1, 40), st.integers(1, 4000).map(lambda n: n / 1000))
elements = st.sampled_from(list(ElementFractions().get_feature_names_out()))
compositions = st.dictionaries(elements, amounts, min_size=1, max_size=6)


@pytest.mark.parametrize("row, reason", [
    (None, "missing"), (float("nan"), "missing"), (pd.NA, "missing"), (26, "got int"), ({}, "no elements"), ({"Fe": 0}, "leave the element out"),
    ({"Fe": -1}, "is -1"), ({"Fe": float("nan")}, "is nan"), ({"Fe": float("inf")}, "is inf"), ({"Fe": None}, "not a number"), ({"Q": 1}, "'Q'"),
    ({"Fe3+": 1, "Cl-": 3}, "not ions"), (Composition("D2O"), None),
])
def test_bad_rows_are_refused_with_a_reason(row, reason):
    if reason is None: assert read_composition(row) == {"H": 2, "O": 1}  # pymatgen itself reads D as H
    else:
        with pytest.raises(ValueError, match=reason): read_composition(row)


# the featurizers

@each_featurizer
def test_all_bad_rows_are_in_one_error(featurizer):
    rows = ["NaCl", "", "Xx2O3", None, "Na+", {"Fe": 0}, "Og", "13C"]
    with pytest.raises(ValueError, match="7 of 8 rows cannot be used as compositions") as error: featurizer.transform(rows)
    assert all(f"row {i}:" in str(error.value) for i in range(1, 8))


@each_featurizer
def test_scikit_learn_conventions(featurizer):
    formulas = pd.Series(["Fe2O3", "NaCl"], index=["a", "b"])
    copy = pickle.loads(pickle.dumps(clone(featurizer)))
    frame = copy.set_output(transform="pandas").fit(formulas).transform(formulas)
    assert list(frame.index) == ["a", "b"] and list(frame.columns) == list(featurizer.get_feature_names_out())
    assert (frame.dtypes == np.float32).all() and featurizer.transform([]).shape == (0, frame.shape[1])
    np.testing.assert_array_equal(frame, featurizer.fit_transform([Composition("Fe2O3"), {"Cl": 1, "Na": 1}]))


@each_featurizer
@given(rows=st.lists(compositions, min_size=1, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_order_of_elements_and_of_rows_does_not_matter(featurizer, rows, seed):
    rng = np.random.default_rng(seed)
    turned = [{e: row[e] for e in rng.permutation(list(row))} for row in rows]
    order = rng.permutation(len(rows))
    X = featurizer.transform(rows)
    np.testing.assert_array_equal(X, featurizer.transform(turned))
    np.testing.assert_array_equal(X[order], featurizer.transform([rows[i] for i in order]))
    assert np.isfinite(X).all()


@pytest.mark.parametrize("featurizer", [ElementFractions(), PhysicalAttributes(), CompositionDescriptors(statistics=(*seven, "count"))],
                         ids=lambda f: type(f).__name__)
@given(row=compositions, factor=st.sampled_from([2, 3, 7, 50, 0.1, 1 / 3, 1e-3]), random=st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_one_material_has_one_description(featurizer, row, factor, random):
    "Scaled, in another order, or as its key: the descriptors are the same to the last bit."
    elements = list(row)
    random.shuffle(elements)
    scaled = {e: factor * row[e] for e in elements}
    X = featurizer.transform([row, scaled, Composition(scaled), composition_key(row)])
    np.testing.assert_array_equal(X, X[[0, 0, 0, 0]])


@pytest.mark.parametrize("ways", [("GaAs", "Ga50As50", "Ga0.5As0.5", "Ga4As4", {"As": 1e-3, "Ga": 1e-3}), ("Ni0.444Fe0.239Co0.317", "Fe23.9Co31.7Ni44.4"),
                                  ("Bi20Te27Se3", "Bi2Te2.7Se0.3"), ("In1Sb0.99As0.01", "In100Sb99As"), ("CuSO4.5H2O", "CuSO9H10")])
def test_sums_do_not_follow_the_spelling(ways):
    for featurizer in (CompositionDescriptors(), usual_descriptors("composition")):
        X = featurizer.fit_transform(list(ways))
        np.testing.assert_array_equal(X, np.repeat(X[:1], len(ways), axis=0))


@pytest.mark.parametrize("formula, atoms", [("Fe2O3", 5), ("Ca10(PO4)6(OH)2", 22), ("NaSO4·10H2O", 36), ("KAl(SO4)2·12H2O", 1), ("Bi2Te2.7Se0.3", 1), ("Ge0.653Si0.347", 1), ("C60", 1)])
def test_the_unit_is_the_smallest_formula_or_one_atom(formula, atoms):
    assert CompositionDescriptors(statistics=["count"]).transform([formula]).sum() == pytest.approx(atoms)


@given(st.lists(compositions, min_size=1, max_size=4))
@settings(max_examples=25)
def test_statistics_equal_a_plain_loop(rows):
    table = element_table()
    X = CompositionDescriptors(statistics=["ave", "sum", "var", "max", "min"], as_written=True).transform(rows)
    for x, row in zip(X, rows):
        values, n = table.loc[list(row)].to_numpy(), np.array(list(row.values()))[:, None]
        w = n / n.sum()
        mean = (w * values).sum(0)
        expected = [mean, (n * values).sum(0), (w * (values - mean) ** 2).sum(0), values.max(0), values.min(0)]
        np.testing.assert_allclose(x, np.concatenate(expected), rtol=1e-6, atol=1e-6)


def test_blocks_join_without_a_seam():
    rng = np.random.default_rng(0)
    formulas = ["".join(f"{e}{rng.integers(1, 9)}" for e in rng.choice(SYMBOLS[:90], 3, replace=False)) for _ in range(10_000)]
    X = CompositionDescriptors().transform(formulas)
    np.testing.assert_array_equal(X[8180:8200], CompositionDescriptors().transform(formulas[8180:8200]))


def test_own_table():
    own = pd.DataFrame({"a": [1, 2, np.nan], "b": [3.0, 4.0, 5.0]}, index=["H", "O", "C"])
    X = clone(CompositionDescriptors(own, statistics=["ave", "count"])).set_output(transform="pandas").fit_transform(["H2O"])
    assert X.iloc[0].to_dict() == pytest.approx({"ave:a": 4 / 3, "ave:b": 10 / 3, "count:H": 2, "count:O": 1})
    with pytest.raises(ValueError, match="no C among the 2 elements of the table the given one"): CompositionDescriptors(own).fit(["CO2"])
    for broken, reason in [(own.rename(index={"H": "hydrogen"}), "'hydrogen'"), (own.assign(b="?"), "numbers only"),
                           (pd.concat([own, own]), "twice"), ([1, 2], "got list")]:
        with pytest.raises(ValueError, match=reason): CompositionDescriptors(broken).fit(["H2O"])


def test_means_of_mixed_signs_and_zeros_are_zero():
    own = pd.DataFrame({"f": [1e-12, 4.0, -1e-12, 0.0, -4.0]}, index=["H", "O", "C", "N", "S"])
    X = CompositionDescriptors(own, statistics=["gmean", "hmean"]).transform(["OH", "OC", "ON", "SC", "SO"])
    np.testing.assert_allclose(X, [[2e-6, 2e-12], [0, 0], [0, 0], [-2e-6, -2e-12], [0, 0]], rtol=1e-5)


def test_counts_as_written_stay_as_written():
    X = CompositionDescriptors(statistics=["count"], as_written=True).set_output(transform="pandas").fit_transform(["Fe0.5Ni0.5", "Ga4As4"])
    assert X["count:Fe"].tolist() == [0.5, 0] and X["count:Ga"].tolist() == [0, 4]


def test_hopelessly_mixed_valences_are_refused():
    everything = {e: 1 + i / 97 for i, e in enumerate(ElementFractions().get_feature_names_out())}
    with pytest.raises(ValueError, match="more than a million choices"): PhysicalAttributes().fit([everything])
    assert CompositionDescriptors().fit_transform([everything]).shape == (1, 290)


# SMILES

@pytest.mark.parametrize("smiles, formula", [
    ("O", "H2O"), ("c1ccccc1", "C6H6"), ("[H][H]", "H2"), ("C[N+](=O)[O-]", "CH3NO2"), ("[Na+].[Cl-]", "NaCl"), ("*CC*", "CH2"),
    ("*CC(*)c1ccccc1", "C8H8"), ("*C(F)(F)C(*)(F)F", "CF2"), ("*CCOC(=O)c1ccc(C(=O)O*)cc1", "C10H8O4"), ("[*]CCO[*]", "C2H4O"),
])
def test_composition_of_smiles(smiles, formula):
    assert composition_of_smiles(smiles) == parse_formula(formula)


@pytest.mark.parametrize("smiles", ["", None, 3, "C1CC", "*CC", "**", "[Na+]", "*C([N+](C)(C)C)C*"])
def test_bad_smiles_are_refused(smiles):
    with pytest.raises(ValueError): composition_of_smiles(smiles)
