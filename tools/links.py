"""Links from `words` to their documentation, and what a documented name is, for both kinds of pages.

nbdev calls `Words` when it makes the pages (`procs` in settings.ini, in place of its own `add_links`)."""
import functools, re
from pathlib import Path

from execnb.nbio import read_nb
from nbdev.config import get_config
from nbdev.process import Processor

from mltransfer import _FACE, _modidx

_module = re.compile(r"^#\|\s*default_exp\s+(\S+)", re.M)
_exported = re.compile(r"^#\|\s*exports?\s*$", re.M)
_defined = re.compile(r"^(?:async )?(def|class) ([A-Za-z]\w*)", re.M)
_documented = re.compile(r"\bshow_doc\(([\w.]+)")
_fence = re.compile(r"(^```.*?^```)", re.M | re.S)
_word = re.compile(
    r"^(?:#|    ).*$"  # A heading or an indented line stays as it is
    r"|!?\[(?:[^\[\]\n]|\n(?!\n)|\[[^\]]*\])*\]\([^)]*\)"  # So does a link
    r"|``.+?``|`(?P<word>[\w.]+)(?:\(\))?`|`[^`]+`", re.M,
)
_linked_code = re.compile(r"\[(`[^`]+`)\]\([^)]*\)")
_heading = re.compile(r"^(#+) ([\w.]+)\n\n```python\n(def \w+)?", re.M)
_argument = re.compile(r"^( +\*{0,2}\w+):(?=\S)", re.M)


@functools.cache
def documented() -> dict[str, dict[str, str]]:
    "By module, the names on its page: each a class, a function or a method."
    return dict(filter(None, map(_names, sorted(Path("nbs").rglob("[!.]*.ipynb")))))


def _names(path: Path) -> tuple[str, dict[str, str]] | None:
    "The module of a notebook and the names that its page documents."
    cells = [c.source for c in read_nb(path).cells if c.cell_type == "code"]
    module = _module.search("\n".join(cells))
    if not module: return None
    of_kind = {"def": "function", "class": "class"}
    defined = {name: of_kind[kind] for c in cells for kind, name in _defined.findall(c)}
    shown = [name for c in cells if _exported.search(c) for _, name in _defined.findall(c)]
    shown += [name for c in cells for name in _documented.findall(c)]
    return module[1], {n: "method" if "." in n else defined.get(n, "function") for n in shown}


def address(
    word: str, # As it stands between backticks
    here: str | None = None, # Module of the page; its own names come first
) -> str | None: # Of a name on a page of the docs; None where the meaning is not certain
    "Find what a word means, with care: a common word such as `summary` has many meanings."
    names, word = documented(), word.removeprefix("mltransfer.")
    if any(part.startswith("_") for part in word.split(".")): return None
    module, _, name = word.rpartition(".")
    if name in names.get(module, {}): return _url(module, name)
    owner = word.split(".")[0]
    word = next((w for w in (word, owner) if w in names.get(here, {})), word)
    if word in names.get(here, {}): return _url(here, word)
    found = [m for m in names if owner in names[m] and not m.startswith("cases.")]
    certain = owner in _FACE or owner in found or not owner.islower() or "_" in owner
    if not certain or len(found) != 1: return None
    return _url(found[0], word if word in names[found[0]] else owner)


def _url(module: str, name: str) -> str:
    "Address of a documented name in the published docs."
    syms, cfg = _modidx.d["syms"][f"mltransfer.{module}"], get_config()
    page = next(iter(syms.values()))[0].split("#")[0]
    return f"{cfg.doc_host}{cfg.doc_baseurl}/{page}#{name.lower()}"


def linked(text: str, here: str | None = None) -> str:
    "Markdown in which words lead to their documentation; code, headings and links stay as they are."
    def link(m: re.Match) -> str:
        url = m["word"] and address(m["word"], here)
        return f"[{m[0]}]({url})" if url else m[0]

    parts = _fence.split(text)
    return "".join(p if p.startswith("```") else _word.sub(link, p) for p in parts)


def labelled(text: str, here: str | None) -> str:
    "What `show_doc` writes, with the kind of each name, its anchor, and a signature as Python spells it."
    def head(m: re.Match) -> str:
        name = m[2]
        kind = documented().get(here, {}).get(name, "function")
        shown, signature = name.replace("__", r"\_\_"), m[3] or ""
        if kind == "class": signature = signature.replace("def ", "class ", 1)
        mark = f'{{#{name.lower()} data-toc-label="{name}"}}'
        return f'{m[1]} <small>{kind}</small> {shown} {mark}\n\n```python\n{signature}'

    def code(block: str) -> str:
        plain = _linked_code.sub(r"\1", block)
        return _argument.sub(r"\1: ", plain).replace("\n)->", "\n) -> ")

    parts = _fence.split(_heading.sub(head, text))
    return "".join(code(p) if p.startswith("```") else linked(p, here) for p in parts)


class Words(Processor):
    "Link the words of a page, and label what it documents."
    def __init__(self, nb: dict) -> None: # Later the cell that names the module is gone
        super().__init__(nb)
        found = [c.directives_.get("default_exp") for c in nb.cells]
        self.here = next((names[0] for names in found if names), None)

    def cell(self, cell) -> None:
        if cell.cell_type == "markdown": cell.source = linked(cell.source, self.here)
        is_doc = cell.source.lstrip().startswith("show_doc(") or "\nshow_doc(" in cell.source
        change = labelled if is_doc else linked
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" not in data: continue
            text = "".join(data["text/markdown"])
            data["text/markdown"] = change(text, self.here).splitlines(True)
