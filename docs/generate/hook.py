"""Hooks of MkDocs: tables made from the code, and the files of the repository that pages link to.

A line ``<!-- generated: NAME -->`` in a page is replaced by what `GENERATED` makes of the code, and so is never out of
date. A link that leaves ``docs/``, which works where the repository is browsed, leads in the site to a copy of the file
below ``repository/``.
"""

import posixpath
import re
from pathlib import Path, PurePosixPath

import commands
import options
import sources
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
COPIES = "repository"
GENERATED = {**options.PARTS, **sources.PARTS, **commands.PARTS}
MARK = re.compile(r"<!-- generated: ([a-z-]+) -->")
LINK = re.compile(r"(\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the files of the repository that pages link to, and those that these link to."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        for target in _targets(path):
            if target in seen or target.startswith("docs/"):
                continue
            seen.add(target)
            files.append(File.generated(config, f"{COPIES}/{target}", abs_src_path=str(ROOT / target)))
            if target.endswith(".md"):
                waiting.append(target)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    path = page.file.src_uri
    source = path.removeprefix(f"{COPIES}/") if path.startswith(f"{COPIES}/") else f"docs/{path}"
    markdown = MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)

    def in_site(link: re.Match[str]) -> str:
        target = _target(source, link[2])
        place = target.removeprefix("docs/") if target.startswith("docs/") else f"{COPIES}/{target}"
        return f"{link[1]}{posixpath.relpath(place, PurePosixPath(path).parent)}{link[3] or ''}"

    return _outside_code(markdown, lambda text: LINK.sub(in_site, text))


def _targets(path: str) -> list[str]:
    text = CODE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    return [target for link in LINK.finditer(text) if (ROOT / (target := _target(path, link[2]))).is_file()]


def _target(path: str, link: str) -> str:
    """The path in the repository to which a link of a page leads."""
    return posixpath.normpath(PurePosixPath(path).parent / link)


def _outside_code(markdown: str, change) -> str:
    """The text, changed where it is no code."""
    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [change(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(markdown[end:])])
