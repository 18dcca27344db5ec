"""Losses and training targets that have options of their own, as options of a study.

The losses themselves are in `emotune.training.distribution_losses`, the targets in `emotune.data.annotations`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass

from emotune.config.labels import has_polarity, no_polarity, wheel_of
from emotune.config.pydantic_words import in_plain_words
from emotune.config.types import FORBID_UNKNOWN_KEYS, ClassName, Number, Positive
from emotune.config.user_code import UserCode, parse_code
from emotune.core.errors import suggest

__all__ = [
    "LOSS_CLASSES",
    "TARGET_CLASSES",
    "CccLoss",
    "CnnrLoss",
    "EmdLoss",
    "GaussianTargets",
    "JcdlLoss",
    "KlLoss",
    "MseLoss",
    "NamedLoss",
    "PolarityLoss",
    "class_problem",
    "named",
]


def _differ(wheel: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(wheel)) < len(wheel):
        raise ValueError("a class is listed twice")
    return wheel


Wheel = Annotated[tuple[ClassName, ...], Field(min_length=3), AfterValidator(_differ)]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class KlLoss:
    """The Kullback-Leibler divergence Σ p ln(p/q) of the softmax q from the target p.

    Its gradient is that of the cross-entropy, from which it differs by the entropy of the target: training gives the
    same network, and its loss is 0 where the prediction is right.
    """

    name: Literal["kl"] = "kl"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class JcdlLoss:
    """The loss of joint classification and distribution learning (JCDL, Yang, She, Sun 2017).

    It is (1 - λ) times the cross-entropy with the target p plus λ times that with the class of the largest p, which is
    exactly the cross-entropy with the mixed target (1 - λ) p + λ onehot(argmax p). The authors' public code has λ 0.2.
    If several classes share the largest p, each gets an equal part of λ (our own rule).

    Attributes:
        weight: The weight λ of the classification.
    """

    name: Literal["jcdl"] = "jcdl"
    weight: Annotated[Number, Field(gt=0, le=1)] = 0.2


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class EmdLoss:
    """The earth mover's distance of the softmax from the target on a wheel of emotions, in steps.

    Neighbours are one step apart; see `emotune.runs.distribution_measures.emd_circle` for the formula.

    Attributes:
        wheel: The classes around the circle. None: the wheel of the data set's label space, as
            `emotune.config.labels.WHEELS` has it, which also names its source.
    """

    name: Literal["emd"] = "emd"
    wheel: Wheel | None = None


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class CnnrLoss:
    """Joint regression of all shares, after CNNR (Peng et al. 2015); our own reading.

    The network's K outputs are linear, and the loss is the mean of their squared differences to the target. In
    validation, tests and predictions, outputs below 0 are set to 0, and those of an image are divided by their sum; if
    all are 0, each class gets 1/K. What is stored as logits are the logarithms of these shares, so that the softmax of
    stored logits is the predicted distribution; that of a share of 0 is minus infinity.
    """

    name: Literal["cnnr"] = "cnnr"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class PolarityLoss:
    """Cross-entropy with a penalty for the wrong polarity, PCCE in the public code of VAANet: CE · (1 + λ · [differs]).

    The predicted polarity is that of the class with the largest logit, the true one that of the class with the largest
    share of the target, the first if several share it.

    Attributes:
        weight: The weight λ of the penalty (VAANet: 0.5).
    """

    name: Literal["polarity"] = "polarity"
    weight: Positive = 0.5


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class MseLoss:
    """The squared error of predicted dimensions, mean over them, on scales from -1 to 1."""

    name: Literal["mse"] = "mse"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class CccLoss:
    """One minus the concordance correlation of a batch, mean over the predicted dimensions.

    The correlation is that of a whole global batch, whatever the number of workers; in batches of less than about 32
    images it is noisy.
    """

    name: Literal["ccc"] = "ccc"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class GaussianTargets:
    """A target distribution made from the label alone, on a wheel of emotions (after Yang, She, Sun 2017).

    A class that is d steps from the label on the wheel gets exp(-d² / 2σ²), and a class of the other polarity ε; the
    sum is then normalised to one. Classes without polarity count as on the label's side. The authors' public code has a
    Gaussian over the four classes of the label's polarity and a constant for the others; a public re-implementation
    uses steps on the wheel, σ = 1 and ε = 0.1. That the Gaussian has the height 1 before normalisation is our own
    reading.

    Attributes:
        sigma: The width σ of the Gaussian, in steps.
        epsilon: The value ε of classes of the other polarity; the label has 1.
        wheel: The classes around the circle; None: the wheel of the data set's label space.
    """

    name: Literal["gaussian_on_wheel"] = "gaussian_on_wheel"
    sigma: Positive = 1.0
    epsilon: Annotated[Number, Field(ge=0, lt=1)] = 0.1
    wheel: Wheel | None = None


NamedLoss = KlLoss | JcdlLoss | EmdLoss | CnnrLoss | PolarityLoss | MseLoss | CccLoss
LOSS_CLASSES: tuple[type[NamedLoss], ...] = (
    KlLoss, JcdlLoss, EmdLoss, CnnrLoss, PolarityLoss, MseLoss, CccLoss,
)  # fmt: skip
TARGET_CLASSES: tuple[type[GaussianTargets], ...] = (GaussianTargets,)


def class_problem(option: Any, classes: Sequence[str]) -> str | None:
    """Why a loss or targets make no sense for a data set's classes; None if they do.

    Args:
        option: The ``loss`` or the ``targets`` of `TrainConfig`.
        classes: The class names.
    """
    if isinstance(option, PolarityLoss) and not has_polarity(classes):
        return f"{no_polarity(classes)}; choose another loss, or another data set"
    if isinstance(option, EmdLoss | GaussianTargets):
        try:
            wheel_of(classes, option.wheel)
        except ValueError as error:
            if option.wheel is not None:
                return str(error)
            key, others = ("loss", "another loss") if isinstance(option, EmdLoss) else ("targets", "other targets")
            names = ", ".join(classes)
            return (
                f"no wheel is known for the classes {names}; give their order around the circle, as in "
                f"train.{key}: {{name: {option.name}, wheel: [{names}]}}, or choose {others}"
            )
    return None


def named(kinds: Sequence[type[Any]], names: Sequence[str], code: type[UserCode] | None = None) -> BeforeValidator:
    """The validator of an option that is a plain name, or one with options, as a name or as ``{name: …}``.

    Args:
        kinds: The config classes of those that have options.
        names: The plain names.
        code: The class of the user's own code, if the option may be that, too.
    """
    by_name = {kind.name: kind for kind in kinds}
    valid = [*names, *by_name]

    def validate(value: Any, info: ValidationInfo) -> Any:
        if code is not None and (
            (isinstance(value, str) and ":" in value) or (isinstance(value, dict) and "code" in value)
        ):
            return parse_code(code, value, info)
        if isinstance(value, tuple(kinds)) or (code is not None and isinstance(value, code)):
            return value
        options = {"name": value} if isinstance(value, str) else value
        forms = [*valid, *(["FILE.py:NAME", "{code: FILE.py:NAME, options: {…}}"] if code else [])]
        if not isinstance(options, dict) or "name" not in options:
            raise ValueError(f"{value!r} has no name; valid: {', '.join(forms)}, or {{name: …}} with options")
        name = options["name"]
        if name in names and len(options) == 1:
            return name
        if name in names:
            extra = next(key for key in options if key != "name")
            raise ValueError(f'"{extra}": {name} has no options')
        if name not in by_name:
            hint = suggest(str(name), valid)
            raise ValueError(f'"{name}" is unknown{hint if "did you mean" in hint else "; valid: " + ", ".join(forms)}')
        try:
            return TypeAdapter(by_name[name]).validate_python(options)
        except ValidationError as error:
            raise ValueError("; ".join(_mistakes(error, by_name[name]))) from None

    return BeforeValidator(validate)


def _mistakes(error: ValidationError, kind: type[Any]) -> list[str]:
    """A line for each option that is wrong."""
    keys = list(kind.__dataclass_fields__)
    lines = []
    for one in error.errors():
        key = ".".join(map(str, one["loc"]))
        if one["type"] == "unexpected_keyword_argument":
            lines.append(f'"{key}": unknown key{suggest(key, keys)}')
        else:
            lines.append(f'"{key}": {in_plain_words(one)}')
    return lines
