"Contracts of `units`, `files` and `data`: nothing is lost in silence, nothing unregistered is read, units are right."
import hashlib, os, re, subprocess, sys, threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from mltransfer import files
from mltransfer.core import Kind, Task
from mltransfer.data import FLAGGED, GRADES, INPUT, Dataset, _not_a_date, _read_csv, datasets, facts, from_frame, load, published_test_keys
from mltransfer.files import fetch, read_table
from mltransfer.keys import KEYS, molecule_key
from mltransfer.units import convert, molar_mass

root = Path(__file__).parents[1]
names = datasets().set_index("name")
bundled, library, download = (list(names.index[names["origin"] == o]) for o in ("bundled", "library", "download"))
loaded = cache(load) # tests read only


def need(*wanted: str) -> None:
    folder = os.environ.get("MLTRANSFER_DATA", "")
    if missing := [f for f in wanted if not (Path(folder) / f).is_file()]:
        pytest.skip(f"MLTRANSFER_DATA names no folder with {missing[0]}")


def files_of(name: str) -> list[str]:
    pattern = read_table("datasets").set_index("name").at[name, "file"]
    extra = ["crystal/phonondb_structures.extxyz"] if "phonondb" in name else []
    return [f for f in read_table("registry")["file"] if re.fullmatch(pattern.replace("*", "(train|val|test)"), f)] + extra


# ---- the list

def test_list_is_sound():
    table = read_table("datasets")
    assert table["name"].is_unique and set(table["kind"]) <= set(Kind.__args__)
    assert (table["rows"] > 0).all()
    assert not (names[["licence", "citation", "nature"]] == "").any().any()
    for a, b in set(zip(table["given"], table["unit"])): assert convert(1.0, a, b, 18.0) > 0


def test_registry_is_pinned():
    registry = read_table("registry")
    assert registry["file"].is_unique
    assert registry["url"].str.match(r"https://.*/[0-9a-f]{40}/").all()
    assert registry["sha256"].str.fullmatch("[0-9a-f]{64}").all()


def test_tables_are_small():
    assert sum(p.stat().st_size for p in (root / "mltransfer/tables").glob("*.csv")) < 600_000


def test_import_is_light():
    heavy = "{'torch', 'chemicals', 'pooch', 'pymatgen', 'matplotlib', 'fastcore', 'nbdev'}"
    code = f"import mltransfer.data, sys; found = {heavy} & set(sys.modules); print(found); sys.exit(bool(found))"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


@pytest.mark.parametrize("bad", ["polymer_heat_capcity", "", "../x", None, 3])
def test_unknown_name(bad):
    with pytest.raises(ValueError, match="no data set"): load(bad)


# ---- contents

def check(data: Dataset) -> None:
    assert len(data.X) == len(data.y) == len(data.frame) == len(data) == names.at[data.name, "rows"]
    assert data.X.name == INPUT[data.task.kind] and data.y.dtype == np.float64
    assert np.isfinite(data.y).all() and data.X.notna().all()
    if data.task.log: assert (data.y > 0).all()
    assert list(data.dropped) == ["row", "material", "value", "reason"] and data.dropped["reason"].str.len().gt(0).all()
    assert data.task.unit == names.at[data.name, "unit"] and data.citation and data.licence
    assert data.name in data._repr_html_() and data.name in repr(data)


@pytest.mark.parametrize("name", bundled)
def test_bundled(name):
    data, rows = loaded(name), facts(name)
    check(data)
    assert data.keys.is_unique and list(data.keys) == [KEYS[data.task.kind](x) for x in data.X]
    assert data.frame["n_rows"].sum() + len(data.dropped) == len(rows), "every fact is used or reported"
    assert (data.frame["spread"] >= 1).all()
    assert set(rows["source_grade"]) <= set(GRADES)
    assert (rows["title"] != "").all() and rows["url"].str.startswith("http").all()
    assert not any("snippet" in c for c in rows)


def test_best_grade_wins_and_median_is_used():
    rows = facts("polymer_heat_capacity")
    rows = rows[~rows["flag"].str.contains("|".join(FLAGGED))].assign(key=lambda f: f["smiles"].map(KEYS["polymer"]))
    data = loaded("polymer_heat_capacity")
    for key, some in rows.groupby("key"):
        grade = some["source_grade"].str[0]
        used = some["value"][grade == grade.min()]
        row = data.frame[data.frame["key"] == key].iloc[0]
        assert row["value"] == pytest.approx(1000 * np.median(used))
        assert row["n_rows"] == len(some) and row["spread"] == pytest.approx(some["value"].max() / some["value"].min())


def test_facts_only_of_bundled():
    with pytest.raises(ValueError, match="is not bundled"): facts("gas_heat_capacity")


@pytest.mark.parametrize("name", library)
def test_library(name):
    data = loaded(name)
    check(data)
    assert data.keys.is_unique and (data.y > 0).all()
    assert list(data.keys) == [molecule_key(s) for s in data.X]


# NIST Chemistry WebBook: methane gas 35.69, benzene gas 82.4, ethanol liquid 112.3, naphthalene crystal 165.7 J/(mol K)
@pytest.mark.parametrize("name, smiles, expected, tolerance", [
    ("gas_heat_capacity", "C", 35.69 / 16.043 * 1000, 0.005),
    ("gas_heat_capacity", "c1ccccc1", 82.4 / 78.11 * 1000, 0.01),
    ("liquid_heat_capacity", "CCO", 112.3 / 46.07 * 1000, 0.01),
    ("liquid_heat_capacity_evaluated", "CCO", 112.3 / 46.07 * 1000, 0.02),
    ("solid_heat_capacity", "c1ccc2ccccc2c1", 165.7 / 128.17 * 1000, 0.01),
    ("boiling_point", "c1ccccc1", 353.2, 0.001),
    ("melting_point", "c1ccccc1", 278.6, 0.001),
    ("molecule_refractive_index", "c1ccccc1", 1.501, 0.001),
    ("molecule_density", "Cc1ccccc1", 0.862, 0.002),
    ("viscosity", "c1ccccc1", 6.04e-4, 0.02),
    ("liquid_thermal_conductivity", "c1ccccc1", 0.142, 0.03),
])
def test_known_values(name, smiles, expected, tolerance):
    data = loaded(name)
    assert data.y[data.groups == molecule_key(smiles)].item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("name", download)
def test_downloaded(name):
    need(*files_of(name))
    data = loaded(name)
    check(data)
    published = sum(read_table("registry").set_index("file").loc[[f for f in files_of(name) if "extxyz" not in f], "rows"])
    repaired = data.dropped["reason"].str.startswith("repaired").sum()
    assert len(data) + len(data.dropped) - repaired == published, "every published row is kept or reported"
    if "part" in data.frame: assert len(set(data.frame["part"])) == len(files_of(name))


def test_spreadsheet_dates_are_repaired():
    need(*files_of("crossproperty_meps"))
    data = loaded("crossproperty_meps")
    assert list(data.dropped["material"]) == ["2-Feb", "3-Feb"]
    assert {"FeB2", "FeB3"} <= set(data.X) and not data.X.str.contains("Feb").any()
    assert [_not_a_date(f) for f in ("12-Feb", "Fe2B", "2-Mar")] == ["FeB12", "Fe2B", "2-Mar"]


def test_published_test_keys():
    need(*(f for n in names.index if n.startswith("crossproperty_") for f in files_of(n)))
    keys, d = published_test_keys(), load("crossproperty_exfoliation_energy")
    test = (d.frame["part"] == "test").to_numpy()
    assert keys >= set(d.groups[test]) and 15_000 < len(keys) < 25_000, len(keys)


def test_groups_reduce_unit_cells():
    need(*files_of("mp_refractive_index"))
    data = loaded("mp_refractive_index")
    assert data.X[0] == "K6S6" and data.groups[0] == "KS"


def test_crystals_have_structures():
    need(*files_of("phonondb_thermal_conductivity"), *files_of("crystal_refractive_index"))
    phonondb, crystal = loaded("phonondb_thermal_conductivity"), loaded("crystal_refractive_index")
    for data in (phonondb, crystal):
        assert [KEYS["composition"](s.composition) for s in data.X] == [KEYS["composition"](f) for f in data.frame["formula"]]
    for row in phonondb.frame.head(8).itertuples(): assert KEYS["crystal"](row.structure).endswith(f"_{row._5}")


def test_qm9_by_hand():
    need(*files_of("qm9_heat_capacity"))
    data = loaded("qm9_heat_capacity")
    assert data.X[0] == "C" and data.y[0] == pytest.approx(6.469 * 4.184 / 16.043 * 1000, rel=1e-4)


def test_sodium_nitride_is_a_formula(tmp_path):
    path = tmp_path / "a.csv"; path.write_text("formula,target\nNaN,1.5\nNaCl,\n")
    table = _read_csv(path)
    assert table["formula"][0] == "NaN" and np.isnan(table["target"][1])


# ---- files

@pytest.mark.parametrize("name", ["../registry.csv", "/etc/passwd", "polymer/../polymer/radonpy_pi1070.csv", "", "..", "polymer", None])
def test_only_registered_names(name):
    with pytest.raises(ValueError, match="no registered file"): fetch(name)


@pytest.fixture
def no_network(monkeypatch):
    import pooch
    def retrieve(*args, **options): raise ConnectionError("no route to host")
    monkeypatch.setattr(pooch, "retrieve", retrieve)


@pytest.fixture
def registered(monkeypatch, tmp_path):
    "A registered file of five bytes, in a folder of its own."
    entry = pd.Series({"url": "https://example.org/a.csv", "sha256": hashlib.sha256(b"right").hexdigest()})
    monkeypatch.setattr(files, "lookup", lambda *a: entry)
    monkeypatch.setenv("MLTRANSFER_DATA", str(tmp_path / "data"))
    return entry


def test_file_in_place_is_not_fetched(no_network, registered, tmp_path):
    (tmp_path / "data").mkdir(); (tmp_path / "data/a.csv").write_bytes(b"right")
    (tmp_path / "data").chmod(0o555)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "data", tmp_path / "data/a.csv")}
    assert fetch("a.csv").read_bytes() == b"right"
    assert before == {p: p.stat().st_mtime_ns for p in before}, "nothing is written"


def test_wrong_hash_in_place(no_network, registered, tmp_path):
    (tmp_path / "data").mkdir(); (tmp_path / "data/a.csv").write_bytes(b"wrong")
    found = hashlib.sha256(b"wrong").hexdigest()
    with pytest.raises(ValueError, match=f"expected SHA-256 {registered['sha256']}, found {found}"): fetch("a.csv")


def test_missing_file_without_network(no_network, registered):
    with pytest.raises(FileNotFoundError, match="no route to host.*https://example.org/a.csv.*MLTRANSFER_DATA"): fetch("a.csv")


@pytest.mark.parametrize("served, right", [(b"right", True), (b"wrong", False)])
def test_download_is_checked(served, right, registered, tmp_path):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(served)
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registered["url"] = f"http://127.0.0.1:{server.server_port}/a.csv"
    try:
        if right: assert fetch("a.csv").read_bytes() == b"right" and fetch("a.csv") == tmp_path / "data/a.csv"
        else:
            with pytest.raises(ValueError, match=f"(?s)expected.*{registered['sha256']}"): fetch("a.csv")
            assert not (tmp_path / "data/a.csv").exists()
    finally: server.shutdown(); server.server_close()


def test_usual_cache_without_setting(monkeypatch, no_network, registered):
    import pooch
    monkeypatch.delenv("MLTRANSFER_DATA")
    with pytest.raises(FileNotFoundError, match=re.escape(str(pooch.os_cache("mltransfer")))): fetch("a.csv")


def test_read_table_is_a_copy():
    mine = read_table("datasets")
    mine["name"] = "spoilt"
    assert read_table("datasets")["name"].is_unique


# ---- a table of one's own

boiling = Task("boiling point", "K", "molecule")
rows_of_a_table = st.lists(st.tuples(st.sampled_from(["CCO", "OCC", "CC", "C(", "", None, "*CC*", 7]),
                                     st.sampled_from([1.0, 2.0, "3", "x", None, float("inf")])), max_size=12)

@settings(max_examples=60)
@given(rows_of_a_table)
def test_every_row_is_kept_or_reported(rows):
    table = pd.DataFrame(rows, columns=["s", "t"], dtype=object)
    data = from_frame(table, "s", "t", boiling, errors="drop")
    assert len(data) + len(data.dropped) == len(table)
    assert np.isfinite(data.y).all() and list(data.keys) == [molecule_key(s) for s in data.X]
    if len(data.dropped):
        with pytest.raises(ValueError, match=f"{len(data.dropped)} of {len(table)} rows"): from_frame(table, "s", "t", boiling)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["CCO", "OCC", "CC", "C"]), st.floats(1, 1e3)), min_size=1, max_size=12), st.randoms())
def test_median_does_not_depend_on_order(rows, random):
    shuffled = list(rows); random.shuffle(shuffled)
    a, b = (from_frame(pd.DataFrame(r, columns=["s", "t"]), "s", "t", boiling, duplicates="median").frame.set_index("key")
            for r in (rows, shuffled))
    pd.testing.assert_frame_equal(a[["value", "n_rows", "spread"]].sort_index(), b[["value", "n_rows", "spread"]].sort_index())
    assert a["n_rows"].sum() == len(rows)


def test_other_columns_and_any_index_survive():
    table = pd.DataFrame({"T": [1, 2], "note": ["a", "b"], "s": ["CC", "CCO"]}, index=[9, 9])
    data = from_frame(table, "s", "T", boiling)
    assert list(data.frame) == ["smiles", "value", "T", "note", "key"] and list(data.frame.index) == [0, 1]
    assert list(table) == ["T", "note", "s"], "the table itself is not changed"


def test_log_task_refuses_zero():
    table = pd.DataFrame({"f": ["NaCl", "Si"], "k": [6.5, 0.0]})
    with pytest.raises(ValueError, match="not positive"): from_frame(table, "f", "k", Task("k", "W/(m K)", "composition", log=True))


@pytest.mark.parametrize("change, message", [
    (dict(x="S"), "no column 'S'; the table has s, t"), (dict(errors="ignore"), "errors must be"),
    (dict(duplicates="mean"), "duplicates must be"), (dict(duplicates="raise"), "one of several rows")])
def test_wrong_arguments(change, message):
    table = pd.DataFrame({"s": ["CCO", "OCC"], "t": [1.0, 2.0]})
    with pytest.raises(ValueError, match=message): from_frame(**{"frame": table, "x": "s", "y": "t", "task": boiling, **change})


def test_names_that_are_taken():
    table = pd.DataFrame({"s": ["CC"], "t": [1.0], "key": ["k"]})
    with pytest.raises(ValueError, match="already has a column 'key'"): from_frame(table, "s", "t", boiling)


def test_html_is_escaped():
    data = from_frame(pd.DataFrame({"s": ["CC"], "t": [1.0]}), "s", "t", boiling, name="<script>")
    assert "<script>" not in data._repr_html_()


# ---- units

def test_molar_mass_of_every_spelling():
    for smiles in loaded("liquid_heat_capacity").X[:100]:
        assert molar_mass(smiles) == pytest.approx(molar_mass(molecule_key(smiles)))


def test_merged_rows_are_accounted_for():
    table = pd.DataFrame({"s": ["CCO", "C(", "OCC", "CC", "C(O)C"], "t": [24.9, 1.0, 64.9, 7.0, 30.0]}, index=list("abcde"))
    data = from_frame(table, "s", "t", Task("melting point", "degC"), errors="drop", duplicates="median")
    assert data.dropped[["row", "index", "material", "value"]].to_numpy().tolist() == [[1, "b", "C(", 1.0], [2, "c", "OCC", 64.9], [4, "e", "C(O)C", 30.0]]
    assert set(data.dropped["reason"][1:]) == {"merged with row 0: 24.9, 64.9 and 30"}
    assert data.frame["spread"].tolist() == pytest.approx([(64.9 + 273.15) / (24.9 + 273.15), 1.0]), "temperatures have a ratio in kelvins only"
    assert "2 merged with an earlier row" in data._repr_html_() and repr(data).endswith("1 left out or repaired, 2 merged)")
    with pytest.raises(ValueError, match=r"row 1: .*\(index 'b'\)"): from_frame(table, "s", "t", boiling)
    assert "index" not in from_frame(table.reset_index(drop=True), "s", "t", boiling, errors="drop").dropped
    many = from_frame(pd.DataFrame({"s": ["CC"] * 7, "t": range(1, 8)}, index=[(0, i) for i in range(7)]), "s", "t", boiling, duplicates="median")
    assert many.dropped["reason"].iloc[-1] == "merged with row 0: 7 values from 1 to 7"
    assert list(from_frame(table[3:], "s", "t", boiling).dropped["index"]) == [] and list(many.dropped["index"])[0] == (0, 1)


@pytest.mark.parametrize("keep", [[2, 1, 0], ["train", "test", "test"], [1.0, np.nan, 0]])
def test_only_true_and_false_choose_rows(keep):
    made = from_frame(pd.DataFrame({"s": ["C", "CC", "CCO"], "y": [1.0, 2, 3]}), "s", "y", Task("p", "K", "molecule"))
    with pytest.raises(ValueError, match="keep is True or False for each row"): made.where(keep)
    assert list(made.where(pd.array([True, False, True], dtype="boolean")).X) == ["C", "CCO"]


@pytest.mark.parametrize("columns, values, how, said", [
    (["s", "a", "a", "y"], [["C", 1, 2, 3.0]], {}, "several columns 'a'"), (["s", "y"], [["C", pd.Timestamp("2020-01-01")]], {}, "holds datetime64"),
    (["s", "y", "n_rows"], [["C", 1.0, 7]], {"duplicates": "median"}, "already has a column 'n_rows'")])
def test_columns_that_would_be_lost_are_named(columns, values, how, said):
    with pytest.raises(ValueError, match=said): from_frame(pd.DataFrame(values, columns=columns), "s", "y", Task("p", "K", "molecule"), **how)
