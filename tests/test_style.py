"The rules of form that a machine can check: short notebooks, short cells, quiet outputs."
import ast, functools, itertools, re
from collections import Counter
from pathlib import Path

import pytest
from execnb.nbio import read_nb
from nbdev.config import get_config
from nbdev.doclinks import nbglob

from tools import style_debt

root = Path(get_config().config_path)
nbs = sorted(root / p for p in nbglob(as_path=True))
library = [nb for nb in nbs if re.match(r"\d\d_", nb.name)]
studies = [nb for nb in nbs if nb.parent.name == "case_studies" and nb.stem != "index"]
name = lambda nb: nb.relative_to(root / "nbs").as_posix()
each_notebook = pytest.mark.parametrize("nb", nbs, ids=name)


def code_lines(cell) -> list[str]:
    "Lines of a code cell that are neither blank nor directives."
    return [l for l in cell.source.splitlines() if l.strip() and not l.startswith("#|")]


def output_text(nb: Path) -> list[str]:
    "Everything the saved outputs of a notebook say in words."
    join = lambda x: x if isinstance(x, str) else "".join(x)
    outputs = [o for c in read_nb(nb).cells if c.cell_type == "code" for o in c.outputs]
    return [join(t) for o in outputs for k, t in {**o.get("data", {}), "text": o.get("text", "")}.items() if k.startswith("text")]


@each_notebook
def test_notebook_is_small(nb):
    assert nb.stat().st_size <= 300_000, "smaller figures, please: figsize near (5, 3), PNG, fewer points"


@pytest.mark.parametrize("nb", library + studies, ids=name)
def test_notebook_has_a_readable_length(nb):
    assert 20 <= len(read_nb(nb).cells) <= 70, "a library notebook or a case study has 20 to 70 cells: split it, or say more"


@each_notebook
def test_title_cell_holds_only_title_and_sentence(nb):
    title = read_nb(nb).cells[0]
    assert title.source.startswith("# "), "the first cell is `# name` and `> one sentence`"
    rest = [l for l in title.source.splitlines()[1:] if l.strip() and not l.startswith(("> ", "- "))]
    assert rest == [], "nbdev drops prose in the title cell from the docs: move it to the next cell"


@each_notebook
def test_imports_stand_alone(nb):
    for c in read_nb(nb).cells:
        if c.cell_type == "code" and "nbdev_export(" not in c.source and re.search(r"^(import|from) ", c.source, re.M):
            code = re.sub(r"\([^)]*\)", "()", c.source)
            alone = r"#|import |from |if TYPE_CHECKING:| +(import|from) |\)"
            rest = [l for l in code.splitlines() if l.strip() and not re.match(alone, l)]
            assert rest == [], f"the docs build runs every cell with an import, so keep {rest[0]!r} out of it"
            assert "import *" not in code, "name what is imported"


@each_notebook
def test_exported_cells_are_short(nb):
    for c in read_nb(nb).cells:
        if c.cell_type == "code" and re.match(r"#\| ?export", c.source):
            limit = 80 if re.search(r"^class ", c.source, re.M) else 40
            n = len(code_lines(c))
            assert n <= limit, f"{n} lines, {limit} allowed, in the cell that begins {code_lines(c)[0]!r}: split it"


@each_notebook
def test_outputs_hold_no_warnings_bars_or_errors(nb):
    outputs = [o for c in read_nb(nb).cells if c.cell_type == "code" for o in c.outputs]
    loud = [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert loud == [], "mend the cause (warnings, progress bars, errors), then `make refresh NB=...`"


@each_notebook
def test_outputs_hold_no_absolute_paths(nb):
    path = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|opt|var|mnt|content)/\S*|\b[A-Z]:\\\S*")
    found = [m for text in output_text(nb) for m in path.findall(text)]
    assert found == [], "outputs must be the same on every machine: show the name, not the path"


@each_notebook
def test_tables_are_short(nb):
    rows = [text.count("<tr") for text in output_text(nb) if 'class="dataframe"' in text]
    assert all(n <= 13 for n in rows), "show ten rows at most: `.head(10)`"


@each_notebook
def test_directives_come_first(nb):
    for c in read_nb(nb).cells:
        if c.cell_type == "code":
            body = itertools.dropwhile(lambda l: l.startswith("#|"), c.source.splitlines())
            late = [l for l in body if l.startswith("#|")]
            assert late == [], f"{late} is read only at the top of its cell"


@each_notebook
def test_lists_and_tables_have_air(nb):
    for c in read_nb(nb).cells:
        if c.cell_type == "markdown":
            tight = re.findall(r"^(?![-*|>]|\d+\. | )\S.*\n((?:[-*] |\|).*)", c.source, re.M)
            assert tight == [], f"Quarto needs an empty line before {tight}"


violations = functools.cache(style_debt.violations)


@pytest.mark.parametrize("rule", style_debt.RULES)
def test_debt_of_style_falls(rule):
    found = {file: what for (file, r), what in violations().items() if r == rule}
    rows = {file: n for (file, r), n in style_debt.allowed().items() if r == rule}
    more = {file: (rows.get(file, 0), what) for file, what in found.items() if len(what) > rows.get(file, 0)}
    assert more == {}, "mend what you added; the list holds what stood there before, too"
    fewer = [file for file, n in rows.items() if len(found.get(file, [])) < n]
    assert fewer == [], "well done: run `python -m tools.style_debt` (a step of `make prepare`)"


def test_limits_see_what_they_should():
    inside = "a = [f(x) for x in (y for y in z)]\nb = [x for x in z]"
    assert style_debt.nested(ast.parse(inside)) == ["(y for y in z)"]
    assert style_debt.packed(ast.parse("a, b = f(x), []")) == ["a, b = (f(x), [])"]
    fine = "a, b = b, a\na, b = f(x)\na[i], a[j] = a[j], a[i]\na, b = x, f(y)\na = f(x), 1"
    assert style_debt.packed(ast.parse(fine)) == []
    several = "def _own(): pass\ndef one(): pass\nclass Two: pass\nx = 1"
    assert style_debt.beside_the_first(ast.parse(several)) == ["Two"]
    assert style_debt.too_long("x" * 101 + "\nhttps://" + "x" * 101, 100) == ["x" * 101]


def test_rows_of_debt_move_but_never_grow():
    before = Counter({("a", "r"): 3, ("b", "r"): 2})
    split, worse = Counter({("a", "r"): 1, ("c", "r"): 4}), Counter({("a", "r"): 5, ("b", "r"): 1})
    assert style_debt.lowered(split, before) == split
    assert style_debt.lowered(worse, before) == {("a", "r"): 3, ("b", "r"): 1}
