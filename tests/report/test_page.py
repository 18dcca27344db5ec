"""The page as a document: self-contained, accessible, reproducible."""

import re
from importlib import resources
from itertools import pairwise
from pathlib import Path

from reading import Tags, report

from emotune.report.figures.style import NARROW, WIDTH


def test_the_page_is_one_file_that_needs_no_network(reported):
    _, page, _ = reported
    tags = Tags(page)
    assert not tags.named("link", "iframe", "object", "embed", "base")
    assert all("src" not in script for script in tags.named("script"))
    sources = [value for _, found in tags.tags for name in ("src", "href", "xlink:href") if (value := found.get(name))]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]+)\)", page))


def test_only_the_comparison_is_hidden_without_script(reported):
    _, page, _ = reported
    hidden = [(tag, found.get("id")) for tag, found in Tags(page).tags if "hidden" in found]
    assert hidden == [("li", None), ("section", "compare")]


def test_every_figure_is_drawn_for_a_narrow_screen_or_is_no_wider_than_one(reported):
    _, page, _ = reported
    figures = dict(re.findall(r'<figure id="figure-([^"]+)">(.*?)</figure>', page, re.S))
    fitting = {name for name, text in figures.items() if 'class="narrow"' not in text}
    assert all(name.startswith("overlays-") for name in fitting) and len(figures) > len(fitting) + 5
    for name in fitting:
        (width,) = re.findall(r'style="width:([\d.]+)%"', figures[name])
        assert float(width) <= 100 * NARROW / WIDTH + 0.1


def test_sections_figures_and_tables_are_accessible(reported):
    _, page, _ = reported
    tags = Tags(page)
    assert len(tags.named("h1")) == len(tags.named("main")) == 1
    assert tags.named("html") == [{"lang": "en"}]
    ids = [found["id"] for _, found in tags.tags if "id" in found]
    assert len(ids) == len(set(ids)), "figures share no ids"
    targets = {found["href"][1:] for _, found in tags.tags if found.get("href", "").startswith("#")}
    assert targets <= set(ids)
    assert {"verdicts", "variants", "reproduce", "runs"} <= targets
    assert set(re.findall(r"(?:url\(#|xlink:href=\"#)([^)\"]+)", page)) <= set(ids)
    assert len(tags.named("figure")) == page.count("<figcaption>") > 5
    assert all(len(svg["aria-label"]) > 20 for svg in tags.named("svg"))
    assert all(img["alt"] for img in tags.named("img"))
    assert all(head.get("scope") in ("col", "row") for head in tags.named("th"))
    assert len(tags.named("table")) == page.count("<caption>")
    levels = [int(tag[1]) for tag, _ in tags.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_verdicts_have_a_word_and_a_mark_besides_their_colour(reported):
    _, page, _ = reported
    (item,) = re.findall(r'<ul class="verdicts">\s*<li>(.*?)</li>', page, re.S)
    assert re.search(
        r'<span aria-hidden="true">[✓✗=?○]</span> (better|worse|equivalent|unresolved|not assessed)<', item
    )


def test_text_has_a_contrast_of_4_5_in_light_and_dark():
    css = resources.files("emotune.report").joinpath("templates/style.css").read_text()
    light, dark = (dict(re.findall(r"(--[a-z]+): (#[0-9a-f]{6});", block)) for block in css.split("@media")[:2])
    assert light.keys() == dark.keys()
    for theme in (light, dark):
        for text in ("--ink", "--soft", "--link"):
            for ground in ("--paper", "--card"):
                assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
        for mark in ("--better", "--worse", "--equivalent", "--unresolved", "--note", "--bad"):
            assert contrast(theme[mark], theme["--paper"]) >= 3, mark


def contrast(a: str, b: str) -> float:
    """WCAG 2.2's."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_figures_use_the_colours_of_the_page(reported):
    _, page, _ = reported
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        assert "var(--ink, #222222)" in svg
        assert not re.search(r": #(222222|666666|dddddd)", svg)
        assert "<style" not in svg, "it would hold for the whole page"
        assert "<metadata" not in svg


def test_user_text_is_escaped(reported):
    _, page, _ = reported
    assert "&lt;really&gt;" in page
    assert "<really>" not in page


def test_the_same_runs_give_the_same_bytes_apart_from_the_date(finished, reported, tmp_path: Path):
    date = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
    sides = reported[2], report(finished, tmp_path)[2]
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) > 20
    for name in names:
        one, other = ((side / name).read_bytes() for side in sides)
        assert len(date.findall(one)) == (name in ("index.html", "report.md") or name.startswith("cards/"))
        if name != ".fingerprint.json":
            assert date.sub(b"", one) == date.sub(b"", other), name
