"""Links of pages lead somewhere, and messages that they explain are messages of emotune."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from documents import DOCS, PAGES, ROOT, blocks, outside_code

LINKED = (*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "cluster/README.md", "examples/own_network/README.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")
GAP = "…"


def links(page: Path) -> list[str]:
    return LINK.findall(re.sub(r"`[^`\n]*`", "", outside_code(page)))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them of plain titles."""
    titles = re.findall(r"^#+ (.+)$", outside_code(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)) for title in titles]
    return {re.sub(r"\s", "-", title.strip().lower()) for title in plain}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_repository_lead_to_files_and_headings(page):
    for link in links(page):
        place, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            assert re.fullmatch(r"https://[\w.-]+(/[\w./#?=&%+~-]*)?", link), link
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.is_file() or (page == ROOT / "README.md" and target.is_dir()) or target == DOCS, link
        if anchor:
            assert anchor in anchors(target), link


@cache
def messages() -> list[str]:
    """The texts in emotune's code; what a text is filled with is `GAP`."""
    texts = []
    for path in (ROOT / "emotune").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
                texts.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def explained() -> list[str]:
    """The messages that have a row in a table of the page."""
    return re.findall(r"^\| `([^`]+)` \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)


def test_there_are_messages_to_explain():
    assert len(explained()) >= 40


@pytest.mark.parametrize("message", explained())
def test_a_message_that_is_explained_is_one_of_emotune(message):
    pattern = re.compile(".*".join(re.escape(part.strip()) for part in message.split(GAP)), re.DOTALL)
    assert any(pattern.search(text) for text in messages())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_of_studies_are_yaml(page):
    for block in blocks("yaml", page):
        assert yaml.safe_load(block)


def test_papers_that_are_cited_are_in_the_references():
    """Names before a year, as in "Rao et al. (2018)" or "Lin 1989", in pages and docstrings of options and sources."""
    page = DOCS / "references.md"
    code = [path for folder in ("config", "data/sources") for path in (ROOT / "emotune" / folder).glob("*.py")]
    text = "\n".join(path.read_text() for path in (*PAGES, *code) if path != page)
    name = r"[A-Z][a-zà-ü]+"
    cited = re.findall(rf"\b({name})(?: et al\.| and {name}|, {name})*,? \(?((?:19|20)\d\d)\b", text)
    assert len(set(cited)) > 20
    for author, year in sorted(set(cited) - {("Multimedia", "2010")}):
        assert re.search(rf"{author}\b[^\n]*\({year}\)", page.read_text()), (author, year)
