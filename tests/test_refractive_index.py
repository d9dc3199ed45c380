"The refractive-index study: what its descriptors and targets promise."
import os

import numpy as np
import pytest

from mltransfer.cases.refractive_index import (
    PER_ATOM,
    SIZES,
    as_formulas,
    library_sources,
    optical,
    polymers,
    read_sources,
    refraction,
)
from mltransfer.data import load
from mltransfer.keys import in_reserve
from mltransfer.pretraining import pretrain


def test_refraction_ignores_where_and_how_often_a_chain_is_written():
    found = refraction(["*CC(C)*", "*C(C)C*", "*CC(C)CC(C)*"])
    np.testing.assert_allclose(found, found[[0, 0, 0]], rtol=0.02)


def test_refraction_names_the_row_it_cannot_read():
    with pytest.raises(ValueError, match="no volume for Ge"): refraction(["*CC*", "*C[Ge](C)(C)*"])


def test_refraction_is_close_to_measurement_without_any_fit():
    target = load("polymer_refractive_index")
    assert np.abs(refraction(list(target.X))[:, 2] - target.y).mean() < 0.03


def test_molecules_and_minerals_meet_on_formulas():
    minerals, liquids = as_formulas(load("inorganic_refractive_index")), as_formulas(
        load("molecule_refractive_index")
    )
    assert minerals.task == liquids.task
    assert liquids.groups.is_unique and liquids.y.between(1.1, 2.2).all()


def test_no_encoder_of_molecules_has_learnt_from_polymers():
    sources = library_sources("molecule")
    assert len(sources) == 4 and all(len(optical(s)) == 2 for s in sources)


def test_sources_read_formulas_of_any_size_alike_without_sums():
    sources = pretrain(
        [as_formulas(load("inorganic_refractive_index"))], PER_ATOM, n_models=2, hidden=(8,), progress=False
    )
    once, twice = (read_sources([{"C": k, "H": 2 * k}], sources)["predicted"] for k in (1, 2))
    np.testing.assert_allclose(once, twice, rtol=1e-5)


@pytest.mark.skipif("MLTRANSFER_DATA" not in os.environ, reason="needs MLTRANSFER_DATA")
def test_targets_of_the_full_study_are_unseen():
    assert set(SIZES["full"].targets) == {
        "khazana_refractive_index",
        "polymer_refractive_index",
        "pi1070_refractive_index",
    }
    simulated = polymers("pi1070_refractive_index")
    assert all(in_reserve(k) for k in simulated.groups) and simulated.groups.is_unique
