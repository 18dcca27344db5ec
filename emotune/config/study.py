"""A study: a question, the variants that are compared, and the contrasts declared before anything is trained."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from emotune.config.metric import Metric
from emotune.config.model import ModelConfig, NetworkConfig
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection, WeightsRef
from emotune.config.train import TrainConfig
from emotune.core.errors import raise_if_any

__all__ = ["MAX_VARIANT_NAME", "VARIANT_NAME", "Contrast", "Metric", "Study"]

VARIANT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
MAX_VARIANT_NAME = 64
"""Letters of a variant's name: it stands in tables and figures."""


@dataclass(frozen=True)
class Contrast:
    """``variant - reference``: a difference that the study was made to estimate."""

    variant: str
    reference: str

    def __str__(self) -> str:
        return f"{self.variant} - {self.reference}"


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it.

    ``aa`` is the name of the A/A variant, if there is one: the baseline once more, as replicate 1, with other initial
    weights and dropout masks. So what differs between the two is what another initialisation makes differ. It is none
    of the ``variants``. ``file`` is the absolute path of the file that it was read from; it is no part of what the
    study is.
    """

    name: str
    question: str
    datasets: tuple[Selection, ...]
    baseline: str
    variants: Mapping[str, tuple[ModelConfig, TrainConfig]]
    seeds: int
    contrasts: tuple[Contrast, ...]
    metric: Metric
    resources: Resources
    source: str = ""
    aa: str | None = None
    file: str = field(default="", repr=False, compare=False)

    @property
    def trained(self) -> dict[str, tuple[ModelConfig, TrainConfig]]:
        """The variants, and the A/A variant if there is one."""
        return dict(self.variants) | ({self.aa: self.variants[self.baseline]} if self.aa else {})

    @property
    def networks(self) -> dict[str, ModelConfig]:
        """The networks by variant; what else there is is not built of modules."""
        return {name: model for name, (model, _) in self.variants.items() if isinstance(model, NetworkConfig)}

    def runs(
        self, datasets: Sequence[DatasetRef], weights: Mapping[str, WeightsRef] | None = None
    ) -> tuple[RunConfig, ...]:
        """All runs, seed by seed over all variants, so that an interrupted study is balanced.

        Args:
            datasets: That the study names, see `emotune.data.datasets.resolve.resolve_datasets`.
            weights: Of the variants that do not begin from scratch, see
            `emotune.models.weights.resolve.resolve_weights`.

        Raises:
            InputError: two variants are the same, since the weights that they name are the same.
        """
        begin = dict(weights or {})
        if self.aa and self.baseline in begin:
            begin[self.aa] = begin[self.baseline]
        planned = partial(RunConfig, select=self.metric.select, test_curve=self.metric.test_curve)
        runs = tuple(
            planned(
                variant=variant, dataset=dataset, seed=seed, model=model, train=train, weights=begin.get(variant),
                replicate=int(variant == self.aa),
            )
            for seed in range(self.seeds)
            for dataset in datasets
            for variant, (model, train) in self.trained.items()
        )  # fmt: skip
        names: dict[str, str] = {}
        raise_if_any(list(dict.fromkeys(
            f'variants.{run.variant}: the same as "{names[run.id]}"; change it or leave it out'
            for run in runs if names.setdefault(run.id, run.variant) != run.variant
        )))  # fmt: skip
        return runs
