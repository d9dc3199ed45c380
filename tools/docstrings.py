"""Write the comments beside parameters into the docstrings of the exported modules, for `help()`.

A step of `make prepare`, after `nbdev_export`. The notebooks stay as they are, and so does `show_doc`.
To carry an edit from a module back into its notebook, take the blocks out first:
`python -m tools.docstrings --remove`, then `nbdev_update`, then `make prepare`."""
import argparse, ast, io, re, textwrap, tokenize
from collections.abc import Iterator
from pathlib import Path

root = Path(__file__).parents[1]
WIDTH = 100
_block = re.compile(r"\n\n *(Parameters|Attributes|Returns)\n *-+\n.*\Z", re.S)
_literal = re.compile(r"([A-Za-z]*)(\"\"\"|'''|\"|')(.*)\2", re.S)

Entry = tuple[str, str, str]  # Name, type and meaning, each maybe empty
Function = ast.FunctionDef | ast.AsyncFunctionDef


def comments(code: str) -> dict[int, tuple[str, bool]]:
    "Comment of each line that has one, and whether it stands alone."
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    found = [t for t in tokens if t.type == tokenize.COMMENT]
    return {t.start[0]: (t.string.lstrip("#").strip(), t.line.lstrip()[:1] == "#") for t in found}


def meaning(node: ast.AST, last: int, notes: dict[int, tuple[str, bool]]) -> str:
    "The comment at the end of a parameter, else the comments on the lines before it."
    for line in range(node.lineno, last + 1):
        if line in notes and not notes[line][1]: return notes[line][0]
    above, line = [], node.lineno - 1
    while line in notes and notes[line][1]:
        above.append(notes[line][0])
        line -= 1
    return " ".join(reversed(above))


def arguments(f: Function) -> list[tuple[str, ast.arg, ast.expr | None]]:
    "Every argument but `self` and `cls`: the name as it is shown, the node, and the default."
    a = f.args
    given = [*a.posonlyargs, *a.args]
    own = list(zip(given, [None] * (len(given) - len(a.defaults)) + a.defaults))
    if own and own[0][0].arg in ("self", "cls"): own = own[1:]
    shown = [(arg.arg, arg, default) for arg, default in own]
    if a.vararg: shown.append((f"*{a.vararg.arg}", a.vararg, None))
    shown += [(arg.arg, arg, default) for arg, default in zip(a.kwonlyargs, a.kw_defaults)]
    if a.kwarg: shown.append((f"**{a.kwarg.arg}", a.kwarg, None))
    return shown


def as_written(node: ast.AST | None, code: str) -> str:
    "Source of an expression in one line."
    if node is None: return ""
    text = " ".join(ast.get_source_segment(code, node).split())
    return text[1:-1] if re.fullmatch(r"([\"'])[^\"'\\]*\1", text) and text.count(" ") == 0 else text


def value(node: ast.expr | None, code: str) -> str:
    "A default as a reader wants to see it; nothing for one that is made by code."
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "field":
        given = {k.arg: k.value for k in node.keywords}
        if "default" in given: return value(given["default"], code)
        factory = given.get("default_factory")
        return f"{factory.id}()" if isinstance(factory, ast.Name) else ""
    return "" if node is None else " ".join(ast.get_source_segment(code, node).split())


def typed(annotation: ast.expr | None, default: ast.expr | None, code: str) -> str:
    "Type and default as numpydoc writes them."
    parts = [as_written(annotation, code)]
    if shown := value(default, code): parts.append(f"default={shown}")
    return ", ".join(p for p in parts if p)


def parameters(f: Function, code: str, notes: dict) -> list[Entry]:
    "What the arguments of a function mean; nothing if no comment says so."
    shown, head = arguments(f), f.body[0].lineno - 1
    returns = f.returns.lineno if f.returns else head + 1
    firsts = [arg.lineno for _, arg, _ in shown] + [returns]
    out = []
    for i, (name, arg, default) in enumerate(shown):
        end = max(arg.end_lineno, default.end_lineno if default else 0)
        # of several on one line, the last has the comment; beside the return value, that has it
        crowded = arg.lineno in firsts[i + 1:]
        note = "" if crowded else meaning(arg, end, notes)
        out.append((name, typed(arg.annotation, default, code), note))
    return out if any(note for *_, note in out) else []


def returned(f: Function, code: str, notes: dict) -> list[Entry]:
    "What a function returns, if a comment says so."
    if f.returns is None: return []
    note = meaning(f.returns, f.returns.end_lineno, notes)
    return [("", as_written(f.returns, code), note)] if note else []


def attributes(c: ast.ClassDef, code: str, notes: dict) -> list[Entry]:
    "What the annotated fields of a class mean; nothing if no comment says so."
    fields = [n for n in c.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    fields = [n for n in fields if n.target.id[0] != "_"]
    told = [meaning(n, n.end_lineno, notes) for n in fields]
    if not any(told): return []
    types = [typed(n.annotation, n.value, code) for n in fields]
    return [(n.target.id, kind, note) for n, kind, note in zip(fields, types, told)]


def section(title: str, entries: list[Entry], indent: str) -> list[str]:
    "Lines of one section of a numpydoc block."
    if not entries: return []
    lines = ["", title, "-" * len(title)]
    for name, kind, note in entries:
        first = " : ".join(p for p in (name, kind) if p)
        lines += textwrap.wrap(first, WIDTH - len(indent), subsequent_indent="        ")
        lines += textwrap.wrap(
            note, WIDTH - len(indent), initial_indent="    ", subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        )
    return [(indent + line).rstrip() for line in lines]


def docstring(node: ast.AST) -> ast.Constant | None:
    "The docstring of a function or class as it stands in the tree."
    first = node.body[0]
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first.value if text and isinstance(first.value.value, str) else None


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Public functions and classes with their dotted names, and public methods.

    A private class may be the base of a public one, so its methods count."""
    for node in tree.body:
        if not isinstance(node, (*Function.__args__, ast.ClassDef)): continue
        if node.name[0] != "_": yield node.name, node
        for f in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(f, Function.__args__) and f.name[0] != "_": yield f"{node.name}.{f.name}", f


def made_by(c: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Function | None:
    "`__init__` of a class, its own or that of a base in the same module."
    for f in c.body:
        if isinstance(f, ast.FunctionDef) and f.name == "__init__": return f
    bases = (classes[b.id] for b in c.bases if isinstance(b, ast.Name) and b.id in classes)
    return next(filter(None, (made_by(b, classes) for b in bases)), None)


def sections(
    node: ast.AST, code: str, notes: dict, classes: dict[str, ast.ClassDef],
) -> dict[str, list[Entry]]:
    "What is said of a function or class, by title of the section."
    if not isinstance(node, ast.ClassDef):
        return {"Parameters": parameters(node, code, notes), "Returns": returned(node, code, notes)}
    init = made_by(node, classes)
    return {
        "Parameters": parameters(init, code, notes) if init else [],
        "Attributes": attributes(node, code, notes),
    }


def literal(old: str, lines: list[str], indent: str) -> str:
    "A docstring as it stands in the code, with these lines below its own and no other block."
    prefix, quotes, text = _literal.fullmatch(old).groups()
    text = _block.sub("", text)
    if lines:
        block = "\n".join(lines)
        if "r" not in prefix.lower(): block = block.replace("\\", "\\\\")
        if quotes[0] * 3 in block: raise ValueError(f"a comment holds {quotes[0] * 3}: {block}")
        return f"{prefix}{quotes[0] * 3}{text.rstrip()}\n{block}\n{indent}{quotes[0] * 3}"
    # back to one line, as the notebooks have it
    return f"{prefix}{quotes[0]}{text}{quotes[0]}" if "\n" not in text else f"{prefix}{quotes}{text}{quotes}"


def write(code: str, remove: bool = False) -> str:
    "Code of a module with the blocks as its comments have them, or without any."
    tree, notes = ast.parse(code), comments(code)
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    lines = code.splitlines(keepends=True)
    start = [0]
    for line in lines: start.append(start[-1] + len(line))

    def offset(row: int, column: int) -> int:
        "Position in the text; `ast` counts columns in bytes."
        return start[row - 1] + len(lines[row - 1].encode()[:column].decode())

    edits = []
    for name, node in public(tree):
        doc = docstring(node)
        if doc is None: continue
        here = offset(doc.lineno, doc.col_offset), offset(doc.end_lineno, doc.end_col_offset)
        old, indent = code[slice(*here)], " " * (node.col_offset + 4)
        if not _literal.fullmatch(old): raise ValueError(f"{name}: a docstring in one piece, please")
        found = {} if remove else sections(node, code, notes, classes)
        block = [line for title, entries in found.items() for line in section(title, entries, indent)]
        if block or _block.search(old): edits.append((*here, literal(old, block, indent)))
    for begin, end, new in reversed(edits): code = code[:begin] + new + code[end:]
    return code


def modules(package: Path) -> list[Path]:
    "Exported modules of a package."
    return [p for p in sorted(package.rglob("*.py")) if not p.name.startswith("_")]


def write_all(package: Path, remove: bool = False) -> int:
    "Treat every module of a package; return how many changed."
    changed = 0
    for path in modules(package):
        old = path.read_text(encoding="utf-8")
        new = write(old, remove)
        if new != old: path.write_text(new, encoding="utf-8")
        changed += new != old
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--remove", action="store_true", help="take the blocks out")
    write_all(root / "mltransfer", parser.parse_args().remove)
