"A source of one's own touches its class and the table, and then works everywhere."
import ast
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from mltransfer.auditing import seen_by
from mltransfer.core import Task
from mltransfer.data import load
from mltransfer.fingerprints import MorganFingerprint
from mltransfer.library import Library
from mltransfer.rank import rank
from mltransfer.search import Shotgun
from mltransfer.source import hash_keys
from mltransfer.source_file import SOURCES, Source, load_source, model_id, register_source, save_source
from mltransfer.transfer import FrozenFeatures, RescaledRegressor, SourcePrediction

package = Path(__file__).parents[1] / "mltransfer"


@register_source
class Lookup(Source):
    "Known values of known rows; the value of the nearest one for others."
    kind = "lookup of tests"

    def __init__(self, rows, values, featurizer, tasks, **shared):
        super().__init__(featurizer, tasks, architecture=f"lookup of {len(values)}", **shared)
        self.rows, self.values = np.asarray(rows, np.float32), np.asarray(values, np.float32)

    def _predict(self, X):
        nearest = [((self.rows - row) ** 2).sum(1).argmin() for row in self.describe(X)]
        return self._in_units(self.values[nearest][:, None])

    def parts(self): return {"shape": list(self.rows.shape)}, {"rows": self.rows, "values": self.values}

    @classmethod
    def from_parts(cls, head, tensors, **shared): return cls(tensors["rows"], tensors["values"], **shared)

    @classmethod
    def shapes(cls, head): return {"rows": tuple(head["shape"]), "values": (head["shape"][0],)}


polymers = load("polymer_refractive_index")
liquids = load("molecule_refractive_index")
featurizer = MorganFingerprint(64, counts=True)
X, y = list(polymers.X[:40]), polymers.y[:40].to_numpy()


@pytest.fixture(scope="module")
def source() -> Lookup:
    rows, values = featurizer.fit_transform(liquids.X[:200]), liquids.y[:200]
    seen = hash_keys(liquids.groups[:200], "molecule")
    return Lookup(rows, values, featurizer, [Task("refractive index", "1")], y_scaling=[[0], [1]], seen=seen)


def test_it_is_saved_and_opened(source, tmp_path):
    back = load_source(save_source(source, tmp_path / "lookup.safetensors"))
    assert model_id(back) == model_id(source)
    assert np.array_equal(back.predict(X), source.predict(X))


def test_a_library_keeps_it_beside_others(source, tmp_path):
    library = Library(tmp_path)
    ids = library.add([source])
    assert np.array_equal(library[ids[0]].predict(X), source.predict(X))
    assert library.query(property="refractive index").index.tolist() == ids
    assert np.allclose(library.hidden(ids, X, "output")[0], source.predict(X))


def test_a_file_of_a_kind_that_is_not_registered_is_refused(source, tmp_path, monkeypatch):
    path = save_source(source, tmp_path / "lookup.safetensors")
    monkeypatch.delitem(SOURCES, "lookup of tests")
    with pytest.raises(ValueError, match="unknown kind of source 'lookup of tests'"): load_source(path)


@pytest.mark.parametrize("make", [
    lambda s: make_pipeline(SourcePrediction(s), Ridge()), RescaledRegressor,
    lambda s: make_pipeline(FrozenFeatures(s, layers=("output",)), Ridge())])
def test_it_transfers(source, make):
    predicted = make(source).fit(X, y).predict(X)
    assert predicted.shape == (40,) and np.isfinite(predicted).all()


def test_it_is_ranked_and_searched(source):
    ranking = rank([source], X, y)
    assert (ranking["kind"] == "source").sum() == 1 and "null" not in set(ranking["kind"])
    search = Shotgun([source]).fit(X, y)
    assert search.null_ is None and "predicted" in " ".join(search.leaderboard_["candidate"])


def test_it_tells_what_it_has_seen(source):
    assert seen_by([source], list(liquids.groups[:3]), "molecule").all()
    assert not seen_by([source], list(liquids.groups[300:303]), "molecule").any()


def test_its_name_is_taken_once():
    other = type("Another", (Source,), {"kind": "lookup of tests"})
    with pytest.raises(ValueError, match="already"): register_source(other)
    with pytest.raises(ValueError, match="needs a kind"): register_source(type("Mute", (Source,), {}))
    with pytest.raises(ValueError, match="must inherit from Source"): register_source(Ridge)
    network = type("Net", (Source,), {"kind": "network"})
    with pytest.raises(ValueError, match="already"): register_source(network)


def test_nobody_asks_which_kind_a_source_is():
    "Kinds are classes; only the table and the classes themselves may name them."
    kinds = {"SourceModel", "EstimatorSource", "CrystalSource", "Source"}
    found = []
    for path in package.rglob("*.py"):
        if path.stem == "source_file": continue
        for call in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)):
            if getattr(call.func, "id", "") not in ("isinstance", "issubclass"): continue
            if kinds & {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}: found.append(path.name)
    assert found == [], "ask the source instead: widths, tabular, untrained(), trainable()"


def test_a_network_of_crystals_comes_back_from_a_file_and_a_library(tmp_path):
    "Its counters of batches are numbers without a dimension."
    from pymatgen.core import Lattice, Structure

    from mltransfer.crystal import CrystalGraphs
    from mltransfer.crystal_networks import CGCNN
    from mltransfer.crystal_source import CrystalSource
    sites = ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    salt = [Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), *sites)]
    tasks = [Task("band gap", "eV", "crystal")]
    net = CGCNN(width=8, hidden=(6,))
    crystals = CrystalSource(net, CrystalGraphs(), tasks, y_scaling=[[4], [2]], seen=np.empty(0, np.uint64))
    back = load_source(save_source(crystals, tmp_path / "crystals.safetensors"))
    library = Library(tmp_path / "library")
    i, = library.add([crystals])
    assert i == model_id(crystals) == model_id(back) and library.verify(progress=False) == 1
    assert np.array_equal(library[i].predict(salt), crystals.predict(salt))
    assert np.array_equal(back.predict(salt), crystals.predict(salt))
