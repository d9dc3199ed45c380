"What a user installs: light to import, typed, without pickle, complete."
import ast, re, subprocess, sys
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path

import pytest

root = Path(__file__).parents[1]
cfg = ConfigParser(delimiters=["="]); cfg.read(root / "settings.ini"); cfg = cfg["DEFAULT"]
files = sorted(p for p in (root / "mltransfer").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
modules = [p for p in files if p.suffix == ".py" and not p.name.startswith("_")]
each_module = pytest.mark.parametrize("path", modules, ids=lambda p: p.relative_to(root / "mltransfer").as_posix())


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["torch", "pandas", "numpy", "sklearn", "rdkit", "pymatgen", "matplotlib"]
    code = f"import mltransfer, sys; sys.exit(str([m for m in {heavy} if m in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert run.stderr.strip() == "[]", "mltransfer/__init__.py imports nothing by itself"


def test_the_face_shows_what_people_need():
    "Also after every module was imported: a module never hides a name of the face."
    code = """
import importlib, json, mltransfer, pkgutil
names = [m.name for m in pkgutil.walk_packages(mltransfer.__path__, "mltransfer.")]
for name in names: importlib.import_module(name)
face = [n for n in mltransfer.__all__ if n != "__version__"]
assert set(mltransfer.__all__) <= set(dir(mltransfer))
print(json.dumps([n for n in face if not callable(getattr(mltransfer, n)) and n != "cases"]))
print(json.dumps(sorted(dir(mltransfer.cases))))
assert callable(mltransfer.cases.refractive_index.run)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    hidden, cases = run.stdout.splitlines()
    assert hidden == "[]" and "polymer_heat_capacity" in cases


def test_an_unknown_name_of_the_face_is_an_error():
    import mltransfer
    with pytest.raises(AttributeError, match="names are .*Shotgun"): mltransfer.shotgun_
    with pytest.raises(AttributeError, match="there are cross_property"): mltransfer.cases.none


def test_version_is_one():
    init, citation = (root / "mltransfer/__init__.py").read_text(), (root / "CITATION.cff").read_text()
    assert f'__version__ = "{cfg["version"]}"' in init, "run nbdev_export"
    assert f"version: {cfg['version']}\n" in citation, "CITATION.cff names another version than settings.ini"


def test_data_files_are_packaged():
    rules = re.findall(r"^recursive-include (\S+) (.+)$", (root / "MANIFEST.in").read_text(), re.M)
    inside = lambda p: any(folder in map(str, p.parents) and fnmatch(p.name, pat) for folder, pats in rules for pat in pats.split())
    data = [p.relative_to(root) for p in files if p.suffix != ".py"]
    assert [str(p) for p in data if not inside(p)] == [], "name them in MANIFEST.in, or they are missing once installed"


def test_constraints_are_plain_pins():
    pins = (root / "constraints.txt").read_text().splitlines()
    assert [l for l in pins if l and not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", l)] == [], "run `make constraints`"


def public(tree: ast.Module):
    "Functions and methods whose name, and whose class's name, has no leading underscore."
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name[0] != "_": yield node.name, node
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            for f in node.body:
                if isinstance(f, ast.FunctionDef) and (f.name[0] != "_" or f.name == "__init__"):
                    yield f"{node.name}.{f.name}", f


documented = {f.name for p in modules for _, f in public(ast.parse(p.read_text())) if ast.get_docstring(f)}


@each_module
def test_public_functions_are_annotated_and_documented(path):
    bare, mute = [], []
    for name, f in public(ast.parse(path.read_text())):
        args = [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs, *filter(None, [f.args.vararg, f.args.kwarg])]
        bare += [f"{name}({a.arg})" for a in args if a.annotation is None and a.arg not in ("self", "cls")]
        if f.name != "__init__" and f.returns is None: bare.append(f"{name} -> ?")
        if f.name not in documented | {"__init__"}: mute.append(name)  # overriding methods inherit the sentence
    assert bare == [], "annotate these, in the notebook"
    assert mute == [], "say in one sentence what these do, in the notebook"


@each_module
def test_nothing_is_unpickled(path):
    code = path.read_text()
    unsafe = r"^\s*(?:import|from) (?:pickle|dill|cloudpickle|shelve)\b|joblib\.(?:load|dump)\(|from joblib import .*\b(?:load|dump)\b|read_pickle|allow_pickle=True|torch\.load\((?!.*weights_only=True)"
    assert re.findall(unsafe, code, re.M) == [], "a file from elsewhere must not run code: safetensors, JSON or skops"
