"""The words in which reports on classes, on distributions and on dimensions differ."""

from dataclasses import asdict, dataclass, replace

from emotune.analysis.prior import PriorPredictor
from emotune.config.target import Target
from emotune.core.sample_noun import worded

__all__ = ["TaskWords", "prior_note", "words_for", "words_of"]


@dataclass(frozen=True)
class TaskWords:
    """The words for one task.

    Attributes:
        prior: The name of the trivial prediction.
        short_prior: The same in one word.
        trivial: What it predicts, before where that is from: ``of training``.
        same: What two variants have in common that predict the same.
        score: The measure of validation images in learning curves.
        output: What a network gives for an image.
        notes: The notes below the table of all metrics.
        brief_notes: Those that are most needed.
        limitation: What the targets leave out, for model cards.
    """

    prior: str
    short_prior: str
    trivial: str
    same: str
    score: str
    output: str
    notes: str
    brief_notes: str
    limitation: str


CLASSES = TaskWords(
    prior="class prior", short_prior="prior", trivial="the class frequencies",
    same="predict the same class for every image", score="accuracy", output="one logit per class",
    notes="Lower is better for NLL (negative log-likelihood), Brier score (0 to 2) and ECE (expected calibration "
    "error, 15 bins). Balanced: mean recall over classes.\n Top-2: the label is among the two most probable classes. "
    "Polarity: the most probable class and the label are both positive or both negative.",
    brief_notes="Lower is better for NLL (negative log-likelihood), Brier score (0 to 2) and ECE (expected calibration "
    "error, 15 bins).",
    limitation="One class per image, although people see several emotions in one image.",
)  # fmt: skip
DIMENSIONS = TaskWords(
    prior="training mean", short_prior="mean", trivial="the mean rating",
    same="predict the same ratings for every image", score="CCC",
    output="one rating per dimension, on a scale from -1 to 1",
    notes="CCC: Lin’s (1989) concordance correlation, which also falls if predictions are biased or too cautious; "
    "Pearson r does not, and is missing where predictions are constant. RMSE: on scales from −1 to 1, lower is "
    "better. SAGR: per cent of images predicted on the same side of the scale’s centre; a rating at the centre agrees "
    "only with a prediction at the centre. Each is the mean over the dimensions, unless it names one.",
    brief_notes="Each is the mean over the dimensions, unless it names one. RMSE, where lower is better, is on scales "
    "from -1 to 1; SAGR: per cent of images on the right side of the scale's centre.",
    limitation="A mean rating per image, although raters differ; the standard deviation of ratings says how much.",
)  # fmt: skip


DISTRIBUTIONS = replace(
    CLASSES, prior="training mean", short_prior="mean", trivial="the mean distribution",
    notes=f"The class is the one with the most votes, the first of several. {CLASSES.notes}",
    limitation="The shares of a few votes on each image, which other people might not give.",
)  # fmt: skip


def words_for(task: Target) -> TaskWords:
    """The words for a task."""
    words = {"classes": CLASSES, "distributions": DISTRIBUTIONS, "dimensions": DIMENSIONS}[task]
    return replace(words, **{name: worded(text) for name, text in asdict(words).items()})


def words_of(prior: PriorPredictor) -> TaskWords:
    """The words for the task of a trivial prediction."""
    return words_for(prior.task)


def prior_note(prior: PriorPredictor, origin: str) -> str:
    """The note of a caption on a trivial prediction that is drawn as a line.

    Args:
        prior: The trivial prediction.
        origin: Where it is from: ``of training``.
    """
    words = words_of(prior)
    return (
        f"{words.prior.capitalize()}: predicts {words.trivial} {origin} for every {worded('image')}; dotted, or an "
        "arrow where it is outside the axis."
    )
