"""How a network sees an image: the square that images are resized to, the crop that the network gets, and its scaling.

The values belong to a network. Those of AlexNet are the defaults; those of other backbones come from the configuration
of their pretrained weights (`emotune.models.backbones.catalogue`), and a study may set any of them.
"""

from dataclasses import asdict, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.config.types import FORBID_UNKNOWN_KEYS, Positive

__all__ = ["InputOptions", "InputSpec", "Interpolation"]

Interpolation = Literal["bicubic", "bilinear", "lanczos"]
Side = Annotated[int, Field(ge=8, le=2048)]
Colour = tuple[float, float, float]
Deviation = tuple[Positive, Positive, Positive]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class InputSpec:
    """The input of a network.

    Attributes:
        side: The side of the square that the network sees, in pixels. With 227, and only with it, AlexNet's last
            pooling gives 6×6 positions (the thesis, section 3).
        resize: The side of the square that images are resized to before they are cropped, in pixels: a little larger
            than the crop, so that crops differ. The ratio of the two is timm's ``crop_pct``.
        interpolation: The interpolation with which images are resized.
        mean: The mean of red, green and blue that is subtracted, on a scale from 0 to 1.
        std: The standard deviation of red, green and blue by which the difference is divided.
        frames: The number of frames of a clip, in a data set of videos; 1 for images.
    """

    side: Side = 227
    resize: Side = 256
    interpolation: Interpolation = "bicubic"
    mean: Colour = IMAGENET.mean
    std: Deviation = IMAGENET.std
    frames: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _crop_lies_within_the_image(self) -> "InputSpec":
        if self.side > self.resize:
            raise ValueError(f'"side" is {self.side} and "resize" {self.resize}: the crop is larger than the image')
        return self

    def of(self, frames: int) -> "InputSpec":
        """The input for clips of so many frames, or for images."""
        return self if frames == self.frames else replace(self, frames=frames)

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what a network sees, for names of files; frames have no part in those of images."""
        values = asdict(self)
        return values if self.frames > 1 else {name: value for name, value in values.items() if name != "frames"}

    @property
    def normalisation(self) -> Normalisation:
        """The mean and the standard deviation."""
        return Normalisation(self.mean, self.std)


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class InputOptions:
    """The changes of a network's input in a study; None keeps the network's own value, see `InputSpec`.

    Attributes:
        side: The side of the square that the network sees, in pixels.
        resize: The side of the square that images are resized to before they are cropped. Default: in the network's own
            ratio to ``side``.
        interpolation: The interpolation with which images are resized.
        mean: The mean of red, green and blue that is subtracted, on a scale from 0 to 1.
        std: The standard deviation of red, green and blue by which the difference is divided.
    """

    side: Side | None = None
    resize: Side | None = None
    interpolation: Interpolation | None = None
    mean: Colour | None = None
    std: Deviation | None = None

    def applied_to(self, spec: InputSpec) -> InputSpec:
        """The input with these changes. A new ``side`` alone keeps the ratio of ``side`` to ``resize``.

        Raises:
            pydantic.ValidationError: the crop would be larger than the image.
        """
        changes: dict[str, Any] = {
            one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None
        }
        if self.side is not None and self.resize is None:
            changes["resize"] = round(self.side * spec.resize / spec.side)
        return replace(spec, **changes)
