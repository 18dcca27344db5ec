"""The list of the figures of attention: over positions, over the frames of clips, and its entropy by epoch."""

import math
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd

from emotune.analysis import diagnostics
from emotune.config.input_spec import InputSpec
from emotune.core.sample_noun import worded
from emotune.report.figures import attention, curves
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.frames import attended_clips, attention_strips
from emotune.report.figures.layout import seed_count_text
from emotune.report.figures.style import variant_colours
from emotune.report.results import StudyResults

__all__ = ["attention_figures", "entropy_figures"]

MOST_CLIPS = 4
"""Clips shown with attention over their frames."""
SCALE = "Colours, in every study alike: from a quarter of a uniform weight to four times as much."


def entropy_figures(results: StudyResults, dataset: str, title: str, epochs: pd.DataFrame) -> Iterator[FigureEntry]:
    """The figure of the entropy of attention by epoch; none if no network recorded it.

    Args:
        results: The study's results.
        dataset: The data set.
        title: Its title.
        epochs: The epochs of the networks' finished runs.
    """
    epochs = epochs.dropna(subset="attention_entropy")
    recorded, predictions = set(epochs["variant"].unique()), results.predictions[dataset]
    tables = {v: _tables(results, dataset, v) for v in predictions if v in recorded}
    positions = {v: len(found[0]["weights"].iloc[0]) for v, found in tables.items() if found}
    if not positions:
        return
    counts = sorted(set(positions.values()))
    frames = ", frames" if any(results.inputs[variant].frames > 1 for variant in positions) else ""
    uniform = " and ".join(f"{math.log(count):.2f}" for count in counts)
    every = variant_colours(list(results.study.variants))
    colours, epochs = {v: every[v] for v in positions}, epochs[epochs["variant"].isin(positions)]
    yield for_both_widths(
        f"entropy-{dataset}",
        partial(curves.attention_entropy, title, epochs, colours, positions),
        f"{dataset}, {seed_count_text(len(predictions[v]) for v in colours)}: entropy of the "
        f"{' or '.join(map(str, counts))} attention weights, mean over validation {worded('images')}{frames} "
        f"and layers. Dotted: uniform weights, {uniform} nats.",
        f"Entropy of the attention weights on {dataset} by epoch: {', '.join(colours)}",
    )


def attention_figures(
    results: StudyResults, dataset: str, title: str, by_input: Mapping[InputSpec, Mapping[str, bytes]]
) -> Iterator[FigureEntry]:
    """The figures of the attention weights of the test images or clips; none without attention.

    Args:
        results: The study's results.
        dataset: The data set.
        title: Its title.
        by_input: JPEGs of the images to draw attention on, by input of the network and sample id; of clips all frames,
            one beside another.
    """
    yield from _in_time(results, dataset, title)
    yield from _example_clips(results, dataset, title, by_input)
    maps: dict[str, np.ndarray] = {}
    predictions = results.predictions[dataset]
    by_variant = {variant: tables for variant in predictions if (tables := _tables(results, dataset, variant))}
    for variant, tables in by_variant.items():
        layers = diagnostics.mean_attention(tables)
        maps |= {variant if len(layers) == 1 else f"{variant} {layer}": m * m.size for layer, m in layers.items()}
    if not maps:
        return
    shapes = {grid.shape for grid in maps.values()}
    (height, width), alike = max(shapes), len(shapes) == 1
    frames = " and their frames" if any(results.inputs[variant].frames > 1 for variant in by_variant) else ""
    where = f"the {height} × {width} positions" if alike else "each position of a map"
    times = str(height * width) if alike else "the number of positions"
    yield for_both_widths(
        f"attention-{dataset}",
        partial(attention.mean_attention_maps, title, maps),
        f"{dataset}, {seed_count_text(map(len, by_variant.values()))}: attention weights at {where}, "
        f"mean over all test {worded('images')}{frames}, times {times}; uniform weights are 1. {SCALE}",
        f"Mean attention maps over the test {worded('images')} of {dataset}: {', '.join(maps)}",
    )
    for variant, tables in by_variant.items():
        if not (examples := by_input.get(seen := results.inputs[variant], {})):
            continue
        labels = _labels(results, dataset, variant)
        image_maps = {s: m * m.size for s, m in diagnostics.image_attention(tables, list(examples)).items()}
        middle = " Below each map is the clip's middle frame; maps are means over frames." if seen.frames > 1 else ""
        yield FigureEntry(
            f"overlays-{dataset}-{variant}",
            attention.attention_overlays(f"{title}: {variant}", examples, image_maps, labels),
            f"{dataset}, {variant}, {seed_count_text([len(tables)])}: example test {worded('images')} with "
            f"their attention maps, mean over seeds and layers. The {worded('images')} were chosen by a hash of "
            f"their ids.{middle}",
            f"Example {worded('images')} of {dataset} with the attention maps of {variant}",
        )


def _in_time(results: StudyResults, dataset: str, title: str) -> Iterator[FigureEntry]:
    """The figure of attention over frames; none if no network has it."""
    rated = dataset in results.records.dimensions
    strips = {
        variant: diagnostics.attention_in_time(tables, {} if rated else _labels(results, dataset, variant))
        for variant in results.predictions[dataset]
        if (tables := _tables(results, dataset, variant, over_frames=True))
    }
    if not strips:
        return
    runs = [len(_tables(results, dataset, variant, over_frames=True)) for variant in strips]
    yield for_both_widths(
        f"frames-{dataset}",
        partial(attention_strips, title, strips),
        f"{dataset}, {seed_count_text(runs)}: attention weights of the frames, mean over the test clips, times "
        f"the number of frames; uniform weights are 1. {SCALE}",
        f"Mean attention over the frames of the test clips of {dataset}, by class: {', '.join(strips)}",
    )


def _example_clips(
    results: StudyResults, dataset: str, title: str, by_input: Mapping[InputSpec, Mapping[str, bytes]]
) -> Iterator[FigureEntry]:
    """The figure of example clips with attention over their frames; none if no network has it or none may be shown."""
    tables = {
        variant: found
        for variant in results.predictions[dataset]
        if (found := _tables(results, dataset, variant, over_frames=True))
    }
    if not tables:
        return
    first = next(iter(tables))
    clips = dict(list(by_input.get(results.inputs[first], {}).items())[:MOST_CLIPS])
    if not clips:
        return
    weights = {variant: diagnostics.clip_attention(found, clips) for variant, found in tables.items()}
    labels = {} if dataset in results.records.dimensions else _labels(results, dataset, first)
    yield FigureEntry(
        f"overlays-frames-{dataset}",
        attended_clips(title, clips, weights, labels),
        f"{dataset}, {seed_count_text(map(len, tables.values()))}: frames of example test clips, as {first} sees them, "
        "and below them the attention weights of all frames, mean over seeds, times the number of frames. The clips "
        f"were chosen by a hash of their ids. {SCALE}",
        f"Example clips of {dataset} with the attention over their frames of {', '.join(tables)}",
    )


def _labels(results: StudyResults, dataset: str, variant: str) -> dict[str, str]:
    """The class of each test image by sample id."""
    first = next(iter(results.predictions[dataset][variant].values()))
    return dict(zip(first["sample_id"], first["target"], strict=True))


def _tables(results: StudyResults, dataset: str, variant: str, *, over_frames: bool = False) -> list[pd.DataFrame]:
    """The attention weights of a variant's runs, of those that recorded them: over positions, or over frames."""
    tables: Mapping[str, pd.DataFrame] = results.records.over_frames if over_frames else results.records.attention
    done = results.done(dataset)
    return [tables[run] for run in done.loc[done["variant"] == variant, "run"] if run in tables]
