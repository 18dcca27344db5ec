"""Exporting a run's network to ONNX, and checking the file with onnxruntime."""

import copy
import json
import logging
import tempfile
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from emotune.config.normalisation import Normalisation
from emotune.config.target import Dimension
from emotune.core.errors import InputError
from emotune.inference.predictor import Predictor
from emotune.models.networks.attention import record_attention
from emotune.models.networks.backbone_network import BackboneNetwork
from emotune.models.networks.clips import FRAMES_LAYER
from emotune.training.distribution_losses import Readout

__all__ = ["IMAGES", "PROBABILITIES", "RATINGS", "export"]

IMAGES, PROBABILITIES, RATINGS = "images", "probabilities", "ratings"
"""The names of the graph's input and of its first output, one of two; the others are called ``attention_<layer>``."""
TOLERANCE = 1e-5
"""The largest accepted difference between the outputs of onnxruntime and torch; of ratings, on scales from -1 to 1."""
BATCHES = (1, 5)
"""The batch sizes with which the file is checked."""


class _ExportModule(nn.Module):
    """The exported graph: normalisation, network, and the softmax of its logits, or ratings on their own scales."""

    mean: torch.Tensor
    std: torch.Tensor
    scale: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        readout: Readout | None,
        dimensions: Sequence[Dimension] = (),
    ) -> None:
        super().__init__()
        self.network, self.readout, self.is_rating = network, readout, bool(dimensions)
        self.register_buffer("scale", torch.tensor([(one.high - one.low) / 2 for one in dimensions]))
        self.register_buffer("centre", torch.tensor([one.centre for one in dimensions]))
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(normalisation, name)).view(3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with record_attention(self.network) as weights:
            outputs = self.network((images - self.mean) / self.std)
        attention = list(weights.values())
        if images.ndim == 5:  # of all frames: their means for each clip
            attention = [
                w if name.startswith(FRAMES_LAYER) else w.unflatten(0, (-1, images.shape[1])).mean(1)
                for name, w in weights.items()
            ]
        if self.is_rating:
            return (outputs * self.scale + self.centre, *attention)
        logits = outputs if self.readout is None else self.readout(outputs)
        return (logits.softmax(1), *attention)


def export(predictor: Predictor, path: Path) -> float:
    """Writes the network to an ONNX file if onnxruntime computes the same outputs with it as torch.

    The input ``images`` is float32 (N, 3, side, side), of clips (N, frames, 3, side, side), with red, green and blue
    from 0 to 1: the centre crop of `emotune.inference.predictor.load_center_crop`. The outputs are ``probabilities``
    (N, K), or ``ratings`` (N, D) on the dimensions' own scales, and ``attention_<layer>`` (N, P) for each attention
    layer. The file's metadata has ``run``, ``classes`` (JSON) and
    ``crops``, the number of crops that the run's own test averaged over; the file predicts from a single crop. They
    also have ``side``, ``resize`` and ``interpolation``, see `emotune.config.input_spec.InputSpec`. The features of a
    frozen backbone are not rounded to float16, as those of the run are.

    Args:
        predictor: The run's network.
        path: The path of the file.

    Returns:
        The largest difference to torch in any output.

    Raises:
        InputError: a library is missing, or the file cannot be written.
        ArithmeticError: an output differs by more than `TOLERANCE`, or a rating by more than that on its scale; no
                file is written.
    """
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise InputError("--onnx: onnx, onnxscript and onnxruntime are needed: pip install 'emotune[onnx]'")
    network = copy.deepcopy(predictor.network).cpu()
    module = _ExportModule(network, predictor.normalisation, predictor.readout, predictor.dimensions).eval()
    if isinstance(module.network, BackboneNetwork):
        module.network.rounds = False  # to float16, so that what the libraries round otherwise does not become larger
    seen = predictor.input_spec
    shape = (*([seen.frames] if seen.frames > 1 else []), 3, seen.side, seen.side)
    example = torch.rand(2, *shape)
    with torch.inference_mode(), record_attention(module.network) as weights:
        module.network(example)
    names = [RATINGS if predictor.dimensions else PROBABILITIES, *(f"attention_{name}" for name in weights)]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            module, (example,), dynamo=True, verbose=False, input_names=[IMAGES], output_names=names,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    assert program is not None  # with dynamo=True there always is one
    program.model.metadata_props.update({
        "run": predictor.run_id, "classes": json.dumps(predictor.classes), "crops": str(predictor.crops),
        "side": str(seen.side), "resize": str(seen.resize), "interpolation": seen.interpolation,
    })  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx-") as scratch:
            file = Path(scratch) / "network.onnx"
            program.save(file)
            first, others = _largest_differences(file, module, shape)
            difference = float(max(first.max(), others))
            half_widths = module.scale.numpy() if predictor.dimensions else 1.0  # each rating has its scale's errors
            if not ((first <= TOLERANCE * half_widths).all() and others <= TOLERANCE):
                raise ArithmeticError(f"{path}: onnxruntime and torch differ by {difference:.2g}; no file was written")
            file.replace(path)
    except OSError as error:
        raise InputError(f"--onnx {path}: cannot be written ({error.strerror}); name another path") from None
    return difference


def _largest_differences(path: Path, module: nn.Module, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """The largest differences between onnxruntime and torch on random images.

    Returns:
        Those in each column of the first output, (K,) or (D,), and that in all other outputs.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    first, others = np.zeros(1), 0.0
    for size in BATCHES:
        images = torch.rand(size, *shape, generator=torch.Generator().manual_seed(size))
        with torch.inference_mode():
            expected = module(images)
        outputs = session.run(None, {IMAGES: images.numpy()})
        differences = [np.abs(o - e.numpy()) for o, e in zip(outputs, expected, strict=True)]
        first = np.maximum(first, differences[0].max(0))
        others = float(np.max([others, *(one.max() for one in differences[1:])]))  # NaN, unlike max, if one is
    return first, others
