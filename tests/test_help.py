"`help()` shows every argument that a comment explains, in a plain Python, without nbdev."
import ast, inspect, json, subprocess, sys
from pathlib import Path

import pytest

from tools.docstrings import comments, docstring, modules, public, sections, write

root = Path(__file__).parents[1]
paths = modules(root / "mltransfer")
each_module = pytest.mark.parametrize(
    "path", paths, ids=lambda p: p.relative_to(root / "mltransfer").as_posix(),
)

# names in the package, and some arguments that their help explains
SHOWN = {
    "core.Task": ["property", "unit", "kind", "log"],
    "core.check_target": ["y", "n_min", "varies"],
    "data.load": ["name"],
    "data.Dataset": ["frame", "task"],
    "data.Dataset.where": ["keep"],
    "finetune.FineTune": ["source", "decay", "random_state"],
    "finetune.FineTune.fit": ["X", "y"],
    "library.Library": ["path"],
    "library.Library.query": ["property", "kind"],
    "search.Shotgun": ["sources", "n_jobs", "random_state"],
    "search.Shotgun.fit": ["X", "y", "groups"],
    "training.Schedule": ["epochs", "patience"],
    "transfer.FrozenFeatures": ["sources", "layers"],
    "validate.Evaluation.compare": ["method"],
    "validate.evaluate": ["X", "y", "methods"],
}
PRINT = """
import importlib, json, pydoc, sys
def page(name):
    module, *path = name.split(".")
    found = importlib.import_module("mltransfer." + module)
    for part in path: found = getattr(found, part)
    return pydoc.render_doc(found, renderer=pydoc.plaintext)
print(json.dumps({name: page(name) for name in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    "What `help` prints for each of these names, in a process of its own."
    command = [sys.executable, "-c", PRINT, *SHOWN]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", SHOWN)
def test_help_explains_arguments(pages, name):
    lines = [line.lstrip(" |") for line in pages[name].splitlines()]
    for argument in SHOWN[name]:
        at = [i for i, line in enumerate(lines) if line.startswith(f"{argument} : ")]
        assert at and len(lines[at[0] + 1].split()) > 1, f"help({name}) does not explain {argument}"


@each_module
def test_every_comment_beside_an_argument_is_in_the_docstring(path):
    code = path.read_text()
    tree, notes = ast.parse(code), comments(code)
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    for name, node in public(tree):
        told = [e for es in sections(node, code, notes, classes).values() for e in es]
        said = " ".join(inspect.cleandoc(doc.value).split()) if (doc := docstring(node)) else ""
        lost = [e for e in told if " ".join(" ".join(e).split()) not in said.replace(" : ", " ")]
        if doc is not None or "." not in name: # a method without a docstring inherits one
            assert lost == [], f"`make prepare` writes what {name} lacks"


@each_module
def test_blocks_are_written_once_and_can_be_taken_out(path):
    code = path.read_text()
    assert write(code) == code, "run `make prepare`"
    bare = write(code, remove=True)
    assert write(bare) == code and write(bare, remove=True) == bare
    plain = lambda c: ast.dump(without_docstrings(ast.parse(c)))
    assert plain(bare) == plain(code)


def without_docstrings(tree: ast.Module) -> ast.Module:
    "The tree of a module without what its docstrings say."
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (doc := docstring(node)): doc.value = ""
    return tree


def test_block_is_numpydoc():
    code = '''
def shift(
    x: float, # A number
    # Added to it, on a line
    # of its own
    by: float = 1.0,
    *rest: int,
    log: bool = False, # In decades
) -> float: # The \\\\ sum
    "Add."
    return x + by

class Box:
    r"""A box, \\d.

    It has a second paragraph."""
    size: float # In metres
    _own: int = 0 # Not shown
    def __init__(
        self,
        size: float, # In metres
    ): self.size = size

class Crate(Box): "A larger box."

def _private(
    x: int, # A number
): "Do."
'''
    new = write(code)
    said = {}
    exec(new, said)
    assert inspect.getdoc(said["shift"]).splitlines() == [
        "Add.", "",
        "Parameters", "----------",
        "x : float", "    A number",
        "by : float, default=1.0", "    Added to it, on a line of its own",
        "*rest : int",
        "log : bool, default=False", "    In decades", "",
        "Returns", "-------",
        "float", "    The \\\\ sum",
    ]
    assert inspect.getdoc(said["Box"]).splitlines() == [
        r"A box, \d.", "", "It has a second paragraph.", "",
        "Parameters", "----------", "size : float", "    In metres", "",
        "Attributes", "----------", "size : float", "    In metres",
    ]
    assert "size : float" in said["Crate"].__doc__ and said["_private"].__doc__ == "Do."
    assert write(new) == new and write(new, remove=True) == code
