"A damaged or ill-meant library gives a clear error; the rest stays usable, and no code runs."
import errno, hashlib, json, os, shutil, sqlite3, struct, subprocess, sys, textwrap
from pathlib import Path

import fsspec
import numpy as np
import pytest
from safetensors.numpy import load, save

from mltransfer.library import Library, read_heads, read_models
from mltransfer.estimator_source import EstimatorSource
from mltransfer.source_file import card_html, load_source, save_source
from test_library import featurizer, forest, same, source

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot be read and are left out:UserWarning")

good = [source(8, seed=1), source(8, seed=2)]
other = source(8, 4, seed=3)


@pytest.fixture
def library(tmp_path):
    "Two shards: two models of one hidden layer, one model of two."
    made = Library(tmp_path / "library")
    made.add([*good, other])
    return made


@pytest.fixture(autouse=True)
def nothing_outside_is_touched(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("untouched")
    yield
    assert outside.read_text() == "untouched"
    assert {p.name for p in tmp_path.iterdir()} <= {"outside.txt", "library", "pulled", "evil", "shared"}


def shard_of(library, model):
    return library.folder.locate(library.catalogue.find(next(i for i in library if same(library[i], model))))


def put(library, data):
    "A shard under the name that its bytes give, as an attacker would."
    path = library.folder.path / f"{hashlib.sha256(data).hexdigest()}.safetensors"
    path.write_bytes(data)
    return path


def forge(library, change, tensors=lambda t: t):
    "A copy of a good shard with a changed head and, if wanted, changed tensors."
    path = shard_of(library, good[0])
    models = read_heads(path)
    return put(library, save(tensors(load(path.read_bytes())),
        {"mltransfer": json.dumps({"format": 1, "models": change(models) or models})}))


def rest_is_usable(library, expected=(other,)):
    "All models of the untouched shards can be found and read, in this and in a new opening."
    for lib in (library, Library(library.path)):
        for model in expected:
            found = [i for i in lib if lib.catalogue.find(i)
                == shard_name[id(model)]] if id(model) in shard_name else list(lib)
            assert any(same(lib[i], model) for i in found)
    return True


shard_name = {}


@pytest.fixture(autouse=True)
def names(library):
    shard_name.update({id(other): shard_of(library, other).name,
        id(good[0]): shard_of(library, good[0]).name})
    yield
    shard_name.clear()


def test_truncated_shard(library):
    path = shard_of(library, good[0])
    ids = list(library)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match="1 shards of the library 'library' cannot be read"):
        again = Library(library.path)
    assert len(again) == 1 and rest_is_usable(again)
    assert list(again.problems) == [path.name] and "not a shard" in again.problems[path.name]
    with pytest.raises(ValueError, match="1 of 2 shards are damaged"): again.verify(progress=False)
    with pytest.raises(KeyError, match="1 unreadable shard"): library.load(ids)


@pytest.mark.parametrize("where", [0.02, 0.3, 0.6, 0.99])
def test_flipped_bit(library, where):
    path = shard_of(library, good[0])
    ids = [i for i in library if library.catalogue.find(i) == path.name]
    data = bytearray(path.read_bytes()); data[int(where * len(data))] ^= 4; path.write_bytes(data)
    refused = 0
    for i in ids:
        try: assert any(same(library[i], s) for s in good), "a wrong model was returned"
        except ValueError: refused += 1
    assert refused or where == 0.02, "a bit in the padding of the header changes no model"
    with pytest.raises(ValueError, match="its SHA-256 is"): library.verify(progress=False)
    assert rest_is_usable(library)


def test_wrong_hash_on_the_way(library, tmp_path):
    library.push(str(tmp_path / "shared"), progress=False)
    path = tmp_path / "shared" / "shards" / shard_name[id(good[0])]
    path.write_bytes(path.read_bytes().replace(b"K", b"C"))
    pulled = Library(tmp_path / "pulled")
    with pytest.raises(ValueError, match="1 of 2 shards were refused(.|\n)*arrived with SHA-256"):
        pulled.pull(str(tmp_path / "shared"), progress=False)
    assert rest_is_usable(pulled) and len(pulled) == 1 and len(list(pulled.folder.path.iterdir())) == 1


def test_shard_that_is_longer_than_promised(library, tmp_path):
    library.push(str(tmp_path / "shared"), progress=False)
    path = tmp_path / "shared" / "shards" / shard_name[id(good[0])]
    size = path.stat().st_size
    os.truncate(path, 2**36)  # sparse: 64 GiB that are never read
    pulled = Library(tmp_path / "pulled")
    with pytest.raises(ValueError, match="were refused"):
        pulled.pull(str(tmp_path / "shared"), progress=False)
    os.truncate(path, size)
    assert rest_is_usable(pulled) and pulled.pull(str(tmp_path / "shared"), progress=False) == 2


def test_missing_shard(library, tmp_path):
    library.push(str(tmp_path / "shared"), progress=False)
    (tmp_path / "shared" / "shards" / shard_name[id(good[0])]).unlink()
    pulled = Library(tmp_path / "pulled")
    with pytest.raises(ValueError, match="1 of 2 shards were refused"):
        pulled.pull(str(tmp_path / "shared"), progress=False)
    assert rest_is_usable(pulled)


MANIFESTS = {
    "no JSON": "{", "a list": "[]", "no shards": "{}", "deep": "[" * 100_000,
    "huge number": '{"shards": {"' + "0" * 64 + '.safetensors": 1e999}}',
    "parent": '{"shards": {"../../outside.txt": 9}}', "absolute": '{"shards": {"/etc/passwd": 9}}',
    "size": '{"shards": {"' + "0" * 64 + '.safetensors": -1}}',
    "newline": '{"shards": {"' + "0" * 64 + '.safetensors\\n": 9}}',
    "address": '{"shards": {"https://example.org/x.safetensors": 9}}',
}


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_hostile_manifest(tmp_path, text):
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"/{tmp_path.name}/manifest.json", text.encode())
    pulled = Library(tmp_path / "pulled")
    with pytest.raises(ValueError, match="manifest.json"):
        pulled.pull(f"memory://{tmp_path.name}", progress=False)
    assert len(pulled) == 0 and list(pulled.folder.path.iterdir()) == []


@pytest.mark.parametrize("name",
    ["../../outside.txt", "../" + "0" * 64 + ".safetensors", "/etc/passwd", "0" * 64,
        "0" * 64 + ".safetensors/..", "A" * 64 + ".safetensors"])
def test_names_that_lead_elsewhere(library, name):
    with pytest.raises(ValueError, match="is not the name of a shard"): library.folder.locate(name)
    with pytest.raises(ValueError, match="is not the name of a shard"): library.folder.store(name, [b""])


def test_catalogue_that_points_elsewhere(library, tmp_path):
    i = list(library)[0]
    with sqlite3.connect(library.path / "index.sqlite") as db:
        db.execute("UPDATE models SET shard = '../../outside.txt'")
    db.close()
    with pytest.raises(ValueError, match="is not the name of a shard"): Library(library.path)[i]
    library.reindex()
    assert rest_is_usable(library)


def test_catalogue_that_lies_about_a_model(library):
    a, b = shard_name[id(good[0])], shard_name[id(other)]
    with sqlite3.connect(library.path / "index.sqlite") as db:
        db.execute("UPDATE models SET shard = CASE shard WHEN ? THEN ? ELSE ? END", (a, b, a))
    db.close()
    for i in library:
        with pytest.raises(ValueError, match="cannot be used"): library[i]


CARDS = {
    "unknown featurizer": (lambda m: m[0]["head"].update(featurizer=[{"name": "os.system",
        "params": {"command": "touch outside.txt"}}]), "unknown descriptor 'os.system'"),
    "unknown parameter": (lambda m: m[0]["head"]["featurizer"][0]["params"].update(evil=1), "argument|evil"),
    "unknown activation": (lambda m: m[0]["head"]["network"].update(activation="__import__('os').system"),
        "activation must be one of"),
    "unknown estimator": (lambda m: m[0]["head"].update(estimator="Pipeline", bytes=4, inputs=4), ""),
    "unknown network": (lambda m: m[0]["head"]["network"].update(name="Sequential"), "Sequential"),
    "wrong widths": (lambda m: m[0]["head"]["network"].update(widths=[10**9, 10**9, 1]), ""),
    "negative widths": (lambda m: m[0]["head"]["network"].update(widths=[-1, 8, 1]), ""),
    "other set of seen": (lambda m: m[0].update(seen=7), "seen.7"),
}


@pytest.mark.parametrize("change, message", CARDS.values(), ids=CARDS)
def test_hostile_head(library, change, message):
    "Refused when the model is read, whether or not its id has been forged to match."
    def rename(models): change(models); models[0]["id"], models[1]["id"] = "e" * 16, "d" * 16
    path = forge(library, rename)
    with pytest.raises(ValueError, match="damaged|cannot be used"): read_models(path, ["e" * 16])
    again = Library(library.path)
    with pytest.raises(ValueError, match="cannot be used"): again["e" * 16]
    assert rest_is_usable(again, (other, good[0]))


@pytest.mark.parametrize("change, message", list(CARDS.values())[:3], ids=list(CARDS)[:3])
def test_hostile_head_with_a_matching_id(library, change, message, monkeypatch):
    def rename(models): change(models); models[0]["id"], models[1]["id"] = "e" * 16, "d" * 16
    path = forge(library, rename)
    monkeypatch.setattr("mltransfer.library.content_id", lambda *_: "e" * 16)
    with pytest.raises(ValueError, match=message): read_models(path, ["e" * 16])


HEADS = {
    "no list": lambda m: {"a": 1}, "no tasks": lambda m: m[0]["head"].pop("tasks"),
    "tasks of text": lambda m: m[0]["head"].update(tasks=["x"]),
    "unknown kind": lambda m: m[0]["head"]["tasks"][0].update(kind="virus"),
    "id with dots": lambda m: m[0].update(id="../../outside.tx"),
    "id no text": lambda m: m[0].update(id=5), "card no mapping": lambda m: m[0]["head"].update(card=[1]),
    "data no mapping": lambda m: m[0]["head"]["card"].update(data=3),
    "half a character": lambda m: m[0].update(id="\ud800" * 16),
    "no output": lambda m: m[0]["head"].update(tasks=[]),
}


@pytest.mark.parametrize("change", HEADS.values(), ids=HEADS)
def test_head_that_makes_no_sense(library, change):
    path = forge(library, lambda m: c if isinstance(c := change(m), dict) else None)
    with pytest.warns(UserWarning, match="cannot be read and are left out"): again = Library(library.path)
    assert list(again.problems) == [path.name] and len(again) == 3 and rest_is_usable(again, (other, good[0]))


def test_text_in_a_card_is_only_text(library):
    evil = source(8, seed=4, property="<script>alert(1)</script>\ud800",
        card={"data": {"'; DROP TABLE models; --": {"licence": "<img onerror=x>"}}, "limits": "<b>"})
    i, = library.add([evil])
    assert len(library) == 4 and len(library.query(data="'; DROP TABLE models; --")) == 1
    for html in (library._repr_html_(), card_html(library[i])):
        assert "<script" not in html and "<img" not in html


HEADERS = {
    "10 GB header": struct.pack("<Q", 10 * 2**30) + b"{}",
    "header beyond the end": struct.pack("<Q", 5000) + b"{}", "no header": b"",
    "no JSON": struct.pack("<Q", 4) + b"\xff" * 4,
    "no metadata": save({"a": np.zeros(1)}),
    "deep metadata": save({"a": np.zeros(1)}, {"mltransfer": "[" * 100_000}),
    "other format": save({"a": np.zeros(1)}, {"mltransfer": '{"format": 2}'}),
    "offsets outside": (lambda h: struct.pack("<Q", len(h)) + h
        + b"1234")(b'{"a":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}'),
}


@pytest.mark.parametrize("data", HEADERS.values(), ids=HEADERS)
def test_hostile_file(library, data):
    path = put(library, data)
    with pytest.warns(UserWarning, match="cannot be read and are left out"): again = Library(library.path)
    assert list(again.problems) == [path.name] and rest_is_usable(again, (other, good[0]))
    path.unlink()
    assert again.verify(progress=False) == 2


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside.txt", "."])
def test_symbolic_link(library, target):
    link = library.folder.path / ("0" * 64 + ".safetensors")
    link.symlink_to(target)
    with pytest.warns(UserWarning, match="symbolic link"): again = Library(library.path)
    assert rest_is_usable(again, (other, good[0]))
    with pytest.raises(ValueError, match="symbolic link"): again.folder.locate(link.name)
    with pytest.raises(ValueError, match="symbolic link"): again.folder.store(link.name, [b"x"])


def test_catalogue_and_shards_behind_symbolic_links(library, tmp_path):
    index = library.path / "index.sqlite"
    index.unlink(); index.symlink_to(tmp_path / "outside.txt")
    assert rest_is_usable(Library(library.path)) and not index.is_symlink()
    evil = tmp_path / "evil"
    evil.mkdir(); (evil / "shards").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="symbolic link"): Library(evil)


# Scikit-learn models

def test_estimator_of_a_class_that_is_not_listed():
    import skops.io as skops
    from sklearn.preprocessing import FunctionTransformer
    evil = skops.dumps(FunctionTransformer(os.system, kw_args={}))
    with pytest.raises(Exception, match="(?i)untrusted|is not"):
        EstimatorSource(evil, featurizer, [forest().tasks[0]], columns=np.arange(28),
            x_scaling=np.ones((2, 28)), y_scaling=np.ones((2, 1)), seen=forest().seen, name="Ridge")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"cos\nsystem\n(S'touch outside.txt'\ntR."],
    ids=["empty", "zip", "pickle"])
def test_estimator_that_is_none(data):
    with pytest.raises(ValueError, match="RandomForestRegressor"):
        EstimatorSource(data, featurizer, [forest().tasks[0]], columns=np.arange(28),
            x_scaling=np.ones((2, 28)), y_scaling=np.ones((2, 1)), seen=forest().seen,
            name="RandomForestRegressor")


def test_tree_that_points_outside_of_itself():
    wild = forest()
    wild.estimator.estimators_[0].tree_.children_left[0] = 10**6
    import skops.io
    with pytest.raises(ValueError, match="points outside of itself"):
        EstimatorSource(skops.io.dumps(wild.estimator), featurizer, wild.tasks, columns=wild.columns,
            x_scaling=wild.x_scaling, y_scaling=wild.y_scaling, seen=wild.seen, name="RandomForestRegressor")


# Folders that cannot be written

@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_full_disk(library, monkeypatch, code):
    def full(handle): raise OSError(code, os.strerror(code))
    before = sorted(library.folder.path.iterdir())
    with monkeypatch.context() as m:
        m.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="what was in the library is intact") as caught:
            library.add([source(8, seed=9)])
    assert caught.value.errno == code and sorted(library.folder.path.iterdir()) == before
    assert rest_is_usable(library, (other, good[0]))
    assert library.add([source(8, seed=9)])
    assert len(library) == 4


def child(code, *args, before=None):
    imports = "import sys, warnings\nfrom pathlib import Path\nfrom test_library import *\n"
    script = imports + textwrap.dedent(code)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run([sys.executable, "-B", "-c", script, *map(str, args)], capture_output=True,
        text=True, env=env, preexec_fn=before, cwd=Path(__file__).parents[1])


def test_disk_that_takes_no_large_file(library):
    "The system itself refuses: files may not grow beyond 100 kB, a shard needs more."
    done = child("""
        library = Library(sys.argv[1])
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try: library.add([source(400, 300)])
        except OSError as error: print(error)
        print(len(library), len(library.load(list(library))))
    """, library.path)
    assert "could not be written" in done.stdout and done.stdout.endswith("3 3\n"), done.stdout + done.stderr
    assert len(list(library.folder.path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0,
    reason="only root can become somebody who may not write")
def test_read_only_folder(library, tmp_path):
    "Whether its catalogue is up to date, no catalogue, or not there."
    places = [library.path, tmp_path / "evil", tmp_path / "pulled"]
    for p in places[1:]: shutil.copytree(library.path, p)
    (places[1] / "index.sqlite").write_bytes(b"old")
    (places[2] / "index.sqlite").unlink()
    inside = [p for place in places for p in [place, *place.rglob("*")]]
    for p in inside: p.chmod(0o555 if p.is_dir() else 0o444)
    for p in library.path.parents[:4]: p.chmod(p.stat().st_mode | 0o055)
    before = {p: p.stat().st_mtime_ns for p in inside}
    done = child("""
        import os
        os.setgid(65534); os.setuid(65534)
        for path in sys.argv[1:]:
            library = Library(path)
            found = len(library.query(kind="molecule")), len(library.load(list(library)))
            print(library.read_only, len(library), *found, library.verify(progress=False))
            library.reindex()
            for write in (lambda: library.add([source(9)]), lambda: library.merge(library.path)):
                try: write()
                except PermissionError as error: print(error)
    """, *places)
    message = [f"the library {p.name!r} is read-only" for p in places]
    assert done.stdout.splitlines() == [line for m in message
        for line in ("True 3 3 3 2", m, m)], done.stdout + done.stderr
    assert {p: p.stat().st_mtime_ns for p in inside} == before


def test_single_file_of_elsewhere(tmp_path):
    path = save_source(good[0], tmp_path / "pulled")
    for data in (HEADERS["10 GB header"], b"", path.read_bytes()[:-9]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="is not a source model"): load_source(path)
