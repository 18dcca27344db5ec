"""Figures as SVG: a file of its own, and a part of the page that takes the page's colours."""

import base64
import html
import io
import re

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from emotune.report.figures.style import GRID, INK, SOFT, WIDTH

__all__ = ["inline", "svg_of"]

VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line"}
"""Colours of text and lines, and the page's variables that stand for them, light or dark."""
SMALL = 10_000
"""Bytes of an image that stays as it is."""


def svg_of(figure: Figure) -> str:
    """The figure as an SVG file: the same numbers give the same bytes, as it has no date and its ids are fixed."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "emotune"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def inline(svg: str, name: str, alt: str) -> str:
    """An SVG element for the page, whose full width is that of `emotune.report.figures.style.WIDTH`.

    Args:
        svg: Of `svg_of`.
        name: Unique in the page: put before each id, which figures would share otherwise.
        alt: What is seen, for those who do not.
    """
    element = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.S)
    element = re.sub(r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", element)  # hundredths of points are never seen
    element = re.sub(r"\s*\n\s*", "\n", element)
    element = re.sub(r"data:image/png;base64,([^\"]+)", _photograph, element)
    element = re.sub(r'<g id="[^"]*"', "<g", element)  # names of parts, not unique; nothing refers to them
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", element)
    for colour, variable in VARIABLES.items():
        element = re.sub(rf"(?<=: ){colour}\b", f"var({variable}, {colour})", element, flags=re.I)
    head, rest = element.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)[0]
    width = float(re.search(r'width="([\d.]+)pt"', head)[1]) / (72 * WIDTH)
    label = html.escape(alt, quote=True)
    return f'<svg role="img" aria-label="{label}" {box} style="width:{100 * width:.4g}%">{rest.strip()}'


def _photograph(found: re.Match[str]) -> str:
    """The image in a data URL, as a JPEG where that is much smaller: of photographs, not of small matrices."""
    png = base64.b64decode(found[1])
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(jpeg, "JPEG", quality=88)
    if len(png) < SMALL or 2 * len(jpeg.getvalue()) > len(png):
        return found[0]
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
