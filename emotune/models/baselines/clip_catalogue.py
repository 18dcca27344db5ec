"""What plans need to know of an architecture of open_clip, without importing torch or open_clip."""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emotune.config.input_spec import InputSpec
from emotune.config.zero_shot import ArchitectureFile, ZeroShotConfig
from emotune.core.errors import InputError, closest

__all__ = ["ClipArchitecture", "clip_architecture"]

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""The values with which OpenAI normalised images, which open_clip has as defaults."""


@dataclass(frozen=True)
class ClipArchitecture:
    """An architecture of open_clip.

    Attributes:
        model: The arguments of open_clip's model: ``embed_dim``, ``vision_cfg``, ``text_cfg`` and others.
        input: The input of the model's image tower.
    """

    model: dict[str, Any]
    input: InputSpec


def clip_architecture(config: ZeroShotConfig) -> ClipArchitecture:
    """The architecture that a config names.

    Raises:
        InputError: open_clip is not installed or has no such architecture, or it is not supported: its texts are cut
            into tokens by what only a hub has, or its images are not squares around the centre.
    """
    package = find_spec("open_clip")
    if package is None or package.origin is None:
        raise InputError("model zero_shot: open_clip is needed: pip install 'emotune[clip]'")
    if isinstance(config.architecture, ArchitectureFile):
        name, content = config.architecture.file, json.loads(config.architecture.content)
    else:
        name, folder = config.architecture, Path(package.origin).parent / "model_configs"
        if not (folder / f"{name}.json").is_file():
            near = closest(name, sorted(path.stem for path in folder.glob("*.json")))
            hint = f'did you mean "{near}"?' if near else "open_clip.list_models() has all names"
            raise InputError(f'model.architecture: open_clip has no "{name}"; {hint}')
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    model = content.get("model_cfg", content)
    if model["text_cfg"].get("hf_tokenizer_name") or model["text_cfg"].get("hf_model_name"):
        raise InputError(
            f"model.architecture: {name} needs a tokenizer that is on a hub, from which nothing is downloaded; use one "
            "with open_clip's own, such as ViT-B-32"
        )
    return ClipArchitecture(model, _input(name, model, content.get("preprocess_cfg", {})))


def _input(name: str, model: dict[str, Any], preprocessing: dict[str, Any]) -> InputSpec:
    side = model["vision_cfg"].get("image_size", 224)
    if isinstance(side, list) and len(set(side)) == 1:
        side = side[0]
    if (mode := preprocessing.get("resize_mode") or "shortest") != "shortest":
        raise InputError(
            f"model.architecture: {name} resizes images by {mode}, here they are cut to their centre square"
        )
    values = {
        "side": side, "resize": side, "interpolation": preprocessing.get("interpolation") or "bicubic",
        "mean": preprocessing.get("mean") or OPENAI_MEAN, "std": preprocessing.get("std") or OPENAI_STD,
    }  # fmt: skip
    try:
        return TypeAdapter(InputSpec).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"model.architecture: {name}: {where}: {first['msg']} (found {first['input']!r})") from None
