"""What plans need to know of the backbones of libraries, without importing torch: their input and number of stages.

A process of its own looks it up (`emotune.models.backbones.describe`), once per machine and version of the library:
the answer is kept in the cache folder.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emotune.config.backbone import BackboneCode, BackboneConfig, LastStages
from emotune.config.head_training import feature_network
from emotune.config.input_spec import InputOptions, InputSpec
from emotune.config.model import CodeConfig, ModelConfig, ZeroShotConfig
from emotune.config.train import TrainConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.models.baselines.clip_catalogue import clip_architecture

__all__ = ["BackboneInfo", "backbone_info", "resolve_inputs"]

OWN_INPUT = InputSpec(side=224, resize=256)
"""The input of a backbone of the user's own."""


@dataclass(frozen=True)
class BackboneInfo:
    """A backbone of a library.

    Attributes:
        input: The input according to the configuration of its pretrained weights.
        stages: The number of stages, each of which ends with a map.
        weights_url: The URL of torchvision's own weights; empty for other libraries.
        weights_digest: The first hexadecimal digits of these weights' sha256.
    """

    input: InputSpec
    stages: int
    weights_url: str = ""
    weights_digest: str = ""


def backbone_info(name: str) -> BackboneInfo:
    """The description of a backbone of a library; it takes some seconds if nobody has asked for it on this machine.

    Args:
        name: The library and the name, such as ``timm:resnet18``.

    Raises:
        InputError: the library is not installed, has no such network, or it is not supported.
    """
    found = _infos([name])[name]
    if isinstance(found, str):
        raise InputError(found)
    return found


def resolve_inputs(variants: Mapping[str, tuple[ModelConfig, TrainConfig]]) -> dict[str, InputSpec]:
    """The inputs of the variants' networks, by name; networks of emotune have AlexNet's and no entry.

    Raises:
        InputError: there are variants whose backbone cannot be used, or has fewer stages than are to be tuned, or
            whose input is not possible or leaves no room for several crops; one line for each.
    """
    models = {variant: feature_network(model) or model for variant, (model, _) in variants.items()}
    infos = _infos(
        {m.backbone for m in models.values() if isinstance(m, BackboneConfig) and isinstance(m.backbone, str)}
    )
    inputs, problems = {}, []
    for variant, model in models.items():
        try:
            if isinstance(model, CodeConfig):
                inputs[variant] = _changed(model.input, InputSpec())
            elif isinstance(model, BackboneConfig):
                inputs[variant] = _changed(model.input, _input_of(model, infos))
            elif isinstance(model, ZeroShotConfig):
                inputs[variant] = clip_architecture(model).input
            _require_room_for_crops(inputs.get(variant), variants[variant][1])
        except InputError as error:
            problems.append(f"variants.{variant}: {error}")
    raise_if_any(problems)
    return inputs


def _input_of(model: BackboneConfig, infos: Mapping[str, BackboneInfo | str]) -> InputSpec:
    """A backbone's own input, after a look at the number of its stages."""
    if isinstance(model.backbone, BackboneCode):
        return OWN_INPUT
    info = infos[model.backbone]
    if isinstance(info, str):
        raise InputError(f"model.backbone: {info}")
    if isinstance(model.tune, LastStages) and model.tune.last > info.stages:
        raise InputError(
            f"model.tune: last is {model.tune.last}, but {model.backbone} has {info.stages} stages; give fewer, or all"
        )
    return info.input


def _require_room_for_crops(spec: InputSpec | None, train: TrainConfig) -> None:
    if spec and spec.side == spec.resize and train.test_crops > 1:
        raise InputError(
            f"train.test_crops: is {train.test_crops}, but images are resized to {spec.resize} pixels and crops have "
            "as many, so that all are the same; leave it out, or give a larger model.input.resize"
        )


def _changed(options: InputOptions, spec: InputSpec) -> InputSpec:
    try:
        return options.applied_to(spec)
    except ValidationError as error:
        reasons = [str(one.get("ctx", {}).get("error", one["msg"])) for one in error.errors()]
        raise InputError(f"model.input: {'; '.join(reasons)}") from None


def _infos(names: Collection[str]) -> dict[str, BackboneInfo | str]:
    """The descriptions of backbones, or, of one that cannot be used, the reason."""
    found: dict[str, BackboneInfo | str] = {}
    for name in names:
        library = name.partition(":")[0]
        if (installed := _version(library)) is None:
            extra = "'emotune[timm]'" if library == "timm" else library
            found[name] = f"{name} needs {library}, which is not installed; pip install {extra}"
        elif info := _remembered(_file(name, installed)):
            found[name] = info
    if missing := sorted(set(names) - found.keys()):
        found |= _described(missing)
    return found


def _described(names: Collection[str]) -> dict[str, BackboneInfo | str]:
    """The descriptions that another process finds; they are kept for the next time."""
    command = [sys.executable, "-m", "emotune.models.backbones.describe", *names]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if process.returncode:
        raise RuntimeError(f"looking up {', '.join(names)} failed:\n{process.stderr}")
    found: dict[str, BackboneInfo | str] = {}
    for name, value in json.loads(process.stdout.splitlines()[-1]).items():
        if "problem" in value:
            found[name] = value["problem"]
            continue
        found[name] = TypeAdapter(BackboneInfo).validate_python(value)
        with contextlib.suppress(OSError):  # without a cache it is looked up each time
            _folder().write_json(_file(name, str(_version(name.partition(":")[0]))), value)
    return found


def _folder() -> Folder:
    return Folder(str(cache_folder() / "backbones"))


def _file(name: str, installed: str) -> str:
    return f"{name.replace(':', '-')}-{installed}-{_code_digest()}.json"


def _remembered(file: str) -> BackboneInfo | None:
    try:
        return TypeAdapter(BackboneInfo).validate_python(_folder().read_json(file))
    except (ValidationError, InputError, OSError):  # none, or damaged
        return None


@cache
def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


@cache
def _code_digest() -> str:
    """A digest of the code that describes backbones."""
    files: list[Any] = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
