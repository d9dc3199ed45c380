"Everything is chosen inside the rows given; never much worse than direct; scikit-learn's contracts; bad input is named."
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.estimator_checks import parametrize_with_checks

from mltransfer.core import BadRows, Task
from mltransfer.data import load
from mltransfer.library import Library
from mltransfer.fingerprints import MorganFingerprint
from mltransfer.molecule import Constitution
from mltransfer.networks import build
from mltransfer.plots import gain_map
from mltransfer.pretraining import pretrain
from mltransfer.rank import DescriptorTables, read_layers
from mltransfer.preselection import Screen, inner_folds, learnt_blocks, mixing_weights
from mltransfer.search import Shotgun, candidates, transfer_map
from mltransfer.estimator_source import EstimatorSource
from mltransfer.source import SourceModel, hash_keys
from mltransfer.training import Schedule
from mltransfer.validate import untrained

featurizer = make_union(Constitution(), MorganFingerprint(64, counts=True, per_heavy_atom=True))


@pytest.fixture(scope="module")
def polymers(): return load("polymer_refractive_index")


@pytest.fixture(scope="module")
def sources(polymers):
    how = {"exclude": polymers.groups, "schedule": Schedule(epochs=4), "progress": False}
    several = [load(n) for n in ("molecule_refractive_index", "liquid_heat_capacity")]
    return pretrain(several, featurizer, n_models=2, hidden=(32, 16), **how) + [s for d in several for s in pretrain([d], featurizer, n_models=2, **how)]


@pytest.fixture(scope="module")
def X(polymers): return featurizer.fit_transform(polymers.X)


@pytest.fixture(scope="module")
def y(polymers): return polymers.y.to_numpy()


@pytest.fixture(scope="module")
def fitted(sources, X, y): return Shotgun(sources).fit(X[:40], y[:40])


def one_source() -> SourceModel:
    "A small network with initial weights."
    n = len(featurizer.get_feature_names_out())
    return SourceModel(build((n, 8, 1)), featurizer, [Task("p")], columns=np.arange(n), x_scaling=np.tile([[0.0], [1.0]], n), y_scaling=np.array([[0.0], [1.0]]), seen=np.array([], np.uint64))


WIDTH = "the tables of the checks are not the descriptors of the source, which is refused"
expected = dict.fromkeys("""
    check_dict_unchanged check_dont_overwrite_parameters check_estimators_dtypes check_estimators_fit_returns_self check_estimators_overwrite_params
    check_estimators_pickle check_f_contiguous_array_estimator check_fit2d_1feature check_fit_check_is_fitted check_fit_idempotent
    check_fit_score_takes_y check_methods_sample_order_invariance check_methods_subset_invariance check_pipeline_consistency
    check_positive_only_tag_during_fit check_readonly_memmap_input check_regressor_data_not_an_array check_regressors_int
    check_regressors_no_decision_function check_regressors_train
    check_sample_weights_pandas_series check_sample_weights_not_an_array check_sample_weights_list check_sample_weights_shape
    check_sample_weights_not_overwritten check_sample_weight_equivalence_on_dense_data check_all_zero_sample_weights_error
""".split(), WIDTH)


@parametrize_with_checks([Shotgun([one_source()])], expected_failed_checks=lambda e: expected)
def test_sklearn_contract(estimator, check): check(estimator)


def test_the_order_of_predicted_rows_does_not_matter(sources, X, y):
    "Whether all choices are made inside is the matter of test_choices."
    model = Shotgun(sources)
    a = model.fit(X[:40], y[:40]).predict(X[40:60])
    b = model.fit(X[:40], y[:40]).predict(X[59:39:-1])[::-1]
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_the_screen_of_a_fold_does_not_see_its_test_rows(sources, X, y):
    "The sources chosen in a fold, and its models, are the same whatever the targets of its test rows are."
    folds = inner_folds(40, None, 5, 0)
    other = y[:40].copy()
    other[folds[0][1]] = 99.0
    chosen = []
    for target in (y[:40], other):
        screen = Screen(target, folds)
        screen.see(read_layers(sources, DescriptorTables(X[:40]), (-1, "output")))
        chosen.append((screen.order(0)[:5], screen.out_of_fold()[:, folds[0][1]]))
    assert chosen[0][0] == chosen[1][0]
    np.testing.assert_allclose(chosen[0][1], chosen[1][1])


def test_noise_is_not_learnt(sources, X):
    "On shuffled targets nothing is claimed: the estimate is no better than the median's error, the p-value is large."
    ratios, p = [], []
    for k in range(2):
        y = np.random.default_rng(k).normal(size=30)
        model = Shotgun(sources, random_state=k).fit(X[:30], y)
        ratios.append(model.estimated_mae_ / np.abs(y - np.median(y)).mean())
        p.append(model.permutation_test(9)["p"].min())
    assert np.mean(ratios) > 0.9 and np.mean(p) > 0.15


def test_untrained_sources_do_little_harm(sources, X, y):
    "With sources that know nothing, the mixture is nearly as good as the direct models alone."
    null, ratios = untrained(sources), []
    for k in range(2):
        rows = np.random.default_rng(k).permutation(len(y))
        train, test = rows[:50], rows[50:]
        model = Shotgun(null).fit(X[train], y[train])
        direct = Shotgun(null, average=(3, 0)).fit(X[train], y[train])
        assert direct.transfer_share_ == 0
        ratios.append(np.abs(model.predict(X[test]) - y[test]).mean() / np.abs(direct.predict(X[test]) - y[test]).mean())
    assert np.mean(ratios) < 1.05


def test_published_protocol_is_labelled_and_kept_apart(sources, X, y):
    model = Shotgun(sources, selection="optimistic").fit(X[:40], y[:40])
    assert model.summary().startswith("OPTIMISTIC") and len(model.chosen_) == 1
    assert not hasattr(model, "estimated_mae_")
    assert model.inner_mae_ == model.leaderboard_["inner_mae"].min()


def test_report(fitted):
    text = fitted.summary("1")
    assert "40 rows, 6 sources" in text and "with untrained networks" in text
    assert {"direct", "null", "source"} <= set(fitted.ranking_["kind"])
    assert fitted.weights_.sum() == pytest.approx(1) and (fitted.weights_ > 0).all()
    assert not any("untrained" in name for name in fitted.chosen_)


def test_only_blocks_with_weight_are_read(sources, X, fitted, monkeypatch):
    def read(only=None):
        return learnt_blocks(fitted._reader, DescriptorTables(X[40:]), only=only)[0]
    whole = read()
    for some in ({"hidden"}, {"predicted", "constitution"}, {"morgan"}):
        part = read(frozenset(some))
        assert set(part) == some and all(np.array_equal(a, b) for k in some for a, b in zip(part[k], whole[k], strict=True))
    monkeypatch.setattr("mltransfer.preselection.read_layers", lambda *a: pytest.fail("a source was read"))
    assert np.isfinite(fitted.predict_direct(X[40:])).all()


def test_same_seed_same_numbers(sources, X, y, fitted):
    again = Shotgun(sources).fit(X[:40], y[:40])
    pd.testing.assert_frame_equal(again.leaderboard_, fitted.leaderboard_)
    np.testing.assert_array_equal(again.predict(X[40:50]), fitted.predict(X[40:50]))


def test_sources_are_never_changed(sources, X, y, fitted):
    before = [s.predict(X[:3]) for s in sources]
    fitted.predict(X[:3])
    for s, b in zip(sources, before): np.testing.assert_array_equal(s.predict(X[:3]), b)


def test_clone_grid_search_and_pipeline(sources, polymers, X, y):
    assert clone(Shotgun(sources, n_splits=3)).get_params()["n_splits"] == 3
    search = GridSearchCV(Shotgun(sources, n_splits=3), {"layers": [(-1,), ("output",)]}, cv=2).fit(X[:30], y[:30])
    assert search.best_params_["layers"] in [(-1,), ("output",)]
    pipe = make_pipeline(featurizer, Shotgun(sources, n_splits=3))
    assert np.isfinite(cross_val_score(pipe, polymers.X[:30], y[:30], cv=2, error_score="raise")).all()


def test_groups_stay_together():
    groups = np.repeat(np.arange(10), 4)
    for train, test in inner_folds(40, groups, 5, 0)[:-1]: assert not set(groups[train]) & set(groups[test])
    assert len(inner_folds(40, np.repeat(np.arange(3), [10, 10, 20]), 5, 0)) == 4


def test_library_and_single_sources(tmp_path, sources, X, y):
    library = Library(tmp_path)
    ids = library.add(sources[2:])
    one = Shotgun(library).fit(X[:30], y[:30])
    some = Shotgun(library, ids=ids[:2]).fit(X[:30], y[:30])
    assert set(one.ranking_.query("kind == 'source'")["source"]) == set(ids)
    assert np.isfinite(clone(some).fit(X[:30], y[:30]).predict(X[:4])).all()
    assert not any("hidden" in name for name in one.leaderboard_["candidate"]), "no multi-task source, no such block"


def test_forests_take_part(sources, X, y):
    n = X.shape[1]
    forest = EstimatorSource(RandomForestRegressor(3, random_state=0).fit(X, y), featurizer, sources[2].tasks, columns=np.arange(n), x_scaling=np.tile([[0.0], [1.0]], n),
                             y_scaling=np.array([[0.0], [1.0]]), seen=np.array([], np.uint64))
    model = Shotgun([forest]).fit(X[:30], y[:30])
    assert np.isfinite(model.predict(X[30:35])).all()


def test_predictions_stay_near_what_was_seen(fitted, X, y):
    far = (X[:5] * 1e6).astype(np.float32)
    spread = np.ptp(y[:40])
    assert ((fitted.predict(far) >= y[:40].min() - spread) & (fitted.predict(far) <= y[:40].max() + spread)).all()


def test_intervals(sources, X, y):
    model = Shotgun(sources[:1], n_splits=2).fit(X[:40], y[:40])
    interval = model.predict_interval(X[40:], level=0.8)
    inside = (interval[:, 0] <= y[40:]) & (y[40:] <= interval[:, 1])
    assert interval.shape == (len(y) - 40, 2) and inside.mean() > 0.65


def test_a_wrong_level_is_named_before_ten_searches_run(fitted, X):
    for level, said in ((90, "write 0.9 for 90 %"), (0.99, "40 rows give no finite interval")):
        with pytest.raises(ValueError, match=said): fitted.predict_interval(X[40:], level=level)
    assert not hasattr(fitted, "conformal_")


def test_rows_that_sources_were_trained_on_are_told(sources, polymers, y):
    known = np.isin(np.arange(len(polymers)), [*range(12), *range(60, 107)])
    of_target = pretrain([polymers.where(known)], featurizer, n_models=1, hidden=(8,), schedule=Schedule(epochs=1), progress=False)
    raw, expected = polymers.X[:40], np.isin([hash_keys([k], "polymer")[0] for k in polymers.groups[:40]], of_target[0].seen)
    assert 5 < expected.sum() <= 12 and not expected[12:].any(), "rows for the test of a source are not seen"
    model = Shotgun([*sources[:1], *of_target], n_splits=2).fit(raw, y[:40])
    assert model.seen_.tolist() == expected.tolist()
    assert f"\n{expected.sum()} of 40 rows were in the training data of sources" in model.summary()
    np.testing.assert_array_equal(model.fit(raw[::-1], y[39::-1]).seen_, expected[::-1])
    assert "training data of sources" in Shotgun(of_target, selection="optimistic").fit(raw, y[:40]).summary()
    assert not Shotgun(sources[:1], n_splits=2).fit(raw, y[:40]).seen_.any()
    assert model.fit(featurizer.fit_transform(raw), y[:40]).seen_ is None, "a table does not say what its rows are"


def test_columns_of_a_table_are_known_by_name(sources, X, y):
    frame = pd.DataFrame(X[:30], columns=featurizer.get_feature_names_out())
    model = Shotgun(sources).fit(frame, y[:30])
    assert list(model.feature_names_in_) == list(frame) and model.predict(frame[:3]).shape == (3,)
    with pytest.raises(ValueError, match="order|feature names"): model.predict(frame[frame.columns[::-1]])
    assert not hasattr(model.fit(X[:30], y[:30]), "feature_names_in_")


def test_a_fit_keeps_its_rows(sources, polymers, y):
    mine = y[:30].copy()
    model = Shotgun(sources, n_splits=3).fit((s for s in polymers.X[:30]), mine)
    expected = model.permutation_test(5)
    mine *= 1000
    pd.testing.assert_frame_equal(model.permutation_test(5), expected)
    assert model.predict(polymers.X[30:32]).shape == (2,)


def test_direct_models_of_sources_with_different_descriptors(sources, polymers, y):
    other = pretrain([polymers.where(np.arange(len(polymers)) >= 60)], Constitution(), n_models=1, hidden=(8,), schedule=Schedule(epochs=1), progress=False)
    model = Shotgun([*other, *sources[:1]], n_splits=3).fit(polymers.X[:30], y[:30])
    assert np.isfinite(model.predict_direct(polymers.X[30:35])).all()


@pytest.mark.parametrize("average", [(0, 5), (3, -1), (3,)])
def test_direct_models_are_always_averaged(sources, X, y, average):
    with pytest.raises(ValueError, match="average is a number of direct models"): Shotgun(sources, average=average).fit(X[:30], y[:30])


def test_monomers_are_not_taken_for_repeat_units(sources, polymers, y):
    model = Shotgun(sources).fit(polymers.X[:20].tolist(), y[:20])
    for predict in (model.predict, model.predict_direct):
        with pytest.raises(BadRows, match=r"2 of 3 rows cannot be used as repeat units.*\n  row 0: 'C=C': has no open ends.*\n  row 2: 'C=Cc1ccccc1'"): predict(["C=C", "*CC*", "C=Cc1ccccc1"])
    molecules = Shotgun(sources).fit([s.replace("*", "C") for s in polymers.X[:20]], y[:20])
    assert np.isfinite(molecules.predict(["C=C", "*CC*"])).all() # molecules and repeat units share descriptors; only a whole table of units says what is meant


def test_direct_models_of_the_user(sources, X, y):
    model = Shotgun(sources, direct={"mine": Ridge(1.0)}).fit(X[:30], y[:30])
    assert "constitution + morgan, mine" in set(model.leaderboard_.query("kind == 'direct'")["candidate"])


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 15), st.integers(5, 40))
def test_weights_are_a_mixture(seed, n_direct, n_transfer, n):
    rng = np.random.default_rng(seed)
    kinds = ["direct"] * n_direct + ["transfer"] * n_transfer + ["null"]
    w = mixing_weights(rng.normal(size=(len(kinds), n)), kinds, rng.normal(size=n))
    assert (w >= 0).all() and w.sum() == pytest.approx(1) and w[-1] == 0


def test_candidates_have_distinct_names():
    for learnt in (["predicted"], ["predicted", "best"], ["hidden", "predicted", "best", "untrained"]):
        names = [c.name for c in candidates({"a": 30, "b": 1000}, learnt)]
        assert len(set(names)) == len(names)


def test_transfer_map(sources, polymers, y):
    gains = transfer_map({"both": sources[:2], "one": sources[2:3]}, {"n": (polymers.X[:40], y[:40]), "inorganic": (["NaCl", "MgO", "ZnO", "SiO2", "LiF"], np.arange(5))})
    assert gains.shape == (2, 2) and gains["n"].notna().all() and gains["inorganic"].isna().all() and (gains["n"] < 1).all()
    assert gain_map(gains).get_xlabel() == "target"


@pytest.mark.parametrize("options, X_, y_, said", [
    ({"log": "yes"}, None, None, "log must be True, False or 'auto', got 'yes'"), ({"log": np.True_}, None, lambda y: y - 2, "has no logarithm"),
    ({}, lambda X: X[:, :5], None, "X has 5 descriptors"), ({}, lambda X: ["Fe2O3"] * 30, None, "X does not fit"), ({}, lambda X: ["C1CC"] * 30, None, "row 9"),
    ({}, None, lambda y: np.r_[np.nan, y[1:]], "row 0"), ({}, None, np.ones_like, "constant"), ({}, lambda X: X[:9], lambda y: y[:9], "need at least 10"),
    ({}, None, lambda y: y[:-1], "30 rows, but y has 29"), ({"sources": []}, None, None, "no sources"), ({"sources": [1]}, None, None, "must be SourceModel"),
    ({"selection": "best"}, None, None, "selection must be"), ({"layers": (9,)}, None, None, "has a layer"), ({"log": True}, None, lambda y: y - 5, "no logarithm"),
    ({"layers": -1}, None, None, r"sequence such as \(-1,\)"), ({"layers": "output"}, None, None, "sequence such as"), ({"n_splits": 20}, None, None, "n_splits=20 needs at least 40 rows"),
    ({"sources": Library.starter(), "ids": "efef"}, None, None, "put it in a list"), ({"sources": Library.starter(), "ids": pd.DataFrame({"a": ["x"]})}, None, None, "give its index"),
    ({}, lambda X: load("polymer_density"), None, r"pass ds\.X"), ({}, lambda X: [], lambda y: y, "X has no rows"),
    ({"ids": ["a"]}, None, None, "not a Library"), ({}, lambda X: np.where(np.arange(30)[:, None] == 4, np.nan, X), None, "row 4"),
])
def test_bad_input_is_named(sources, X, y, options, X_, y_, said):
    model = Shotgun(**{"sources": sources, **options})
    with pytest.raises(ValueError, match=said): model.fit(X_(X[:30]) if X_ else X[:30], y_(y[:30]) if y_ else y[:30])


def test_bad_groups_are_named(sources, X, y):
    for groups, said in [(np.zeros(30), "at least 3 groups"), (np.arange(29), "29 groups"), ([None, *"abcde" * 6][:30], "row 0: None: no group")]:
        with pytest.raises(ValueError, match=said): Shotgun(sources).fit(X[:30], y[:30], groups=groups)


def decades(v): return 10 ** (8 * (v - 1.3))


def test_what_spans_decades_is_the_same_search_on_its_logarithm(sources, X, y):
    wide, same = (Shotgun(sources, log=log).fit(X[:40], v) for log, v in (("auto", decades(y[:40])), (False, np.log10(decades(y[:40])))))
    assert wide.log_ and not same.log_ and wide.estimated_mae_ == pytest.approx(same.estimated_mae_)
    np.testing.assert_allclose(np.log10(wide.predict(X[40:])), same.predict(X[40:]), rtol=1e-9)
    np.testing.assert_allclose(np.log10(wide.predict_direct(X[40:])), same.predict_direct(X[40:]), rtol=1e-9)
    assert "a factor of" in wide.summary()


def test_intervals_of_what_spans_decades_are_positive(sources, X, y):
    few = Shotgun(sources[:1], n_splits=2).fit(X[:40], decades(y[:40]))
    low, high = few.predict_interval(X[40:], level=0.8).T
    assert few.log_ and (low > 0).all() and (low < few.predict(X[40:])).all() and (few.predict(X[40:]) < high).all()
    assert ((low <= decades(y[40:])) & (decades(y[40:]) <= high)).mean() > 0.65


def test_a_task_says_that_it_spans_decades(sources, polymers, y):
    task = Task("refractive index", "", "polymer", log=True)
    assert Shotgun(sources[:1]).fit(polymers.X[:30], y[:30], task=task).log_
    assert not Shotgun(sources[:1], log=False).fit(polymers.X[:30], y[:30], task=task).log_


def test_a_data_set_brings_what_it_has(sources, polymers, y):
    some = polymers.where(np.arange(len(polymers)) < 30)
    model = Shotgun(sources[:1]).fit(some)
    assert model.task_ == polymers.task and len(model.given_[1]) == 30
    np.testing.assert_array_equal(model.predict(polymers.X[30:33]), Shotgun(sources[:1]).fit(polymers.X[:30], y[:30]).predict(polymers.X[30:33]))


def test_copies_are_weights(sources, polymers, X, y):
    "Copies of a material in the order of their first appearance, and weights: the same folds, models and errors."
    rows, weight = polymers.X[:30].tolist(), np.random.default_rng(0).integers(1, 4, 30).astype(float)
    again = np.repeat(np.arange(30), weight.astype(int))
    first = Shotgun(sources).fit(rows, y[:30], sample_weight=weight)
    second = Shotgun(sources).fit([rows[i] for i in again], y[again])
    np.testing.assert_allclose(first.predict(X[40:]), second.predict(X[40:]), rtol=1e-9)
    for name in ("estimated_mae_", "inner_mae_", "direct_mae_"): assert getattr(first, name) == pytest.approx(getattr(second, name))
    assert not any("process" in name for name in first.leaderboard_["candidate"])


def test_a_row_without_weight_is_no_row(sources, polymers, X, y):
    weight = np.r_[np.ones(30), np.zeros(5)]
    a = Shotgun(sources[:2]).fit(polymers.X[:35], np.r_[y[:30], [99] * 5], sample_weight=weight)
    np.testing.assert_array_equal(a.predict(X[40:]), Shotgun(sources[:2]).fit(polymers.X[:30], y[:30]).predict(X[40:]))
    with pytest.raises(BadRows, match="row 3: -1.0"): Shotgun(sources[:2]).fit(polymers.X[:30], y[:30], sample_weight=np.r_[[1, 1, 1, -1], np.ones(26)])


def test_a_material_that_is_written_in_two_ways_is_in_one_fold(sources, polymers, y):
    "With values that differ by chance the estimate is that of new materials, not of known ones."
    rng, units = np.random.default_rng(0), polymers.X[:15].tolist()
    other = [s.replace("*", "[*]") for s in units]
    noise = rng.normal(size=15)
    model = Shotgun(sources[:2]).fit(units + other, np.r_[noise, noise + 0.01 * rng.normal(size=15)])
    assert model.estimated_mae_ > 0.6 * np.abs(noise - np.median(noise)).mean()
    assert "15 materials whole" in model.summary()


def test_thousands_of_rows_are_predicted_some_at_a_time(fitted, X, monkeypatch):
    whole, direct = fitted.predict(X[40:]), fitted.predict_direct(X[40:])
    monkeypatch.setattr("mltransfer.search.ROWS", 9)
    np.testing.assert_allclose(fitted.predict(X[40:]), whole, rtol=1e-6)
    np.testing.assert_allclose(fitted.predict_direct(X[40:]), direct, rtol=1e-6)


def test_a_bad_row_is_named_by_its_place_among_all(sources, polymers, y, monkeypatch):
    model = Shotgun(sources[:2]).fit(polymers.X[:30], y[:30])
    monkeypatch.setattr("mltransfer.search.ROWS", 9)
    with pytest.raises(ValueError, match="row 20: "): model.predict([*polymers.X[:20], "*CC(*)[Zz]", *polymers.X[:5]])


def test_workers_change_nothing(sources, X, y, fitted):
    two = Shotgun(sources, n_jobs=2).fit(X[:40], y[:40])
    pd.testing.assert_frame_equal(two.leaderboard_, fitted.leaderboard_)
    np.testing.assert_array_equal(two.predict(X[40:50]), fitted.predict(X[40:50]))


def test_the_null_is_searched_as_transfer_is(sources, X, y, fitted):
    "As many candidates, the same direct models, on the same folds; of untrained sources it is what the search finds."
    null = fitted.null_
    kinds = lambda m: m.leaderboard_.set_index("candidate")["kind"].sort_index()
    pd.testing.assert_series_equal(kinds(null), kinds(fitted))
    direct = lambda m: m.leaderboard_.query("kind == 'direct'").set_index("candidate")["inner_mae"].sort_index()
    pd.testing.assert_series_equal(direct(null), direct(fitted))
    alone = Shotgun(untrained(sources)).fit(X[:40], y[:40])
    assert null.estimated_mae_ == pytest.approx(alone.estimated_mae_, rel=0.15)


def test_of_many_encoders_each_fold_reads_its_best(sources, X, y, monkeypatch):
    monkeypatch.setattr("mltransfer.search.ENCODERS", 1)
    model = Shotgun(sources).fit(X[:40], y[:40])
    assert len(model._encoders) == 1 and np.isfinite(model.predict(X[40:])).all()


def test_conditions_are_read_beside_the_material(sources, polymers, y):
    frame = pd.DataFrame({"T": np.tile([250.0, 350.0], 20), "unit": np.repeat(polymers.X[:20].to_numpy(), 2)})
    target = np.repeat(y[:20], 2) + 0.002 * (frame["T"].to_numpy() - 300)
    model = Shotgun(sources[:2]).fit(frame, target)
    assert model.conditions_ == ("T",) and "20 materials whole" in model.summary()
    low, high = (model.predict(frame.assign(T=t)).mean() for t in (250.0, 350.0))
    assert 0.1 < high - low < 0.3
    assert model.predict_interval(frame[:4], level=0.8).shape == (4, 2)
    with pytest.raises(ValueError, match="row 1"): model.predict(frame.assign(T=[1.0, np.nan] * 20))


def test_several_targets_with_gaps(sources, polymers, y):
    frame = pd.DataFrame({"a": y[:40], "b": np.where(np.arange(40) % 4, -y[:40], np.nan)})
    model = Shotgun(sources[:2]).fit(polymers.X[:40], frame)
    alone = Shotgun(sources[:2]).fit(polymers.X[:40][np.arange(40) % 4 > 0], -y[:40][np.arange(40) % 4 > 0])
    np.testing.assert_allclose(model.predict(polymers.X[50:55])[:, 1], alone.predict(polymers.X[50:55]))
    assert model.summary().startswith("a\n40 rows") and "\n\nb\n30 rows" in model.summary()
    with pytest.raises(ValueError, match="searches_"): model.predict_interval(polymers.X[50:55])


def test_without_a_seed_one_is_drawn_and_kept(sources, X, y):
    model = Shotgun(sources[:1], random_state=None, n_splits=2).fit(X[:40], y[:40])
    assert isinstance(model.seed_, int) and model.random_state is None
    assert model.null_ is not None and len(model.ranking_) and model.predict_interval(X[40:42], level=0.8).shape == (2, 2)


def test_ids_may_come_one_by_one(tmp_path, sources, X, y):
    library = Library(tmp_path)
    ids = library.add(sources[:2])
    model = Shotgun(library, ids=(i for i in ids), n_splits=2).fit(X[:30], y[:30])
    assert model.predict_interval(X[30:33], level=0.8).shape == (3, 2)


@pytest.mark.parametrize("n, n_groups", [(24, 4), (30, 9), (12, 12)])
def test_intervals_with_few_groups_or_rows(sources, X, y, n, n_groups):
    model = Shotgun(sources[:1], n_splits=2).fit(X[:n], y[:n], groups=np.arange(n) % n_groups)
    assert model.predict_interval(X[40:43], level=0.7).shape == (3, 2)


def test_too_few_rows_for_intervals_are_named(sources, X, y):
    model = Shotgun(sources[:1]).fit(X[:11], y[:11])
    with pytest.raises(ValueError, match="11 rows are too few for intervals: each of the searches needs 10"): model.predict_interval(X[40:43], level=0.7)
