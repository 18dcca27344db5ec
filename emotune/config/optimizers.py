"""The optimizers that ``train.optimizer`` can name, and their options. They are torch's, but torch is not imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import GenericAlias, MappingProxyType
from typing import Annotated, Any

from pydantic import AllowInfNan, StrictBool, TypeAdapter, ValidationError

from emotune.config.types import FrozenDict, Number
from emotune.core.errors import suggest

__all__ = ["OPTIMIZERS", "UNSUITABLE", "TorchOptimizer", "checked_options", "kept_values", "known_optimizer"]


@dataclass(frozen=True)
class TorchOptimizer:
    """An optimizer of ``torch.optim``, whose learning rate and weight decay are those of ``train``.

    Attributes:
        torch_name: The name of its class.
        options: Its other options that change results, with torch's defaults. They are always passed on, so that
            another version of torch cannot change them.
        momentum: Whether it also takes the ``momentum`` of ``train``.
        fused: Whether torch has a kernel, on CPUs and GPUs, that updates all weights at once.
        copies: The number of values that it keeps for each weight by default, apart from momentum.
    """

    torch_name: str
    options: Mapping[str, Any]
    momentum: bool = False
    fused: bool = False
    copies: int = 0


BETAS = (0.9, 0.999)

OPTIMIZERS: Mapping[str, TorchOptimizer] = MappingProxyType({
    "sgd": TorchOptimizer("SGD", {"dampening": 0.0, "nesterov": False}, momentum=True, fused=True),
    "adamw": TorchOptimizer("AdamW", {"betas": BETAS, "eps": 1e-8, "amsgrad": False}, fused=True, copies=2),
    "Adadelta": TorchOptimizer("Adadelta", {"rho": 0.9, "eps": 1e-6}, copies=2),
    "Adafactor": TorchOptimizer("Adafactor", {"beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0}),
    "Adagrad": TorchOptimizer(
        "Adagrad", {"lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10}, copies=1
    ),
    "Adam": TorchOptimizer(
        "Adam", {"betas": BETAS, "eps": 1e-8, "amsgrad": False, "decoupled_weight_decay": False}, fused=True, copies=2
    ),
    "Adamax": TorchOptimizer("Adamax", {"betas": BETAS, "eps": 1e-8}, copies=2),
    "NAdam": TorchOptimizer(
        "NAdam", {"betas": BETAS, "eps": 1e-8, "momentum_decay": 4e-3, "decoupled_weight_decay": False}, copies=2
    ),
    "RAdam": TorchOptimizer("RAdam", {"betas": BETAS, "eps": 1e-8, "decoupled_weight_decay": False}, copies=2),
    "RMSprop": TorchOptimizer("RMSprop", {"alpha": 0.99, "eps": 1e-8, "centered": False}, momentum=True, copies=1),
})  # fmt: skip
"""The optimizers by their names in a study: ``sgd`` and ``adamw``, and all others as torch spells them."""

UNSUITABLE = MappingProxyType({
    "ASGD": "it keeps the averaged weights to itself, so that they would never be tested; use sgd with ema_decay",
    "LBFGS": "it computes the loss of a batch several times per step, which training does not",
    "Muon": "it updates matrices only, and networks have biases and convolutions, too",
    "Rprop": "after its first step it ignores the learning rate, so that lr and schedule would change nothing",
    "SparseAdam": "it takes sparse gradients only, and those of networks for images are dense",
})  # fmt: skip
"""Why the other optimizers of torch are refused, by their names."""

KEPT_IF_SET = ("amsgrad", "centered")
"""The options for which an optimizer keeps one more value for each weight."""


def known_optimizer(name: str) -> str:
    """The name, if it is one of `OPTIMIZERS`.

    Raises:
        ValueError: it is not; the message has the reason, or the nearest valid name.
    """
    if name in UNSUITABLE:
        raise ValueError(f'"{name}" cannot be used here: {UNSUITABLE[name]}')
    if name not in OPTIMIZERS:
        raise ValueError(f'no optimizer "{name}"{suggest(name, OPTIMIZERS)}')
    return name


def checked_options(optimizer: str, options: Mapping[str, Any]) -> FrozenDict:
    """The options with values of the right types, in the order of their names; those that are defaults are left out.

    >>> checked_options("adamw", {"eps": "1e-6", "betas": [0.9, 0.999]})
    {'eps': 1e-06}

    Args:
        optimizer: One of `OPTIMIZERS`.
        options: The ``optimizer_options`` of a study.

    Raises:
        ValueError: with all options that the optimizer does not have, and all values of another type.
    """
    defaults, problems, checked = OPTIMIZERS[optimizer].options, [], {}
    for name, value in sorted(options.items()):
        if name in ("lr", "weight_decay", "momentum"):
            problems.append(f"{name} is not one of them: write train.{name}")
        elif name not in defaults:
            problems.append(f"{optimizer} has no option {name}{suggest(name, defaults)}")
        else:
            try:
                checked[name] = TypeAdapter(_type_of(defaults[name])).validate_python(value)
            except ValidationError:
                problems.append(f"{name}: {_needed(defaults[name])} is needed (found {value!r:.80})")
    if problems:
        raise ValueError("; ".join(problems))
    return FrozenDict({name: value for name, value in checked.items() if value != defaults[name]})


def kept_values(optimizer: str, options: Mapping[str, Any], momentum: float) -> int:
    """The number of values that an optimizer keeps for each weight, which are a part of checkpoints.

    Args:
        optimizer: One of `OPTIMIZERS`.
        options: The options that are not at their defaults.
        momentum: The ``momentum`` of `TrainConfig`.
    """
    kind = OPTIMIZERS[optimizer]
    return kind.copies + (kind.momentum and momentum > 0) + sum(options.get(name, False) for name in KEPT_IF_SET)


def _type_of(default: Any) -> Any:
    """The type of an option that has this default."""
    if isinstance(default, tuple):
        return GenericAlias(tuple, tuple(_type_of(value) for value in default))
    if isinstance(default, bool):
        return StrictBool
    number: Any = Annotated[Number, AllowInfNan(False)]
    return number | None if default is None else number


def _needed(default: Any) -> str:
    if isinstance(default, tuple):
        return f"a list of {len(default)} numbers"
    return "true or false" if isinstance(default, bool) else "a number"
