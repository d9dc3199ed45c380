"The audit names every planted leak, leaves clean data in peace, heeds no units, and is always fast enough."
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, RepeatedKFold

from mltransfer.auditing import LeakageWarning, audit, check_splits, near_pairs, same_property, seen_by
from mltransfer.core import Task
from mltransfer.data import load
from mltransfer.keys import KEY_RULES
from mltransfer.source import SourceModel, hash_keys
from mltransfer.splits import RepeatedDraws

heat = Task("heat capacity", "J/(kg K)", "molecule")
alkanes = ["C" * i + "O" for i in range(1, 41)]
y = np.linspace(1000, 3000, 40) + 100 * np.sin(np.arange(40))


class Known(SourceModel):
    "As much of a source as an audit looks at."
    def __init__(self, seen, tasks): self.seen, self.tasks, self.card = seen, tasks, {"key_rules": KEY_RULES}


def source(keys, *properties, kind="molecule"):
    return Known(hash_keys(keys, kind), [Task(p, kind=kind) for p in properties])


def quiet(*args, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakageWarning)
        return audit(*args, **how)


def positions(result, finding): return result.findings.query("finding == @finding")["position"].tolist()


def test_clean_data_are_left_in_peace():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = audit(alkanes, y, heat, table=rng.normal(size=(40, 6)), splits=[list(KFold(5).split(y))],
            sources=[source(["N"], "density")])
    assert found.clean
    assert not len(found.findings)
    assert "No leak" in repr(found)
    assert len(np.unique(found.groups)) == 40


@pytest.mark.parametrize("name", ["polymer_thermal_conductivity", "inorganic_refractive_index"])
def test_bundled_tables_have_one_row_per_material(name):
    data = load(name)
    assert quiet(data.X, data.y, data.task, keys=data.groups).clean


def test_spellings_of_one_material_are_the_same_material():
    found = quiet(alkanes + ["OCC"], np.r_[y, y[1]], heat)
    assert positions(found, "same material") == [40] and found.findings["partner"].tolist() == [1]
    assert found.groups[40] == found.groups[1] != found.groups[0]


def test_duplicates_matter_only_where_they_are_apart():
    X, target = alkanes + ["OC", "OCC"], np.r_[y, y[:2]]
    test = np.array([0, 1, 41])
    found = quiet(X, target, heat, splits=[[(np.setdiff1d(np.arange(42), test), test)]])
    assert positions(found, "same material") == [40], "row 41 is with row 1, row 40 is not with row 0"
    assert "apart in 1 of 1 splits" in found.findings["why"].iloc[0]


def test_contradictions_are_named_on_the_scale_of_the_target():
    far = quiet(alkanes + ["OCC"], np.r_[y, y[1] + 600], heat)
    near = quiet(alkanes + ["OCC"], np.r_[y, y[1] + 100], heat)
    assert positions(far, "contradiction") == [40] and positions(near, "contradiction") == []
    decades, logs = 10.0 ** np.linspace(-3, 3, 40), Task("viscosity", "Pa s", "molecule", log=True)
    assert positions(quiet(alkanes + ["OC"], np.r_[decades, decades[0] * 2], logs), "contradiction") == []
    assert positions(quiet(alkanes + ["OC"], np.r_[decades, decades[0] * 1e3], logs), "contradiction") == [40]


def test_same_property_leaks_and_another_is_transductive():
    sources = [source(alkanes[:3], "Heat Capacity at constant volume"), source(alkanes[2:5], "density"),
        source(alkanes[:1], "density", "heat capacity")]
    found = quiet(alkanes, y, heat, sources=sources).findings
    assert found.query("grade == 'leak'")["position"].tolist() == [0, 1, 2]
    assert found.query("grade == 'transductive'")["position"].tolist() == [2, 3, 4]
    assert "2 of 2 sources" in found["why"].iloc[0] and "1 of 1" in found["why"].iloc[-1]
    many = [source(alkanes[: 0 if i in (3, 4) else 1], "density") for i in range(12)]
    with pytest.warns(LeakageWarning,
            match=r"sources\[i\] for i = 0-2, 5-11: density(.|\n)*model_id\(sources\[i\]\)"):
        audit(alkanes, y, heat, sources=many)


def test_only_tested_rows_leak_from_a_source():
    split = [[(np.arange(5, 40), np.arange(5))]]
    assert positions(quiet(alkanes, y, heat, sources=[source(alkanes, "density")], splits=split),
        "a source has seen another property") == [0, 1, 2, 3, 4]


def test_crystals_and_compositions_meet():
    salts = ["ClNa", "ClK", "FLi", "BrNa"] * 1
    composition, crystal = Task("band gap", "eV", "composition"), Task("band gap", "eV", "crystal")
    by_structure = source(["ClNa_225", "ClCs_221"], "band gap", kind="crystal")
    by_formula = source(["FLi"], "band gap", kind="composition")
    found = quiet(salts, np.arange(4.0), composition, sources=[by_structure, by_formula])
    assert positions(found, "a source has seen the same property") == [0, 2]
    found = quiet(salts, np.arange(4.0), crystal, keys=[f"{s}_225" for s in salts],
        sources=[by_structure, by_formula])
    assert positions(found, "a source has seen the same property") == [0, 2]


def test_no_source_has_seen_anything_of_nothing():
    assert not seen_by([], ["C"], "molecule").any()
    assert seen_by([source(["C"], "density")], [], "molecule").shape == (0,)
    assert seen_by([source([], "density"), source(["C"], "density")], ["N", "C"],
        "molecule").tolist() == [False, True]


def test_words_decide_about_properties():
    assert same_property("Heat capacity", "heat capacity (constant volume)")
    assert same_property("density", "Density")
    assert not same_property("heat capacity", "heat of fusion")


@pytest.mark.parametrize("counts", [True, False])
def test_near_pairs_agree_with_their_definition(counts):
    rng = np.random.default_rng(1)
    table = rng.poisson(1.0, (300, 30)).astype(float) if counts else rng.normal(size=(300, 5))
    table[[7, 290]] = table[[3, 11]]
    pairs, alike = near_pairs(table, 0.8)
    expected = {}
    if not counts: Z = (table - table.mean(0)) / table.std(0)
    typical = 1 if counts else np.median([np.linalg.norm(Z[i] - Z[j]) for i in range(300) for j in range(i)])
    for i in range(300):
        for j in range(i):
            if counts: s = np.minimum(table[i], table[j]).sum() / max(np.maximum(table[i], table[j]).sum(), 1)
            else: s = 1 - np.linalg.norm(Z[i] - Z[j]) / typical
            if s >= 0.8: expected[j, i] = s
    assert {(3, 7), (11, 290)} <= expected.keys() == set(map(tuple, pairs.tolist()))
    assert all(s == pytest.approx(expected[tuple(p)]) for p, s in zip(pairs.tolist(), alike))


def test_near_pairs_do_not_depend_on_units_or_order():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(100, 4))
    table[50] = table[20] + 1e-3
    order = rng.permutation(100)
    for other, back in ((table * [1e-6, 1, 1e3, -5] + [0, 1e3, 0, 2], np.arange(100)), (table[order], order)):
        assert sorted(back[near_pairs(other)[0][0]]) == [20, 50]


def test_identical_rows_of_a_table_that_is_otherwise_constant():
    assert near_pairs(np.ones((3, 2)))[0].tolist() == [[0, 1], [0, 2], [1, 2]]
    assert near_pairs(np.zeros((2, 2)))[0].tolist() == [[0, 1]]
    assert near_pairs(np.ones((1, 2)))[0].shape == (0, 2)


def test_near_rows_name_their_most_similar_partner_and_share_its_group():
    rng = np.random.default_rng(3)
    table = rng.normal(size=(40, 6))
    table[30], table[31] = table[4], table[4] + 0.01
    found = quiet(alkanes, y, heat, table=table)
    assert found.findings[["position", "partner"]].to_numpy().tolist()[0] == [30, 4]
    assert positions(found, "nearly the same") == [30, 31]
    assert len({found.groups[i] for i in (4, 30, 31)}) == 1


def test_columns_that_give_the_target_away_repeat_or_say_nothing():
    rng = np.random.default_rng(4)
    other = rng.normal(size=40)
    table = pd.DataFrame({"fine": rng.normal(size=40), "log": -np.log(y), "once": other, "twice": other,
        "still": 3.0, "bit": np.eye(40)[0], "bit again": np.eye(40)[0]})
    found = quiet(alkanes, y, heat, table=table).findings
    assert found.set_index("value")["grade"].to_dict() == {"log": "leak", "twice": "redundant",
        "bit again": "note", "still": "note"}
    assert not quiet(alkanes, y, heat, table=table[["once", "twice"]]).clean
    assert quiet(alkanes, y, heat, table=table[["still", "bit", "bit again"]]).clean


def test_a_perfect_order_of_few_rows_is_chance():
    table = np.random.default_rng(5).normal(size=(6, 3000))
    assert positions(quiet(alkanes[:6], y[:6], heat, table=table), "is the target") == []


def test_the_warning_names_ten_and_counts_the_rest():
    with pytest.warns(LeakageWarning) as caught: found = audit(alkanes + alkanes[:13], np.r_[y, y[:13]], heat)
    assert len(caught) == 1 and issubclass(LeakageWarning, UserWarning)
    message = str(caught[0].message)
    assert message.count("\n  leak: row") == 10
    assert "3 more" in message
    assert "groups=" in message
    assert "row 40 (CO)" in message
    assert "53 rows" in message and len(found.findings) == 13 and "<table" in found._repr_html_()


@pytest.mark.parametrize("change, said", [
    ({"X": alkanes[:-1]}, "X has 39 rows, but"), ({"y": np.r_[np.nan, y[1:]]}, "row 0"),
    ({"X": [*alkanes[:-1], "C1CC"]}, "row 39"),
    ({"table": np.ones((39, 2))}, "'table': 39"),
    ({"table": np.r_[np.ones((39, 2)), [[1, np.inf]]]}, "row 39"), ({"table": np.ones(40)}, "2-d"),
    ({"keys": ["a"]}, "'keys': 1"), ({"keys": [None] * 40}, "no group"),
    ({"similarity": 0, "table": np.eye(40)}, "similarity must lie"),
    ({"splits": []}, "splits is empty"), ({"splits": list(KFold(5).split(y))}, "wrap what a splitter yields"),
    ({"splits": [[]]}, "splits is empty"),
    ({"splits": [[(np.arange(20), np.arange(19, 40))]]}, "row 19"),
    ({"splits": [[(np.arange(20), np.arange(20, 41))]]}, "there are 40 rows"),
    ({"splits": [[(np.arange(0), np.arange(20))]]}, "no training rows"),
    ({"splits": [[(np.arange(40) < 20, np.arange(40) >= 20)]]}, "row numbers, got bool"),
    ({"task": Task("viscosity", log=True), "y": y - 2000}, "task.log"),
    ({"sources": ["c0ffee"]}, "got str; of a library, give library.load"),
    ({"X": load("polymer_heat_capacity")}, r"pass ds\.X"),
    ({"splits": KFold(5)}, r"got KFold\(.*write \[list\(KFold"),
    ({"splits": [KFold(5)]}, r"write \[list\(KFold"),
])
def test_bad_input_gets_one_clear_error(change, said):
    how = {"X": alkanes, "y": y, "task": heat} | change
    with pytest.raises(ValueError, match=said): audit(how.pop("X"), how.pop("y"), how.pop("task"), **how)


def test_splits_of_any_splitter_pass():
    assert len(check_splits([[s] for s in RepeatedDraws(20, 3).split(y)], 40)) == 3
    assert len(check_splits([list(RepeatedKFold(n_splits=4, n_repeats=2).split(y))], 40)[0]) == 8


def test_a_thousand_rows_and_a_hundred_sources_do_not_take_minutes():
    "A guard against quadratic loops; measured speed is about 0.1 s."
    keys = [f"C{i}H{i + 1}" for i in range(2, 1002)]
    base = hash_keys((f"C{i}H{i + 1}" for i in range(500, 20000)), "composition")
    sources = [Known(base[i:], [Task("density", kind="composition")]) for i in range(100)]
    start = time.perf_counter()
    task = Task("heat capacity", kind="composition")
    found = quiet(keys, np.random.default_rng(0).normal(size=1000), task, keys=keys, sources=sources)
    assert time.perf_counter() - start < 20 and len(found.findings) == 502


def test_conditions_are_no_contradiction():
    from mltransfer.data import from_frame
    task = Task("thermal conductivity", "W/(m K)", "composition")
    salts = pd.DataFrame({"salt": ["NaCl", "ClNa", "NaCl", "Na2Cl2", "KBr", "LiF"],
        "T": [253, 298, 353, 253, 298, 298], "k": [7.8, 6.5, 5.4, 1.0, 4.8, 11.0]})
    data = from_frame(salts, "salt", "k", task, conditions=["T"])
    found = quiet(data.X, data.y, data.task)
    assert positions(found, "contradiction") == [3] and positions(found, "same material") == [1, 2, 3]
    assert positions(quiet(data.X["formula"], data.y, data.task), "contradiction") == [2, 3]


def test_isomers_are_one_group_and_no_contradiction():
    rows = ["OC(=O)/C=C/C(=O)O", r"OC(=O)/C=C\C(=O)O", "CCO", "OCC", "CC"]
    found = quiet(rows, [560.0, 408.0, 351.0, 100.0, 184.0], Task("melting point", "K", "molecule"))
    assert positions(found, "contradiction") == [3]
    assert positions(found, "same material") == [1, 3]
    assert found.groups[0] == found.groups[1]


def test_a_kind_is_no_task():
    with pytest.raises(ValueError, match=r"task must be a Task, got 'molecule'; write e.g. Task\("):
        audit(["CC", "CCO"], [1.0, 2.0], "molecule")


def test_mappings_are_audited_like_formulas():
    task, y = Task("k", "", "composition"), [1.0, 2.0, 9.0]
    a, b = (quiet(X, y, task) for X in (["NaCl", "KBr", "ClNa"],
        [{"Na": 1, "Cl": 1}, {"K": 0.5, "Br": 0.5}, {"Cl": 2, "Na": 2}]))
    assert a.findings["position"].tolist() == b.findings["position"].tolist()
    assert positions(a, "contradiction") == [2]
