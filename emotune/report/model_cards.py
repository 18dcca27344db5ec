"""Model cards: Mitchell et al. (2019), "Model Cards for Model Reporting", section 4."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emotune.analysis import diagnostics
from emotune.analysis.seeds import Summary, summarise
from emotune.config.baselines import handmade_sets
from emotune.config.metric import SCALES
from emotune.config.model import LogisticConfig, ModelConfig
from emotune.config.network import NetworkConfig
from emotune.config.scale import Scale
from emotune.config.shown_options import effective_training, shown_options
from emotune.config.tuned_options import is_tuned
from emotune.config.types import as_in_study
from emotune.report import phrasing
from emotune.report.dataset_info import DatasetInfo
from emotune.report.rating_table import RatingRow, rating_rows
from emotune.report.results import StudyResults
from emotune.report.tuning import chosen_text

__all__ = ["CardTest", "model_card_contexts"]

CONFUSIONS_LISTED = 5
"""Pairs of classes."""
FI_CITATION = "You et al., AAAI 2016"
"""Part of the source of every data set that is built from FI."""


@dataclass(frozen=True)
class CardTest:
    """A variant's results on one data set.

    Attributes:
        data: The data set.
        images: The number of test images.
        by_seed: The study's metric by seed.
        metrics: Each metric's scale, its summary over seeds, and its value for the class prior.
        recalls: Each class with its number of test images and its recall over seeds; empty for dimensions.
        ratings: The measures of each dimension; empty for classes.
        prior_origin: The images whose class frequencies the class prior has: ``of training``.
        chance: The accuracy of uniform guessing, in per cent; NaN for dimensions.
        confusions: The most frequent confusions: label, predicted class, per cent of the label's images.
        verdicts: The verdicts of the contrasts that the variant takes part in.
    """

    data: DatasetInfo
    images: int
    by_seed: Mapping[int, float]
    metrics: Sequence[tuple[Scale, Summary, float]]
    recalls: Sequence[tuple[str, int, Summary]]
    ratings: Sequence[RatingRow]
    prior_origin: str
    chance: float
    confusions: Sequence[tuple[str, str, float]]
    verdicts: Sequence[str]


def model_card_contexts(results: StudyResults, context: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The template variables of each variant's card, by variant; variants without finished runs have no card.

    Args:
        results: The study's results.
        context: The variables of the other templates, see `emotune.report.context.page_context`.
    """
    finished = results.records.done()["variant"].unique()
    return {name: _card(results, context, name) for name in results.study.variants if name in finished}


def _card(results: StudyResults, context: Mapping[str, Any], variant: str) -> dict[str, Any]:
    study = results.study
    model, train = study.variants[variant]
    of_model = _untuned(results, variant, "model", shown_options(model))
    of_train = _untuned(results, variant, "train", effective_training(model, train))
    done = results.records.done()
    runs = done[done["variant"] == variant]["run"].tolist()
    is_network = isinstance(model, NetworkConfig)
    datasets: Sequence[DatasetInfo] = context["datasets"]
    summaries = [row for name in results.datasets for row in results.variant_summaries(name)]
    return dict(context) | {
        "variant": variant,
        "model": f"{model.name}: {_options_text(of_model)}".rstrip(": "),
        "training": _with_chosen(results, variant, of_train),
        "is_network": is_network,
        "features": _features(model),
        "input_side": results.inputs[variant].side,
        "frames": max(data.frames for data in datasets),
        "normalisation": _normalisation(results, runs),
        "difference": next((d for d in context["networks"] if d.variant == variant), None),
        "cost": next(row.means for row in summaries if row.variant == variant and row.means),
        "tests": [
            _test(results, data, variant) for data in datasets if variant in results.predictions.get(data.name, {})
        ],
        "is_fi": any(FI_CITATION in data.manifest.source for data in datasets if data.manifest),
        "synthetic": all(data.synthetic for data in datasets),
        "run_ids": runs,
    }


def _untuned(results: StudyResults, variant: str, part: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a part of a variant that were not tuned, whose values the study declares."""
    tune = results.study.tune
    tuned = tune.over if tune and is_tuned(tune, variant) else ()
    return {key: value for key, value in options.items() if f"{part}.{key}" not in tuned}


def _with_chosen(results: StudyResults, variant: str, options: Mapping[str, Any]) -> str:
    """Options in a line, with what was chosen by validation."""
    chosen = chosen_text(results, variant)
    return ", ".join(filter(None, [_options_text(options), f"chosen by validation: {chosen}" if chosen else ""]))


def _features(model: ModelConfig) -> str:
    """The input that a model other than a network gets of an image; empty for networks."""
    if sets := handmade_sets(model):
        return f"hand-made features ({', '.join(sets)}) are computed"
    return "a frozen backbone computes features" if isinstance(model, LogisticConfig) else ""


def _options_text(options: Mapping[str, Any]) -> str:
    """Options in a line: ``width 0.25, dropout 0.5``."""
    shown = {key: as_in_study(value) if isinstance(value, tuple) else value for key, value in options.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items() if value is not None and key != "name")


def _normalisation(results: StudyResults, runs: Sequence[str]) -> tuple[Any, Any] | None:
    """The channel means and standard deviations of the runs' input; None for a model that is not a network."""
    initialisations = [results.records.records[run].get("initialisation", {}) for run in runs]
    return next(((n["mean"], n["std"]) for i in initialisations if (n := i.get("normalisation"))), None)


def _test(results: StudyResults, data: DatasetInfo, variant: str) -> CardTest:
    dataset, study = data.name, results.study
    frames = results.predictions[dataset][variant]
    first = next(iter(frames.values()))
    rows = results.done(dataset).query("variant == @variant").sort_values("seed")
    prior = results.learning[dataset].prior
    judged = {one.dataset: one.names for one in results.repeats}
    return CardTest(
        data=data,
        images=len(first),
        by_seed=dict(zip(rows["seed"], rows[study.metric.column], strict=True)),
        metrics=[
            (scale, summarise(rows[name].dropna().tolist(), scale.bounds), prior.metrics.get(name, math.nan))
            for name, scale in study.metric.scales.items()
        ],
        recalls=[] if prior.dimensions else _recalls(frames),
        ratings=[row for row in rating_rows(results) if (row.variant, row.dataset) == (variant, dataset)],
        prior_origin=phrasing.prior_origin(prior),
        chance=math.nan if prior.dimensions else 100 / len(diagnostics.confusion_shares(frames)),
        confusions=[] if prior.dimensions else _confusions(frames),
        verdicts=[
            phrasing.verdict_sentences(c, study.metric, results.judged_on, results.comparisons)
            for c in results.comparisons
            if dataset in judged[c.dataset] and variant in c.contrast.weights
        ],
    )


def _recalls(frames: Mapping[int, pd.DataFrame]) -> list[tuple[str, int, Summary]]:
    targets = next(iter(frames.values()))["target"]
    by_label = diagnostics.recalls({"": frames}).groupby("label", sort=False)["recall"]
    return [
        (str(label), int((targets == label).sum()), summarise(values.tolist(), SCALES["accuracy"].bounds))
        for label, values in by_label
    ]


def _confusions(frames: Mapping[int, pd.DataFrame]) -> list[tuple[str, str, float]]:
    """The most frequent confusions: label, predicted class, per cent of the label's images."""
    shares = diagnostics.confusion_shares(frames)
    pairs = [
        (label, predicted, float(share))
        for label, row in zip(map(str, shares.index), shares.to_numpy(float), strict=True)
        for predicted, share in zip(map(str, shares.columns), row, strict=True)
        if label != predicted
    ]
    return sorted((pair for pair in pairs if pair[2] > 0), key=lambda pair: -pair[2])[:CONFUSIONS_LISTED]
