"""Test images in the report: examples under attention maps, and images that two variants classify differently.

An image is shown only if its data set's manifest allows that; otherwise its sample id stands for it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from emotune.analysis import diagnostics
from emotune.config.contrast import Contrast
from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef
from emotune.data.read.thumbnails import thumbnails
from emotune.report.results import StudyResults

__all__ = ["Disagreement", "ImageExample", "attention_examples", "disagreeing_images"]

MOST_IMAGES = 8
"""Images shown under attention maps of a data set, and for each side of a contrast."""
ATTENTION_SIDE = 160
"""Pixels on each side of an image under an attention map."""


@dataclass(frozen=True)
class ImageExample:
    """A test image that one variant classifies correctly and the other wrongly.

    Attributes:
        sample_id: The image's id.
        target: The image's label.
        prediction: The wrong class that the other variant predicts most often.
        jpeg: The image in base64; empty if it may not be shown.
    """

    sample_id: str
    target: str
    prediction: str
    jpeg: str


@dataclass(frozen=True)
class Disagreement:
    """The images that only one side of a contrast classifies correctly in all seeds.

    Attributes:
        contrast: A declared contrast, or A/A.
        dataset: The data set's name.
        correct: The variant that classifies the images correctly.
        count: The number of images.
        images: The first of them; none for A/A, of which only the number matters.
    """

    contrast: Contrast
    dataset: str
    correct: str
    count: int
    images: Sequence[ImageExample]


def attention_examples(
    results: StudyResults, refs: Mapping[str, DatasetRef]
) -> dict[str, dict[InputSpec, dict[str, bytes]]]:
    """The images to draw attention on, as networks see them; empty if no network has attention.

    Returns:
        JPEGs by data set, input and sample id; those of clips have all frames, one beside another.
    """
    examples: dict[str, dict[InputSpec, dict[str, bytes]]] = {}
    for name, predictions in results.predictions.items():
        if predictions and (results.records.attention or results.records.over_frames):
            chosen = diagnostics.choose_examples(predictions, MOST_IMAGES)
            examples[name] = {
                seen: thumbnails(refs[name], chosen, ATTENTION_SIDE, seen, strips=True)
                for seen in {results.inputs[variant]: None for variant in predictions}
            }
    return examples


def disagreeing_images(results: StudyResults, refs: Mapping[str, DatasetRef]) -> list[Disagreement]:
    """The images that one side of a contrast alone classifies correctly, for each data set, contrast and side.

    Args:
        results: The study's results.
        refs: The data sets by name.
    """
    rows = []
    for dataset, by_contrast in results.disagreements.items():
        tables = {
            (contrast, variant): table[table["right"] == side]
            for contrast, table in by_contrast.items()
            for side, variant in zip("ab", contrast.pair or (), strict=True)
        }
        shown = {key: table.head(MOST_IMAGES) for key, table in tables.items() if key[0] in results.study.contrasts}
        ids = sorted({sample for table in shown.values() for sample in table["sample_id"]})
        jpegs = thumbnails(refs[dataset], ids) if ids else {}
        for (contrast, variant), table in tables.items():
            images = _images(shown[contrast, variant], jpegs) if (contrast, variant) in shown else []
            rows.append(Disagreement(contrast, dataset, variant, len(table), images))
    return rows


def _images(table: pd.DataFrame, jpegs: Mapping[str, bytes]) -> list[ImageExample]:
    columns = zip(table["sample_id"], table["target"], table["other_prediction"], strict=True)
    return [
        ImageExample(sample, target, prediction, base64.b64encode(jpegs.get(sample, b"")).decode())
        for sample, target, prediction in columns
    ]
