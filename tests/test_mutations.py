"The list of broken promises follows the code; `python -m tools.mutations` breaks them, which takes minutes."
from pathlib import Path

import pytest

from tools.mutations import MUTATIONS

root = Path(__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_what_a_mutation_breaks_is_there(mutation):
    code = (root / "mltransfer" / mutation.module).read_text()
    assert code.count(mutation.old) == 1, "the code has changed: change tools/mutations.py with it"
    assert (root / mutation.tests.split()[0]).exists(), "the tests have moved: change tools/mutations.py"
    assert mutation.old != mutation.new
