"""AlexNet's layers out of other people's files, as torch and this library's networks want them.

* ``caffe``: a caffemodel's arrays; convolutions (out, in, k, k), fully connected layers (out, in), fc6's inputs in the
  order C, H, W. Old ones have four dimensions throughout.
* ``tensorflow``: the circulated ``bvlc_alexnet.npy``; convolutions (k, k, in, out), fully connected layers (in, out),
  fc6's inputs in the order H, W, C, because TensorFlow flattens so: caffe-tensorflow, which made the file, permutes
  them (github.com/ethereon/caffe-tensorflow, ``kaffe/core.py``, ``DataReshaper.reshape``).
* ``torchvision``: a state dict of its AlexNet.

The first two are Caffe's networks, whose images are blue, green, red: conv1 is turned round to red, green, blue.
"""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from emotune.config.normalisation import CAFFE, IMAGENET, Normalisation
from emotune.core.errors import InputError
from emotune.models.weights.safe_npy import read_npy

__all__ = ["LAYERS", "AlexNetWeights", "layers_of_arrays", "layers_of_state", "read_arrays"]

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
"""fc8 belongs to ImageNet's 1,000 classes and is left out."""

BLOB = re.compile(r"(conv\d|fc\d)[./:_-]?(0|1|w|b|weights?|bias(?:es)?)", re.IGNORECASE)
"""The name of an array in a ``.npz``: ``conv1.0``, ``conv1/weights``, ``conv1_b``."""


@dataclass(frozen=True)
class AlexNetWeights:
    """Weight and bias by layer, in torch's layout: (out, in, k, k) and (out, in), for images in red, green, blue."""

    layout: str
    arrays: dict[str, tuple[torch.Tensor, torch.Tensor]]

    @property
    def normalisation(self) -> Normalisation:
        """Of the images that these layers were trained on."""
        return IMAGENET if self.layout == "torchvision" else CAFFE

    @property
    def model(self) -> dict[str, str]:
        """Options of the network that they were trained in."""
        return {"backbone": "alexnet_owt"} if self.layout == "torchvision" else {"backbone": "alexnet", "lrn": "caffe"}

    @property
    def width(self) -> float:
        """Of that network, as its 4096 units in fc7 show it."""
        return len(self.arrays["fc7"][1]) / 4096


def read_arrays(where: str, data: bytes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weight and bias by layer, from a ``.npy`` file with a dictionary or a ``.npz``, in the file's own layout.

    Raises:
        InputError: it holds something else.
    """
    if where.lower().endswith(".npz"):
        archive = np.lib.npyio.NpzFile(io.BytesIO(data), own_fid=True)
        found = {(m[1].lower(), m[2][0].lower() in "0w"): archive[n] for n in archive.files if (m := BLOB.fullmatch(n))}
        named: Any = {layer: [found.get((layer, True)), found.get((layer, False))] for layer, _ in found}
    else:
        named = read_npy(data)
    if not isinstance(named, dict):
        raise InputError(f"{where}: holds no dictionary of layers; {', '.join(LAYERS)} are needed")
    return {layer: _pair(where, layer, named.get(layer)) for layer in LAYERS}


def _pair(where: str, layer: str, value: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(value, Mapping):
        value = [value.get("weights"), value.get("biases")]
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(a, np.ndarray) for a in value):
        raise InputError(f"{where}: {layer}: a weight and a bias are needed; is this the file of an AlexNet?")
    weight, bias = value
    if weight.ndim == 4 and weight.shape[:2] == (1, 1) and layer.startswith("fc"):  # Caffe's blobs before 2015
        weight = weight[0, 0]
    if weight.ndim != (4 if layer.startswith("conv") else 2) or weight.size == 0:
        raise InputError(f"{where}: {layer}: its weight has the shape {weight.shape}; is this the file of an AlexNet?")
    return weight, bias.reshape(-1)


def layers_of_arrays(where: str, arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> AlexNetWeights:
    """The layers of `read_arrays`; the layout of all is that of conv1, which sees three colours.

    Raises:
        InputError: conv1 fits no layout, or both; fc6 does not fit conv5.
    """
    (first, _), (last, _), (fc6, _) = (arrays[layer] for layer in ("conv1", "conv5", "fc6"))
    caffe = first.shape[1] == 3 and first.shape[2] == first.shape[3]
    tensorflow = first.shape[2] == 3 and first.shape[0] == first.shape[1]
    if caffe == tensorflow:
        says = "is both (out, 3, k, k) and" if caffe else "is neither (out, 3, k, k) nor"
        raise InputError(f"{where}: conv1: shape {first.shape} {says} (k, k, 3, out); is this the file of an AlexNet?")
    depth, inputs = (last.shape[0], fc6.shape[1]) if caffe else (last.shape[3], fc6.shape[0])
    side = math.isqrt(inputs // depth)
    if side * side * depth != inputs:
        expected = f"(out, {depth} · H · H)" if caffe else f"(H · H · {depth}, out)"
        raise InputError(f"{where}: fc6: shape {fc6.shape}; {expected} is expected after conv5, as conv1 is laid out")
    found = {}
    for layer, (weight, bias) in arrays.items():
        turned = weight if caffe else _from_tensorflow(weight, (side, side, depth) if layer == "fc6" else None)
        if layer == "conv1":
            turned = turned[:, ::-1]
        found[layer] = (_tensor(turned), _tensor(bias))
    return AlexNetWeights("caffe" if caffe else "tensorflow", found)


def _from_tensorflow(weight: np.ndarray, map_shape: tuple[int, int, int] | None) -> np.ndarray:
    """A weight as Caffe has it; ``map_shape`` (H, W, C) is that of the map whose values are its inputs."""
    if weight.ndim == 4:
        return weight.transpose(3, 2, 0, 1)
    if map_shape:
        return weight.reshape(*map_shape, -1).transpose(3, 2, 0, 1).reshape(weight.shape[1], -1)
    return weight.T


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float32, order="C"))  # a copy: what was unpickled is read-only


def layers_of_state(where: str, state: Any) -> AlexNetWeights:
    """The layers of torchvision's AlexNet: ``features.N``, ``classifier.N``, each with weight and bias.

    Raises:
        InputError: it is not one.
    """
    names = [name for name in state if isinstance(name, str)] if isinstance(state, Mapping) else []
    found = {}
    for part, layers in (("features", LAYERS[:5]), ("classifier", LAYERS[5:])):
        numbers = sorted(int(m[1]) for name in names if (m := re.fullmatch(rf"{part}\.(\d+)\.weight", name)))
        for layer, number in zip(layers, numbers, strict=False):  # the classifier's third is fc8
            pair = (state[f"{part}.{number}.weight"], state.get(f"{part}.{number}.bias"))
            if all(isinstance(tensor, torch.Tensor) for tensor in pair):
                found[layer] = pair
    if lacking := [layer for layer in LAYERS if layer not in found]:
        raise InputError(
            f"{where}: not a state dict of torchvision's AlexNet (features.0.weight … classifier.6.bias): "
            f"no {', '.join(lacking)}"
        )
    return AlexNetWeights("torchvision", found)
