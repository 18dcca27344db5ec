"""The models that can be trained on data sets of videos, and the options that have a meaning there only."""

from collections.abc import Mapping, Sequence

from emotune.config.blocks import BlocksConfig
from emotune.config.model import ModelConfig
from emotune.config.network import NetworkConfig
from emotune.config.run import DatasetRef
from emotune.config.zero_shot import ZeroShotConfig

__all__ = ["clip_problems"]


def clip_problems(models: Mapping[str, ModelConfig], datasets: Sequence[DatasetRef]) -> list[str]:
    """A line for each model that does not fit the study's data sets, because they have clips, or none.

    Args:
        models: The models by variant.
        datasets: The data sets.
    """
    of_clips = list(dict.fromkeys(ref.whole for ref in datasets if ref.frames > 1))
    problems = [_problem(model, of_clips) for model in models.values()]
    return [f"variants.{variant}: {problem}" for variant, problem in zip(models, problems, strict=True) if problem]


def _problem(model: ModelConfig, of_clips: Sequence[str]) -> str:
    if not of_clips:
        if isinstance(model, NetworkConfig) and model.frames != NetworkConfig.frames:
            return f"model.frames: {model.frames} is for videos, but no data set has any; leave it out"
        return ""
    if isinstance(model, BlocksConfig):
        return f"model blocks finds words in the blocks of an image, but {of_clips[0]} has clips; use svm or logistic"
    if isinstance(model, ZeroShotConfig):
        return (
            f"model zero_shot compares an image with texts, but {of_clips[0]} has clips; fit logistic to the features "
            "of a backbone"
        )
    return ""
