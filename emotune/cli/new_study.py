"""`ablate new`: a commented study for one's own shards, which runs as it is, and is meant to be edited."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from emotune.config.study import name_problems
from emotune.core.errors import InputError, raise_if_any
from emotune.data.datasets.location import EMBEDDED, manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import SPLITS, Manifest

__all__ = ["study_file", "study_text"]

STEPS = 2200
"""Training steps to aim at: those of `ablations/fi_8k.yaml`, 20 epochs of 5,560 photographs."""
EPOCHS = (10, 60)
"""The fewest and the most epochs, however many images there are."""
BATCHES = ((4000, 50, 0.01), (1000, 32, 0.006), (0, 16, 0.003))
"""From how many training images on which batch size is used, and the learning rate that goes with it."""
MAX_CLASSES = 12
"""The number of classes that a comment lists."""
Changes = tuple[str, str]
"""A variant's changes, as YAML, and a remark."""


@dataclass(frozen=True)
class Design:
    """The comparison that a new study makes on one kind of data.

    Attributes:
        question: The question.
        variants: The variants, of which the first is the baseline.
        contrasts: The declared contrasts.
        classical: Variants with hand-made features and their contrasts, which need scikit-learn.
    """

    question: str
    variants: Mapping[str, Changes]
    contrasts: tuple[str, ...]
    classical: Mapping[str, Changes]


CLASSES = Design(
    "Does attention help, does a second branch help, and is either more than extra capacity?",
    {
        "alexnet": ("{}", ""),
        "attention": ("{model.name: attention}", "weights positions of the last maps"),
        "dual": ("{model.name: dual_branch}", "one branch with attention, one without"),
        "dual-plain": ("{model.name: dual_branch, model.attention: none}", "the capacity-matched control"),
        "constant": ("{model.name: constant}", "class frequencies"),
    },
    ("attention - alexnet", "dual - alexnet", "dual - dual-plain"),
    {"colours": ("{model.name: svm, model.features: colours}", "hand-made features")},
)
DISTRIBUTIONS = Design(
    "Which loss predicts best how the votes on an image are distributed?",
    {
        "kl": ("{train.loss: kl}", "divergence from the votes"),
        "label": ("{train.targets: hard}", "the leading class alone, as for classes"),
        "jcdl": ("{train.loss: jcdl}", "both at once (Yang, She, Sun 2017)"),
        "mean": ("{model.name: constant}", "the mean distribution of training"),
    },
    ("label - kl", "jcdl - kl"),
    {},
)
DIMENSIONS = Design(
    "Does a loss that is made for concordance help, and does a small network tell more than hand-made features?",
    {
        "mse": ("{}", ""),
        "ccc": ("{train.loss: ccc}", "one minus the concordance correlation of a batch"),
        "mean": ("{model.name: constant}", "the mean rating of training"),
    },
    ("ccc - mse",),
    {"svr": ("{model.name: svr, model.features: machajdik}", "hand-made features")},
)
CLIPS = Design(
    "How are the frames of a video best combined?",
    {
        "mean": ("{}", "the mean of the frames' outputs"),
        "max": ("{model.frames: max}", "the largest of them"),
        "attention": ("{model.frames: attention}", "weighted frames"),
        "constant": ("{model.name: constant}", "the same answer for all"),
    },
    ("max - mean", "attention - mean"),
    {},
)


def described(data: str) -> Manifest:
    """The description of the data of a new study.

    Raises:
        InputError: there are no shards, a split lacks a class, or the data are the embedded ones.
    """
    if data == EMBEDDED:
        raise InputError(f"--data {EMBEDDED}: the quickstart is the study of these images; give shards of your own")
    (ref,) = resolve_datasets([data])
    return manifest_of(ref)


def study_file(file: Path | None, manifest: Manifest) -> Path:
    """The file that a new study is written to; its default is named after the data set.

    Args:
        file: The file that the user named; None for the default. Without a suffix, ``.yaml`` is added.
        manifest: The description of the data.

    Raises:
        InputError: a study cannot be called like that, or its folder does not exist.
    """
    path = file if file is not None else Path(f"{manifest.name.replace('.', '-')}.yaml")
    path = path if path.suffix else path.with_name(f"{path.name}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: give a file that ends in .yaml")
    raise_if_any([f"{path}: {problem}" for problem in name_problems(path.stem, "file name")])
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; create it, or name another file")
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; name another file")
    return path


def study_text(manifest: Manifest, data: str, run: str, written_by: str) -> str:
    """The commented text of a study of a data set.

    Args:
        manifest: The description of the data.
        data: The folder or URL of the shards, as the study names it.
        run: The command that runs the study.
        written_by: The command that writes it.
    """
    from jinja2 import Environment, StrictUndefined  # late: only this command needs it here

    images = {split: sum(manifest.counts[split].values()) for split in SPLITS}
    design = _design(manifest)
    usable = find_spec("sklearn") is not None and find_spec("skimage") is not None
    needs = f"pip install 'emotune[classical]', and the contrast {next(iter(design.variants))} - "
    later = {name: (changes, f"{why}: {needs}{name}") for name, (changes, why) in design.classical.items()}
    variants = {**design.variants, **(design.classical if usable else {})}
    baseline = next(iter(variants))
    compared = [f"{baseline} - {name}" for name in design.classical] if usable else []
    text = Path(__file__).with_name("new_study.yaml.jinja").read_text(encoding="utf-8")
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string(text)
    return template.render(
        **images, **_training(images["train"]), **_metric(manifest, images["test"]), name=manifest.name,
        total=sum(images.values()), number_of_classes=len(manifest.classes), target=manifest.target,
        things="videos" if manifest.frames > 1 else "images",
        classes=_first_of(manifest.classes), frames=manifest.frames, imbalance=_imbalance(manifest),
        dimensions=[f"{one.name} ({one.scale})" for one in manifest.dimensions],
        noisy=sum(map(sum, (by_class.values() for by_class in manifest.noisy.values()))),
        question=design.question, data=_scalar(data), run=run, written_by=written_by, baseline=baseline,
        variants=variants, more={} if usable else later, widest=max(map(len, variants)),
        widest_change=max(len(changes) for changes, _ in variants.values()),
        contrasts=[*design.contrasts, *compared], gpu=shutil.which("nvidia-smi") is not None,
        count=lambda number: f"{number:,}",
    )  # fmt: skip


def _design(manifest: Manifest) -> Design:
    if manifest.frames > 1:
        return CLIPS
    return {"classes": CLASSES, "distributions": DISTRIBUTIONS, "dimensions": DIMENSIONS}[manifest.target]


def _training(images: int) -> dict[str, float]:
    """Batch size, learning rate, steps of an epoch and epochs for a number of training images."""
    batch, lr = next((batch, lr) for least, batch, lr in BATCHES if images >= least)
    steps = max(1, round(images / batch))
    return {"batch": batch, "lr": lr, "steps": steps, "epochs": min(max(round(STEPS / steps), EPOCHS[0]), EPOCHS[1])}


def _metric(manifest: Manifest, test_images: int) -> dict[str, Any]:
    """The metric of the data's task, with a smallest effect that its test images can show.

    ``spread`` is the standard error of an accuracy of one half, in points; empty for other metrics.
    """
    if manifest.target == "distributions":
        return {"metric": "kl", "min_effect": 0.02, "unit": "nats", "spread": ""}
    if manifest.target == "dimensions":
        return {"metric": "ccc", "min_effect": 0.05, "unit": "", "spread": ""}
    spread = 50 / math.sqrt(test_images)
    return {
        "metric": "balanced_accuracy" if _imbalance(manifest) >= 3 else "accuracy",
        "min_effect": f"{min(max(1.0, math.ceil(3 * spread) / 2, 100 / test_images), 50.0):.3g}",
        "unit": "percentage points", "spread": f"{spread:.1f}",
    }  # fmt: skip


def _imbalance(manifest: Manifest) -> float:
    """How many times the training images of the smallest class the largest one has."""
    counts = manifest.counts["train"].values()
    return max(counts) / max(1, min(counts))


def _first_of(classes: Sequence[str]) -> list[str]:
    """The names of classes for a comment; of many, the first ones."""
    return [*classes[:MAX_CLASSES], *(["…"] if len(classes) > MAX_CLASSES else [])]


def _scalar(text: str) -> str:
    """A text as YAML has it within a flow sequence, in quotes if it needs them."""
    return yaml.safe_dump([text], default_flow_style=True, width=10**6, allow_unicode=True).strip()[1:-1]
