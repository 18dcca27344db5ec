"""Building a baseline from its config."""

from collections.abc import Sequence
from importlib.util import find_spec

from emotune.config.baselines import handmade_sets
from emotune.config.model import (
    BlocksConfig,
    ConstantConfig,
    LogisticConfig,
    ModelConfig,
    RidgeConfig,
    SvmConfig,
    SvrConfig,
)
from emotune.config.target import Target
from emotune.core.errors import InputError
from emotune.models.baselines.blocks.blocks import Blocks
from emotune.models.baselines.class_prior import ClassPrior
from emotune.models.baselines.logistic import Logistic
from emotune.models.baselines.mean_rating import MeanRating
from emotune.models.baselines.regression import Regression
from emotune.models.baselines.svm import Svm

__all__ = ["make_baseline", "require_libraries"]

LIBRARIES = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
"""The names of packages, by their modules' names."""


def make_baseline(
    config: ModelConfig, classes: int, task: Target = "classes", seed: int = 0
) -> ClassPrior | MeanRating | Svm | Logistic | Regression | Blocks:
    """The model of a baseline's config, before it is fitted.

    Args:
        config: The options.
        classes: The number of classes.
        task: What is predicted.
        seed: The seed of what a model draws, the run's stream *blocks*.

    Raises:
        InputError: a library is missing.
    """
    require_libraries([config])
    match config:
        case ConstantConfig():
            return MeanRating() if task == "dimensions" else ClassPrior(classes)
        case RidgeConfig() | SvrConfig():
            return Regression(config)
        case SvmConfig():
            return Svm(config, classes)
        case LogisticConfig():
            return Logistic(config, classes)
        case BlocksConfig():
            return Blocks(config, classes, seed)
        case _:
            raise TypeError(f"model {config.name} is a network")


def require_libraries(configs: Sequence[ModelConfig]) -> None:
    """Checks that the libraries which the models need are installed, without importing them.

    Raises:
        InputError: a library is missing; the message has the command that installs it.
    """
    for config in configs:
        needed = ["sklearn"] if isinstance(config, SvmConfig | LogisticConfig | BlocksConfig) else []
        needed += ["skimage"] if handmade_sets(config) else []
        if not all(map(find_spec, needed)):
            names = " and ".join(LIBRARIES[module] for module in needed)
            raise InputError(
                f"model {config.name}: {names} {'is' if len(needed) == 1 else 'are'} needed: "
                "pip install 'emotune[classical]'"
            )
