"Source models: what is saved comes back, and nothing else gets in."
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mltransfer.core import Task
from mltransfer.keys import KEY_RULES
from mltransfer.molecule import Constitution
from mltransfer.networks import build
from mltransfer.source_file import card_html
from mltransfer.source import SourceBatch, SourceModel, hash_keys, load_source, put_together, save_source, take_apart

smiles = ["CCO", "c1ccccc1", "*CC*"]


@pytest.fixture
def source():
    n = len(Constitution().get_feature_names_out())
    return SourceModel(build([n, 12, 6, 1], random_state=1), Constitution(), [Task("density", "g/cm3", "molecule", log=True)], columns=np.arange(n),
                       x_scaling=np.stack([np.zeros(n), np.full(n, 50.0)]), y_scaling=np.array([[0.0], [0.1]]), seen=hash_keys(["CCO"], "molecule"), card={"data": {"x": {}}})


def test_round_trip(source, tmp_path):
    back = load_source(save_source(source, tmp_path / "a.safetensors"))
    for layer in (0, 1, -1, "output"): assert np.array_equal(back.hidden(smiles, layer), source.hidden(smiles, layer))
    assert back.tasks == source.tasks and back.card == source.card and np.array_equal(back.seen, source.seen)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"], "no half-written file stays"


def test_log_task_predicts_positive_numbers(source): assert (source.predict(smiles) > 0).all()


def test_prediction_does_not_depend_on_row_order(source):
    assert np.allclose(source.predict(smiles)[::-1], source.predict(smiles[::-1]), rtol=1e-6)


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_holes_in_a_given_table_are_named(source, hole):
    table = source.describe(smiles)
    table[1, 3] = hole
    for read in (source.describe, source.inputs, source.predict, source.hidden, lambda t: SourceBatch([source, source]).hidden(t, -1, "post")):
        with pytest.raises(ValueError, match=f"row 1: {hole}: in column 3"): read(table)


def test_a_strange_material_stays_finite(source): assert np.isfinite(source.hidden(["[U]", "FC(F)(F)F"])).all()


@pytest.mark.parametrize("change, said", [
    ({"featurizer": [{"name": "__import__", "params": {}}]}, "unknown descriptor"),
    ({"featurizer": [{"name": "Constitution", "params": {"evil": 1}}]}, "not a source model"),
    ({"network": {"widths": [1, 2]}}, "not a source model"), ({"tasks": []}, "maps"), ({"tasks": [{"property": "x", "kind": "alloy"}]}, "must be one of"),
])
def test_a_forged_card_is_refused(source, tmp_path, change, said):
    path = save_source(source, tmp_path / "a.safetensors")
    from safetensors import safe_open
    with safe_open(path, "np") as f: head = json.loads(f.metadata()["mltransfer"])
    save_file(load_file(path), path, {"mltransfer": json.dumps(head | change)})
    with pytest.raises(ValueError, match=said): load_source(path)


def test_a_file_without_card_or_with_pickle_is_refused(source, tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="not a source model"): load_source(tmp_path / "b.safetensors")
    torch.save(source.net.state_dict(), tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="not a source model"): load_source(tmp_path / "c.safetensors")
    with pytest.raises(FileNotFoundError): load_source(tmp_path / "none.safetensors")


def test_wrong_shapes_are_refused(source):
    with pytest.raises(ValueError, match="maps"):
        SourceModel(source.net, Constitution(), source.tasks * 2, columns=source.columns, x_scaling=source.x_scaling, y_scaling=source.y_scaling, seen=source.seen)


def test_tables_of_other_descriptors_are_refused(source):
    from mltransfer.fingerprints import MorganFingerprint
    other = SourceModel(build([8, 6, 1]), MorganFingerprint(64), source.tasks, columns=np.arange(8), x_scaling=np.stack([np.zeros(8), np.ones(8)]), y_scaling=np.array([[0.0], [1.0]]), seen=source.seen)
    table = source.describe(smiles)
    for read in (other.predict, source.predict):
        with pytest.raises(ValueError, match=r"X has \d+ descriptors, but the featurizer"): read(table[:, :20])
    with pytest.raises(ValueError, match="the sources read different ones"): SourceBatch([source, other]).hidden(table)
    names = Constitution().get_feature_names_out()
    frame = pd.DataFrame(table, columns=names)
    np.testing.assert_array_equal(source.predict(frame), source.predict(smiles))
    with pytest.raises(ValueError, match="in another order"): source.predict(frame[names[::-1]])
    np.testing.assert_array_equal(source.predict(table.astype(int)), source.predict(table.astype(int).astype(float)))
    with pytest.raises(ValueError, match="activation must be"): source.hidden(smiles, activation="Post")


def test_a_source_without_featurizer_reads_tables_only(source):
    bare = SourceModel(source.net, None, source.tasks, columns=source.columns, x_scaling=source.x_scaling, y_scaling=source.y_scaling, seen=source.seen)
    np.testing.assert_array_equal(bare.predict(source.describe(smiles)), source.predict(smiles))
    with pytest.raises(ValueError, match="reads a table of descriptors, not raw inputs"): bare.predict(smiles)
    assert "a table" in bare._repr_html_()


def test_many_rows_are_read_in_blocks_that_change_nothing(source, monkeypatch):
    rows, longest = [*smiles * 1500, "CCO"], []
    describe = SourceModel.describe
    monkeypatch.setattr(SourceModel, "describe", lambda self, X: longest.append(len(X)) or describe(self, X))
    for read in (source.predict, source.hidden, lambda X: SourceBatch([source, source]).hidden(X)[1]):
        longest.clear()
        found, once = read(rows), read(smiles)
        assert max(longest) <= 2000 and found.shape == (4501, once.shape[1])
        np.testing.assert_allclose(found[:4500].reshape(1500, *once.shape), np.broadcast_to(once, (1500, *once.shape)), rtol=1e-5)
    frame = pd.DataFrame(source.describe(rows), columns=source.featurizer.get_feature_names_out())
    np.testing.assert_array_equal(source.predict(frame), source.predict(rows))


def test_a_bad_row_is_named_by_its_place_in_all_blocks(source):
    for read in (source.predict, source.hidden, SourceBatch([source]).hidden):
        with pytest.raises(ValueError, match="1 of 2501 rows.*\n.*row 2500"): read(["CCO"] * 2500 + ["C1CC"])


def test_an_old_source_reads_the_columns_that_it_was_trained_on(source):
    "Version 0.1.0 wrote no `key_rules`, and fewer columns without saying so."
    head, tensors = take_apart(source)
    old = put_together(head | {"featurizer": [{"name": "Constitution", "params": {}}], "card": {}}, tensors)
    assert old.featurizer.coarse and not old.tells_seen and "can no longer be told" in card_html(old)
    assert take_apart(old)[0]["featurizer"] == [{"name": "Constitution", "params": {}}]
    assert source.tells_seen and source.card["key_rules"] == KEY_RULES
