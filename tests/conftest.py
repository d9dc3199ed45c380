"Workers share the cores and have no screen: one thread each, figures to memory. Set before torch is imported."
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
