"""What the model card of a variant says: Mitchell et al. (2019), "Model Cards for Model Reporting", section 4."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from emotune.analysis import diagnostics
from emotune.analysis.metrics import constant_predictions, scalar_metrics
from emotune.analysis.seeds import Summary, summarise
from emotune.config.metric import SCALES
from emotune.config.model import NetworkConfig
from emotune.report import phrasing
from emotune.report.results import StudyResults

__all__ = ["model_card_contexts"]

CONFUSIONS_LISTED = 5
"""Pairs of classes that are named."""
FI = "You et al., AAAI 2016"
"""What the source of FI's data sets has in it."""


def model_card_contexts(results: StudyResults, context: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each card says, by variant; of those that have finished runs.

    Args:
        results: The numbers.
        context: As `emotune.report.context.page_context` gives it.
    """
    finished = results.records.done()["variant"].unique()
    return {name: _card(results, context, name) for name in results.study.variants if name in finished}


def _card(results: StudyResults, context: Mapping[str, Any], variant: str) -> dict[str, Any]:
    study = results.study
    model, train = study.variants[variant]
    done = results.records.done()
    by_steps = isinstance(model, NetworkConfig)
    return dict(context) | {
        "variant": variant,
        "model": f"{model.name}: {_options_text(asdict(model))}".rstrip(": "),
        "training": _options_text(asdict(train)) if by_steps else "",
        "is_network": by_steps,
        "normalisation": _normalisation(results, done[done["variant"] == variant]["run"]),
        "difference": next((d for d in context["networks"] if d.variant == variant), None),
        "cost": next(row["means"] for row in context["variants"] if row["variant"] == variant and row["means"]),
        "tests": [
            _test(results, data, variant) for data in context["datasets"]
            if variant in results.predictions.get(data["name"], {})
        ],
        "fi": any(FI in data.get("source", "") for data in context["datasets"]),
        "synthetic": all(data["synthetic"] for data in context["datasets"]),
        "run_ids": done[done["variant"] == variant]["run"].tolist(),
    }  # fmt: skip


def _options_text(options: Mapping[str, Any]) -> str:
    """``width 0.25, dropout 0.5``."""
    return ", ".join(f"{key} {value}" for key, value in options.items() if value is not None and key != "name")


def _normalisation(results: StudyResults, runs: pd.Series) -> str:
    """Of the images that its runs see; of a model that is no network, none."""
    found = [results.records.records[run].get("initialisation", {}).get("normalisation") for run in runs]
    return next((f"mean {n['mean']}, standard deviation {n['std']}" for n in found if n), "")


def _test(results: StudyResults, data: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """What was measured on one data set."""
    dataset, study = data["name"], results.study
    frames = results.predictions[dataset][variant]
    rows = results.done(dataset).query("variant == @variant").sort_values("seed")
    constant = scalar_metrics(constant_predictions(next(iter(frames.values()))))
    return {
        "data": data,
        "images": len(next(iter(frames.values()))),
        "seeds": list(zip(rows["seed"], rows[study.metric.name], strict=True)),
        "metrics": [
            (scale, summarise(rows[name].dropna().tolist(), scale.bounds), constant[name])
            for name, scale in SCALES.items()
        ],
        "recalls": _recalls(frames),
        "chance": 100 / len(diagnostics.confusion_shares(frames)),
        "confused": _confused(frames),
        "verdicts": [
            phrasing.verdict_sentences(c, study.metric, results.datasets) for c in results.comparisons
            if c.dataset == dataset and variant in (c.contrast.variant, c.contrast.reference)
        ],
    }  # fmt: skip


def _recalls(frames: Mapping[int, pd.DataFrame]) -> list[tuple[str, int, Summary]]:
    """Per class: its name, how many test images it has, its recall over seeds."""
    targets = next(iter(frames.values()))["target"]
    by_label = diagnostics.recalls({"": frames}).groupby("label", sort=False)["recall"]
    return [
        (str(label), int((targets == label).sum()), summarise(values.tolist(), SCALES["accuracy"].bounds))
        for label, values in by_label
    ]


def _confused(frames: Mapping[int, pd.DataFrame]) -> Sequence[tuple[str, str, float]]:
    """The most frequent confusions: what an image is, what it is taken for, per cent of its class's images."""
    shares = diagnostics.confusion_shares(frames).stack()
    wrong = [(str(is_a), str(taken), float(share)) for (is_a, taken), share in shares.items() if is_a != taken]
    return sorted((pair for pair in wrong if pair[2] > 0), key=lambda pair: -pair[2])[:CONFUSIONS_LISTED]
