"What an older version has written opens, and predicts what it predicted."
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mltransfer.auditing import audit, seen_by
from mltransfer.core import Task
from mltransfer.library import Library
from mltransfer.saved import load_fit
from mltransfer.source import model_id

OLD = Path(__file__).parent / "reference" / "v0.1.0"
SAID = json.loads((OLD / "said.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    "A copy, since a library writes its index."
    return shutil.copytree(OLD, tmp_path_factory.mktemp("old") / "old")


def test_a_library_of_version_0_1_predicts_the_same(old):
    library = Library(old / "library", read_only=True)
    assert len(library) == len(SAID["sources"]) == 7
    for source, said in zip(library.load(SAID["sources"]), SAID["sources"].values()):
        rows = SAID["rows"][said["kind"]]
        np.testing.assert_allclose(source.predict(rows), said["predicted"], rtol=1e-5)
        assert len(source.seen) == said["seen"]
        if "hidden" in said: np.testing.assert_allclose(source.hidden(rows), said["hidden"], rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:the search fitted again")
def test_a_search_of_version_0_1_predicts_nearly_the_same(old):
    "Its sources and rows are the same; forests look at fewer columns since 0.2."
    search = load_fit(old / "fit")
    assert search.task_.property == "heat capacity"
    np.testing.assert_allclose(search.predict(SAID["rows"]["polymer"]), SAID["fit"], rtol=0.05)


def test_sources_of_version_0_1_cannot_tell_what_they_have_seen(old):
    sources = Library(old / "library", read_only=True).load(SAID["sources"])
    kinds = [said["kind"] for said in SAID["sources"].values()]
    assert not any(s.tells_seen for s in sources)
    said = "3 of 3 sources cannot tell what they have seen.*i = 0-2.*train them again"
    molecules = [s for s, kind in zip(sources, kinds) if kind == "molecule"]
    with pytest.raises(ValueError, match=said): seen_by(molecules, ["c1ccccc1"], "molecule")
    rows, y = SAID["rows"]["molecule"], np.arange(6.0)
    with pytest.raises(ValueError, match=said): audit(rows, y, Task("density"), sources=molecules)


@pytest.mark.filterwarnings("ignore:the search fitted again")
def test_a_search_on_old_sources_says_that_it_does_not_know(old):
    search = load_fit(old / "fit")
    assert search.seen_ is None
    assert "not known which rows were in the training data" in search.summary()
    ids = [model_id(s) for s in search.sources.load(search.source_ids_)]
    assert set(ids) <= set(SAID["sources"]), "a loaded source keeps its id"
