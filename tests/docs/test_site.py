"""The documentation can be built, all of its pages are found, and nothing of it is read from another host."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from emotune.data.sources.registry import SOURCES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LOADED = {
    "img": "src",
    "script": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "video": "src",
    "use": "href",
}
"""The attribute of each element from which a browser loads something by itself."""
NEVER_LOADED = {"https://unpkg.com/resize-observer-polyfill", "https://unpkg.com/mermaid@11/dist/mermaid.min.js"}
"""What Material's script would load in a browser without ResizeObserver, and on a page with a Mermaid diagram."""


class Resources(HTMLParser):
    """What a page loads, and the classes of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.classes |= set((given.get("class") or "").split())
        if (place := given.get(LOADED.get(tag, ""))) and given.get("rel") != "canonical":
            self.loaded.append(place)


def pages_of(navigation: list) -> list[str]:
    values = [value for entry in navigation for value in entry.values()]
    return [page for value in values for page in (pages_of(value) if isinstance(value, list) else [value])]


def configuration() -> dict:
    text = (ROOT / "mkdocs.yml").read_text()
    return yaml.safe_load(text)


def test_a_reader_without_a_network_sees_all_of_it(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        page = Resources()
        page.feed(path.read_text(encoding="utf-8"))
        assert [place for place in page.loaded if re.match(r"(\w+:)?//", place)] == [], path
        assert "mermaid" not in page.classes, path
        for place in page.loaded:
            file = path.parent / place.partition("?")[0].partition("#")[0]
            assert place.startswith("data:") or file.exists() or place.startswith("/"), (path, place)
    for path in site.rglob("*.css"):
        assert not re.findall(r"@import[^;]*//|url\(\s*['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path
    scripts = "".join(path.read_text(encoding="utf-8") for path in site.rglob("bundle*.js"))
    assert set(re.findall(r"https?://unpkg[^\"'`]*", scripts)) == NEVER_LOADED


def test_every_page_is_in_the_navigation():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    listed = pages_of(configuration()["nav"])
    assert sorted(listed) == sorted(set(listed))
    assert pages <= set(listed)


def test_no_mark_is_left_and_every_source_has_its_section(site):
    for path in site.rglob("*.html"):
        assert "<!-- generated:" not in path.read_text(encoding="utf-8"), path
    text = (site / "reference" / "data_sources.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<h3 id="([\w-]+)"', text)) >= set(SOURCES)


@pytest.fixture
def options(monkeypatch):
    """The module that makes the tables of options."""
    monkeypatch.syspath_prepend(str(DOCS / "generate"))
    import options

    yield options
    for name in ("options", "docstrings"):
        sys.modules.pop(name, None)


def test_every_option_has_a_text_its_values_and_its_default(options):
    kinds = [*options.CLASSES, *options.MODEL_CLASSES, *options.HEAD_CLASSES, *options.LOSS_CLASSES]
    seen = 0
    for kind in [*kinds, *options.TARGET_CLASSES]:
        for name, values, default, text in options.rows(kind):
            assert text, f"{kind.__name__}.{name} has no text in a docstring"
            assert default and (values != "any" or (kind.__name__, name) == ("Tuning", "search")), (kind, name)
            seen += 1
    assert seen > 150


def test_a_row_says_what_the_code_says(options):
    rows = {name: rest for name, *rest in options.rows(options.TrainConfig)}
    assert rows["epochs"][:2] == ["whole number from 1", "`50`"]
    assert rows["schedule"][:2] == ["`cosine`, `linear`, `step`, `constant`", "`cosine`"]
    assert rows["momentum"][:2] == ["number from 0 below 1", "`0.9`"]
    assert rows["augment"][0] == "`none`, `randaugment`, `trivialaugment`, `FILE.py:NAME`"
    assert rows["loss"][0].startswith("`cross_entropy`, `kl`, `jcdl`")
    defaults = {name: default for name, _, default, _ in options.rows(options.StudyFile)}
    assert (defaults["question"], defaults["seeds"], defaults["task"]) == ("needed", "`3`", "–")


CODES = {"ablate": "0 1 2 75 130 141", "shard": "0 1 2 75 130 141", "predict": "0 1 2 130 141",
         "export": "0 1 2 75 130 141"}  # fmt: skip


@pytest.mark.parametrize(("command", "codes"), CODES.items())
def test_every_exit_code_of_a_command_has_a_row(monkeypatch, command, codes):
    monkeypatch.syspath_prepend(str(DOCS / "generate"))
    import commands

    rows = re.findall(r"^\| (\d+) \| .+ \|$", commands.PARTS[f"codes-{command}"](), re.MULTILINE)
    assert " ".join(rows) == codes
    sys.modules.pop("commands")
