"""Test images in the report: those that attention is laid over, and those whose answer flips.

Their bytes only where the manifest says that the data may be shown; else their sample ids stand for them.
"""

import base64
from collections.abc import Mapping
from typing import Any

import pandas as pd

from emotune.analysis import diagnostics
from emotune.config.run import DatasetRef
from emotune.config.study import Contrast
from emotune.data.read.thumbnails import thumbnails
from emotune.report.results import StudyResults

__all__ = ["attention_examples", "disagreeing_images"]

SHOWN = 8
"""Images under attention, by data set; and that flip, in each direction of a contrast."""
SIDE = 160
"""Pixels of an image under attention."""


def attention_examples(results: StudyResults, refs: Mapping[str, DatasetRef]) -> dict[str, dict[str, bytes]]:
    """By data set, JPEGs by sample id to lay attention over; none where no network has attention."""
    return {
        name: thumbnails(refs[name], diagnostics.choose_examples(predictions, SHOWN), side=SIDE)
        for name, predictions in results.predictions.items()
        if predictions and results.records.attention
    }


def disagreeing_images(results: StudyResults, refs: Mapping[str, DatasetRef]) -> list[dict[str, Any]]:
    """For each data set and declared contrast or A/A, and each of its sides, what only that gets right in all seeds.

    Args:
        results: Has the flips.
        refs: Data sets by name.

    Returns:
        ``dataset``, ``contrast``, ``right`` (the variant), ``count``, and the first ``images``, each with
        ``sample_id``, ``target``, ``other_prediction``, and ``jpeg`` in base64, empty where it may not be shown.
    """
    found = []
    for dataset, by_contrast in results.disagreements.items():
        firsts = {c: _by_side(c, flips) for c, flips in by_contrast.items()}
        declared = results.study.contrasts  # of A/A, how many there are is what is worth knowing
        wanted = {
            i
            for c, sides in firsts.items()
            if c in declared
            for side in sides.values()
            for i in side["sample_id"].head(SHOWN)
        }
        jpegs = thumbnails(refs[dataset], sorted(wanted)) if wanted else {}
        for contrast, sides in firsts.items():
            for variant, flips in sides.items():
                images = flips.head(SHOWN).to_dict("records") if contrast in declared else []
                for image in images:
                    image["jpeg"] = base64.b64encode(jpegs.get(image["sample_id"], b"")).decode()
                found.append({"dataset": dataset, "contrast": str(contrast), "right": variant, "count": len(flips),
                              "images": images})  # fmt: skip
    return found


def _by_side(contrast: Contrast, flips: pd.DataFrame) -> dict[str, pd.DataFrame]:
    sides = (("a", contrast.variant), ("b", contrast.reference))
    return {variant: flips[flips["right"] == side] for side, variant in sides}
