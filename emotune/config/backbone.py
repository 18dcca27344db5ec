"""A network of a pretrained backbone and a head, as options of a study: `emotune.models.networks.backbone_network`."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass

from emotune.config.heads import HEAD_CLASSES, HeadConfig, MeanHeadConfig
from emotune.config.input_spec import InputOptions
from emotune.config.network import NetworkConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS, Count
from emotune.config.user_code import UserCode, parse_code
from emotune.core.errors import suggest

__all__ = ["LIBRARIES", "BackboneCode", "BackboneConfig", "BackboneName", "LastStages", "is_library_name"]

LIBRARIES = ("torchvision", "timm")
"""The libraries whose networks are backbones."""

LIBRARY_NAME = re.compile(rf"({'|'.join(LIBRARIES)}):[A-Za-z0-9_.]+")


@dataclass(frozen=True, kw_only=True, eq=False, config=FORBID_UNKNOWN_KEYS)
class BackboneCode(UserCode):
    """A backbone of the user's own: a class, or a function that returns a `torch.nn.Module`.

    It is called with the options, and gives a network from images (B, 3, H, W) to a map (B, C, h, w), or to a list of
    maps from the finest to the last.
    """

    POSITIONAL: ClassVar[int] = 0


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class LastStages:
    """Fine-tuning of the head and the last stages of a backbone.

    Attributes:
        last: The number of stages.
    """

    last: Count


def is_library_name(value: object) -> bool:
    """Whether a value is ``torchvision:NAME`` or ``timm:NAME``."""
    return isinstance(value, str) and LIBRARY_NAME.fullmatch(value) is not None


def _backbone(value: Any, info: ValidationInfo) -> Any:
    """Leaves ``torchvision:NAME`` and ``timm:NAME``, and reads the user's own code."""
    if is_library_name(value):
        return value
    code = parse_code(BackboneCode, value, info)
    if not isinstance(code, BackboneCode):
        raise ValueError(f'"{value}" is unknown; give {", ".join(f"{one}:NAME" for one in LIBRARIES)} or FILE.py:NAME')
    return code


BackboneName = Annotated[str | BackboneCode, BeforeValidator(_backbone)]
"""The name of a backbone, or the user's own."""


def _head(value: Any) -> Any:
    """A head with the defaults of its options can be given as its name."""
    if isinstance(value, HEAD_CLASSES):
        return value
    names = [kind.name for kind in HEAD_CLASSES]
    if not isinstance(value, str | dict):
        raise ValueError(f"{value!r} is no head; give its name, or {{name: …}} with options; valid: {', '.join(names)}")
    options = {"name": value} if isinstance(value, str) else value
    if "name" not in options:
        raise ValueError(f'"name" is missing; valid: {", ".join(names)}')
    if options["name"] not in names:
        raise ValueError(f'no head "{options["name"]}"{suggest(options["name"], names)}')
    return options


def _tune(value: Any) -> Any:
    """``{last: N}`` as `LastStages`."""
    if isinstance(value, LastStages) or value in ("all", "head"):
        return value
    if not isinstance(value, dict) or list(value) != ["last"]:
        raise ValueError(f"{value!r} is unknown; give all, head, or {{last: N}} for the head and the last N stages")
    try:
        return LastStages(last=value["last"])
    except ValidationError:
        raise ValueError(f'"last" is {value["last"]!r}; give a number of stages, 1 or more') from None


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class BackboneConfig(NetworkConfig):
    """A backbone of torchvision, timm or one's own, with a head on its last maps.

    Attributes:
        backbone: The backbone: ``torchvision:resnet18``, ``timm:tf_efficientnet_lite0`` (extra *timm*), or the user's
            own, ``nets.py:Trunk``.
        head: The head, `emotune.config.heads`, by its name or with options, ``{name: attention, score: tanh}``.
        tune: The part that is trained: *all*; *head*, while the backbone stays as its weights are; or ``{last: N}``,
            the head and the backbone's last N stages. Batch normalisation of what is not trained keeps its statistics.
        input: Changes of the network's input, such as ``{side: 160}``; see `emotune.config.input_spec`.
    """

    name: Literal["backbone"] = "backbone"
    backbone: BackboneName
    head: Annotated[HeadConfig, BeforeValidator(_head)] = MeanHeadConfig()
    tune: Annotated[Literal["all", "head"] | LastStages, BeforeValidator(_tune)] = "all"
    input: InputOptions = InputOptions()
