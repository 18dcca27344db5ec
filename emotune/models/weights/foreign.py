"""AlexNet's layers from the files of Caffe, TensorFlow and torchvision, in torch's layout.

* ``caffe``: a caffemodel's arrays, with convolutions (out, in, k, k), fully connected layers (out, in), and fc6's
  inputs in the order C, H, W. In old files all arrays have four dimensions.
* ``tensorflow``: the widely used ``bvlc_alexnet.npy``, with convolutions (k, k, in, out), fully connected layers
  (in, out), and fc6's inputs in the order H, W, C, because TensorFlow flattens maps in that order: caffe-tensorflow,
  which made the file, permutes them (github.com/ethereon/caffe-tensorflow, ``DataReshaper.reshape``).
* ``torchvision``: a state dict of torchvision's AlexNet.

The first two hold Caffe's networks, which take images in blue, green, red; conv1 is reordered to red, green, blue.
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

__all__ = ["LAYERS", "AlexNetWeights", "parse_numpy", "parse_state_dict"]

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
"""The layers that are loaded; fc8 belongs to ImageNet's 1,000 classes."""

BLOB = re.compile(r"(conv\d|fc\d)[./:_-]?(0|1|w|b|weights?|bias(?:es)?)", re.IGNORECASE)
"""The name of an array in a ``.npz``, such as ``conv1.0``, ``conv1/weights`` or ``conv1_b``."""


@dataclass(frozen=True)
class AlexNetWeights:
    """AlexNet's layers for images in red, green, blue.

    Attributes:
        layout: The format of the file, ``caffe``, ``tensorflow`` or ``torchvision``.
        arrays: Weight and bias by layer, in torch's layout: (out, in, k, k) or (out, in), and (out,).
    """

    layout: str
    arrays: dict[str, tuple[torch.Tensor, torch.Tensor]]

    @property
    def normalisation(self) -> Normalisation:
        """The normalisation of the images that these layers were trained on."""
        return IMAGENET if self.layout == "torchvision" else CAFFE

    @property
    def model(self) -> dict[str, str]:
        """The options of the network that these layers were trained in."""
        return {"backbone": "alexnet_owt"} if self.layout == "torchvision" else {"backbone": "alexnet", "lrn": "caffe"}

    @property
    def width(self) -> float:
        """The width of that network: its units in fc7 as a share of 4096."""
        return len(self.arrays["fc7"][1]) / 4096


def parse_numpy(location: str, data: bytes) -> AlexNetWeights:
    """AlexNet's layers in a ``.npz``, or in a ``.npy`` with a dictionary; both may have Caffe's or TensorFlow's layout.

    The layout of all layers is that of conv1, which is recognised by its three input channels.

    Raises:
        InputError: a layer is missing, conv1 fits no layout or both, or fc6 does not fit conv5.
    """
    arrays = _read_arrays(location, data)
    (conv1, _), (conv5, _), (fc6, _) = (arrays[layer] for layer in ("conv1", "conv5", "fc6"))
    caffe = conv1.shape[1] == 3 and conv1.shape[2] == conv1.shape[3]
    tensorflow = conv1.shape[2] == 3 and conv1.shape[0] == conv1.shape[1]
    if caffe == tensorflow:
        fits = "is both (out, 3, k, k) and" if caffe else "is neither (out, 3, k, k) nor"
        problem = f"conv1: shape {conv1.shape} {fits} (k, k, 3, out)"
        raise InputError(f"{location}: {problem}; is this the file of an AlexNet?")
    depth, inputs = (conv5.shape[0], fc6.shape[1]) if caffe else (conv5.shape[3], fc6.shape[0])
    side = math.isqrt(inputs // depth)
    if side * side * depth != inputs:
        expected = f"(out, {depth} · H · H)" if caffe else f"(H · H · {depth}, out)"
        raise InputError(f"{location}: fc6: shape {fc6.shape}; expected {expected} to fit conv5 in the layout of conv1")
    layers = {}
    for layer, (original, bias) in arrays.items():
        weight = original if caffe else _from_tensorflow(original, (side, side, depth) if layer == "fc6" else None)
        if layer == "conv1":  # blue, green, red → red, green, blue
            weight = weight[:, ::-1]
        layers[layer] = (_tensor(weight), _tensor(bias))
    return AlexNetWeights("caffe" if caffe else "tensorflow", layers)


def _read_arrays(location: str, data: bytes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weight and bias by layer, in the file's layout."""
    if location.lower().endswith(".npz"):
        archive = np.lib.npyio.NpzFile(io.BytesIO(data), own_fid=True)
        arrays = {
            (match[1].lower(), match[2][0].lower() in "0w"): archive[name]
            for name in archive.files
            if (match := BLOB.fullmatch(name))
        }
        layers: Any = {layer: [arrays.get((layer, True)), arrays.get((layer, False))] for layer, _ in arrays}
    else:
        layers = read_npy(data)
    if not isinstance(layers, dict):
        raise InputError(f"{location}: contains no dictionary of layers; {', '.join(LAYERS)} are needed")
    return {layer: _weight_and_bias(location, layer, layers.get(layer)) for layer in LAYERS}


def _weight_and_bias(location: str, layer: str, value: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(value, Mapping):
        value = [value.get("weights"), value.get("biases")]
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(a, np.ndarray) for a in value):
        raise InputError(f"{location}: {layer}: a weight and a bias are needed; is this the file of an AlexNet?")
    weight, bias = value
    if weight.ndim == 4 and weight.shape[:2] == (1, 1) and layer.startswith("fc"):  # Caffe's blobs before 2015
        weight = weight[0, 0]
    if weight.ndim != (4 if layer.startswith("conv") else 2) or weight.size == 0:
        problem = f"{layer}: its weight has the shape {weight.shape}"
        raise InputError(f"{location}: {problem}; is this the file of an AlexNet?")
    return weight, bias.reshape(-1)


def _from_tensorflow(weight: np.ndarray, map_shape: tuple[int, int, int] | None) -> np.ndarray:
    """A weight in Caffe's layout; ``map_shape`` (H, W, C) is the shape of the map that the layer flattens, if any."""
    if weight.ndim == 4:
        return weight.transpose(3, 2, 0, 1)
    if map_shape:
        return weight.reshape(*map_shape, -1).transpose(3, 2, 0, 1).reshape(weight.shape[1], -1)
    return weight.T


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float32, order="C"))  # a copy, because unpickled arrays are read-only


def parse_state_dict(location: str, state: Any) -> AlexNetWeights:
    """AlexNet's layers in a state dict of torchvision's: ``features.N`` and ``classifier.N``, with weight and bias.

    Raises:
        InputError: the value is not such a state dict.
    """
    names = [name for name in state if isinstance(name, str)] if isinstance(state, Mapping) else []
    arrays = {}
    for part, layers in (("features", LAYERS[:5]), ("classifier", LAYERS[5:])):
        pattern = re.compile(rf"{part}\.(\d+)\.weight")
        numbers = sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name)))
        for layer, number in zip(layers, numbers, strict=False):  # the classifier's third is fc8
            pair = (state[f"{part}.{number}.weight"], state.get(f"{part}.{number}.bias"))
            if all(isinstance(tensor, torch.Tensor) for tensor in pair):
                arrays[layer] = pair
    if missing := [layer for layer in LAYERS if layer not in arrays]:
        raise InputError(
            f"{location}: not a state dict of torchvision's AlexNet (features.0.weight … classifier.6.bias): "
            f"no {', '.join(missing)}"
        )
    return AlexNetWeights("torchvision", arrays)
