"A search chooses inside: what it promises holds on rows that no choice has seen."
import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_predict

from mltransfer.core import Task
from mltransfer.data import load
from mltransfer.molecule import Constitution
from mltransfer.networks import build
from mltransfer.search import Shotgun
from mltransfer.source import SourceModel
from mltransfer.validate import untrained


@pytest.fixture(scope="module")
def polymers(): return load("polymer_refractive_index")


@pytest.fixture(scope="module")
def X(polymers): return Constitution().fit_transform(polymers.X)


def networks(n: int, widths: tuple[int, ...] = (6, 1)) -> list[SourceModel]:
    "Networks with initial weights, each with its own view of the columns."
    names = Constitution().get_feature_names_out()
    scaling = np.tile([[0.0], [0.3]], len(names))
    return [SourceModel(build((len(names), *widths), random_state=k), Constitution(),
        [Task("a property", kind="polymer")], columns=np.arange(len(names)),
                        x_scaling=scaling, y_scaling=[[0.0], [1.0]], seen=np.array([], np.uint64))
                        for k in range(n)]


@pytest.fixture(scope="module")
def known(polymers, X):
    "Sources whose prediction is the target, but for noise: transfer is worth everything."
    [source] = networks(1, (16, 16, 1))
    y = source.predict(X)[:, 0]
    return [source], y + 0.02 * y.std() * np.random.default_rng(0).normal(size=len(y))


def test_the_direct_prediction_knows_no_source(X, known):
    "It is the same whatever the sources have learnt; the mixture is not."
    sources, y = known
    train, test = slice(0, 50), slice(50, None)
    model = Shotgun(sources).fit(X[train], y[train])
    null = Shotgun(untrained(sources, random_state=7)).fit(X[train], y[train])
    assert model.transfer_share_ > 0.5
    np.testing.assert_allclose(model.predict_direct(X[test]), null.predict_direct(X[test]), rtol=1e-6)
    error, direct = (np.abs(p - y[test]).mean()
        for p in (model.predict(X[test]), model.predict_direct(X[test])))
    assert error < 0.7 * direct
    assert model.direct_mae_ > 1.4 * model.estimated_mae_


def test_weights_are_judged_on_folds_that_they_have_not_seen(X):
    "On noise, weights that were fitted to all rows look too good, and those of single folds better still."
    sources, estimated, inner = networks(6), [], []
    for k in range(4):
        y = np.random.default_rng(k).normal(size=30)
        model = Shotgun(sources, random_state=k).fit(X[:30], y)
        estimated.append(model.estimated_mae_)
        inner.append(model.inner_mae_)
    assert np.mean(estimated) > 1.01 * np.mean(inner)


def test_sources_are_chosen_without_the_rows_they_are_judged_on(X):
    "Some of many sources fit noise by chance; chosen without the rows of a fold, they do not predict it."
    sources, ratios = networks(100, (4, 1)), []
    for k in range(3):
        y = np.random.default_rng(k).normal(size=24)
        board = Shotgun(sources, layers=("output",), random_state=k).fit(X[:24],
            y).leaderboard_.set_index("candidate")["inner_mae"]
        ratios.append(board["best, ridges"] / np.abs(y - np.median(y)).mean())
    assert np.mean(ratios) > 0.97


def test_the_estimate_is_that_of_an_outer_cross_validation(X, known):
    "Within a fifth, for a target that sources know: nothing of a test row has been used."
    sources, y = known
    model = Shotgun(sources)
    unseen = cross_val_predict(model, X[:60], y[:60], cv=KFold(4, shuffle=True, random_state=1))
    assert model.fit(X[:60], y[:60]).estimated_mae_ == pytest.approx(np.abs(unseen - y[:60]).mean(), rel=0.2)


@pytest.mark.parametrize("bent", [True, False])
def test_the_logarithm_is_learnt_where_it_helps_and_only_there(X, bent):
    "Two positive targets over a factor of twenty: an exponential of a descriptor, and a straight line."
    rng, column = np.random.default_rng(0), X[:80, 0]
    u = (column - column.min()) / np.ptp(column)
    y = np.exp(4 * u + 0.05 * rng.normal(size=80)) if bent else 1 + 30 * u + 0.05 * rng.normal(size=80)
    assert y.min() > 0 and y.max() > 20 * y.min()
    model = Shotgun(networks(2)).fit(X[:60], y[:60])
    assert model.log_ == bent
    assert np.abs(model.predict(X[60:80]) - y[60:]).mean() < 0.2 * np.abs(y - np.median(y)).mean()
