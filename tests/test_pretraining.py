"Pretraining: splits keep relatives together, cards tell the truth, a checkpoint changes nothing."
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings, strategies as st
from pymatgen.core import Lattice, Structure
from sklearn.pipeline import FeatureUnion

from mltransfer.auditing import seen_by
from mltransfer.core import Task
from mltransfer.data import Dataset, load
from mltransfer.keys import group_key
from mltransfer.labels import from_learnt, to_learnt
from mltransfer.molecule import Constitution, RDKitDescriptors
from mltransfer.networks import build
from mltransfer.pretraining import OTHERS, _choose_labels, _prepare, _split, join, pretrain
from mltransfer.rank import rank
from mltransfer.source import SourceModel, hash_keys, load_source, save_source
from mltransfer.splits import scaffold_groups
from mltransfer.training import Schedule

quick = settings(max_examples=60)
short = dict(schedule=Schedule(epochs=3), progress=False)


@pytest.fixture(scope="module")
def liquid(): return load("liquid_heat_capacity")


def test_what_cannot_be_saved_is_not_trained(liquid, monkeypatch):
    monkeypatch.setattr("mltransfer.pretraining.join", lambda *a: pytest.fail("the data were read"))
    with pytest.raises(ValueError, match="RDKitDescriptors cannot be saved"):
        pretrain([liquid], RDKitDescriptors())


def test_a_weighted_union_is_not_trained_on(liquid):
    union = FeatureUnion([("a", Constitution())], transformer_weights={"a": 10.0})
    with pytest.raises(ValueError, match="transformer_weights cannot be saved"): pretrain([liquid], union)


def test_only_keys_exclude(liquid):
    row = list(liquid.groups).index("c1ccccc1")
    assert len(join([liquid], ["c1ccccc1",
        "*CC*"])[0]) == len(liquid) - 1, "a key of another kind stands nowhere"
    with pytest.raises(ValueError,
            match="1 of 2 are spelt differently, such as 'C1=CC=CC=C1' for 'c1ccccc1'"):
        join([liquid], ["CCO", "C1=CC=CC=C1"])
    with pytest.raises(ValueError, match="put the one key 'CCO' in a list"): join([liquid], "CCO")
    assert liquid.X[row] == "C1=CC=CC=C1", "the table itself spells it so"
    for wrong in ("benzene", np.nan, None):
        with pytest.raises(ValueError, match="1 of 2 cannot be read, such as"): join([liquid], ["CCO", wrong])


def toy(kind, rows, name="toy"):
    "A data set of one kind."
    column = {"composition": "formula", "crystal": "structure"}.get(kind, "smiles")
    return Dataset(pd.DataFrame({column: rows, "value": np.arange(len(rows), dtype=float)}),
        Task("a", kind=kind), name=name)


def test_kinds_never_mix():
    assert hash_keys(["C"], "molecule") != hash_keys(["C"], "composition")
    carbon, methane = toy("composition", ["C", "CN", "Fe"]), toy("molecule", ["C", "CN", "CCO"])
    assert len(join([carbon], methane.groups[:1])[0]) == 2, "a text that is a key of both leaves out both"
    assert not seen_by([source_of(methane)], carbon.groups, "composition").any()
    assert seen_by([source_of(methane)], methane.groups, "molecule").all()


def test_crystals_and_compositions_leave_each_other_out():
    cells = [Structure(Lattice.cubic(a), ["Cs", x], [[0, 0, 0], [0.5, 0.5, 0.5]]) for a,
        x in ((4.1, "Cl"), (4.3, "Br"))]
    crystals, formulas = toy("crystal", cells), toy("composition", ["CsCl", "CsBr"])
    assert list(join([crystals], formulas.groups[:1])[0].index) == ["BrCs_221"]
    assert list(join([formulas], crystals.groups[:1])[0].index) == ["BrCs"]
    assert seen_by([source_of(crystals)], formulas.groups, "composition").all()
    assert seen_by([source_of(formulas)], crystals.groups, "crystal").all()
    with pytest.raises(ValueError, match="'CsCl' for 'ClCs'"): join([crystals], ["CsCl"])


def source_of(data):
    "An untrained network that claims to have seen all rows."
    kind = data.task.kind
    return SourceModel(build([1, 2, 1]), None, [data.task], columns=[0], x_scaling=[[0], [1]],
        y_scaling=[[0], [1]],
                       seen=hash_keys(data.groups, kind))


def test_a_property_without_rows_is_named(liquid):
    few = liquid.where(np.arange(len(liquid)) < 5)
    other = Dataset(few.frame.assign(key=few.groups), replace(few.task, property="other"), name="few")
    with pytest.raises(ValueError, match="no training row has a label of few"):
        pretrain([liquid, other], Constitution(), exclude=other.groups, **short)


@pytest.mark.parametrize("recipe", ["forest", "elastic net"])
def test_options_of_networks_are_refused_elsewhere(liquid, recipe):
    with pytest.raises(ValueError, match=f"checkpoint has no meaning for a {recipe}"):
        pretrain([liquid], Constitution(), recipe=recipe, checkpoint="x")
    with pytest.raises(ValueError, match="hidden has no meaning"):
        pretrain([liquid], Constitution(), recipe=recipe, hidden=(8,))


# --- splits

@quick
@given(st.integers(20, 400), st.integers(0, 99))
def test_materials_are_split_in_three_parts(n, seed):
    parts = _split(n, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert [len(p) for p in parts] == [round(0.75 * n), round(0.9 * n) - round(0.75 * n), n - round(0.9 * n)]


@quick
@given(st.lists(st.integers(1, 9), min_size=30, max_size=80), st.integers(0, 200), st.integers(0, 99))
@example([1] * 19 + [5] * 8 + [9] * 3, 0, 0) # large groups alone are more than three quarters of the rows
def test_groups_stay_whole_and_parts_near_their_share(sizes, large, seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes) + 1), [*sizes, large]))
    n = len(groups)
    parts = _split(n, seed, groups)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert sum(len(set(groups[p])) for p in parts) == len(set(groups)), "a group is in one part only"
    large_ones = {g for g in set(groups) if (groups == g).sum() > n / 20}
    trained = set(groups[parts[0]])
    assert trained >= large_ones or trained < large_ones, "small groups train only if all large ones do"
    assert len(parts[0]) + len(parts[1]) == pytest.approx(max(0.9 * n, large), abs=9)


def test_splits_are_seeded_and_do_not_depend_on_names():
    groups = np.repeat(np.arange(40), 5)
    same = [_split(200, 0, groups), _split(200, 0, groups)]
    assert all(np.array_equal(a, b) for a, b in zip(*same))
    assert not np.array_equal(_split(200, 0, groups)[2], _split(200, 1, groups)[2])


@pytest.mark.parametrize("groups", [["a"] * 30, ["a"] * 29 + ["b"]])
def test_groups_that_cannot_be_split_are_refused(groups):
    with pytest.raises(ValueError, match="cannot be split into three parts"): _split(30, 0, groups)


def test_a_source_is_tested_on_scaffolds_that_it_has_not_seen(liquid):
    [source] = pretrain([liquid], Constitution(), groups=scaffold_groups, **short)
    keys = sorted(set(liquid.keys))
    seen = seen_by([source], liquid.groups, "molecule")
    of = dict(zip(liquid.keys, seen))
    unseen, known = ([k for k in keys if of[k] == answer] for answer in (False, True))
    assert not set(scaffold_groups(unseen)) & set(scaffold_groups(known))
    assert len(unseen) == source.card["metrics"]["liquid_heat_capacity"]["rows"]["test"]
    assert source.card["split"] == "scaffold_groups"


def test_isomers_are_learnt_apart_and_held_out_together(liquid):
    isomers = ["C/C=C\\C", "C/C=C/C"]
    rows = [*isomers, *("C" * i + "O" for i in range(1, 60))]
    data = toy("molecule", rows)
    X, _ = join([data])
    assert set(isomers) <= set(X.index), "two rows, each with its own value"
    assert not {*isomers, "CC=CC"} & set(join([data], ["CC=CC"])[0].index), "the group leaves out both"
    assert not set(isomers) & set(join([data], isomers[:1])[0].index), "one leaves out the other"
    for seed in range(8):
        [source] = pretrain([data], Constitution(), n_columns=(3, 5), hidden=(4,), random_state=seed,
            schedule=Schedule(epochs=1), progress=False)
        cis, trans = seen_by([source], isomers, "molecule")
        n_test = source.card["metrics"]["toy"]["rows"]["test"]
        assert cis == trans == np.isin(hash_keys(["CC=CC"], "molecule"), source.seen)[0]
        assert n_test == len(rows) - sum(np.isin([hash_keys([k], "molecule")[0] for k in data.groups],
            source.seen))


# --- scales

def test_scaling_knows_the_training_rows_only():
    rng = np.random.default_rng(0)
    parts = {"train": np.arange(40), "valid": np.arange(40, 50), "test": np.arange(50, 60)}
    table, Y = rng.normal(size=(60, 4)).astype(np.float32), pd.DataFrame({"y": rng.normal(size=60)})
    table[:, 3] = 0
    a = _prepare(table, Y, [Task("y")], parts, "task")
    table[40:], Y.loc[40:] = 1e4 * (1 + rng.random((20,
        4))), 1e6 # held out: another world, and a column that training has not
    b = _prepare(table, Y, [Task("y")], parts, "task")
    for name in ("x_scaling", "y_scaling", "useful"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.Z[:40], b.Z[:40])
    np.testing.assert_allclose(a.x_scaling, [table[:40, :3].mean(0), table[:40, :3].std(0)], rtol=1e-5)


def test_a_source_is_scaled_by_what_it_was_trained_on(liquid):
    Z = Constitution().fit_transform(join([liquid])[0])
    groups = pd.Index([group_key(k, "molecule") for k in join([liquid])[1].index])
    train = _split(len(Z), 0, groups)[0]
    [source] = pretrain(liquid, Constitution(), **short)
    np.testing.assert_allclose(source.x_scaling[0], Z[train][:, source.columns].mean(0), rtol=1e-5)


def test_labels_on_a_logarithmic_scale_come_back_in_their_unit():
    Y = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [10.0, 1e3, -1.0]})
    labels = to_learnt(Y.to_numpy(), [Task("a"), Task("b", log=True)])
    np.testing.assert_array_equal(labels, [[1, 1], [2, 3], [np.nan, np.nan]])

    viscosity = load("viscosity")
    [source] = pretrain([viscosity], Constitution(), hidden=(64, 32), schedule=Schedule(epochs=20),
        progress=False)
    metrics = source.card["metrics"]["viscosity"]
    assert metrics["test_mae"] < metrics["test_mae_of_median"]
    assert (source.predict(viscosity.X[:50]) > 0).all()


@pytest.mark.parametrize("told", [False, True])
def test_the_scale_is_chosen_on_validation_rows(told):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 3)).astype(np.float32)
    Y = pd.DataFrame({"even": 50 + 3 * Z[:, 0], "decades": 10 ** (1.5 * Z[:, 1]), "signed": Z[:, 2]})
    Y.loc[::3, "decades"] = np.nan
    parts = {"train": np.arange(200), "valid": np.arange(200, 250), "test": np.arange(250, 300)}
    choose = lambda: [_choose_labels(Task(name, log=told), Y[name].to_numpy(), Z, parts, "auto")
        for name in Y]
    chosen = choose()
    assert [t.log for t, _ in chosen] == [False, True, False] and abs(chosen[2][1] - 1) < 0.3
    Y.loc[250:] = 1e9
    assert choose() == chosen, "untouched rows are not looked at"


@pytest.mark.parametrize("transform", ["standard", "log1p", "yeo-johnson", "auto"])
def test_bent_labels_come_back_in_their_unit(liquid, transform, tmp_path):
    [source] = pretrain([liquid], Constitution(), hidden=(64, 32), transform=transform,
        schedule=Schedule(epochs=30), progress=False)
    metrics = source.card["metrics"]["liquid_heat_capacity"]
    assert metrics["test_mae"] < 0.7 * metrics["test_mae_of_median"]
    again = load_source(save_source(source, tmp_path / "s.safetensors"))
    np.testing.assert_array_equal(again.predict(liquid.X[:9]), source.predict(liquid.X[:9]))


@quick
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), st.floats(0, 2).map(lambda e: round(e, 3)))
def test_every_label_has_its_value(values, exponent):
    y = np.array(values)[:, None]
    np.testing.assert_allclose(from_learnt(to_learnt(y, [Task("y")], exponent), [Task("y")], exponent), y,
        rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recipe", OTHERS)
def test_models_that_are_no_networks_are_drawn_saved_and_read(liquid, recipe, tmp_path):
    a, b = pretrain([liquid], Constitution(), recipe=recipe, n_models=2, n_columns=(8, 12), random_state=3)
    assert a.estimator.get_params() != b.estimator.get_params() and not np.array_equal(a.columns, b.columns)
    again = load_source(save_source(a, tmp_path / "s.safetensors"))
    np.testing.assert_array_equal(again.predict(liquid.X[:9]), a.predict(liquid.X[:9]))
    assert "schedule" not in a.card and a.card["recipe"] == recipe


# --- what is refused at the door, and what is drawn

def test_a_lone_data_set_is_a_list_of_one(liquid):
    one, other = pretrain(liquid, Constitution(), **short) + pretrain([liquid], Constitution(), **short)
    assert all(torch.equal(p, q) for p, q in zip(one.net.parameters(), other.net.parameters()))


@pytest.mark.parametrize("wrong, said",
    [([], "there are no data"), (["viscosity"], "got str; `load` opens one"), ([None], "got NoneType")])
def test_what_is_no_data_set_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said): pretrain(wrong, Constitution())


def test_too_few_rows_are_refused_before_any_work(liquid):
    few = liquid.where(np.arange(len(liquid)) < 12)
    with pytest.raises(ValueError, match="12 materials are too few to pretrain on, need at least 20"):
        pretrain(few, Constitution())


def test_no_seed_draws_one_and_keeps_it(liquid):
    first, second = (pretrain(liquid, Constitution(), random_state=None, **short)[0] for _ in range(2))
    seed = first.card["random_state"]
    assert isinstance(seed, int) and seed != second.card["random_state"]
    [again] = pretrain(liquid, Constitution(), random_state=seed, **short)
    assert all(torch.equal(p, q) for p, q in zip(first.net.parameters(), again.net.parameters()))
    assert len(rank([first], liquid.X[:20], liquid.y[:20], random_state=None))


# --- cards

def test_a_card_holds_three_errors_and_both_rivals(liquid):
    first, second = pretrain([liquid], Constitution(), n_models=2, forest=20, **short)
    metrics, other = (s.card["metrics"]["liquid_heat_capacity"] for s in (first, second))
    rivals = {f"{part}_mae{k}" for part in ("train", "valid", "test")
        for k in ("", "_of_median", "_of_forest")} - {"train_mae_of_forest"}
    assert set(metrics) == {"rows"} | rivals
    assert metrics["test_mae_of_forest"] == other["test_mae_of_forest"] < metrics["test_mae_of_median"] / 2
    table = pd.DataFrame({"y": liquid.y.to_numpy(), "key": liquid.groups.to_numpy(),
        "x": liquid.X.to_numpy()})
    fresh = table[[not np.isin(hash_keys([k], "molecule"), first.seen)[0]
        for k in table["key"]]].groupby("key").agg({"y": "median", "x": "last"})
    error = np.abs(first.predict(fresh["x"])[:, 0] - fresh["y"]).mean()
    assert metrics["rows"]["test"] == len(fresh) and metrics["test_mae"] == pytest.approx(error, rel=1e-4)


def test_checkpoint_stack_and_workers_do_not_change_what_is_learnt(liquid, tmp_path):
    run = lambda **how: pretrain([liquid], Constitution(), n_models=3, **short, **how)
    plain = run()
    for how in ({"checkpoint": tmp_path}, {"checkpoint": tmp_path}, {"n_jobs": 2}):
        for a, b in zip(plain, run(**how), strict=True):
            assert all(torch.equal(p, q) for p, q in zip(a.net.parameters(), b.net.parameters()))
            assert a.card == b.card
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    for a, b in zip(plain, run(stack=3), strict=True):
        np.testing.assert_allclose(a.predict(liquid.X[:20]), b.predict(liquid.X[:20]), rtol=1e-3)


def test_rows_at_several_conditions_are_no_source():
    from mltransfer.data import from_frame
    frame = pd.DataFrame({"s": ["NaCl", "NaCl", "KBr"], "T": [298, 353, 298], "k": [6.5, 5.4, 4.8]})
    data = from_frame(frame, "s", "k", Task("k", "", "composition"), conditions=["T"], name="salts")
    with pytest.raises(ValueError, match="'salts' holds rows at several T.*choose one"): join([data])
    inputs, labels = join([data.where(data.X["T"] == 298)])
    assert inputs.to_dict() == {"ClNa": "NaCl", "BrK": "KBr"}
    assert labels["salts"].to_dict() == {"ClNa": 6.5, "BrK": 4.8}
