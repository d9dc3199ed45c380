"Contracts of `units`, `files` and `data`: nothing is lost in silence, nothing unregistered is read, units are right."
import hashlib, os, re, subprocess, sys, threading, warnings
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
from mltransfer.splits import groups_of
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


# ---- conditions, weights, isomers

salt = Task("thermal conductivity", "W/(m K)", "composition")
salts = pd.DataFrame({"salt": ["NaCl", "ClNa", "NaCl", "NaCl", "KBr"], "T": [253, 298, 298, 353, 298], "k": [7.8, 6.5, 6.7, 5.4, 4.8]})


def test_one_salt_at_three_temperatures_stays_three_rows():
    data = from_frame(salts, "salt", "k", salt, conditions=["T"], duplicates="median")
    assert data.conditions == ("T",) and list(data.X) == ["formula", "T"] and data.X.shape == (4, 2)
    assert data.y.tolist() == pytest.approx([7.8, 6.6, 5.4, 4.8]) and data.frame["n_rows"].tolist() == [1, 2, 1, 1]
    assert list(data.groups) == list(data.keys) == ["ClNa", "ClNa", "ClNa", "BrK"], "the group is that of the material"
    assert data.dropped["reason"].tolist() == ["merged with row 1: 6.5 and 6.7"]
    part = data.where(data.X["T"] > 260)
    assert part.conditions == ("T",) and part.X["T"].tolist() == [298, 353, 298] and "<th>T</th>" in part._repr_html_()
    assert len(from_frame(salts, "salt", "k", salt, duplicates="median")) == 2 and from_frame(salts, "salt", "k", salt).X.ndim == 1
    with pytest.raises(ValueError, match="one of several rows of ClNa at equal T"): from_frame(salts, "salt", "k", salt, conditions=["T"], duplicates="raise")


@pytest.mark.parametrize("change, said", [
    (dict(conditions="T"), r"conditions=\['T'\]"), (dict(conditions=["p"]), "no column 'p'"), (dict(conditions=["k"]), "two things at once"),
    (dict(conditions=["T", "T"]), "two things at once"), (dict(y=["k"]), r"y is the name of one column, got \['k'\]"), (dict(x=["salt"], task=boiling), "x is the name of one column"),
    (dict(amounts="grams"), "amounts must be one of"), (dict(task=boiling, amounts="weights"), "amounts belong to compositions"), (dict(task="k"), "task must be a Task"),
])
def test_arguments_of_the_wrong_form_are_refused_at_the_door(change, said):
    with pytest.raises(ValueError, match=said): from_frame(**dict(frame=salts, x="salt", y="k", task=salt) | change)


def test_conditions_must_be_numbers_in_every_row():
    table = salts.assign(T=[253, None, "hot", np.inf, 298])
    with pytest.raises(ValueError, match="(?s)3 of 5 rows.*its T None is not a finite.*its T 'hot'.*its T inf"): from_frame(table, "salt", "k", salt, conditions=["T"])
    assert len(from_frame(table, "salt", "k", salt, conditions=["T"], errors="drop")) == 2


def test_columns_of_two_levels_are_refused_with_a_remedy():
    table = salts.set_axis(pd.MultiIndex.from_tuples([("a", c) for c in salts]), axis=1)
    with pytest.raises(ValueError, match="2 levels; join them first"): from_frame(table, "salt", "k", salt)
    joined = table.set_axis([" ".join(map(str, c)) for c in table.columns], axis=1)
    assert len(from_frame(joined, "a salt", "a k", salt)) == 5


def test_mappings_and_compositions_are_rows():
    from pymatgen.core import Composition
    table = pd.DataFrame({"m": [{"Na": 1, "Cl": 1}, Composition("NaCl"), "ClNa", {"K": 2, "Br": 2.0}], "k": [6.0, 7.0, 8.0, 4.8]})
    data = from_frame(table, "m", "k", salt, duplicates="median")
    assert list(data.keys) == ["ClNa", "BrK"] and data.y.tolist() == [7.0, 4.8]
    assert list(groups_of(table["m"], "composition")) == ["ClNa", "ClNa", "ClNa", "BrK"]
    assert list(Dataset(table.rename(columns={"m": "formula", "k": "value"}), salt).groups) == ["ClNa", "ClNa", "ClNa", "BrK"]
    with pytest.raises(ValueError, match="(?s)row 1: .*the amount of Cl is 'one', not a number"): from_frame(pd.DataFrame({"m": ["NaCl", {"Cl": "one"}], "k": 1.0}), "m", "k", salt)


def test_trade_names_and_sodium_nitride_in_tables():
    with pytest.raises(ValueError, match="(?s)2 of 3 rows.*Al6061.*a trade name.*Tl2212.*a trade name"):
        from_frame(pd.DataFrame({"m": ["Al6061", "C60", "Tl2212"], "k": 1.0}), "m", "k", salt)
    with pytest.raises(ValueError, match="keep_default_na=False"): from_frame(pd.DataFrame({"m": ["NaCl", np.nan], "k": 1.0}), "m", "k", salt)


steels = pd.DataFrame({"Fe": [70.4, 98.6], "Cr": [19.5, np.nan], "Ni": [10.0, 0], "C": [0.1, 0.4], "s": [215.0, 375.0]})
strength = Task("yield strength", "MPa", "composition")


def test_alloys_by_weight_equal_those_of_pymatgen():
    from pymatgen.core import Composition
    elements = ["Fe", "Cr", "Ni", "C"]
    data = from_frame(steels, elements, "s", strength, amounts="weights")
    assert list(data.X) == list(data.keys) and not np.isnan(data.frame["Fe"]).any()
    carbon = [Composition(f).get_atomic_fraction("C") for f in data.X]
    assert carbon == pytest.approx([Composition.from_weight_dict(r.dropna().to_dict()).get_atomic_fraction("C") for _, r in steels[elements].iterrows()], rel=1e-3)
    texts = pd.DataFrame({"f": ["Fe70.4 Cr19.5 Ni10 C0.1", {"Fe": 98.6, "C": 0.4}], "s": [215.0, 375.0]})
    assert list(from_frame(texts, "f", "s", strength, amounts="weights").keys) == list(data.keys)
    assert from_frame(steels, elements, "s", strength, amounts="atoms").keys[0] == KEYS["composition"]("Fe704Cr195Ni100C")


def test_per_cent_without_a_word_warns_once():
    with pytest.warns(UserWarning, match="amounts of 2 rows sum to 98-102.*amounts=\"weights\" or amounts=\"atoms\"") as said:
        from_frame(steels, ["Fe", "Cr", "Ni", "C"], "s", strength)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for how in ("atoms", "weights"): from_frame(steels, ["Fe", "Cr", "Ni", "C"], "s", strength, amounts=how)


@pytest.mark.parametrize("row, said", [({"Fe": "much"}, "'much', not a number"), ({"Fe": -1.0}, "is -1"), ({"Fe": np.nan, "Cr": np.nan, "Ni": np.nan, "C": 0}, "no elements")])
def test_bad_element_columns_are_named(row, said):
    table = pd.concat([steels.astype(object), pd.DataFrame([{**dict.fromkeys(["Fe", "Cr", "Ni", "C"], 1.0), "s": 1.0, **row}])], ignore_index=True)
    with pytest.raises(ValueError, match=f"(?s)1 of 3 rows.*row 2: .*{said}"): from_frame(table, ["Fe", "Cr", "Ni", "C"], "s", strength, amounts="weights")


def test_isomers_are_merged_only_if_told_so():
    table = pd.DataFrame({"s": ["OC(=O)/C=C/C(=O)O", r"OC(=O)/C=C\C(=O)O", "OC(=O)/C=C/C(=O)O", "C[C@H](O)CC", "C[C@@H](O)CC"], "t": [560.0, 408.0, 562.0, 158.0, 160.0]})
    melting = Task("melting point", "K", "molecule")
    data = from_frame(table, "s", "t", melting, duplicates="median")
    assert data.y.tolist() == [561.0, 408.0, 159.0] and data.groups.nunique() == 2 and data.keys.nunique() == 3
    merged = from_frame(table, "s", "t", melting, duplicates="isomers")
    assert merged.y.tolist() == [560.0, 159.0] and "_group" not in merged.frame and len(merged.dropped) == 3


def test_merged_rows_of_a_compilation_are_listed():
    data = loaded("melting_point")
    merged = data.dropped[data.dropped["reason"].str.startswith("merged with row")]
    assert len(merged) == (data.frame["n_rows"] - 1).sum() > 0 and merged["material"].str.fullmatch(r"\d+-\d\d-\d").all()


def test_impossible_refractive_indices_are_left_out():
    data = loaded("inorganic_refractive_index")
    assert not set(data.X) & {"SnSe", "ZrTe5"} and list(data.dropped["material"]) == ["SnSe", "ZrTe5"]


def test_without_a_home_the_setting_is_named(monkeypatch, no_network, registered):
    for name in ("MLTRANSFER_DATA", "HOME", "XDG_CACHE_HOME"): monkeypatch.delenv(name, raising=False)
    def no_entry(uid): raise KeyError(uid)
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    with pytest.raises(FileNotFoundError, match="MLTRANSFER_DATA name a folder"): fetch("a.csv")
