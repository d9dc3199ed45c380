"""Workers share the cores and have no screen; properties are tried on the same examples every time.

`HYPOTHESIS_PROFILE=search` draws new examples instead, as the weekly run does. What it finds becomes an `@example`."""
import os
from importlib.util import find_spec

# one thread for each worker, figures to memory: set before torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
from hypothesis import Phase, settings

settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("search", deadline=None, print_blob=True)
settings.register_profile("first", settings.get_profile("same"), phases=[Phase.explicit, Phase.generate]) # no shrinking
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(items):
    "Tests of scikit-fingerprints run in an environment of their own; elsewhere they say where."
    if find_spec("skfp"): return
    skip = pytest.mark.skip(reason="scikit-fingerprints has an environment of its own: make test")
    for item in items:
        if item.get_closest_marker("fingerprints"): item.add_marker(skip)
