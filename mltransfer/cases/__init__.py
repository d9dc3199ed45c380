"Case studies: one question each, answered by `run`. Each module is imported when it is first asked for."


def _names() -> list[str]:
    from pathlib import Path
    return sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


def __getattr__(name: str):
    from importlib import import_module
    if name[0] != "_" and name in _names(): return import_module(f"mltransfer.cases.{name}")
    raise AttributeError(f"there is no case study {name!r}; there are {', '.join(_names())}")


def __dir__() -> list[str]:
    return _names()
