"""Figures as SVG: as files, and inline in the page with the page's colours."""

import base64
import html
import io
import re

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from emotune.report.figures.style import GRID, INK, NARROW, SOFT, WIDTH

__all__ = ["PIXELS_PER_INCH", "inline", "svg_of"]

PIXELS_PER_INCH = 200
"""Of PNG files, and of what SVG files show as pixels."""

VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line"}
"""The colours of text and lines, and the CSS variables that replace them in the page, light or dark."""
SMALL = 10_000
"""Images of fewer bytes are kept as PNG."""


def svg_of(figure: Figure) -> str:
    """The figure as the text of an SVG file; equal figures give equal text, as it has no date and fixed ids."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "emotune"}):
        figure.savefig(buffer, format="svg", dpi=PIXELS_PER_INCH, metadata={"Date": None})
    return buffer.getvalue()


def inline(svg: str, name: str, alt: str, *, narrow: bool = False) -> str:
    """An SVG element for the page, where `emotune.report.figures.style.WIDTH`, or ``NARROW``, is the full width.

    Args:
        svg: The figure's SVG file, see `svg_of`.
        name: The figure's name, unique in the page; it becomes a prefix of each id, so that figures share none.
        alt: The text alternative.
        narrow: Whether the figure is for a narrow screen.
    """
    element = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.S)
    element = re.sub(
        r"(?<![\d.])([1-9]\d*\.\d\d)\d+", r"\1", element
    )  # no screen shows less than hundredths of a point
    element = re.sub(r"\s*\n\s*", "\n", element)
    element = re.sub(r"data:image/png;base64,([^\"]+)", _photograph, element)
    element = re.sub(r'<g id="[^"]*"', "<g", element)  # these ids are not unique, and nothing refers to them
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", element)
    for colour, variable in VARIABLES.items():
        element = re.sub(rf"(?<=: ){colour}\b", f"var({variable}, {colour})", element, flags=re.I)
    head, rest = element.split(">", 1)
    box, *_ = re.findall(r'viewBox="[^"]+"', head)
    points, *_ = re.findall(r'width="([\d.]+)pt"', head)
    width = float(points) / (72 * (NARROW if narrow else WIDTH))
    label = html.escape(alt, quote=True)
    return f'<svg role="img" aria-label="{label}" {box} style="width:{100 * width:.4g}%">{rest.strip()}'


def _photograph(match: re.Match[str]) -> str:
    """The data URL of an image, as JPEG if that is much smaller, which it is for photographs."""
    png = base64.b64decode(match[1])
    image, jpeg = Image.open(io.BytesIO(png)), io.BytesIO()
    if len(png) < SMALL or (image.has_transparency_data and np.asarray(image.getchannel("A")).min() < 255):
        return match[0]
    image.convert("RGB").save(jpeg, "JPEG", quality=88)
    if 2 * len(jpeg.getvalue()) > len(png):
        return match[0]
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
