"""Locating the initial weights that ``train.init`` names: for each variant, a location and a digest of the content.

``imagenet`` means weights that fit the network's backbone. For KSH12's they are BVLC's reference AlexNet from Caffe's
model zoo; there is no download of it that could be checked, so it must be put into the cache folder by hand. For
torchvision's backbones they are torchvision's own. timm's are on a hub, from which nothing is downloaded.
`emotune.models.weights.foreign` and `emotune.models.weights.backbone_weights` describe the formats. Plans call this, so
it imports neither torch nor torchvision.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotune.config.backbone import BackboneCode
from emotune.config.head_training import feature_network
from emotune.config.model import (
    BackboneConfig,
    CodeConfig,
    MldrConfig,
    MldrV2Config,
    ModelConfig,
    PaperNetworkConfig,
    ZeroShotConfig,
)
from emotune.config.run import WeightsRef
from emotune.config.train import TrainConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, raise_if_any
from emotune.core.location import split_location
from emotune.core.storage import Folder
from emotune.models.backbones.catalogue import backbone_info
from emotune.runs.directory import CONFIG, RECORD, WEIGHTS

__all__ = ["BVLC", "TORCHVISION", "resolve_weights", "weights_folder"]

BVLC = "bvlc_alexnet.npy"
TORCHVISION = WeightsRef(location="torchvision", digest="7be5be79")
"""``alexnet-owt-7be5be79.pth``, whose name has its digest, so that it is downloaded only when it is needed."""

SUFFIXES = (".npy", ".npz", ".pth", ".pt", ".bin", ".safetensors")


def weights_folder() -> Path:
    """The folder for files of weights that must be put there by hand."""
    return cache_folder() / "weights"


def resolve_weights(variants: Mapping[str, tuple[ModelConfig, TrainConfig]]) -> dict[str, WeightsRef]:
    """The initial weights of each variant, by its name; variants that begin from scratch have no entry.

    Files are read whole for their digests, except torchvision's, whose digest is known without a download.

    Raises:
        InputError: there are variants whose weights are missing, or cannot fit their networks; one line for each.
    """
    located: dict[tuple[str, str], WeightsRef] = {}
    weights, problems = {}, []
    for variant, (model, train) in variants.items():
        if train.init == "scratch":
            continue
        backbone = getattr(model, "backbone", "alexnet")
        key = (train.init, backbone if train.init == "imagenet" else "")
        try:
            if train.init == "imagenet":
                _require_published(model)
            if key not in located:
                located[key] = _imagenet(backbone) if train.init == "imagenet" else _at_location(train.init)
            weights[variant] = located[key]
        except InputError as error:
            problems.append(f'variants.{variant}: train.init: "{train.init}": {error}')
    raise_if_any(problems)
    return weights


def _require_published(model: ModelConfig) -> None:
    """Raises an InputError unless the network has a backbone of torchvision, or consists of AlexNets of full width."""
    network = feature_network(model) or model
    if isinstance(network, BackboneConfig):
        if isinstance(network.backbone, BackboneCode):
            raise InputError("there are no such weights for a backbone of one's own; use scratch, or give a file")
        if network.backbone.startswith("timm:"):
            raise InputError(
                "timm's weights are on a hub, from which nothing is downloaded here; give the path of a file (.pth, "
                ".pt or .safetensors) with weights of this network"
            )
        return
    if isinstance(model, ZeroShotConfig):
        raise InputError("there are no such weights for zero_shot; give the path of a file that open_clip saved")
    remedy = f"use scratch, or the directory of a finished run of {model.name}"
    if isinstance(model, MldrV2Config):
        raise InputError(f"there are only weights for AlexNets, and mldr_v2 is not one; {remedy}")
    if isinstance(model, MldrConfig) and min(model.depths) < 5:
        raise InputError(f"there are only weights for AlexNets, not for mldr's shallower networks; {remedy}")
    if isinstance(model, CodeConfig):
        raise InputError(f"there are only weights for AlexNets, not for a network of one's own; {remedy}")
    if isinstance(model, PaperNetworkConfig) and model.width != 1:
        raise InputError(f"there are only weights for width 1, but model.width is {model.width:g}; {remedy}")


def _imagenet(backbone: str) -> WeightsRef:
    if backbone == "alexnet_owt":
        return TORCHVISION
    if backbone.startswith("torchvision:"):
        return WeightsRef(location=backbone, digest=backbone_info(backbone).weights_digest)
    file = weights_folder() / BVLC
    if not file.is_file():
        raise InputError(
            f"{file}: not found. Put {BVLC} there (BVLC's reference AlexNet from Caffe's model zoo, "
            "bvlc_alexnet.caffemodel, converted to numpy with caffe-tensorflow); or set train.init to the path of a "
            ".npz with the caffemodel's arrays (conv1.0, conv1.1, … fc7.1)"
        )
    return _of_file(str(file))


def _at_location(name: str) -> WeightsRef:
    """The weights in a file or in a run's directory, given by path or URL."""
    try:
        location = name.rstrip("/") if "://" in name else str(Path(name).expanduser().resolve())
    except (OSError, ValueError, RuntimeError):  # not a path, or the home folder of an unknown user
        raise InputError(
            "not a path; use scratch, imagenet, a file of weights or the directory of a finished run"
        ) from None
    if location.lower().endswith(SUFFIXES):
        return _of_file(location)
    return _of_run(Folder(location))


def _of_file(location: str) -> WeightsRef:
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
        raise InputError(f"{location}: cannot be read ({error.strerror or 'not found'}); name another file") from None
    return WeightsRef(location=location, digest=digest)


def _of_run(folder: Folder) -> WeightsRef:
    try:
        config, record = folder.read_json(CONFIG), folder.read_json(RECORD)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise InputError(
            f"{folder}: neither the directory of a run nor a file of weights ({', '.join(SUFFIXES)}); check the path"
        )
    if record is None:
        raise InputError(f"{folder}: this run is not finished; finish its study first")
    weights: Any = record.get("weights") if isinstance(record, dict) else None
    if not isinstance(weights, dict) or WEIGHTS not in folder.names():
        raise InputError(f"{folder}: this run has no {WEIGHTS}; delete its directory and train it again")
    try:
        return WeightsRef(location=str(folder / WEIGHTS), digest=weights["sha256"])
    except (KeyError, ValidationError):
        raise InputError(f"{folder}: its record lacks the sha256 of its weights; train the run again") from None
