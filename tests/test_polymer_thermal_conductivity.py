"Nothing leaks, columns do not depend on spelling, small models keep to what they are given."
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from mltransfer.auditing import seen_by
from mltransfer.cases import polymer_thermal_conductivity as case
from mltransfer.data import load
from mltransfer.keys import in_reserve, polymer_key

tables = pytest.mark.skipif(
    not Path(os.environ.get("MLTRANSFER_DATA", "none")).is_dir(),
    reason="needs the downloaded tables (MLTRANSFER_DATA)",
)


SAME_POLYMER = [
    ("*CC*", "*CCCCCC*"),
    ("*CC(C)*", "*C(C)C*"),
    ("*OCC*", "*COC*"),
    ("*c1ccc(C*)cc1", "*Cc1ccc(*)cc1"),
    ("*NCC(*)=O", "*CC(=O)N*"),
]


@pytest.mark.parametrize("a, b", SAME_POLYMER)
def test_backbone_does_not_depend_on_cut_direction_or_length(a, b):
    A, B = case.backbone([a, b])
    np.testing.assert_allclose(A, B)


def test_backbone_is_the_same_for_the_keys_of_all_measured_polymers():
    smiles = load(case.MEASURED).X
    np.testing.assert_allclose(
        case.backbone(smiles), case.backbone([polymer_key(s) for s in smiles]), rtol=1e-6
    )


def test_backbone_names_rows_without_open_ends():
    with pytest.raises(ValueError, match="open ends"): case.backbone(["*CC*", "CC"])


def test_no_starter_source_has_seen_a_measured_polymer():
    sources = case.starter()
    assert not seen_by(sources.all(), load(case.MEASURED).groups, "polymer").any()
    assert not any(map(case.knows, sources.other)) and all(map(case.knows, sources.same))
    assert set(case.PANELS) - {"hansen"} <= set(sources.single)


@tables
def test_halves_share_no_polymer_and_the_other_half_no_measured_one():
    reserve, other = (set(case.half(case.COMPUTED, reserve=r).groups) for r in (True, False))
    assert not reserve & other and all(map(in_reserve, reserve)) and not any(map(in_reserve, other))
    assert not other & set(load(case.MEASURED).groups)


def test_hansen_parameters_are_plausible():
    data = {d.name: d for d in case.hansen()}
    water = data["hansen hydrogen bonds"].y[data["hansen hydrogen bonds"].X == "O"]
    assert len(data) == 3 and all(len(d) > 1000 for d in data.values())
    assert 40 < water.iloc[0] < 50
    assert all(d.y.between(-1, 60).all() for d in data.values())


def test_corrected_passes_what_it_is_given():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    same = case.Corrected(1, DummyRegressor(strategy="constant", constant=0.0)).fit(X, y)
    np.testing.assert_array_equal(same.predict(X), X[:, 1])
    assert clone(same).get_params()["column"] == 1


def test_pooled_is_the_model_on_all_rows():
    rng = np.random.default_rng(0)
    X, y, more, y_more = (
        rng.normal(size=(10, 2)),
        rng.normal(size=10),
        rng.normal(size=(30, 2)),
        rng.normal(size=30),
    )
    found = clone(case.Pooled(Ridge(), more, y_more)).fit(X, y).predict(X)
    np.testing.assert_allclose(found, Ridge().fit(np.vstack([X, more]), np.r_[y, y_more]).predict(X))


def test_held_out_rows_are_not_trained_on():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 32)), rng.normal(size=60)
    splits = case.held_out(X, y, 19, 2, 0)
    assert len(splits) >= 4 and all(
        not np.intersect1d(*pair).size for pairs in splits.values() for pair in pairs
    )
    for train, test in splits["highest fifth"]: assert y[train].max() < y[test].min()
    other = [tuple(t) for name in list(splits)[1:-1] for _, t in splits[name][:1]]
    assert len(set(other)) == len(other)


def test_agreement_of_a_perfect_and_of_a_useless_ranking():
    rng = np.random.default_rng(0)
    gain = rng.normal(size=200)
    scored = pd.DataFrame(
        {"draw": np.repeat([0, 1], 100), "gain": gain, "mae": -gain, "logme": rng.normal(size=200)}
    )
    found = case.agreement(scored)
    assert found["rank correlation"] == "1.00 ± 0.00" and abs(float(found["of LogME"].split(" ±")[0])) < 0.3
    assert found["first choice"] == found["best in hindsight"]


def test_run_refuses_an_unknown_size():
    with pytest.raises(ValueError, match="size must be one of"): case.run("huge")
