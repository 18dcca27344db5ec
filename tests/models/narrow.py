"""Narrow networks and runs that begin with a file of weights, for the tests beside."""

from pathlib import Path

import torch
from torch import nn

from emotune.model_config import AlexNetConfig, ModelConfig
from emotune.models import build
from emotune.models.weights import Initialisation, load_weights
from emotune.pretrained import resolve_weights
from emotune.run import DatasetRef, RunConfig
from emotune.train_config import TrainConfig

CLASSES = ("anger", "awe", "fear")
NARROW = AlexNetConfig(width=0.0625, weight_init="he")


def run_with(file: Path, model: ModelConfig = NARROW, **train) -> RunConfig:
    settings = TrainConfig(init=str(file), **train)
    dataset = DatasetRef(name="photos", location="/photos", content_hash="0123")
    weights = resolve_weights({"variant": (model, settings)})["variant"]
    return RunConfig(variant="variant", dataset=dataset, seed=0, model=model, train=settings, weights=weights)


def loaded(run: RunConfig) -> tuple[nn.Module, Initialisation]:
    torch.manual_seed(0)
    network = build(run.model, len(CLASSES)).eval()
    return network, load_weights(network, run, CLASSES)
