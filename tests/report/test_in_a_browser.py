"""The page in a browser: at two widths, in dark mode, on paper."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)"),
]
MEASURE = """<script>addEventListener("load", () => {
  const wide = [...document.querySelectorAll("body *")].filter((e) => !e.closest(".scroll, svg, .skip"))
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80));
  const compare = document.getElementById("compare");
  const cut = [...document.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth)
    .map((e) => e.getAttribute("aria-label"));
  parent.postMessage({width: innerWidth, scroll: document.documentElement.scrollWidth, wide, cut,
                      hidden: compare.hidden,
                      first: [...compare.querySelector("tbody tr").cells].map((cell) => cell.textContent)}, "*");
});</script>"""
FRAME = """<!doctype html><iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe><pre></pre>
<script>onmessage = (e) => (document.querySelector("pre").textContent = JSON.stringify(e.data))</script>"""


def chromium(folder: Path, *arguments: str) -> str:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             f"--user-data-dir={folder / 'profile'}"]  # fmt: skip
    done = subprocess.run([CHROMIUM, *flags, *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def page(reported) -> Path:
    _, _, out = reported
    return out / "index.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(page: Path, tmp_path: Path, width: int):
    (tmp_path / "page.html").write_text(page.read_text().replace("</body>", MEASURE + "</body>"))
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    dom = chromium(tmp_path, "--virtual-time-budget=8000", "--dump-dom", (tmp_path / "frame.html").as_uri())
    found = json.loads(unescape(re.search(r"<pre>(.*?)</pre>", dom, re.S)[1]))
    assert found["width"] == width
    assert found["scroll"] <= width
    assert found["wide"] == [], "figures neither"
    assert "Declared contrasts" not in found["cut"], "it is read without scrolling"
    assert width < 1280 or not found["cut"]


def test_two_variants_are_compared_as_in_the_table_of_runs(page: Path, tmp_path: Path):
    (tmp_path / "page.html").write_text(page.read_text().replace("</body>", MEASURE + "</body>"))
    (tmp_path / "frame.html").write_text(FRAME.format(width=800))
    dom = chromium(tmp_path, "--virtual-time-budget=8000", "--dump-dom", (tmp_path / "frame.html").as_uri())
    found = json.loads(unescape(re.search(r"<pre>(.*?)</pre>", dom, re.S)[1]))
    table = pd.read_csv(page.parent / "runs.csv").pivot(index="seed", columns="variant", values="accuracy")
    mean = (table["attention"] - table["alexnet"]).mean()
    assert not found["hidden"]
    assert found["first"][0] == "accuracy, points"
    assert float(found["first"][1].replace("−", "-")) == pytest.approx(mean, abs=0.051)
    assert found["first"][3] == "2"


def test_the_dark_page_is_dark_and_its_figures_are_light_on_it(page: Path, tmp_path: Path):
    shades = {}
    for scheme, value in (("dark", 0), ("light", 1)):
        shot = tmp_path / f"{scheme}.png"
        chromium(tmp_path, f"--blink-settings=preferredColorScheme={value}", "--window-size=1280,1800",
                 f"--screenshot={shot}", page.as_uri())  # fmt: skip
        histogram = Image.open(shot).convert("L").histogram()
        shades[scheme] = (sum(histogram[:64]) / sum(histogram), sum(histogram[192:]) / sum(histogram))
    assert shades["dark"][0] > 0.8, "no white figure on the dark page"
    assert shades["light"][1] > 0.8


def test_no_figure_is_cut_on_paper(page: Path, tmp_path: Path):
    pypdf = pytest.importorskip("pypdf", reason="pypdf reads the pages' texts: pip install 'emotune[test]'")
    text, number = page.read_text(), 0

    def marked(match: re.Match) -> str:
        nonlocal number
        number += 1
        return f"<figure{match[1]}><div>BEGIN{number}.</div>{match[2]}<div>END{number}.</div></figure>"

    (tmp_path / "page.html").write_text(re.sub(r"<figure\b([^>]*)>(.*?)</figure>", marked, text, flags=re.S))
    pdf = tmp_path / "page.pdf"
    chromium(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", (tmp_path / "page.html").as_uri())
    pages = ["".join(each.extract_text().split()) for each in pypdf.PdfReader(pdf).pages]
    assert number > 5
    for figure in range(1, number + 1):
        where = [{i for i, page in enumerate(pages) if f"{mark}{figure}." in page} for mark in ("BEGIN", "END")]
        assert where[0] == where[1] and len(where[0]) == 1, figure
    everything = "".join(pages)
    assert "Howtoreadthistable" in everything and "ofallvariants;" in everything, "folded text is printed"
