"A source for tests of contracts that bring tables of their own."
import numpy as np

from mltransfer.core import check_table
from mltransfer.source import SourceModel


class OfAnyTable(SourceModel):
    "Takes tables of any width, so that scikit-learn's contracts can be tested on theirs."
    def _checked(self, X): return check_table(np.asarray(X))
