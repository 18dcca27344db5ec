"""What the templates say, as plain values: nothing is computed in them."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from scipy import stats

from emotune.analysis.architecture import architecture_differences
from emotune.analysis.power import ALPHA
from emotune.analysis.seeds import Comparison, Verdict
from emotune.config.ablate_command import AblateCommand
from emotune.config.metric import SCALES
from emotune.config.run import DatasetRef
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.data.manifest import SPLITS
from emotune.report import phrasing
from emotune.report.provenance import provenance
from emotune.report.results import StudyResults
from emotune.runs.directory import State, Status

__all__ = ["VERDICT_MARKS", "dataset_context", "page_context", "sections"]

VERDICT_MARKS = {
    Verdict.BETTER: "✓",
    Verdict.WORSE: "✗",
    Verdict.EQUIVALENT: "=",
    Verdict.UNRESOLVED: "?",
    Verdict.IDENTICAL: "≡",
    Verdict.DETERMINISTIC: "·",
}
"""Beside the verdict's word, so that no colour is needed to tell them apart."""
LOG_LINES = 20
MOST_UNFOLDED_RUNS = 60
"""Runs; the table of more is folded up."""


def dataset_context(ref: DatasetRef) -> dict[str, Any]:
    """A data set as its manifest has it; ``known`` is False where it is not on this machine."""
    known = {"name": ref.name, "hash": ref.content_hash, "part": ref.part}
    if not is_ready(ref):
        return known | {"known": False, "synthetic": ref.location == "scenes", "left_out": {}}
    manifest = manifest_of(ref)
    return known | {
        "known": True,
        "synthetic": manifest.synthetic,
        "source": manifest.source,
        "licence": manifest.licence,
        "counts": {split: sum(manifest.count(split, c, ref.part) for c in manifest.classes) for split in SPLITS},
        "classes": manifest.classes,
        "train_by_class": {label: manifest.count("train", label, ref.part) for label in manifest.classes},
        "left_out": manifest.left_out,
        "health": manifest.health,
    }


def page_context(
    results: StudyResults,
    datasets: Sequence[Mapping[str, Any]],
    networks: Mapping[str, Any] | None,
    pool: str,
    command: AblateCommand,
) -> dict[str, Any]:
    """Everything that page, Markdown and LaTeX say.

    Args:
        results: The numbers.
        datasets: As `dataset_context`.
        networks: As `emotune.analysis.architecture.read_architectures` gives it.
        pool: Where the runs are.
        command: That reproduces the study.
    """
    study, records = results.study, results.records
    return {
        "study": study,
        "metric": study.metric,
        "scale": study.metric.scale,
        "metrics": SCALES,
        "datasets": datasets,
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "done": len(records.done()),
        "planned": len(records.runs),
        "selection": phrasing.selection_rule(study.metric),
        "tested": phrasing.use_of_test_set(study.metric),
        "answers": [_verdict(c, results) for c in results.comparisons],
        "comparisons": results.comparisons,
        "floors": results.noise_floor,
        "resolutions": _detectable_effects(results),
        "flips_left_out": [c for c in results.comparisons if c.p_sign_flip is not None and c.p_sign_flip_holm is None],
        "over_images": results.image_bootstraps,
        "across": [(a, phrasing.across_datasets_sentence(a, study.metric)) for a in results.across_datasets],
        "exploratory": results.exploratory,
        "variants": [row for dataset in results.datasets for row in _variant_rows(results, dataset)],
        "optimism": results.test_selection_bias.to_dict("records"),
        "networks": architecture_differences(networks) if networks else [],
        "unfinished": _unfinished_runs(results, command),
        "runs": records.runs.to_dict("records"),
        "folded": len(records.runs) > MOST_UNFOLDED_RUNS,
        "origin": provenance(records, pool),
        "command": str(command),
        "compared": _comparison_data(results),
    }


def sections(context: Mapping[str, Any], figures: Mapping[str, Any]) -> list[dict[str, str]]:
    """The page's sections that have something to say, in order: ``id``, which is its template's name, and ``title``."""

    def drawn(kind: str) -> bool:
        return any(name.startswith(f"{kind}-") for name in figures)

    title = context["scale"].title
    known = {
        "verdicts": ("Verdicts", True),
        "images": ("Other seeds, other images", bool(context["over_images"])),
        "across": ("Several data sets", bool(context["across"])),
        "variants": (f"{title[0].upper()}{title[1:]} by variant", True),
        "exploratory": ("Not declared, exploratory", bool(context["exploratory"])),
        "compare": ("Compare two variants", context["done"] > 1),
        "curves": ("Learning curves", drawn("curves")),
        "classes": ("Classes and confusions", drawn("confusion")),
        "calibration": ("Calibration", drawn("calibration")),
        "cost": (f"{title[0].upper()}{title[1:]} against cost", drawn("cost")),
        "attention": ("Attention", drawn("attention")),
        "flips": ("Images whose answer flips", bool(context["flips"])),
        "selection": ("Selection rule", True),
        "networks": ("Networks", bool(context["networks"])),
        "data": ("Data", True),
        "failures": ("Runs that are not counted", bool(context["unfinished"])),
        "reproduce": ("How to reproduce this", True),
        "runs": ("All runs", True),
    }
    return [{"id": name, "title": title} for name, (title, shown) in known.items() if shown]


def _verdict(comparison: Comparison, results: StudyResults) -> dict[str, Any]:
    verdict = comparison.verdict or Verdict.UNRESOLVED
    text = phrasing.verdict_sentences(comparison, results.study.metric, results.datasets)
    return {"verdict": str(verdict), "mark": VERDICT_MARKS[verdict], "contrast": str(comparison.contrast), "text": text}


def _detectable_effects(results: StudyResults) -> list[str]:
    """Per data set whose spread is known, what numbers of seeds find."""
    study, several = results.study, len(results.datasets) > 1
    said = {
        dataset: phrasing.detectable_effects_sentence(spread, study.metric, study.seeds, len(results.comparisons))
        for dataset, spread in results.pooled_spreads.items()
    }
    return [f"{dataset}: {text}" if several else text for dataset, text in said.items()]


def _variant_rows(results: StudyResults, dataset: str) -> list[dict[str, Any]]:
    """Per variant: its metric in every seed and their summary, means of all metrics, what it costs."""
    study, done, summaries = results.study, results.done(dataset), results.summaries(dataset)
    rows = []
    for variant in study.variants:
        mine = done[done["variant"] == variant]
        values = dict(zip(mine["seed"], mine[study.metric.name], strict=True))
        means = mine[[*SCALES, "parameters", "forward_flops", "train_s", "images_per_s"]].astype(float).mean()
        rows.append(
            {
                "variant": variant,
                "dataset": dataset,
                "seeds": [(seed, values.get(seed)) for seed in range(study.seeds)],
                "summary": summaries[variant],
                "means": means.to_dict() if len(mine) else {},
            }
        )
    return rows


def _unfinished_runs(results: StudyResults, command: AblateCommand) -> list[dict[str, Any]]:
    """Runs without a result: why, the end of what they said, and the command that takes them up."""
    rows = results.records.runs
    ended = (State.FAILED, State.DIVERGED, State.DAMAGED)
    return [
        {
            "run": row["run"],
            "variant": row["variant"],
            "seed": row["seed"],
            "state": row["state"],
            "reason": Status(row["state"], row["detail"]).reason,
            "log": "\n".join(row["detail"].splitlines()[-LOG_LINES:]) if row["state"] in ended else "",
            "rerun": command.rerun(row["run"]) if row["state"] in ended else "",
        }
        for row in rows[rows["state"] != State.DONE].to_dict("records")
    ]


def _comparison_data(results: StudyResults) -> dict[str, Any]:
    """What the script needs to compare any two variants: every finished run's metrics, and quantiles of Student's t."""
    values: dict[str, dict[str, dict[int, list[float | str | None]]]] = {}
    for row in results.records.done().to_dict("records"):
        by_variant = values.setdefault(row["dataset"], {})
        # Six digits are more than is printed. JSON knows no NaN and nothing infinite: script.js reads that as text.
        numbers = [
            None if pd.isna(value) else float(f"{value:.6g}") if math.isfinite(value) else "Infinity"
            for value in (row[name] for name in SCALES)
        ]
        by_variant.setdefault(row["variant"], {})[row["seed"]] = numbers
    finished = [v for v in results.study.variants if any(v in variants for variants in values.values())]
    most = max((len(seeds) for variants in values.values() for seeds in variants.values()), default=0)
    return {
        "variants": finished,
        "datasets": results.datasets,
        "metrics": [
            {
                "title": s.title,
                "steps": s.difference_units,
                "decimals": s.decimals,
                "higher": s.higher_is_better,
                "widest": s.difference_bounds[1] if math.isfinite(s.difference_bounds[1]) else None,
            }
            for s in SCALES.values()
        ],
        "chosen": list(SCALES).index(results.study.metric.name),
        "values": values,
        "t": [round(float(stats.t.ppf(1 - ALPHA / 2, df)), 5) for df in range(1, most)],
    }
