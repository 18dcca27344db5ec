"""The marks of single figures: what is drawn, and where."""

import itertools
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection

from emotune.analysis.seeds import summarise
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast, Effect
from emotune.config.metric import Metric
from emotune.report.figures import accuracy, calibration, classes, contrasts, curves, interactions
from emotune.report.figures.layout import spread_apart
from emotune.report.figures.style import PALETTE, line_styles, markers, variant_colours
from emotune.report.figures.svg import inline, svg_of


def comparison(values, verdict=Verdict.UNRESOLVED, dataset="scenes"):
    return SimpleNamespace(contrast=Contrast.difference("a", "b"), dataset=dataset, differences=dict(enumerate(values)),
                           summary=summarise(values), paired=summarise(values), verdict=verdict, late=())  # fmt: skip


def drawn(figure, gid):
    return [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]


def written(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def bars(figure):
    """Horizontal lines from end to end of an interval."""
    return [line.get_xdata() for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1
            and len(line.get_xdata()) == 2 and line.get_linestyle() == "-" and line.get_gid() is None]  # fmt: skip


def test_every_seed_of_a_contrast_and_of_a_variant_is_drawn(usual):
    (seeds,) = drawn(contrasts.contrast_forest([comparison([1.0, 2.5, -3.0])], Metric(), {}), "seeds")
    assert list(seeds.get_xdata()) == [1.0, 2.5, -3.0]
    figure = accuracy.metric_by_variant("scenes", usual.runs, Metric(), usual.summaries, 12.5, usual.colours)
    assert sorted(x for line in drawn(figure, "seeds") for x in line.get_xdata()) == sorted(usual.runs["accuracy"])
    figure = classes.recall("scenes", usual.recalls, usual.differences, "alexnet", usual.colours)
    assert sum(len(line.get_xdata()) for line in drawn(figure, "seeds")) == len(usual.recalls)
    figure = curves.learning_curves("scenes", usual.epochs, usual.colours)
    lines = [c for axes in figure.axes for c in axes.collections if c.get_gid() == "seeds"]
    assert sum(len(line.get_segments()) for line in lines) == 2 * usual.epochs["run"].nunique()


def test_the_curves_of_hundreds_of_runs_are_pixels_with_names_and_means_as_vectors():
    epochs = pd.DataFrame({"variant": "a", "seed": np.repeat(np.arange(300), 20), "epoch": np.tile(np.arange(20), 300)})
    curve = epochs["epoch"] + epochs["seed"] / 300
    epochs = epochs.assign(train_accuracy=curve, val_accuracy=curve)
    few, many = (svg_of(curves.learning_curves("scenes", epochs[epochs["seed"] < n], {"a": "#0072b2"}))
                 for n in (100, 300))  # fmt: skip
    assert (few.count("<image"), many.count("<image")) == (0, 2)
    assert len(many) < len(few)
    assert all(mark in many for mark in ("<!-- a -->", 'id="mean"'))
    assert "data:image/png" in inline(many, "curves", ""), "a JPEG would hide the grid behind the lines"


def test_lines_and_bands_of_a_narrow_figure_cross_no_text(usual):
    for figure in (
        contrasts.contrast_forest([comparison([1.0, 2.5, -3.0]), comparison([1.0, 2.0])], Metric(), {}, narrow=True),
        accuracy.metric_by_variant("scenes", usual.runs, Metric(), usual.summaries, 60, usual.colours, narrow=True),
    ):
        (axes,) = figure.axes
        figure.draw_without_rendering()
        paths = [c.get_transform().transform(path.vertices)[:, 1] for c in axes.collections for path in c.get_paths()]
        texts = [text.get_window_extent() for text in axes.texts if text.get_transform() != axes.transData]
        assert len(texts) > 3
        assert all(y.min() > box.y1 - 2 or y.max() < box.y0 + 2 for y in paths for box in texts)


def test_a_single_seed_has_no_interval():
    one = comparison([1.2])
    figure = contrasts.contrast_forest([one], Metric(), {})
    assert not bars(figure)
    assert "+1.2 (no interval)" in written(figure)
    several = contrasts.contrast_forest([comparison([1.2, 1.3, 1.7])], Metric(), {})
    (interval,) = bars(several)
    assert list(interval) == [summarise([1.2, 1.3, 1.7]).low, summarise([1.2, 1.3, 1.7]).high]


def test_a_contrast_without_a_finished_pair_keeps_its_row():
    figure = contrasts.contrast_forest([comparison([]), comparison([1.0, 2.0, 2.2])], Metric(), {})
    assert written(figure).count("a − b") == 2


def test_an_interval_that_the_axes_cut_ends_in_an_arrow():
    figure = contrasts.contrast_forest([comparison([1.0, 5.0])], Metric(), {})
    axes, summary = figure.axes[0], summarise([1.0, 5.0])
    low, high = axes.get_xlim()
    assert summary.low < low and high < summary.high
    assert {line.get_marker() for line in axes.lines} >= {"<", ">"}
    assert "(−22.4 to +28.4)" in " ".join(written(figure)), "the whole interval stands beside it"


def test_the_baseline_against_itself_has_a_row_of_its_own_data_set_and_does_not_squeeze_the_contrasts():
    found = [comparison([1.0, 2.0, 2.5], dataset=d) for d in ("scenes", "photos")]
    noise = comparison([-3.5, 0.1, 3.7], None, "photos")
    axes = contrasts.contrast_forest(found, Metric(), {"photos": noise}).axes[0]
    heading = {t.get_text(): t.get_position()[1] for t in axes.texts}
    assert heading["scenes"] < heading["photos"] < heading[contrasts.NOISE_FLOOR_LABEL]
    assert noise.summary.low < axes.get_xlim()[0] < -3.5, "the interval ends in an arrow, the seeds are all there"
    assert not [p for p in axes.patches if p.get_hatch()]


def test_which_side_is_better_follows_the_metric():
    def sides(metric):
        notes = {
            t.get_text(): t.get_position()[0]
            for t in contrasts.contrast_forest([comparison([1.0, 2.0])], metric, {}).axes[0].texts
        }
        return next(x for text, x in notes.items() if "first" in text)

    assert sides(Metric()) > 0 > sides(Metric(name="nll", min_effect=0.1))


def test_the_verdict_has_a_mark_besides_its_colour():
    marks = [contrasts.VERDICT_MARKERS[verdict] for verdict in Verdict]
    assert len(set(marks)) == len(Verdict)


def test_a_missing_epoch_interrupts_the_line_instead_of_moving_the_mean():
    rows = [{"variant": "a", "seed": s, "epoch": e, "train_accuracy": 50.0, "val_accuracy": 40.0 + 20 * s}
            for s in range(3) for e in range(1, 7)]  # fmt: skip
    table = pd.DataFrame(rows)
    table.loc[(table["seed"] == 2) & (table["epoch"] == 4), "val_accuracy"] = np.nan
    mean = drawn(curves.learning_curves("scenes", table, {"a": "#0072b2"}), "mean")[1]
    assert np.array_equal(mean.get_ydata(), [60, 60, 60, np.nan, 60, 60], equal_nan=True)


def test_a_band_needs_three_seeds(usual):
    def area(epochs):
        figure = curves.learning_curves("scenes", epochs, usual.colours)
        bands = [c for c in figure.axes[1].collections if isinstance(c, FillBetweenPolyCollection)]
        return sum(len(path.vertices) for band in bands for path in band.get_paths())

    assert area(usual.epochs) > 0
    assert area(usual.epochs[usual.epochs["seed"] < 2]) == 0


def test_names_at_the_ends_of_lines_keep_their_distance_and_order():
    placed = spread_apart([5.0, 5.1, 5.05, 40.0], 10.0, 0.0, 100.0)
    assert np.all(np.diff(np.sort(placed)) >= 10 - 1e-9)
    assert list(np.argsort(placed)) == [0, 2, 1, 3]
    assert placed[3] == 40, "what is free stays"
    assert spread_apart(list(range(50)), 10.0, 0.0, 98.0) == pytest.approx(np.arange(50) * 2), "more than fit"


def test_a_variant_without_known_cost_is_left_out_of_that_panel_alone(usual):
    table = usual.cost.assign(forward_flops=[np.nan, *usual.cost["forward_flops"][1:]])
    figure = accuracy.metric_against_cost("scenes", table, Metric(), usual.colours)
    assert [len(axes.lines) for axes in figure.axes] == [5, 4, 5]


def test_bars_of_equal_cost_stand_side_by_side_and_a_cost_that_all_share_is_left_out(usual):
    table = usual.cost.assign(parameters=1e6, forward_flops=[1e9, 1e9, 1e9, 2e9, 2e9])
    flops, _ = accuracy.metric_against_cost("scenes", table, Metric(), usual.colours).axes
    at = sorted(200 * np.log(line.get_xdata()[0]) / np.diff(np.log(flops.get_xlim())) for line in flops.lines)
    assert min(b - a for a, b in itertools.pairwise(at)) > 4
    assert "FLOPs" in accuracy.cost_notes(table) and "Time" in accuracy.cost_notes(table)
    assert "FLOPs" not in accuracy.cost_notes(table.assign(forward_flops=1e9)), "as it is not drawn"
    (only,) = accuracy.metric_against_cost("scenes", table.assign(forward_flops=1e9), Metric(), usual.colours).axes
    assert "training" in only.get_xlabel()


def test_a_constant_predictor_far_away_does_not_squeeze_the_seeds(usual):
    far = accuracy.metric_by_variant("scenes", usual.runs, Metric(), usual.summaries, 12.5, usual.colours)
    assert far.axes[0].get_xlim()[0] > 50
    assert any(re.fullmatch("← .* 12.5", text) for text in written(far))
    near = accuracy.metric_by_variant("scenes", usual.runs, Metric(), usual.summaries, 58.0, usual.colours)
    assert any(re.fullmatch("[a-z ]* 58.0", text) for text in written(near))


def test_twelve_variants_have_twelve_colours_and_the_first_ten_the_palette():
    colours = variant_colours([f"v{i}" for i in range(25)])
    assert len(set(colours.values())) == 25
    assert tuple(colours.values())[:10] == PALETTE


def test_a_variant_keeps_its_marker_and_line_where_others_are_missing():
    colours = variant_colours([f"v{i}" for i in range(15)])
    some = {variant: colours[variant] for variant in ("v3", "v12", "v14")}
    for look in (markers, line_styles):
        assert look(some) == {variant: look(colours)[variant] for variant in some}


@pytest.mark.parametrize("ratio", [1.0, 20.0, 70.0, 3e4])
def test_tick_labels_of_costs_do_not_touch(usual, ratio: float):
    spread = np.geomspace(1, ratio, len(usual.cost))
    cost = usual.cost.assign(parameters=2e5 * spread, forward_flops=3e9 * spread, train_s=2e4 * spread)
    figure = accuracy.metric_against_cost("scenes", cost, Metric(), usual.colours)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [tick.label1.get_window_extent() for tick in axes.xaxis.get_major_ticks()]
        assert len(boxes) > 1
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_the_accuracy_of_a_handful_of_images_is_not_drawn_but_their_share_is(usual):
    tables = {"alexnet": pd.DataFrame({"confidence": [25.0, 55], "accuracy": [100.0, 60], "share": [2.0, 98],
                                       "images": [calibration.FEWEST - 1, calibration.FEWEST]})}  # fmt: skip
    accuracies, shares = calibration.reliability("scenes", tables, usual.colours, {"alexnet": 3.0}).axes
    assert list(accuracies.lines[-1].get_xdata()) == [55]
    assert [bar.get_height() for bar in shares.patches] == [2, 98]


@pytest.mark.parametrize("narrow", [False, True])
def test_several_interactions_are_told_apart_by_the_levels_that_differ(usual, narrow):
    several = [comparison([1.0, 2.0, 4.0]) for _ in range(2)]
    for one, level in zip(several, ("middle", "a level with a long name"), strict=True):
        one.contrast = replace(one.contrast, effect=Effect({"a": ("yes", "no"), "rate": (level, "low")}))
    draw = partial(interactions.interaction_plot, "scenes", ("a", "rate"), usual.cells, metric=Metric(), narrow=narrow)
    labels = [label.get_text() for label in draw(interactions=several).axes[1].get_xticklabels()]
    assert ["yes" in label for label in labels] == [False, False]
    assert ["middle" in label for label in labels] == [True, False]
    assert not draw(interactions=several[:1]).axes[1].get_xticklabels()
