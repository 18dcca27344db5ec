"""The questions that a reader asks of any result: was each variant tuned, and would another split say so?"""

from collections.abc import Mapping, Sequence

import pandas as pd

from emotune.analysis.images import ImageBootstrap
from emotune.analysis.seeds import Comparison
from emotune.analysis.still_improving import LEAST_EPOCHS, best_in_the_last
from emotune.analysis.verdict import RESOLVED
from emotune.config.network import BaselineConfig
from emotune.config.study import Study
from emotune.core.sample_noun import worded
from emotune.core.text import listed

__all__ = ["length_sentence", "split_sentences", "tuning_sentences"]


def tuning_sentences(study: Study) -> list[str]:
    """The sentences on variants that are trained with options of their own, and what that means for verdicts."""
    trained = {name: train for name, (model, train) in study.variants.items() if not isinstance(model, BaselineConfig)}
    reference = trained[study.baseline]
    own = [name for name, train in trained.items() if train != reference]
    alike = [name for name in trained if name not in own]
    tuned = () if study.tune is None else study.tune.over
    rate = ", ".join(
        text
        for key, text in {
            "train.lr": f"learning rate {reference.lr:g}", "train.epochs": _epochs(reference.epochs),
            "train.batch_size": f"batches of {reference.batch_size}",
        }.items()
        if key not in tuned
    )  # fmt: skip
    if len(alike) > 1:
        names = f"All {len(trained)} networks" if len(alike) == len(trained) else listed(alike)
        suits = "apart from what is tuned" if study.tune else "whether these suit each of them or not"
        sentences = [f"{names} are trained with the same training options ({rate}), {suits}."]
    else:
        sentences = [f"{study.baseline} is trained with {rate}."]
    if own:
        its = "training options of its own" if len(own) == 1 else "training options of their own"
        sentences.append(f"{listed(own)} {'has' if len(own) == 1 else 'have'} {its}.")
    if study.tune:
        return sentences
    sentences.append(
        "Whether these options were tuned, and for which variant, is not recorded. Of two variants the one that was "
        "tuned less may be worse for that reason alone, so a verdict is about the variants as they were trained."
    )
    return sentences


def length_sentence(curves: pd.DataFrame, score: str = "accuracy") -> str:
    """Whether training of few epochs had ended cannot be told; empty if all runs have more.

    Args:
        curves: The epochs of the finished runs, see `emotune.analysis.still_improving.best_in_the_last`.
        score: The measure of validation images.
    """
    few, last = best_in_the_last(curves)
    if not few:
        return ""
    which = f"{few} finished runs have" if few > 1 else "1 finished run has"
    best = f"; in {last} of them the last epoch has the best validation {score}" if last else ""
    return (
        f"{which} fewer than {LEAST_EPOCHS} epochs, too few to tell from the curves whether training had ended{best}."
    )


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' if number > 1 else ''}"


def split_sentences(comparisons: Sequence[Comparison], bootstraps: Sequence[ImageBootstrap]) -> list[str]:
    """The sentences on other images: how many contrasts would be resolved for other seeds and other test images, too.

    Args:
        comparisons: The declared contrasts on all data sets.
        bootstraps: The same with their uncertainty over test images, as far as it is known.
    """
    divided = list(dict.fromkeys(c.dataset for c in comparisons if c.unit != "seed"))
    sentences = []
    if divided:
        sentences.append(
            f"On {listed(divided)}, verdicts and intervals are about other divisions into training, validation and "
            f"test {worded('images')} already."
        )
    if not divided or any(c.unit == "seed" for c in comparisons):
        which = "All runs on a data set" if not divided else "Elsewhere, all runs on a data set"
        sentences.append(
            f"{which} have the same training, validation and test {worded('images')}, and no interval covers another "
            f"choice of training {worded('images')}. So this is not known; a study with folds, or with several random "
            "splits, would tell."
        )
    crossed: Mapping[tuple[str, str], tuple[float | None, float | None]] = {
        (str(b.contrast), b.dataset): (b.crossed_low, b.crossed_high) for b in bootstraps
    }
    resolved = [c for c in comparisons if c.verdict in RESOLVED and (str(c.contrast), c.dataset) in crossed]
    if not resolved:
        return sentences
    kept = [c for c in resolved if _excludes_zero(*crossed[str(c.contrast), c.dataset])]
    lost = [str(c.contrast) for c in resolved if c not in kept]
    if len(resolved) == 1:
        which = f"the interval of the resolved contrast {'excludes' if kept else 'includes'} zero"
    else:
        have = "has an interval that excludes" if len(kept) == 1 else "have intervals that exclude"
        which = f"{len(kept)} of {len(resolved)} resolved contrasts {have} zero, computed for each contrast alone"
    sentences.append(f"If the test {worded('images')} are taken to be a sample as well, {which}.")
    if lost:
        sentences.append(
            f"Whether other test {worded('images')} would show the same for {listed(lost)} cannot be told."
        )
    return sentences


def _excludes_zero(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and not low <= 0 <= high
