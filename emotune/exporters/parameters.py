"""The parameters of a run, by the keys that a study has, so that ``lr`` or ``batch_size`` finds them."""

from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from emotune.config.run import RunConfig
from emotune.config.shown_options import effective_training, shown_options
from emotune.config.types import as_in_study

__all__ = ["Value", "parameters", "without_folders"]

Value = str | int | float | bool | None


def parameters(run: RunConfig) -> dict[str, Value]:
    """The options of a run that have an effect, by dotted keys such as ``model.width`` and ``train.batch_size``.

    Of a path or URL only the name of the file is shown: folders are a machine's own, and tell who works there.
    """
    of_model = {f"model.{key}": value for key, value in shown_options(run.model).items()}
    of_train = {f"train.{key}": value for key, value in effective_training(run.model, run.train).items()}
    others: dict[str, Any] = {
        "variant": run.variant,
        "seed": run.seed,
        "dataset": run.dataset.name,
        "dataset.content_hash": run.dataset.content_hash,
        "dataset.part": run.dataset.part,
        "task": run.dataset.task,
        "metric.select": run.select,
        "replicate": run.replicate,
    } | ({"metric.select_by": run.select_by} if run.select_by else {})
    weights = {"weights.digest": run.weights.digest} if run.weights else {}
    return {key: _plain(without_folders(value)) for key, value in (others | of_model | of_train | weights).items()}


def without_folders(value: Any) -> Any:
    """A value in which the name of the file or folder stands for every absolute path and URL.

    >>> without_folders({"init": "/home/anna/alexnet.pth", "lr": 0.1, "all": ["s3://lab/data/", "runs/a"]})
    {'init': 'alexnet.pth', 'lr': 0.1, 'all': ['data', 'runs/a']}
    """
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item) for item in value]
    if not isinstance(value, str) or "\n" in value:
        return value
    if "://" in value:
        return PurePosixPath(value.partition("://")[2].partition("?")[0]).name or value.partition("://")[0]
    if PureWindowsPath(value).is_absolute():
        return PureWindowsPath(value).name
    return PurePosixPath(value).name or value if value.startswith(("/", "~")) else value


def _plain(value: Any) -> Value:
    return value if value is None or isinstance(value, str | int | float | bool) else as_in_study(value)
