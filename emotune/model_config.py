"""Which network: a dataclass each, whose fields are the arguments of the network's constructor, with its defaults.

The paper's values are the defaults. The networks themselves are in `emotune.models`; reading a study needs no torch.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.fields import STRICT, Fraction, Positive

__all__ = ["AlexNetConfig", "AttentionConfig", "DualBranchConfig", "MldrConfig", "ModelConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AlexNetConfig:
    """`emotune.models.alexnet.AlexNet`."""

    name: Literal["alexnet"] = "alexnet"
    width: Positive = 1.0
    dropout: Fraction = 0.5
    lrn: bool = True
    weight_init: Literal["ksh12", "he"] = "ksh12"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AttentionConfig(AlexNetConfig):
    """`emotune.models.attention.AttentionAlexNet`."""

    name: Literal["attention"] = "attention"  # type: ignore[assignment]
    reach: Literal["shared", "full"] = "shared"
    score: Literal["linear", "tanh"] = "linear"
    output: Literal["map", "sum"] = "map"
    scale: Literal["positions", "raw"] = "positions"
    temperature: Positive = 1.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DualBranchConfig(AttentionConfig):
    """`emotune.models.dual_branch.DualBranch`."""

    name: Literal["dual_branch"] = "dual_branch"  # type: ignore[assignment]
    attention: Literal["spatial", "none"] = "spatial"

    @model_validator(mode="after")
    def _no_settings_of_an_absent_layer(self) -> "DualBranchConfig":
        if self.attention == "none":
            for name in ("reach", "score", "output", "scale", "temperature"):
                if getattr(self, name) != getattr(AttentionConfig, name):
                    raise ValueError(f'"{name}" is set, but attention is "none": it would change nothing')
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MldrConfig(AlexNetConfig):
    """`emotune.models.mldr.MldrNet`."""

    name: Literal["mldr"] = "mldr"  # type: ignore[assignment]


ModelConfig = Annotated[AlexNetConfig | AttentionConfig | DualBranchConfig | MldrConfig, Field(discriminator="name")]
