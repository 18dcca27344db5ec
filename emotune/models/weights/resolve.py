"""Which weights the variants of a study begin with: ``train.init`` as locations and digests of content.

``imagenet`` means weights that fit the network's backbone: for KSH12's, BVLC's reference AlexNet of Caffe's model zoo,
which has no download that could be checked and is therefore put into the cache folder by hand; for torchvision's,
torchvision's own. Formats in `emotune.models.weights.foreign`. Called in plans, so nothing heavy is imported here.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotune.config.model import MldrConfig, MldrV2Config, ModelConfig
from emotune.config.run import WeightsRef
from emotune.config.train import TrainConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder, split_location
from emotune.runs.directory import CONFIG, RECORD, WEIGHTS

__all__ = ["BVLC", "TORCHVISION", "resolve_weights", "weights_folder"]

BVLC = "bvlc_alexnet.npy"
TORCHVISION = WeightsRef(location="torchvision", digest="7be5be79")
"""``alexnet-owt-7be5be79.pth``: known by its name, fetched when it is needed."""

SUFFIXES = (".npy", ".npz", ".pth", ".pt", ".safetensors")


def weights_folder() -> Path:
    """Where files of weights lie that have no download."""
    return cache_folder() / "weights"


def resolve_weights(variants: Mapping[str, tuple[ModelConfig, TrainConfig]]) -> dict[str, WeightsRef]:
    """By variant, the weights that it begins with; variants that begin from scratch are not in it.

    Files are read whole, for their digest; torchvision's is known without a download.

    Raises:
        InputError: a line for each variant whose weights are not there, or can be none of its network's.
    """
    known: dict[tuple[str, str], WeightsRef] = {}
    found, problems = {}, []
    for variant, (model, train) in variants.items():
        if train.init == "scratch":
            continue
        backbone = getattr(model, "backbone", "alexnet")
        key = (train.init, backbone if train.init == "imagenet" else "")
        try:
            if train.init == "imagenet":
                _require_alexnets(model)
            if key not in known:
                known[key] = _imagenet(backbone) if train.init == "imagenet" else _named(train.init)
            found[variant] = known[key]
        except InputError as error:
            problems.append(f'variants.{variant}: train.init: "{train.init}": {error}')
    raise_if_any(problems)
    return found


def _require_alexnets(model: ModelConfig) -> None:
    """All that is known of ImageNet are whole AlexNets of full width."""
    instead = f"say scratch, or name the directory of a finished run of {model.name}"
    if isinstance(model, MldrV2Config):
        raise InputError(f"there are weights for AlexNets only, mldr_v2 is none; {instead}")
    if isinstance(model, MldrConfig) and min(model.depths) < 5:
        raise InputError(f"there are weights for AlexNets only, not for mldr's shallower networks; {instead}")
    if model.width != 1:
        raise InputError(f"there are weights for width 1 only, model.width is {model.width:g}; {instead}")


def _imagenet(backbone: str) -> WeightsRef:
    if backbone == "alexnet_owt":
        return TORCHVISION
    file = weights_folder() / BVLC
    if not file.is_file():
        raise InputError(
            f"{file}: not there. Fetch {BVLC} (BVLC's reference AlexNet of Caffe's model zoo, bvlc_alexnet.caffemodel, "
            "converted to numpy with caffe-tensorflow) and put it there; or give as train.init the path of a .npz that "
            "holds the caffemodel's arrays (conv1.0, conv1.1, … fc7.1)"
        )
    return _file(str(file))


def _named(name: str) -> WeightsRef:
    """A file of weights, or those of a run, at a path or URL."""
    try:
        location = name.rstrip("/") if "://" in name else str(Path(name).expanduser().resolve())
    except (OSError, ValueError, RuntimeError):  # no path at all, or the home folder of nobody
        raise InputError(
            "no path; say scratch, imagenet, a file of weights or the directory of a finished run"
        ) from None
    if location.lower().endswith(SUFFIXES):
        return _file(location)
    return _of_run(Folder(location))


def _file(location: str) -> WeightsRef:
    url, name = split_location(location)
    folder = Folder(url)
    try:
        if folder.local:
            with (folder.local / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            data = folder.read(name)
            if data is None:
                raise FileNotFoundError
            digest = hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise InputError(f"{location}: cannot be read ({error.strerror or 'not there'}); name another file") from None
    return WeightsRef(location=location, digest=digest)


def _of_run(folder: Folder) -> WeightsRef:
    try:
        config, record = folder.read_json(CONFIG), folder.read_json(RECORD)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise InputError(
            f"{folder}: neither the directory of a run nor a file of weights ({', '.join(SUFFIXES)}); look at the path"
        )
    if record is None:
        raise InputError(f"{folder}: this run is not finished; let its study go on first")
    written: Any = record.get("weights") if isinstance(record, dict) else None
    if not isinstance(written, dict) or WEIGHTS not in folder.names():
        raise InputError(f"{folder}: this run has left no {WEIGHTS}; delete its directory and train it again")
    try:
        return WeightsRef(location=str(folder / WEIGHTS), digest=written["sha256"])
    except (KeyError, ValidationError):
        raise InputError(f"{folder}: its record does not say the sha256 of its weights; train the run again") from None
