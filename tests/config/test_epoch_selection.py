"""Distributions and dimensions are selected by the study's metric; the ids of all other runs are what they were."""

from dataclasses import replace

import pytest

from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, ConstantConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.config.target import Dimension
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError

CLASSES = DatasetRef(name="photos", location="photos", content_hash="0" * 16)
VOTES = replace(CLASSES, task="distributions")
RATINGS = replace(CLASSES, task="dimensions", dimensions=(Dimension("valence", 1, 7), Dimension("arousal", 1, 7)))


def runs_of(metric: Metric, data: DatasetRef) -> dict[str, RunConfig]:
    study = Study(
        name="s", question="?", datasets="photos", baseline="plain", seeds=1, metric=metric,
        variants={"plain": (AlexNetConfig(), TrainConfig(epochs=2)), "mean": ConstantConfig()},
    )  # fmt: skip
    return {run.variant: run for run in study.runs([data])}


@pytest.mark.parametrize(("data", "name", "by"), [
    (VOTES, "kl", "kl"), (VOTES, "cosine", "cosine"), (VOTES, "accuracy", None), (VOTES, "nll", None),
    (RATINGS, "ccc", None), (RATINGS, "rmse", "rmse"), (RATINGS, "ccc_arousal", "ccc_arousal"),
    (CLASSES, "accuracy", None), (CLASSES, "macro_f1", None),
])  # fmt: skip
def test_the_metric_tells_the_best_epoch_of_distributions_and_dimensions(data, name, by):
    best = runs_of(Metric(name=name, min_effect=0.1, select="best_val"), data)
    assert best["plain"].select_by == by and best["mean"].select_by is None
    others = [replace(run, select_by=None).id for run in best.values()]
    assert [run.id == other for run, other in zip(best.values(), others, strict=True)] == [by is None, True]
    last = runs_of(Metric(name=name, min_effect=0.1), data)
    assert {run.select_by for run in last.values()} == {None}


@pytest.mark.parametrize(("metric", "key"), [
    (Metric(code="metrics.py:own", source="def own(table): return 1.0", min_effect=0.1), r"metric\.code: .* classes;"),
    (Metric(name="ccc", min_effect=0.1, test_curve=True), r"metric\.test_curve: .* accuracies;"),
])  # fmt: skip
def test_what_is_for_classes_alone_is_refused_for_dimensions_with_the_reason(metric: Metric, key: str):
    with pytest.raises(InputError, match=key):
        metric.check_task("photos", "dimensions", RATINGS.dimensions)
