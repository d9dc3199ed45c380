import numpy as np, pandas as pd
import pytest
from hypothesis import given, strategies as st

from pymatgen.core import Composition

from mltransfer.core import Task, as_rows, bad_rows, check_target, read_rows, seeds


@pytest.mark.parametrize("bad, said", [
    ([[1.0], [2.0]], "1-d"), ([1.0], "at least 2"), ([1.0, float("inf")], "row 1"), ([np.nan] * 12, "and 2 more"),
    ([[1.0], [2.0, 3.0]], "row 0"), (["1,5", "-0,25 ", ",5"], r"write 1\.5\n.*write -0\.25\n.*write \.5"), (["1,500.2", 1], "not a number"),
    ([1, None], "row 1: nan"), (pd.DataFrame({"a": ["x", "y"]}), "swapped"), (pd.DataFrame({"a": ["x"], "b": [1]}), "one column"), ("CCO", "one str"),
])
def test_check_target_says_why(bad, said):
    with pytest.raises(ValueError, match=said): check_target(bad)


def test_constant_target_is_refused_only_where_it_matters():
    assert check_target([3.0, 3.0]).tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match="constant"): check_target([3.0, 3.0], varies=True)


def test_error_names_every_row_and_a_remedy():
    message = str(bad_rows("SMILES", [(i, "x" * 200, "why") for i in range(25)], 100))
    assert "25 of 100" in message and "and 15 more" in message and "Correct or drop" in message
    assert max(map(len, message.splitlines())) < 120, "values are shortened"


@pytest.mark.parametrize("X", [["a", "b"], ("a", "b"), pd.Series(["a", "b"]), np.array(["a", "b"], object), pd.DataFrame({"x": ["a", "b"]})])
def test_rows_come_in_any_container(X): assert as_rows(X) == ["a", "b"]


def test_a_task_says_what_it_is():
    assert Task("density", "g/cm3", "polymer").label == "density [g/cm3]"
    with pytest.raises(ValueError, match="must not be empty"): Task("")


@given(st.integers(0, 2**31), st.integers(0, 20), st.integers(0, 20))
def test_more_seeds_never_change_the_first(state, a, b):
    a, b = sorted((a, b))
    assert seeds(state, b)[:a] == seeds(state, a)


def test_read_rows_keeps_order(): assert read_rows(["3", "1", "2"], int, "numbers") == [3, 1, 2]


def test_a_whole_data_set_is_not_rows():
    from mltransfer.data import Dataset
    ds = Dataset(pd.DataFrame({"smiles": ["CCO", "CC"], "value": [1.0, 2.0]}), Task("density"))
    for read in (as_rows, check_target):
        with pytest.raises(ValueError, match=r"pass ds\.X \(and ds\.y\)"): read(ds)


@pytest.mark.parametrize("X, said", [({"Na": 1}, "got one dict"), (Composition("NaCl"), "got one Composition"), (5, "got one int: 5; put it in a list"), (None, "got one NoneType"),
                                     (pd.DataFrame({"formula": ["NaCl"] * 2, "T": [1, 2]}), r"shape \(2, 2\); choose one, X\['formula'\]")])
def test_what_is_no_column_is_refused_with_a_remedy(X, said):
    with pytest.raises(ValueError, match=said): as_rows(X)
