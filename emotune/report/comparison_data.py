"""The data with which the page's script compares any two variants."""

import math
from typing import Any

import pandas as pd
from scipy import stats

from emotune.analysis.verdict import ALPHA
from emotune.report.results import StudyResults

__all__ = ["comparison_data"]


def comparison_data(results: StudyResults) -> dict[str, Any]:
    """The metrics of all finished runs by data set, variant and seed, and quantiles of Student's t.

    Args:
        results: The study's results.
    """
    scales = results.study.metric.scales
    values: dict[str, dict[str, dict[int, list[float | str | None]]]] = {}
    for row in results.records.done().to_dict("records"):
        by_variant = values.setdefault(row["dataset"], {})
        # Six digits are more than the page prints. JSON has neither NaN nor infinity: script.js reads them as text.
        numbers = [
            None if pd.isna(value) else float(f"{value:.6g}") if math.isfinite(value) else "Infinity"
            for value in (row[name] for name in scales)
        ]
        by_variant.setdefault(row["variant"], {})[row["seed"]] = numbers
    most_seeds = max((len(seeds) for variants in values.values() for seeds in variants.values()), default=0)
    return {
        "variants": [v for v in results.study.variants if any(v in variants for variants in values.values())],
        "datasets": results.datasets,
        "metrics": [
            {
                "title": scale.title,
                "units": scale.difference_units,
                "decimals": scale.decimals,
                "higher_is_better": scale.higher_is_better,
                "widest": scale.difference_bounds[1] if math.isfinite(scale.difference_bounds[1]) else None,
            }
            for scale in scales.values()
        ],
        "study_metric": list(scales).index(results.study.metric.column),
        "values": values,
        "t_quantiles": [round(float(stats.t.ppf(1 - ALPHA / 2, df)), 5) for df in range(1, most_seeds)],
    }
