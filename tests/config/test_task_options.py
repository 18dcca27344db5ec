"""Options, models and metrics of another task are refused, each with its key."""

import pytest

from emotune.config.losses import CccLoss, KlLoss, MseLoss
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, BlocksConfig, ConstantConfig, SvmConfig, ZeroShotConfig
from emotune.config.resources import Resources
from emotune.config.target import Dimension
from emotune.config.task_options import task_problems
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError

VALENCE = (Dimension("valence", 1, 7),)


def keys(task: str, train: TrainConfig, model=None, **resources) -> list[str]:
    problems = task_problems(task, model or AlexNetConfig(), train, Resources(**resources))
    return [problem.partition(": ")[0] for problem in problems]


def test_losses_belong_to_a_task():
    assert keys("classes", TrainConfig()) == [] and keys("classes", TrainConfig(loss=MseLoss())) == ["train.loss"]
    assert keys("distributions", TrainConfig(loss=CccLoss())) == ["train.loss"]
    for loss in (MseLoss(), CccLoss()):
        assert keys("dimensions", TrainConfig(loss=loss)) == []
    assert keys("dimensions", TrainConfig()) == ["train.loss"]
    assert keys("dimensions", TrainConfig(loss=KlLoss(), targets="soft")) == ["train.loss", "train.targets"]


def test_options_of_classes_are_refused_for_dimensions():
    train = TrainConfig(loss=MseLoss(), label_smoothing=0.1, class_weights="balanced")
    assert keys("dimensions", train) == ["train.label_smoothing", "train.class_weights"]
    assert keys("dimensions", TrainConfig(loss=CccLoss()), accumulate=2) == ["resources.accumulate"]
    assert keys("dimensions", TrainConfig(loss=MseLoss()), accumulate=2) == []


def test_classifiers_are_refused_for_dimensions_and_the_constant_is_not():
    for model in (SvmConfig(), BlocksConfig(), ZeroShotConfig(architecture="ViT-B-32", prompts=("{}",))):
        assert keys("dimensions", TrainConfig(), model) == ["model.name"]
        assert keys("classes", TrainConfig(), model) == []
    assert keys("dimensions", TrainConfig(), ConstantConfig()) == []


@pytest.mark.parametrize(("metric", "task", "key"), [
    (Metric(), "dimensions", "metric.name"), (Metric(name="ccc", min_effect=0.1), "classes", "metric.name"),
    (Metric(name="ccc_arousal", min_effect=0.1), "dimensions", "metric.name"),
    (Metric(name="ccc", min_effect=0.1, test_curve=True), "dimensions", "metric.test_curve"),
])  # fmt: skip
def test_metrics_belong_to_a_task(metric, task, key):
    with pytest.raises(InputError, match=rf"^{key}: "):
        metric.check_task("photos", task, VALENCE if task == "dimensions" else ())


def test_metrics_of_the_task_are_accepted():
    for name in ("ccc", "pearson", "rmse", "ccc_valence"):
        Metric(name=name, min_effect=0.1).check_task("photos", "dimensions", VALENCE)
    Metric(name="sagr").check_task("photos", "dimensions", VALENCE)
    for task in ("classes", "distributions"):
        Metric().check_task("photos", task)
    assert list(Metric(name="ccc", min_effect=0.1).scales)[:4] == ["ccc", "pearson", "rmse", "sagr"]
