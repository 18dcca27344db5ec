"""How a network is trained and tested: what of it changes the result."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Fraction, Number, Positive, reject_bool

__all__ = ["Order", "TrainConfig"]

Order = Literal["images", "shards"]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class TrainConfig:
    """Stochastic gradient descent as in the thesis (50 epochs, batches of 50) and KSH12 (momentum, weight decay).

    ``batch_size`` is the global one, whatever the number of workers. ``schedule``: *cosine* or *linear* to zero, *step*
    (× ``step_factor`` every ``step_epochs``, those of the warm-up included) or *constant*, after a linear warm-up of
    ``warmup_epochs``.
    ``order``: an epoch takes the training images in a random order of all (*images*); or *shards*, for data behind a
    URL that do not fit the disk: shards in a random order, and the images of each four of them in a random order.
    ``clip_norm``: the longest gradient of a global batch; longer ones are shortened to it.
    ``ema_decay``: validated and tested is not the network itself, but the moving average of its weights, which keeps
    this part of itself at each step; 0: the network itself.

    ``crop``: *random* or *center*, a square of 227 of the 256 pixels; or *resized*, a random box of ``min_scale`` to 1
    of the image's area and of 3:4 to 4:3 in shape, resized to that square (Szegedy et al. 2015, whose boxes begin at
    0.08; an emotion is that of a whole scene, so here a box keeps about half of its width and height at least).
    ``targets``: the label (*hard*), the distribution of votes (*soft*), or the label, weighted with the share of votes
    for it (*weighted*); see `emotune.data.annotations.target_weights`. ``label_smoothing``: the part of a target that
    is spread evenly over all classes. ``class_weights``: *balanced* counts an image n / (K · n_k) times, n_k of the n
    training images having its label, so that all K classes count the same; the loss stays a mean. ``test_crops``:
    over how many crops of a test image the softmax outputs are averaged: the centre; 5, with the corners; 10, with
    their mirror images (KSH12, section 4.1). Validation always sees the centre.

    ``precision``: of convolutions and matrix products: *float32*; *tf32*, whose factors have 10 bits, on GPUs, and
    float32 elsewhere; or *bf16*: bfloat16, with weights and their updates in float32.
    ``init``: weights drawn anew (*scratch*), trained on ImageNet by others (*imagenet*), or from a PATH: a file of
    weights, or the directory of a finished run; see `emotune.models.weights.resolve`. ``head_lr_multiplier`` is for the
    learning rate of those parameters that are drawn anew all the same.
    """

    epochs: Count = 50
    batch_size: Count = 50
    order: Order = "images"
    lr: Positive = 0.01
    momentum: Fraction = 0.9
    weight_decay: Annotated[Number, Field(ge=0)] = 5e-4
    schedule: Literal["cosine", "linear", "step", "constant"] = "cosine"
    step_epochs: Count = 10
    step_factor: Annotated[Number, Field(gt=0, lt=1)] = 0.1
    warmup_epochs: Annotated[Number, Field(ge=0)] = 0.0
    clip_norm: Positive | None = None
    ema_decay: Fraction = 0.0
    crop: Literal["random", "center", "resized"] = "random"
    min_scale: Annotated[Number, Field(gt=0, le=1)] = 0.25
    flip: bool = True
    targets: Literal["hard", "soft", "weighted"] = "hard"
    label_smoothing: Fraction = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    test_crops: Annotated[Literal[1, 5, 10], BeforeValidator(reject_bool)] = 1
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    init: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = "scratch"
    head_lr_multiplier: Positive = 1.0

    @model_validator(mode="after")
    def _no_settings_without_effect(self) -> "TrainConfig":
        for name, owner, value in (
            ("min_scale", "crop", "resized"), ("step_epochs", "schedule", "step"), ("step_factor", "schedule", "step"),
        ):  # fmt: skip
            if getattr(self, owner) != value and getattr(self, name) != getattr(TrainConfig, name):
                raise ValueError(f'"{name}" is set, but {owner} is "{getattr(self, owner)}": it would change nothing')
        return self

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "TrainConfig":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f'"warmup_epochs" is {self.warmup_epochs:g} and "epochs" {self.epochs}: lr would never be reached'
            )
        return self

    @model_validator(mode="after")
    def _steps_are_taken(self) -> "TrainConfig":
        if self.schedule == "step" and self.step_epochs >= self.epochs:
            raise ValueError(
                f'"step_epochs" is {self.step_epochs} and "epochs" {self.epochs}: lr would never be lowered; give '
                "fewer, or schedule: constant"
            )
        return self

    @model_validator(mode="after")
    def _no_head_without_a_body(self) -> "TrainConfig":
        if self.init == "scratch" and self.head_lr_multiplier != TrainConfig.head_lr_multiplier:
            raise ValueError('"head_lr_multiplier" is set, but init is "scratch": it would change nothing')
        return self
