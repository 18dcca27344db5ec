"""Training a head alone: which options of training then have a meaning, since images are seen in fixed views."""

from emotune.config.backbone import BackboneConfig
from emotune.config.model import ModelConfig
from emotune.config.train import TrainConfig

__all__ = ["head_training_problems", "is_head_alone"]

OF_VIEWS = ("crop", "min_scale", "flip", "augment", "augment_ops", "augment_magnitude", "random_erasing")
"""The options that say how a training image's views are drawn."""


def is_head_alone(model: ModelConfig) -> bool:
    """Whether only a head is trained (``tune: head``), so that the features that it gets never change."""
    return isinstance(model, BackboneConfig) and model.tune == "head"


def head_training_problems(model: ModelConfig, train: TrainConfig) -> list[str]:
    """The options of a variant's training that fit its model badly, a line for each; empty if there are none."""
    if not is_head_alone(model):
        unused = "more than a head is trained, on other views in each epoch: it would change nothing"
        return [f"train.views: is {train.views}, but {unused}; set model.tune: head"] if train.views > 1 else []
    problems = [
        f"train.{name}: is set, but model.tune is head, whose features are those of single images; leave it out"
        for name in ("mixup", "cutmix") if getattr(train, name)
    ]  # fmt: skip
    if train.layer_decay != 1:
        problems.append(
            "train.layer_decay: is set, but model.tune is head, and layers are counted from the image, which a head "
            "alone does not get; leave it out"
        )
    if train.views == 1:
        problems += [
            f"train.{name}: is set, but model.tune is head, and with one view every training image is seen in its "
            "centre crop: it would change nothing; give train.views: 2 or more"
            for name in OF_VIEWS if getattr(train, name) != getattr(TrainConfig, name)
        ]  # fmt: skip
    return problems
