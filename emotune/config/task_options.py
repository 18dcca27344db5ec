"""The models and options of training that make sense for what a study predicts."""

from emotune.config.baselines import LogisticConfig, RidgeConfig, SvmConfig, SvrConfig
from emotune.config.blocks import BlocksConfig
from emotune.config.losses import CccLoss, MseLoss
from emotune.config.model import ModelConfig
from emotune.config.network import NetworkConfig
from emotune.config.resources import Resources
from emotune.config.target import Target
from emotune.config.train import TrainConfig
from emotune.config.user_code import UserCode
from emotune.config.zero_shot import ZeroShotConfig

__all__ = ["task_problems"]

CLASS_OPTIONS = ("targets", "label_smoothing", "class_weights")
"""Options of training that are about classes."""
CLASSIFIERS = {SvmConfig: "svr", LogisticConfig: "ridge", BlocksConfig: "svr", ZeroShotConfig: "ridge"}
"""Models of classes alone, each with one for dimensions."""


def task_problems(task: Target, model: ModelConfig, train: TrainConfig, resources: Resources) -> list[str]:
    """The problems with a variant of a study of a task; empty if it can be trained.

    Args:
        task: The task.
        model: The variant's model.
        train: Its training.
        resources: The study's resources.
    """
    regression = isinstance(train.loss, MseLoss | CccLoss)
    if task != "dimensions":
        name = getattr(train.loss, "name", "")
        problems = (
            [f"train.loss: {name} is for dimensions, but {task} are predicted; leave it out or choose cross_entropy"]
            if regression
            else []
        )
        if isinstance(model, RidgeConfig | SvrConfig):
            classifier = "svm" if isinstance(model, SvrConfig) else "logistic"
            problems.append(f"model.name: {model.name} predicts dimensions; for {task} there is {classifier}")
        return problems
    if other := CLASSIFIERS.get(type(model)):
        return [f"model.name: {model.name} predicts classes; for dimensions there is {other}"]
    if not isinstance(model, NetworkConfig):
        return []
    problems = []
    if not regression and not isinstance(train.loss, UserCode):
        name = getattr(train.loss, "name", train.loss)
        problems.append(f"train.loss: {name} is for classes, but dimensions are predicted; set mse or ccc")
    problems += [
        f"train.{option}: is about classes, but dimensions are predicted; leave it out"
        for option in CLASS_OPTIONS if getattr(train, option) != getattr(TrainConfig, option)
    ]  # fmt: skip
    if isinstance(train.loss, CccLoss) and resources.accumulate > 1:
        problems.append(
            f"resources.accumulate: is {resources.accumulate}, but train.loss ccc is that of a whole batch, which a "
            "piece does not have; set accumulate: 1, or use more workers"
        )
    return problems
