"Pages as a reader meets them: links lead somewhere, words lead to their page, no markup shows."
import json, os, re, shutil, subprocess, sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from nbdev.config import get_config

from tools.links import address, documented, labelled, linked
from tools.site import anchor

root = Path(get_config().config_path)
host = "https://mltransfer.github.io/mltransfer"


class Page(HTMLParser):
    "What one page offers and asks for: anchors, links, pictures, and the text outside code."
    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors, self.links, self.text, self.inside = set(), [], [], []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id"))
        if tag == "a" and "a" in self.inside: self.links.append("a link in a link")
        if tag in ("a", "code", "pre", "script", "style"): self.inside.append(tag)
        self.links += [given[name] for name in ("href", "src") if given.get(name)]

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag: self.inside.pop()

    def handle_data(self, data: str) -> None:
        if set(self.inside) <= {"a"}: self.text.append(data)


def lost(file: Path, pages: dict[Path, Page]) -> list[str]:
    "Links of a page that lead nowhere."
    out = []
    for link in pages[file].links:
        path, _, anchor = link.partition("#")
        to = (file.parent / unquote(path)).resolve() if path else file
        if re.match(r"\w+:", link): ok = not link.startswith(host)
        else: ok = to.exists() and (not anchor or to not in pages or unquote(anchor) in pages[to].anchors)
        if not ok: out.append(link)
    return out


def raw(page: Page) -> list[str]:
    "Markup that a reader would see."
    markup = r".{0,20}(?:\]\(|\[\[|\^[\w+-]+\^|\{#|\{target|^:::).{0,20}"
    return re.findall(markup, "".join(page.text), re.M)


def test_every_link_leads_somewhere_and_no_markup_shows(tmp_path: Path) -> None:
    shutil.copytree(root / "nbs", tmp_path / "nbs"); shutil.copy(root / "settings.ini", tmp_path)
    env = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-m", "tools.site"], cwd=tmp_path, env=env, check=True)
    site = (tmp_path / "_site/site").resolve()
    pages = {file: Page(file.read_text()) for file in site.rglob("*.html") if file.name != "404.html"}
    assert len(pages) > 50
    assert {str(f.relative_to(site)): found for f in pages if (found := lost(f, pages))} == {}
    assert {str(f.relative_to(site)): found for f, p in pages.items() if (found := raw(p))} == {}
    assert "Fe<sup>3+</sup>" in (site / "composition.html").read_text()
    index = json.loads((site / "search/search_index.json").read_text())
    assert any(d["location"] == "explain/glossary.html#twin" for d in index["docs"])


def test_checks_see_what_they_should(tmp_path: Path) -> None:
    here, there = tmp_path / "a.html", tmp_path / "b.html"
    here.touch(); there.touch()
    links = ["b.html#x", "b.html#y", "c.html", "#x", f"{host}/b.html", "https://example.org"]
    html = "".join(f'<a href="{link}">.</a>' for link in links)
    pages = {here: Page(html), there: Page('<h2 id="x">X</h2>')}
    assert lost(here, pages) == ["b.html#y", "c.html", "#x", f"{host}/b.html"]
    assert lost(here, {here: Page('<a href="#x" id="x"><a href="#x">.</a></a>')}) == ["a link in a link"]
    assert raw(Page("<p>[<a>a</a>](b) and Fe^3+^</p>")) and not raw(Page("<p>f(x)</p><code>[a](b)</code>"))


def test_words_lead_to_their_documentation() -> None:
    assert linked("`Shotgun()`") == f"[`Shotgun()`]({host}/search.html#shotgun)"
    assert address("Library.query") == f"{host}/library.html#library.query"
    assert address("mltransfer.data.load") == address("load") == f"{host}/data.html#load"
    assert address("Report.no_such_method") == address("Report")


@pytest.mark.parametrize("word", ["run", "summary", "stack", "_read", "Library._open", "n_jobs", "nothing"])
def test_words_of_many_meanings_lead_nowhere(word: str) -> None:
    assert address(word) is None and linked(f"a `{word}` in prose") == f"a `{word}` in prose"


def test_words_of_case_studies_lead_there_from_their_own_page_only() -> None:
    study = "cases.refractive_index"
    assert address("run", here=study) == f"{host}/case_studies/refractive_index.html#run"
    names = {name for m in documented() if m.startswith("cases.") for name in documented()[m]}
    assert all("/case_studies/" not in (address(name) or "") for name in names)


@pytest.mark.parametrize("text", [
    "[`load`](#a)", "[the word\n`load`](#a)", "## The `load`", "``a `load` b``", "```python\n`load`\n```",
])
def test_code_headings_and_links_stay_as_they_are(text: str) -> None:
    assert linked(text) == text


def test_names_say_what_they_are() -> None:
    shown = "### Library\n\n```python\ndef Library(\n    path:str='x', # As in [`load`](u)\n)->None:\n```"
    html = labelled(shown, "library")
    assert "<small>class</small> Library {#library" in html
    assert "class Library(\n    path: str='x', # As in `load`\n) -> None:" in html
    assert "<small>function</small> load" in labelled("### load\n\n```python\ndef load(\n```", "data")
    method = "### Library.query\n\n```python\ndef query(\n```"
    assert "<small>method</small> Library.query {#library.query" in labelled(method, "library")


@pytest.mark.parametrize("heading,name", [
    ("2. What is *new*", "what-is-new"), ("145 physical attributes", "physical-attributes"),
    ("[rank](rank.ipynb)", "rank"), ("Is `y` right?", "is-y-right"), ("2026", "section"),
])
def test_anchors_are_those_of_the_published_pages(heading: str, name: str) -> None:
    assert anchor(heading) == name


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    hide = "import sys, importlib.util as u; real = u.find_spec\n"
    hide += "u.find_spec = lambda name, *a: None if name == 'material' else real(name, *a)\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    command = [sys.executable, "-m", "tools.site"]
    failed = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert failed.returncode == 1 and "mkdocs-material" in failed.stderr and "pip install" in failed.stderr
