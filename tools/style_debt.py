"""Count what is above the limits of style and keep the table of it: python -m tools.style_debt

`tests/style_debt.csv` is a ratchet: a row may fall, never rise, and a notebook without a row holds
the limits. Rows move between notebooks (a split, a new name) as long as the sum of a rule does not
rise. After a conflict in the table run this again; it reads both sides."""
import ast, csv, re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from execnb.nbio import read_nb
from nbdev.doclinks import nbglob

root = Path(__file__).parents[1]
table = root / "tests/style_debt.csv"
EXPORTED, EXAMPLE, TEST, NAMES = 100, 88, 110, 120
RULES = [
    f"exported lines <= {EXPORTED}", f"example lines <= {EXAMPLE}", f"test lines <= {TEST}",
    "no comprehension in a comprehension", "no tuple of unrelated values",
    "one public definition in a cell", f"public names <= {NAMES}",
]
Found = dict[tuple[str, str], list[str]]  # What breaks a rule, by notebook or file, and rule

_comprehensions = ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp


def too_long(source: str, limit: int) -> list[str]:
    "Lines that are longer than the limit; an address and a caption cannot be broken."
    plain = re.sub(r"^#\| ?fig-cap:.*$|https?://\S+", "", source, flags=re.M)
    return [l for l in plain.splitlines() if len(l) > limit]


def nested(tree: ast.AST) -> list[str]:
    "Comprehensions inside a comprehension."
    outer = [n for n in ast.walk(tree) if isinstance(n, _comprehensions)]
    inner = {}
    for comprehension in outer:
        below = (n for n in ast.walk(comprehension) if n is not comprehension)
        inner |= {id(n): ast.unparse(n) for n in below if isinstance(n, _comprehensions)}
    return list(inner.values())


def packed(tree: ast.AST) -> list[str]:
    "Assignments of several values at once, two or more of which are not names; a swap is fine."
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)): continue
        target, values = node.targets[0], node.value.elts
        if not isinstance(target, ast.Tuple): continue
        swapped = sorted(map(ast.unparse, target.elts)) == sorted(map(ast.unparse, values))
        others = [v for v in values if not isinstance(v, ast.Name)]
        if len(others) >= 2 and not swapped: found.append(ast.unparse(node))
    return found


def beside_the_first(tree: ast.Module) -> list[str]:
    "Public functions and classes of a cell but the first."
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    return [n.name for n in tree.body if isinstance(n, kinds) and n.name[0] != "_"][1:]


def parsed(source: str) -> ast.Module:
    "The tree of a cell; shell commands and magics are left out."
    return ast.parse(re.sub(r"^[!%].*$", "", source, flags=re.M))


def of_notebook(path: Path) -> Iterator[tuple[str, list[str]]]:
    "Rules and what breaks them in one notebook."
    for cell in read_nb(path).cells:
        if cell.cell_type != "code": continue
        if not (exported := re.match(r"#\| ?export(i?)\b", cell.source)):
            yield RULES[1], too_long(cell.source, EXAMPLE)
            continue
        tree = parsed(cell.source)
        yield RULES[0], too_long(cell.source, EXPORTED)
        yield RULES[3], nested(tree)
        yield RULES[4], packed(tree)
        if not exported[1]: yield RULES[5], beside_the_first(tree)


def public_names() -> list[str]:
    "Everything that the modules of the library offer."
    names = []
    for path in sorted((root / "mltransfer").glob("[!_]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names += [f"{path.stem}.{name}" for name in ast.literal_eval(node.value)]
    return names


def violations() -> Found:
    "Everything that breaks a rule today."
    found = {}
    for path in sorted(root / p for p in nbglob(root / "nbs", as_path=True)):
        for rule, what in of_notebook(path):
            found.setdefault((path.relative_to(root).as_posix(), rule), []).extend(what)
    for path in sorted((root / "tests").glob("*.py")):
        found[path.relative_to(root).as_posix(), RULES[2]] = too_long(path.read_text(), TEST)
    found["mltransfer", RULES[6]] = public_names()[NAMES:]
    return {k: what for k, what in found.items() if what}


def allowed() -> Counter:
    "Rows of the table; of two sides of a conflict the larger one, since what is true is written next."
    rows = Counter()
    if table.exists():
        for row in csv.reader(table.read_text().splitlines()):
            if len(row) == 3 and row[2].isdigit():
                rows[row[0], row[1]] = max(rows[row[0], row[1]], int(row[2]))
    return rows


def lowered(now: Counter, before: Counter) -> Counter:
    "The table as it may be written: what is true, but no row may rise if the sum of its rule does."
    total = lambda counts, rule: sum(n for (_, r), n in counts.items() if r == rule)
    risen = {rule for _, rule in now if total(now, rule) > total(before, rule)}
    rows = {k: min(n, before[k]) if k[1] in risen else n for k, n in now.items()}
    return Counter({k: n for k, n in rows.items() if n})


def write(rows: Counter) -> None:
    "One row for each notebook and rule, in order; no table where there is no debt."
    lines = [f"{file},{rule},{n}\n" for (file, rule), n in sorted(rows.items())]
    if lines: table.write_text("notebook,rule,violations\n" + "".join(lines))
    else: table.unlink(missing_ok=True)


if __name__ == "__main__":
    write(lowered(Counter({k: len(what) for k, what in violations().items()}), allowed()))
