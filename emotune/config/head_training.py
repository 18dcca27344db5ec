"""Training a head alone: which options of training then have a meaning, since images are seen in fixed views.

The same holds for a model that is fitted to the features which such a head gets.
"""

from dataclasses import fields, replace

from emotune.config.backbone import BackboneConfig
from emotune.config.baselines import LogisticConfig, handmade_sets
from emotune.config.model import ModelConfig
from emotune.config.run import RunConfig, difference_to_defaults
from emotune.config.train import VIEW_OPTIONS, TrainConfig
from emotune.config.zero_shot import ZeroShotConfig

__all__ = ["as_network", "feature_network", "gets_features", "head_training_problems", "is_head_alone"]


def is_head_alone(model: ModelConfig) -> bool:
    """Whether only a head is trained (``tune: head``), so that the features that it gets never change."""
    return feature_network(model) is model


def feature_network(model: ModelConfig) -> BackboneConfig | None:
    """The network whose frozen backbone gives the features that a head alone, or a baseline, gets in place of images.

    None for models that get images.
    """
    if isinstance(model, LogisticConfig):
        return model.network
    return model if isinstance(model, BackboneConfig) and model.tune == "head" else None


def gets_features(model: ModelConfig) -> bool:
    """Whether a model gets features that are computed once, in place of images."""
    return feature_network(model) is not None or bool(handmade_sets(model))


def as_network(run: RunConfig) -> RunConfig:
    """The run of the network with whose features a baseline is fitted, in place of the baseline's run."""
    network = feature_network(run.model)
    return run if network is None else replace(run, model=network)


def head_training_problems(model: ModelConfig, train: TrainConfig) -> list[str]:
    """The options of a variant's training that fit its model badly, a line for each; empty if there are none."""
    if isinstance(model, ZeroShotConfig):
        missing = "train.init: is scratch, but zero_shot needs weights; give the path of a file that open_clip saved"
        return _baseline_problems(model, train) + ([missing] if train.init == "scratch" else [])
    if isinstance(model, LogisticConfig) and model.features:
        return _baseline_problems(model, train)
    if feature_network(model) is None:
        unused = "more than a head is trained, on other views in each epoch: it would change nothing"
        return [f"train.views: is {train.views}, but {unused}; set model.tune: head"] if train.views > 1 else []
    if isinstance(model, LogisticConfig):
        return _baseline_problems(model, train) + _view_problems("the model is fitted to features", train)
    problems = [
        f"train.{name}: is set, but model.tune is head, whose features are those of single images; leave it out"
        for name in ("mixup", "cutmix") if getattr(train, name)
    ]  # fmt: skip
    if train.layer_decay != 1:
        problems.append(
            "train.layer_decay: is set, but model.tune is head, and layers are counted from the image, which a head "
            "alone does not get; leave it out"
        )
    return problems + _view_problems("model.tune is head", train)


def _baseline_problems(model: LogisticConfig | ZeroShotConfig, train: TrainConfig) -> list[str]:
    """The options that have no effect on a model that is not trained in steps."""
    effective = model.train_options(difference_to_defaults(model))
    return [
        f'train.{one.name}: is set, but "{model.name}" is not trained in steps: it would change nothing; leave it out'
        for one in fields(train) if one.name not in effective and getattr(train, one.name) != one.default
    ]  # fmt: skip


def _view_problems(why: str, train: TrainConfig) -> list[str]:
    """The options of views that have no effect because there is one view."""
    if train.views > 1:
        return []
    return [
        f"train.{name}: is set, but {why}, and with one view every training image is seen in its centre crop: it would "
        "change nothing; give train.views: 2 or more"
        for name in VIEW_OPTIONS if getattr(train, name) != getattr(TrainConfig, name)
    ]  # fmt: skip
