"""The README and the pages of the documentation, and the commands in them."""

import re
from pathlib import Path

__all__ = ["DOCS", "PAGES", "ROOT", "blocks", "commands", "outside_code"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
STARTS = ("python ", "torchrun ", "pip ", "ray ", "ls ", "find ", "emotune ", "mkdocs ")
CODE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def blocks(language: str, page: Path) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\b[^\n]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def outside_code(page: Path) -> str:
    """The text of a page without its code blocks."""
    return CODE.sub("", page.read_text())


def commands(page: Path) -> list[str]:
    """The commands of a page's code blocks and of its text, in their order, each once.

    A line that ends with a backslash continues in the next one.
    """
    lines = [line for block in blocks("sh", page) for line in block.replace("\\\n", " ").splitlines()]
    found = [" ".join(line.partition(" #")[0].split()) for line in lines if line and not line.startswith("#")]
    spans = re.findall(r"`([^`\n]+)`", outside_code(page))
    found += [span for span in spans if span.startswith(STARTS) and "…" not in span]
    return list(dict.fromkeys(found))
