"""Reading a file of weights: a run's ``weights.safetensors``, or another person's in one of the usual formats."""

import hashlib
import io
import pickle
from typing import Any

import torch
from safetensors.torch import load

from emotune.config.model import BackboneConfig, ModelConfig, ZeroShotConfig
from emotune.config.run import WeightsRef
from emotune.core.errors import InputError
from emotune.core.location import split_location
from emotune.core.storage import Folder
from emotune.models.weights.backbone_weights import StateDict, parse_any_state_dict
from emotune.models.weights.foreign import AlexNetWeights, parse_numpy, parse_state_dict
from emotune.models.weights.run_weights import METADATA, RunWeights, parse_run_weights, safetensors_metadata
from emotune.models.weights.torchvision_file import torchvision_file
from emotune.runs.directory import WEIGHTS

__all__ = ["read_run_weights", "read_weights"]


def read_weights(ref: WeightsRef, model: ModelConfig) -> tuple[str, AlexNetWeights | StateDict | RunWeights]:
    """The location of the weights that a run begins with, and the weights.

    Args:
        ref: The weights.
        model: The run's model: weights of others are read as an AlexNet's, or as a state dict if it has a backbone
            or is one of open_clip.

    Raises:
        InputError: the file is missing, differs from the one that the run was planned with, or cannot be parsed.
    """
    location, remedy = ref.location, "plan the study again, or put the former file back"
    library, _, name = location.partition(":")
    if library == "torchvision":
        from torchvision.models import get_model_weights  # late: importing it takes a second

        weights = get_model_weights(name or "alexnet")["DEFAULT"]
        location, remedy = str(torchvision_file(weights)), f"delete it, or put {weights.url} there"
    url, name = split_location(location)
    try:
        data = Folder(url).read(name)
    except OSError as error:
        raise InputError(f"{location}: cannot be read ({error})") from None
    if data is None:
        raise InputError(f"{location}: not found; every machine that trains must reach it at this path or URL")
    if not hashlib.sha256(data).hexdigest().startswith(ref.digest):
        raise InputError(
            f"{location}: its sha256 does not begin with {ref.digest}: the file was changed or is incomplete; {remedy}"
        )
    return location, _parse(location, data, has_backbone=isinstance(model, BackboneConfig | ZeroShotConfig))


def read_run_weights(folder: Folder, sha256: str) -> RunWeights:
    """The weights in a finished run's folder.

    Args:
        folder: The run's folder.
        sha256: The file's sha256 according to the run's record.

    Raises:
        InputError: the file is missing or damaged.
    """
    location, data = f"{folder / WEIGHTS}", folder.read(WEIGHTS)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        problem = "missing" if data is None else "damaged"
        raise InputError(f"{location}: {problem}; delete {folder} and train the run again")
    weights = _parse(location, data, has_backbone=False)
    if not isinstance(weights, RunWeights):
        raise InputError(f"{location}: has no {METADATA} metadata; delete {folder} and train the run again")
    return weights


def _parse(location: str, data: bytes, *, has_backbone: bool) -> AlexNetWeights | StateDict | RunWeights:
    """The weights in a file's bytes; the suffix of its name decides about the format."""
    suffix = location.lower().rpartition(".")[2]
    try:
        if suffix in ("npy", "npz"):
            if has_backbone:
                raise InputError(f"{location}: a backbone's weights are a state dict: a .pth, .pt or .safetensors file")
            return parse_numpy(location, data)
        if suffix == "safetensors" and METADATA in safetensors_metadata(data):
            return parse_run_weights(data)
        content = load(data) if suffix == "safetensors" else _load_pickled(location, data)
        if has_backbone:
            return parse_any_state_dict(location, content, ordered=suffix != "safetensors")
        return parse_state_dict(location, content)
    except InputError:
        raise
    except Exception as error:  # every format has its own errors, and a pickle may raise any
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(f"{location}: not readable as weights ({reason}); download or write it again") from None


def _load_pickled(location: str, data: bytes) -> Any:
    """The content of a file that ``torch.save`` wrote: tensors in dictionaries and lists, nothing else."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own message advises to run the code in the file
        raise InputError(
            f"{location}: not readable as weights: it contains more than tensors; save only the network's state_dict()"
        ) from None
