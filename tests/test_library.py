"A library is a folder: what is in it stays what it is, wherever it is copied and whoever writes to it."
import functools, http.server, inspect, json, os, pickle, secrets, signal, subprocess, sys
import textwrap, threading, time
from pathlib import Path

import fake_hub
import fsspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import ElasticNet, Ridge

from mltransfer.catalogue import Catalogue, query
from mltransfer.core import Task
from mltransfer.library import Library, _manifest, read_heads
from mltransfer.molecule import Constitution
from mltransfer.networks import MultiTaskEncoder, ResidualMLP, build
from mltransfer.estimator_source import EstimatorSource
from mltransfer.source import SourceBatch, SourceModel, hash_keys, load_source, model_id
from mltransfer.source import save_source, take_apart

smiles = ["CCO", "c1ccccc1", "*CC*", "*OCC*", "CC(=O)O", "CCCCCC"]
featurizer = Constitution()
table = featurizer.fit_transform(smiles)
rng = np.random.default_rng(0)


def source(*hidden, kind=None, tasks=1, columns=None, activation="relu", seed=0, log=False, seen=("CCO",),
        property="p", card=None):
    columns = np.arange(table.shape[1]) if columns is None else columns
    return SourceModel(
        kind([len(columns), *hidden, tasks]) if kind
        else build([len(columns), *hidden, tasks], activation=activation, random_state=seed), featurizer,
        [Task(f"{property} {i}" if i else property, "K", log=log) for i in range(tasks)], columns=columns,
        x_scaling=np.stack([table.mean(0)[columns], table.std(0)[columns] + 1]),
        y_scaling=np.stack([np.arange(tasks), np.ones(tasks)]),
        seen=hash_keys(seen, "molecule"), card=card)


def forest(estimator=None, seed=0):
    if estimator is None: estimator = RandomForestRegressor(3, random_state=seed)
    draw = np.random.default_rng(seed)
    return EstimatorSource(
        estimator.fit(draw.random((30, table.shape[1])), draw.random(30)), featurizer,
        [Task("density", "kg/m^3")],
        columns=np.arange(table.shape[1]),
        x_scaling=np.stack([np.zeros(table.shape[1]), np.ones(table.shape[1])]),
        y_scaling=np.array([[0], [1000]]), seen=hash_keys(["CCC"], "molecule"))


mixed = [source(16, 8), source(40, 8, seed=1), source(12, seed=2), source(16, 8, activation="gelu"),
    source(20, 8, tasks=3, log=True),
         source(16, 8, columns=np.arange(5)), source(9, 8, seen=("CCC", "CCN")), forest(),
         source(8, 8, kind=ResidualMLP), source(6, 6, kind=ResidualMLP),
         source(8, 8, tasks=3, kind=MultiTaskEncoder)]


@pytest.fixture
def library(tmp_path):
    made = Library(tmp_path / "library")
    made.add(mixed)
    return made


def same(a, b):
    return model_id(a) == model_id(b) and np.array_equal(a.predict(smiles),
        b.predict(smiles)) and np.array_equal(a.seen, b.seen) and a.card == b.card


def test_every_model_comes_back(library):
    assert all(same(library[model_id(s)], s) for s in mixed)
    assert len(library) == len(list(library)) == len(mixed)
    assert library.verify(progress=False) == len(library.folder.listing())


def test_one_file_and_one_shard_hold_the_same_model(library, tmp_path):
    for s in mixed: assert same(load_source(save_source(s, tmp_path / "one")), s)


@pytest.mark.parametrize("estimator", [ExtraTreesRegressor(3), ElasticNet(), Ridge()],
    ids=lambda e: type(e).__name__)
def test_estimators_come_back(tmp_path, estimator):
    s, lib = forest(estimator), Library(tmp_path)
    i, = lib.add([s])
    assert same(lib[i], s) and Library(tmp_path).merge(lib, progress=False) == 0
    assert lib.add([lib[i]]) == [i], "an id stays when a model moves"


def test_reading_leaves_random_numbers_alone(library):
    before = torch.get_rng_state()
    library.load(list(library))
    assert torch.equal(before, torch.get_rng_state())


def test_loaded_networks_can_be_trained_further(library):
    assert all(p.requires_grad for p in library[model_id(mixed[0])].net.parameters())


def test_order_of_adding_does_not_matter_for_ids(library, tmp_path):
    backwards = Library(tmp_path / "backwards")
    assert backwards.add(mixed[::-1], shard_size=1)[::-1] == [model_id(s) for s in mixed]
    assert list(backwards) == list(library)


def test_shards_hold_one_featurizer_kind_and_depth(library):
    for name in library.folder.listing():
        heads = [m["head"] for m in read_heads(library.folder.locate(name))]
        depths = [len(h["network"]["widths"]) if "network" in h else h["estimator"] for h in heads]
        assert len({(json.dumps(h["featurizer"]), h.get("network", {}).get("name"), d) for h,
            d in zip(heads, depths)}) == 1


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([(5,), (9,), (8, 4), (12, 4), (6, 5, 4)]), st.integers(1, 3),
    st.booleans(), st.integers(0, 3)), min_size=1, max_size=6),
       st.sampled_from([0, -1, "output"]), st.sampled_from(["pre", "post"]))
def test_a_batch_equals_its_members(shapes, layer, activation):
    draw = [source(*h, tasks=t, log=log, seed=k,
        columns=np.sort(np.random.default_rng(k).permutation(table.shape[1])[: 6 + k])) for h, t, log,
        k in shapes]
    for one, s in zip(SourceBatch(draw).hidden(table, layer, activation), draw):
        np.testing.assert_allclose(one, s.hidden(table, layer, activation), rtol=1e-4, atol=1e-5)


def test_a_batch_of_many_rows_is_computed_in_steps():
    wide = np.tile(table, (1000, 1))
    many = [source(w, 8, seed=w) for w in range(8, 20)]
    for one, s in zip(SourceBatch(many).hidden(wide), many):
        np.testing.assert_allclose(one, s.hidden(wide), rtol=1e-4, atol=1e-5)


def test_hidden_takes_raw_inputs_of_any_mixture(library):
    ids = [model_id(s) for s in mixed]
    for one, s in zip(library.hidden(ids, smiles, "output"), mixed):
        np.testing.assert_allclose(one, s.predict(smiles), rtol=1e-4)
    with pytest.raises(ValueError, match="no hidden layers"): library.hidden(ids, smiles, -1)


def test_half_precision_is_stable(tmp_path):
    lib = Library(tmp_path)
    i, = lib.add([source(16, 8)], half=True)
    assert i != model_id(source(16, 8))
    assert lib.add([lib[i]], half=True) == [i] == lib.add([lib[i]]), "what is rounded already stays as it is"
    huge = source(16, 8)
    with torch.no_grad(): huge.net.layers[0].weight[0, 0] = 1e6
    with pytest.raises(ValueError, match="half precision"): lib.add([huge], half=True)


def test_query_finds_what_cards_say(tmp_path):
    def card(error, licence):
        return {"data": {"t": {"licence": licence}},
            "metrics": {"t": {"rows": {"train": 50}, "test_mae": error, "test_mae_of_median": 1.0}}}
    lib = Library(tmp_path)
    ids = lib.add([source(8, seed=i, property=p, card=card(e, l)) for i,
        (p, e, l) in enumerate([("a", 0.5, "CC0"), ("a", 0.2, "GPL"), ("b", 0.9, "CC0")])]
        + [source(8, seed=9, property="a")])
    assert list(lib.query(property="a").index) == [ids[1], ids[0],
        ids[3]], "smallest error first, unknown last"
    assert list(lib.query(licence="CC0", max_error=0.6).index) == [ids[0]]
    assert list(lib.query(min_rows=51).index) == [] and len(lib.query(limit=2)) == 2
    assert len(lib.query(data="t", kind="molecule")) == 3
    assert list(lib.query(max_error=np.float32(0.3)).index) == [ids[1]]
    assert len(lib.query(min_rows=np.int64(50), limit=np.int64(2))) == 2, "numbers of NumPy"
    with pytest.raises(ValueError, match="no model has property 'c'"): lib.query(property="c")


def test_the_catalogue_is_derived(library):
    found, index = library.query(), library.path / "index.sqlite"
    for damage in (index.unlink, lambda: index.write_bytes(b""), lambda: index.write_bytes(b"x" * 5000),
            lambda: index.write_bytes(index.read_bytes()[:9000])):
        damage()
        again = Library(library.path)
        again.reindex()
        assert again.query().equals(found) and again.catalogue.file == index


def test_a_deleted_shard_is_forgotten(library):
    name = next(iter(library.folder.listing()))
    gone = len(read_heads(library.folder.locate(name)))
    library.folder.locate(name).unlink()
    assert len(library) == len(mixed) - gone == len(Library(library.path))


def test_pickle_opens_the_library_again(library):
    assert list(pickle.loads(pickle.dumps(library))) == list(library)


def test_merge_is_a_union(tmp_path):
    a, b = Library(tmp_path / "a"), Library(tmp_path / "b")
    a.add(mixed[:4]), b.add(mixed[2:])
    a.merge(b, progress=False), b.merge(tmp_path / "a", progress=False)
    assert list(a) == list(b) and a.digest == b.digest and len(a) == len(mixed)
    assert a.merge(b, progress=False) == 0


def test_a_starter_library_or_a_clear_error():
    assert len(Library.starter()) > 0


def test_read_only_needs_a_library(tmp_path):
    with pytest.raises(FileNotFoundError, match="no library"): Library(tmp_path / "typo", read_only=True)
    assert not (tmp_path / "typo").exists()


# Sharing

@pytest.fixture
def bucket(monkeypatch):
    "An empty bucket of a server on this machine; credentials and configuration of the user are out of reach."
    import boto3, s3fs
    from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(key, raising=False)
    here = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true"}
    for key, value in here.items(): monkeypatch.setenv(key, value)
    s3fs.S3FileSystem.clear_instance_cache() # another test may have had another port
    name = f"bucket-{secrets.token_hex(4)}" # moto remembers the buckets of earlier servers
    boto3.client("s3").create_bucket(Bucket=name)
    yield f"s3://{name}/library"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def hub(monkeypatch):
    "An empty repository of a hub on this machine, which speaks just enough of the protocol."
    import huggingface_hub as hf
    with fake_hub.serve() as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setenv("HF_TOKEN", "x")
        hf.HfFileSystem.clear_instance_cache()
        yield "hf://group/repository/library"
        hf.HfFileSystem.clear_instance_cache()


@pytest.fixture(params=["folder", "memory", "s3", "hf"])
def url(request, tmp_path):
    if request.param in ("s3", "hf"):
        return request.getfixturevalue({"s3": "bucket", "hf": "hub"}[request.param])
    return str(tmp_path / "shared") if request.param == "folder" else f"memory://{tmp_path.name}"


def test_push_and_pull(library, url, tmp_path):
    digest = library.push(url, progress=False)
    assert digest == library.digest == library.push(url, progress=False)
    pulled = Library(tmp_path / "pulled")
    assert pulled.pull(url, digest=digest, progress=False) == len(mixed)
    assert pulled.verify(progress=False) and all(same(pulled[model_id(s)], s) for s in mixed)
    other = Library(tmp_path / "other")
    other.add([source(7, seed=5)])
    assert other.push(url, progress=False) != digest, "a push adds to what is there"
    assert pulled.pull(url, progress=False) == 1


def test_what_changed_on_the_way_is_refused(library, url, tmp_path):
    library.push(url, progress=False)
    fs, root = fsspec.url_to_fs(url)
    name = sorted(library.folder.listing())[0]
    data = fs.cat_file(f"{root}/shards/{name}")
    fs.pipe_file(f"{root}/shards/{name}", data[:-1] + bytes([data[-1] ^ 1]))
    pulled = Library(tmp_path / "pulled")
    with pytest.raises(ValueError, match="1 of [0-9]+ shards were refused(.|\n)*arrived with SHA-256"):
        pulled.pull(url, progress=False)
    assert pulled.verify(progress=False) == len(library.folder.listing()) - 1
    fs.pipe_file(f"{root}/shards/{name}", data)
    pulled.pull(url, digest=library.digest, progress=False)
    assert pulled.digest == library.digest


def test_a_pushed_folder_is_a_library_and_a_web_site(library, tmp_path):
    library.push(str(tmp_path / "site"), progress=False)
    assert list(Library(tmp_path / "site", read_only=True)) == list(library)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0),
            functools.partial(quiet, directory=tmp_path / "site")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        pulled = Library(tmp_path / "pulled")
        assert pulled.pull(address, progress=False) == len(mixed)
        with pytest.raises(ValueError, match="only be pulled"): library.push(address)
        server.shutdown()


# Several writers, and writers that die

WRITER = textwrap.dedent("""
    import sys
    sys.path.insert(0, sys.argv[3])
    from test_library import Library, source
    library = Library(sys.argv[1])
    print("ready", flush=True)
    for seed in range(int(sys.argv[2]), int(sys.argv[2]) + 1000):
        library.add([source(8, seed=seed), source(8, 4, seed=seed)])
        print(seed, flush=True)
        if seed % 1000 == 7: break
""")


def writer(path, start):
    command = [sys.executable, "-c", WRITER, str(path), str(start), str(Path(__file__).parent)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_two_writers_at_once(tmp_path):
    here = Library(tmp_path)
    both = [writer(tmp_path, 0), writer(tmp_path, 1000)]
    assert [(p.stdout.close(), p.wait())[1] for p in both if p.stdout.read()] == [0, 0]
    assert len(here) == len(Library(tmp_path)) == 32
    assert here.verify(progress=False) == 32


@pytest.mark.parametrize("after", [0, 3])
def test_a_killed_writer_leaves_finished_shards(tmp_path, after):
    process = writer(tmp_path, 0)
    for line in process.stdout:
        if line.strip() == str(after): break
    time.sleep(0.003)
    process.send_signal(signal.SIGKILL); process.wait(); process.stdout.close()
    library = Library(tmp_path)
    assert not library.problems and library.verify(progress=False) == len(library) >= 2 * after + 2
    assert all(model_id(source(8, seed=s)) in library and model_id(source(8, 4, seed=s)) in library
        for s in range(after + 1))
    for s in range(after + 1): library[model_id(source(8, seed=s))].predict(smiles)
    assert library.add([source(8, seed=5000)]) and len(Library(tmp_path)) == len(library)


def test_leftovers_are_swept_after_a_day(library):
    old, young = (library.folder.path / f".{n}.part" for n in ("1-old", "2-young"))
    for p in (old, young): p.write_bytes(b"half a shard")
    os.utime(old, (time.time() - 90_000,) * 2)
    library.reindex()
    assert not old.exists() and young.exists()


def test_two_shards_of_one_model_count_once(library, tmp_path):
    other = Library(tmp_path / "other")
    other.add(mixed[:2], shard_size=1)
    library.merge(other, progress=False)
    assert len(library) == len(mixed)


def test_opening_does_not_read_known_shards(library, monkeypatch):
    monkeypatch.setattr("mltransfer.library.read_heads",
        lambda path: pytest.fail("opened a shard that the catalogue knows"))
    assert len(Library(library.path)) == len(mixed)
    assert isinstance(library.catalogue, Catalogue)


def test_a_second_pull_sees_what_others_pushed(library, url, tmp_path):
    library.push(url, progress=False)
    pulled = Library(tmp_path / "pulled")
    pulled.pull(url, progress=False)
    fs, root = fsspec.url_to_fs(url, skip_instance_cache=True) # as another process would have it
    other = Library(tmp_path / "other")
    other.add([source(7, seed=5)])
    for name in other.folder.listing(): fs.put_file(str(other.folder.locate(name)), f"{root}/shards/{name}")
    fs.pipe_file(f"{root}/manifest.json", _manifest({**library._sizes(), **other._sizes()}))
    assert pulled.pull(url, progress=False) == 1
    assert library.push(url, progress=False) == pulled.digest


def test_a_query_cuts_nothing_unless_told(tmp_path):
    library = Library(tmp_path)
    library.add([source(4, seed=i) for i in range(3)])
    many = [{"id": f"{i:016x}", "head": take_apart(source(4))[0]} for i in range(1200)]
    library.catalogue.add([("f" * 64 + ".safetensors", 1, many)])
    assert len(query(library.catalogue, {})) == 1203 and len(query(library.catalogue, {}, limit=1000)) == 1000
    assert inspect.signature(library.query).parameters["limit"].default is None


def test_each_head_is_parsed_once_whatever_the_order(tmp_path, monkeypatch):
    library = Library(tmp_path)
    made = [source(4, seed=i) for i in range(24)]
    ids = library.add(made, shard_size=3)
    read, order = [], [ids[i] for i in np.random.default_rng(0).permutation(24)]
    heads = read_heads
    monkeypatch.setattr("mltransfer.library.read_heads", lambda path: read.append(path) or heads(path))
    for i in range(0, 24, 4):
        for loaded, wanted in zip(library.load(order[i : i + 4]), order[i : i + 4]):
            assert model_id(loaded) == wanted
    assert len(read) == 8, "one for each shard"
    library.load(order[:2])[0].card["data"] = "changed"
    assert library[order[0]].card.get("data") != "changed", "what is kept is not handed out"


def test_a_pickled_library_whose_folder_is_gone_is_not_made_anew(library):
    kept, gone = pickle.dumps(library), library.path.with_name("elsewhere")
    library.path.rename(gone)
    with pytest.raises(FileNotFoundError, match="has gone: a pickle holds its path"): pickle.loads(kept)
    assert not library.path.exists()
