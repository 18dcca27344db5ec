"""Zero-shot classification by prompts, as options of a study: `emotune.models.baselines.zero_shot`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from emotune.config.network import BaselineConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS, FrozenDict, SingleLine

__all__ = ["ArchitectureFile", "ZeroShotConfig"]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class ArchitectureFile:
    """An architecture from a file beside the study, whose content travels with the run.

    Attributes:
        file: The path of the file, as the study has it.
        content: The content of the file, JSON with sorted keys, by which the architecture is identified.
    """

    file: str
    content: str

    def __str__(self) -> str:
        return f"{self.file} ({hashlib.sha256(self.content.encode()).hexdigest()[:8]})"


def _architecture(value: Any, info: ValidationInfo) -> Any:
    """Reads the file of an architecture, unless its content is there."""
    if isinstance(value, ArchitectureFile):
        return value
    if isinstance(value, dict) and set(value) == {"file", "content"}:
        return ArchitectureFile(**value)
    if not isinstance(value, str) or not value.endswith(".json"):
        if isinstance(value, str) and value and "/" not in value and ":" not in value:
            return value
        raise ValueError(
            f'"{value}" is neither the name of an architecture of open_clip, such as ViT-B-32, nor a .json'
        )
    folder = (info.context or {"folder": "."})["folder"]
    if folder is None:
        raise ValueError(f"the content of {value} is missing")
    path = Path(folder) / value
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); give an architecture of open_clip as JSON"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
    parts = content.get("model_cfg", content) if isinstance(content, dict) else {}
    if (
        not isinstance(parts, dict)
        or "embed_dim" not in parts
        or not all(isinstance(parts.get(key), dict) for key in ("vision_cfg", "text_cfg"))
        or not isinstance(content.get("preprocess_cfg", {}), dict)
    ):
        raise ValueError(f"{path} has no embed_dim, vision_cfg and text_cfg; give an architecture of open_clip as JSON")
    return ArchitectureFile(file=value, content=json.dumps(content, sort_keys=True))


def _prompts(value: Any) -> Any:
    """A single template as one of several."""
    return [value] if isinstance(value, str) else value


def _check_prompts(prompts: tuple[str, ...]) -> tuple[str, ...]:
    for prompt in prompts:
        if prompt.count("{}") != 1 or prompt.count("{") + prompt.count("}") != 2:
            raise ValueError(f'"{prompt}": a prompt has the name of a class in the place of {{}}, which it needs once')
    if len(set(prompts)) < len(prompts):
        raise ValueError(f"{list(prompts)} has a prompt twice; give each once")
    return prompts


Prompts = Annotated[
    tuple[SingleLine, ...], BeforeValidator(_prompts), Field(min_length=1), AfterValidator(_check_prompts)
]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class ZeroShotConfig(BaselineConfig):
    """Zero-shot classification by CLIP (Radford et al. 2021): images are compared with a text for each class.

    ``train.init`` is the path of a file with weights of the architecture, as open_clip saves them (.safetensors, .pt,
    .pth, .bin); nothing is downloaded. Nothing is trained, and training images are only classified; no other option of
    training has an effect. Images are prepared as the architecture's file says under ``preprocess_cfg``; without it, in
    the architecture's size, with OpenAI's mean and standard deviation.

    Attributes:
        architecture: The name of an architecture of open_clip, such as *ViT-B-32*, or the path of a JSON file of one,
            such as ``open_clip_config.json``. It must be the one that the weights were trained with: those of OpenAI
            need one that ends in *-quickgelu*.
        prompts: The texts with ``{}`` in the place of a class's name (the default is ours). With several, the mean of
            their embeddings, each of length 1, stands for a class (section 3.1.4).
        names: The names of classes in texts, by label; a class without one has its label as name.
    """

    TRAIN_OPTIONS: ClassVar[tuple[str, ...]] = ("init",)

    name: Literal["zero_shot"] = "zero_shot"
    architecture: Annotated[str | ArchitectureFile, BeforeValidator(_architecture)]
    prompts: Prompts = ("a photo that evokes {}",)
    names: Mapping[str, SingleLine] = FrozenDict()

    @field_validator("names")
    @classmethod
    def _cannot_be_changed(cls, names: Mapping[str, str]) -> FrozenDict:
        if empty := [label for label, name in names.items() if not name.strip()]:
            raise ValueError(f"the name of {empty[0]} is empty")
        return FrozenDict(names)

    def texts(self, label: str) -> list[str]:
        """The texts of a class."""
        return [prompt.format(self.names.get(label, label)) for prompt in self.prompts]
