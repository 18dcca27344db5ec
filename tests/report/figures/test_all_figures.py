"""Properties of every figure, from one variant with one seed to twelve with long names and 25 classes."""

import io
import re

import matplotlib
import numpy as np
import pytest
from matplotlib.axis import XTick, YTick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from emotune.report.figures.style import INK, STYLE

SMALLEST = 7


def texts(figure: Figure) -> dict[Text, Bbox]:
    """The texts of a figure and their boxes in pixels, a fifth of a line smaller than the space for all letters."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    unseen = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                assert isinstance(tick, XTick | YTick)
                if not limits[0] - 1e-9 <= tick.get_loc() <= limits[1] + 1e-9:
                    unseen |= {tick.label1, tick.label2}
    found = {}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in unseen:
            box = Text.get_window_extent(text, canvas.get_renderer())  # an annotation's without its arrow
            found[text] = box.padded(-0.1 * min(box.height, box.width, 12))
    return found


def svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


@pytest.fixture(scope="session")
def image(usual, draw) -> bytes:
    """The figure of the usual study as SVG."""
    return svg(draw(usual))


def test_no_text_leaves_the_figure_or_covers_another_or_is_too_small(made_up, draw):
    figure = draw(made_up)
    found = texts(figure)
    names = [text.get_text() for text in found]
    assert figure.get_figwidth() <= 7.2
    assert min(text.get_fontsize() for text in found) >= SMALLEST
    left, below, right, above = np.array([box.extents for box in found.values()]).T
    width, height = figure.bbox.size
    outside = (left < 0) | (below < 0) | (right > width) | (above > height)
    assert not outside.any(), [names[i] for i in np.flatnonzero(outside)]
    beside = (left[:, None] >= right) | (right[:, None] <= left) | (below[:, None] >= above) | (above[:, None] <= below)
    assert not np.triu(~beside, 1).any(), [(names[i], names[k]) for i, k in np.argwhere(np.triu(~beside, 1))]


def test_a_usual_figure_is_small_and_all_vectors_but_photographs_and_colour_bars(usual, image, request):
    kind = request.node.callspec.params["draw"]
    assert len(image) < 200_000
    bars = {
        "confusions": 1,
        "confusion_differences": 1,
        "in_time": 1,
        "mean_maps": 1,
        "transfer": 1,
        "overlays": 2 * len(usual.variants),
        "clips": 3 * 8 + 1,
    }
    assert image.count(b"<image") == bars.get(kind.removeprefix("narrow_"), 0)


def test_the_same_numbers_give_the_same_bytes_whatever_the_settings_of_who_calls(usual, draw, image):
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "lines.linewidth": 9, "xtick.labelsize": 30}):
        assert svg(draw(usual)) == image


def test_nothing_is_black_because_a_dark_page_would_swallow_it(image):
    text = image.decode()
    assert "#000000" not in text.split("</style>")[-1]
    assert f"fill: {INK}" in text
    for colour in re.findall(r"fill: (#[0-9a-f]{6})", text[: text.index("</g>")]):
        assert colour != "#ffffff", "the ground is the page's"
