"""A run's network as one file that any ONNX runtime can use without emotune, checked before it is there."""

import copy
import json
import logging
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from emotune.config.normalisation import Normalisation
from emotune.core.errors import InputError
from emotune.data.image_io import CROP_SIDE
from emotune.inference.predictor import Predictor
from emotune.models.networks.attention import record_attention

__all__ = ["IMAGES", "PROBABILITIES", "export"]

IMAGES, PROBABILITIES = "images", "probabilities"
"""Names of the graph's input and first output; the others are called ``attention_<layer>``."""
TOLERANCE = 1e-5
BATCHES = (1, 5)
"""Sizes with which the file is tried."""


class _ExportModule(nn.Module):
    """From images to probabilities: normalisation, network, softmax."""

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(normalisation, name)).view(3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with record_attention(self.network) as weights:
            said = self.network((images - self.mean) / self.std).softmax(1)
        return (said, *weights.values())


def export(predictor: Predictor, path: Path) -> float:
    """Writes the network to an ONNX file, after onnxruntime said the same with it as torch.

    Input ``images``: float32 (N, 3, 227, 227), red, green and blue from 0 to 1: the centre crop of `square`. Outputs:
    ``probabilities`` (N, K), and ``attention_<layer>`` (N, P) for each attention layer. The file's metadata has
    ``run``, ``classes`` (JSON) and ``crops``, over which the run's own test averaged; the file answers for one.

    Returns:
        The largest difference to torch that was seen, in any output.

    Raises:
        InputError: a library is missing, or the file cannot be written.
        ArithmeticError: the two differ by more than 1e-5; no file is left.
    """
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise InputError("--onnx: onnx, onnxscript and onnxruntime are needed: pip install 'emotune[onnx]'")
    whole = _ExportModule(copy.deepcopy(predictor.network).cpu(), predictor.normalisation).eval()
    example = torch.rand(2, 3, CROP_SIDE, CROP_SIDE)
    with torch.inference_mode(), record_attention(whole.network) as weights:
        whole.network(example)
    names = [PROBABILITIES, *(f"attention_{name}" for name in weights)]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own doings
        program = torch.onnx.export(
            whole, (example,), dynamo=True, verbose=False, input_names=[IMAGES], output_names=names,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    model = program.model
    model.metadata_props.update(
        {"run": predictor.run_id, "classes": json.dumps(predictor.classes), "crops": str(predictor.crops)}
    )
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx-") as scratch:
            made = Path(scratch) / "network.onnx"
            program.save(made)
            difference = _difference(made, whole)
            if not difference <= TOLERANCE:
                raise ArithmeticError(f"{path}: onnxruntime and torch differ by {difference:.2g}; nothing was written")
            made.replace(path)
    except OSError as error:
        raise InputError(f"--onnx {path}: cannot be written ({error.strerror}); name another place") from None
    return difference


def _difference(path: Path, whole: nn.Module) -> float:
    """The largest, in any output, on random images."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for size in BATCHES:
        images = torch.rand(size, 3, CROP_SIDE, CROP_SIDE, generator=torch.Generator().manual_seed(size))
        with torch.inference_mode():
            expected = whole(images)
        found = session.run(None, {IMAGES: images.numpy()})
        worst = max([worst, *(float(np.abs(f - e.numpy()).max()) for f, e in zip(found, expected, strict=True))])
    return worst
