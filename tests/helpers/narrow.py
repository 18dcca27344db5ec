"""Narrow networks, weights as others write them, and runs that begin with a file of weights, for the tests beside."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

from emotune.config.model import AlexNetConfig, ModelConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.models.build import build
from emotune.models.weights.initial_weights import Initialisation, load_weights
from emotune.models.weights.resolve import resolve_weights

CLASSES = ("anger", "awe", "fear")
NARROW = AlexNetConfig(width=0.0625, weight_init="he")
CAFFES = replace(NARROW, lrn="caffe")
OWT = AlexNetConfig(width=0.0625, backbone="alexnet_owt")
SHAPES = {  # of that width, as a caffemodel has them
    "conv1": (6, 3, 11, 11), "conv2": (16, 3, 5, 5), "conv3": (24, 16, 3, 3), "conv4": (24, 12, 3, 3),
    "conv5": (16, 12, 3, 3), "fc6": (256, 576), "fc7": (256, 256), "fc8": (1000, 256),
}  # fmt: skip
Arrays = dict[str, list[np.ndarray]]


def run_with(file: Path, model: ModelConfig = NARROW, **train) -> RunConfig:
    settings = TrainConfig(init=str(file), **train)
    dataset = DatasetRef(name="photos", location="/photos", content_hash="0123")
    weights = resolve_weights({"variant": (model, settings)})["variant"]
    return RunConfig(variant="variant", dataset=dataset, seed=0, model=model, train=settings, weights=weights)


def loaded(run: RunConfig) -> tuple[nn.Module, Initialisation]:
    torch.manual_seed(0)
    network = build(run.model, len(CLASSES)).eval()
    return network, load_weights(network, run, CLASSES)


def caffes_arrays() -> Arrays:
    """Weight and bias by layer, in Caffe's layout; values reach hundreds, as Caffe's, so that normalisation is felt."""
    generator, arrays = np.random.default_rng(0), {}
    for layer, shape in SHAPES.items():
        weight = generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
        arrays[layer] = [weight.astype(np.float32), generator.normal(0, 0.1, shape[0]).astype(np.float32)]
    return arrays


def write_npz(path: Path, arrays: Arrays, name: str = "{layer}.{number}") -> Path:
    parts = {name.format(layer=layer, number=n): a for layer, pair in arrays.items() for n, a in enumerate(pair)}
    np.savez(path, **parts)
    return path


def save_npy(path: Path, value: object) -> Path:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


def torchvisions(width: float = 1.0) -> nn.Module:
    """torchvision's AlexNet, its channels and units times a factor."""
    with torch.device("meta"):
        network = torchvision.models.alexnet(num_classes=1000)
    if width < 1:
        for name, m in list(network.named_modules()):
            *path, last = name.split(".")
            part = network.get_submodule(".".join(path))
            if isinstance(m, nn.Conv2d):
                inputs = 3 if m.in_channels == 3 else int(m.in_channels * width)
                part[int(last)] = nn.Conv2d(
                    inputs, int(m.out_channels * width), m.kernel_size, m.stride, m.padding, m.dilation, m.groups
                )
            elif isinstance(m, nn.Linear):
                part[int(last)] = nn.Linear(int(m.in_features * width), int(m.out_features * width))
    return network.eval()
