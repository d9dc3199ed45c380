"""Transfer learning for small materials data: pretrained networks, neural descriptors, honest verdicts.

The names below are what most people need; each is imported when it is first asked for.
"""
__version__ = "0.2.0"

_FACE = {
    "FineTune": "finetune",
    "FrozenFeatures": "transfer",
    "Library": "library",
    "Shotgun": "search",
    "Task": "core",
    "audit": "auditing",
    "datasets": "data",
    "evaluate": "validate",
    "learning_curve": "validate",
    "load": "data",
    "load_fit": "saved",
    "pretrain": "pretraining",
}
__all__ = ["__version__", "cases", *_FACE]


def __getattr__(name: str):
    from importlib import import_module
    if name == "cases": return import_module("mltransfer.cases")
    if name in _FACE: return getattr(import_module(f"mltransfer.{_FACE[name]}"), name)
    raise AttributeError(f"module 'mltransfer' has no attribute {name!r}; names are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__"])
