"The cross-property study: what is chosen inside the training rows, and what never looks at the test rows."
import os
from dataclasses import replace

import numpy as np
import pytest

from mltransfer.cases.cross_property import METHODS, average, judge, ours, plain, run, starter_sources
from mltransfer.composition import ElementFractions
from mltransfer.data import load
from mltransfer.published import Published, distinct, published_errors, thinned
from mltransfer.validate import digest, piece, untrained

needs_data = pytest.mark.skipif(
    "MLTRANSFER_DATA" not in os.environ, reason="needs downloaded tables: set MLTRANSFER_DATA"
)


@pytest.fixture(scope="module")
def sources(): return starter_sources()[:2]


@pytest.fixture(scope="module")
def toy(sources):
    "Measured lattice conductivities, a quarter of them as test; one test formula is repeated in training."
    d = load("lattice_thermal_conductivity")
    X, y, groups = sources[0].describe(d.X), np.log(d.y.to_numpy()), d.groups.to_numpy().astype(object)
    test = np.arange(len(y)) % 4 == 0
    again = [*range(len(y)), 0]
    test = np.append(test, False)
    return Published(
        "exfoliation_energy",
        "1",
        X[again],
        ElementFractions().fit_transform(d.X)[again],
        y[again],
        groups[again],
        test,
    )


def test_published_errors():
    table = published_errors()
    assert len(table) == 41 and len(distinct()) == 40 and set(distinct()) < set(table.index)
    assert (table[["scratch_mae", "transfer_mae"]] > 0).all(axis=None) and (
        table["best"] <= table["transfer_mae"]
    ).all()
    assert (
        table["transfer_mae"] < table["scratch_mae"]
    ).sum() == 29, "27 of 39 computed sets and both measured ones"


def test_test_values_change_nothing(sources, toy):
    other = replace(toy, y=np.where(toy.test, 1e6, toy.y))
    a, b = (ours(d, sources, 0, quick=True) | plain(d, 0) for d in (toy, other))
    assert set(a) == {"direct", "transfer", "forest", "median", "inner", "share"} and 0 <= a["share"] <= 1
    for name in a: np.testing.assert_array_equal(a[name], b[name])


def test_judge_counts_new_formulas_apart(sources, toy):
    assert (~toy.new).sum() == 1, "one test formula is repeated"
    found = ours(toy, sources, 0, quick=True)
    row = judge(toy, plain(toy, 0), [found, found])
    off = np.abs(found["transfer"] - toy.y[toy.test])
    assert row["transfer"] == pytest.approx(off.mean()) and row["transfer, new formulas"] == pytest.approx(
        off[toy.new].mean()
    )
    assert (
        row["spread"] == 0
        and row["low"] < row["ratio"] < row["high"]
        and row["gain low"] <= row["gain"] <= row["gain high"]
    )
    assert row["ratio"] == pytest.approx(off.mean() / 51.56) and row["one seed"] == pytest.approx(
        row["transfer"]
    )


def test_seeds_are_averaged_before_they_are_judged(toy):
    y = toy.y[toy.test]
    above, below = (
        {m: y + s for m in ("direct", "transfer")} | {"share": np.array(0.5), "inner": np.array([0.8, 0.7])}
        for s in (1.0, -0.5)
    )
    np.testing.assert_allclose(average([above, below])["transfer"], y + 0.25)
    row = judge(toy, plain(toy, 0), [above, below])
    assert (row["transfer"], row["one seed"], row["spread"], row["seeds"], row["promised"]) == pytest.approx(
        (0.25, 0.75, 0.5 / np.sqrt(2), 2, 0.7)
    )


def test_the_null_is_compared_with_its_own_seed(toy):
    y = toy.y[toy.test]
    first, second, null = (
        {"direct": y + 1, "transfer": y + off, "share": np.array(0.5), "inner": np.array([0.8, 0.7])}
        for off in (0.5, -0.1, 0.8)
    )
    row = judge(toy, plain(toy, 0), [first, second], null)
    assert (row["null"], row["null gain"], row["over null"]) == pytest.approx((0.8, 0.8, 0.625))
    assert np.isnan(row["over null low"]) and np.isnan(
        row["over null high"]
    ), "errors that are all alike have no interval"
    assert row["gain"] == pytest.approx(0.2)


def test_sources_that_know_a_test_formula_are_refused(sources, toy, tmp_path, monkeypatch):
    from mltransfer.cases import cross_property
    known = load("inorganic_refractive_index").groups.to_numpy().astype(object)[: len(toy.y)]
    monkeypatch.setattr(cross_property, "read_published", lambda *_: replace(toy, groups=known))
    monkeypatch.setattr(cross_property, "starter_sources", lambda: sources)
    if not cross_property.seen_by(sources, known[toy.test], "composition").any():
        pytest.fail("the example must be known to the sources")
    with pytest.raises(ValueError, match="test formulas of exfoliation_energy"):
        run(datasets=["exfoliation_energy"], folder=tmp_path)


def test_a_finished_piece_is_read_and_not_computed(tmp_path):
    first = piece(tmp_path / "a" / "one.npz", lambda: {"x": np.arange(3), "names": np.array(["b"])}, "one")
    again = piece(tmp_path / "a" / "one.npz", lambda: 1 / 0, "one")
    for k in first: np.testing.assert_array_equal(first[k], again[k])
    assert [p.name for p in (tmp_path / "a").iterdir()] == [f"one-{digest('one')}.npz"]


def test_an_interrupted_piece_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError): piece(tmp_path / "one.npz", lambda: 1 / 0, "one")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong, message", [(dict(size="huge"), "size must be"), (dict(datasets=["klo"]), "no data set 'klo'"), (dict(datasets=["nem300k"]), "nem300k is pem300k"),
                                            (dict(datasets="klu"), "put the name in a list"), (dict(datasets=[]), "one or more"), (dict(datasets=["klu", "klu"]), "each once"), (dict(seeds=0), "seeds is a number"),
                                            (dict(methods=["trees"]), "no method 'trees'; there are median")])
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message): run(**wrong)


@needs_data
def test_twins_are_one_file():
    a, b = load("crossproperty_nem300k"), load("crossproperty_pem300k")
    assert list(a.X) == list(b.X) and (a.y == b.y).all() and list(a.frame["part"]) == list(b.frame["part"])


@needs_data
def test_demo_runs_and_repeats(tmp_path):
    report = run(
        "demo", methods=METHODS[:-1], folder=tmp_path
    ) # without the null, which is tested on one set: it doubles the time
    assert list(report.table.index) == distinct()[:12] and set(report.figures) == {
        "ratios",
        "shares",
        "sources",
        "parity",
    }
    assert (
        list(report.details) == distinct()[:12]
        and report.details["exfoliation_energy"].loc["transfer", "MAE [meV/atom]"]
        == report.table.loc["exfoliation_energy", "transfer"]
    )
    assert (
        (report.table["transfer"] < report.table["median"] * 1.2).all()
        and "10 computed sets and" in report.verdict
        and "Untrained" not in report.verdict
    )
    assert (report.table["seen in training"] < 0.6).all() and (
        report.table["ratio"] < 1
    ).sum() >= 6, "even without networks"
    pieces = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    assert len(pieces) == 2 * 12
    again = run("demo", methods=METHODS[:-1], folder=tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")} == pieces
    assert report.table.equals(again.table)


@needs_data
def test_other_sources_in_the_same_folder_are_another_piece(tmp_path, monkeypatch):
    from mltransfer.cases import cross_property
    run("demo", datasets=["exfoliation_energy"], methods=["transfer"], folder=tmp_path)
    others = untrained(starter_sources())
    monkeypatch.setattr(cross_property, "starter_sources", lambda: others)
    run("demo", datasets=["exfoliation_energy"], methods=["transfer"], folder=tmp_path)
    assert (
        len(list(tmp_path.rglob("exfoliation_energy-0-*.npz"))) == 2
        and len(list(tmp_path.rglob("*plain*.npz"))) == 1
    )


@needs_data
def test_the_null_stands_beside_it(tmp_path):
    report = run("demo", datasets=["exfoliation_energy"], folder=tmp_path)
    row = report.table.loc["exfoliation_energy"]
    assert (
        row["null"] < 1.3 * row["direct"]
        and row["over null low"] <= row["over null"] <= row["over null high"]
        and "Untrained networks in their place" in report.verdict
    )
    assert list(report.details["exfoliation_energy"].index) == [
        "scratch published",
        "transfer published",
        *METHODS,
    ]
    some = run("demo", datasets=["exfoliation_energy"], methods=["direct", "transfer"], folder=tmp_path)
    assert (
        list(some.details["exfoliation_energy"].index)
        == ["scratch published", "transfer published", "direct", "transfer"]
        and "null" not in some.table
    )


def test_thinning_keeps_whole_formulas_and_all_test_rows(toy):
    part = thinned(toy, 0.5, 0)
    assert (part.y[part.test] == toy.y[toy.test]).all() and 30 <= (~part.test).sum() <= 40
    kept, all_rows = part.groups[~part.test], toy.groups[~toy.test]
    assert all((kept == g).sum() == (all_rows == g).sum() for g in kept)
    with pytest.raises(ValueError, match="share is above 0"): thinned(toy, 0, 0)
