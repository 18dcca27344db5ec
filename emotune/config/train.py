"""Training configuration: optimisation, augmentation, targets and testing; everything here changes the result."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from emotune.config.losses import LOSS_CLASSES, TARGET_CLASSES, GaussianTargets, NamedLoss, named
from emotune.config.optimizers import OPTIMIZERS, checked_options, known_optimizer
from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Fraction, FrozenDict, Number, Positive, reject_bool
from emotune.config.user_code import UserCode, code_or_name

__all__ = ["VIEW_OPTIONS", "AugmentationCode", "DecidedPrecision", "LossCode", "Order", "TrainConfig"]

Order = Literal["images", "shards"]
DecidedPrecision = Literal["float32", "bf16"]
"""The precisions that *auto* can mean."""
VIEW_OPTIONS = ("crop", "min_scale", "flip", "augment", "augment_ops", "augment_magnitude", "random_erasing")
"""The options that say how a training image's views are drawn."""


@dataclass(frozen=True, kw_only=True, eq=False, config=FORBID_UNKNOWN_KEYS)
class AugmentationCode(UserCode):
    """An augmentation of the user's own: a function of images, uint8 (B, 3, H, W), and a list of B generators.

    It gives augmented images of the same shape and type. Each image has a `torch.Generator` of its own, which follows
    from the run's seed, the epoch and the image, so that variants stay paired; its result must depend on that image
    and that generator alone.
    """

    POSITIONAL: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True, eq=False, config=FORBID_UNKNOWN_KEYS)
class LossCode(UserCode):
    """A loss of the user's own: a function of logits and target distributions, both (B, classes), and weights (B,).

    Where dimensions are predicted, it gets outputs and ratings, both (B, dimensions) on scales from -1 to 1.
    It gives the loss of each image, (B,), which must not depend on the other images, because a batch may be divided
    among workers. The loss of a batch is their mean with the images' weights.
    """

    POSITIONAL: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class TrainConfig:
    """Training; by default stochastic gradient descent as in the thesis (50 epochs, batches of 50) and KSH12 (momentum,
    weight decay).

    ``lr``, ``momentum`` and ``weight_decay`` are the same for every optimizer, and so are their defaults, which are for
    *sgd*. An adaptive optimizer needs others: Loshchilov and Hutter (2019), and torch, have an ``lr`` of 0.001 and a
    ``weight_decay`` of 0.01 for *adamw*.

    Attributes:
        epochs: The number of epochs.
        patience: The number of epochs without a better validation after which training ends (early stopping); None: all
            epochs are trained. Better is what ``metric.select: best_val`` selects by, which is needed. The schedule is
            that of all epochs.
        batch_size: The global batch size, whatever the number of workers.
        order: The order of training images in an epoch: *images*, all in random order; or *shards*, for data behind a
            URL that does not fit on the disk: shards in random order, and the images of each four shards shuffled.
        optimizer: The optimizer: *sgd*, with momentum (KSH12, section 5); *adamw* (Loshchilov and Hutter 2019); or
            another one of ``torch.optim`` as it is spelled there, see `emotune.config.optimizers`.
        optimizer_options: The optimizer's other options, which have torch's names and defaults, ``betas`` and ``eps``
            for example. torch chooses no implementation by itself: there is one, on CPUs and GPUs.
        lr: The learning rate at its highest.
        momentum: The momentum of *sgd* and *RMSprop*; other optimizers have none, or ``betas``.
        weight_decay: The weight decay. It is added to the gradient, except by *adamw*, *Adafactor*, and others with the
            option ``decoupled_weight_decay``: they subtract it from the weights, times the learning rate.
        schedule: The learning rate after the warm-up: *cosine* or *linear* to zero, *step*, or *constant*.
        step_epochs: The number of epochs, including those of the warm-up, between the steps of *step*.
        step_factor: The factor of the learning rate at each step of *step*.
        warmup_epochs: The number of epochs in which the learning rate rises linearly.
        clip_norm: The maximum norm of the gradient of a global batch, to which it is clipped; None: no clipping.
        ema_decay: The decay, per step, of an exponential moving average of the weights, which is then validated and
            tested instead of the weights; 0: no average.
        crop: The crop of a training image, 227 of its 256 pixels unless the network's input has other sides: *random*;
            *center*; or *resized*, a random box of ``min_scale`` to 1 of the area and an aspect ratio of 3:4 to 4:3,
            resized to that square (Szegedy et al. 2015).
        min_scale: The smallest area of a box of *resized*. Szegedy et al. have 0.08; the emotion belongs to the whole
            scene, so the default keeps about half of its width and height at least.
        flip: Whether training images are mirrored at random.
        augment: The augmentation of a cropped training image: *none*; *randaugment*, ``augment_ops`` random operations
            one after another (Cubuk et al. 2020); or *trivialaugment*, a single operation of random magnitude, in the
            wide search space (Müller, Hutter 2021). The operations move or turn the image or change its colours,
            contrast or sharpness; see `emotune.data.augmentation_policies`. Or the user's own, ``views.py:cut``.
        augment_ops: The number of operations of *randaugment*, N in the paper, whose ResNet-50 has 2.
        augment_magnitude: The magnitude of the operations of *randaugment*, M in the paper, whose ResNet-50 has 9; the
            largest is 30.
        random_erasing: The probability that a rectangle of a training image is set to the mean colour (Zhong et al.
            2020, who have 0.5).
        mixup: The parameter α of the distribution Beta(α, α) from which MixUp draws the share of each image of a batch
            in its weighted mean with another image of the batch, and of its target in theirs (Zhang et al. 2018, who
            have 0.1 to 0.4 on ImageNet); 0: no MixUp. The label with the greater share counts for the training
            accuracy. Each image keeps its class weight.
        cutmix: The same for CutMix, where a rectangle comes from the other image (Yun et al. 2019, who have 1); 0: no
            CutMix. With both, each batch is mixed by one or the other, drawn with equal probability.
        views: The number of views of a training image if the head alone is trained (``tune: head``): its features are
            computed once for each view, and in each epoch an image has one of them, drawn at random. The views are
            drawn as ``crop``, ``flip``, ``augment`` and ``random_erasing`` say, and are the same in all runs. 1: the
            centre crop.
        loss: The loss: *cross_entropy*; one of `emotune.config.losses`, *kl*, *jcdl*, *emd*, *cnnr* or *polarity*, by
            its name or with options, ``{name: jcdl, weight: 0.3}``; or the user's own, ``losses.py:focal`` or
            ``{code: …, options: {…}}``.
        targets: The training targets: the label (*hard*), the distribution of votes (*soft*), or the label, weighted by
            its share of the votes (*weighted*); see `emotune.data.annotations.target_weights`. Or *gaussian_on_wheel*,
            a distribution made from the label alone, `emotune.config.losses.GaussianTargets`, by its name or with
            options.
        label_smoothing: The share of a target that is spread evenly over all classes.
        class_weights: The weights of the images in the loss, which remains a mean: *none*, or *balanced*, n / (K · n_k)
            for a class with n_k of the n training images, so that all K classes count the same.
        test_crops: The number of crops of a test image whose softmax outputs are averaged: 1, the centre; 5, also the
            corners; 10, also their mirror images (KSH12, section 4.1). Validation uses the centre.
        precision: The precision of convolutions and matrix products: *float32*; *tf32*, with 10 bits of mantissa, on
            GPUs only; or *bf16*, bfloat16 with weights and updates in float32. *auto* is *bf16* if the machine that
            first trains a run of the study multiplies bfloat16 natively, and *float32* if not; it is decided once for
            all of the study's runs and machines, see `emotune.execution.plan.auto_precision`.
        init: The initial weights: *scratch*, random; *imagenet*, trained on ImageNet by others; or the path of a file
            of weights or of a finished run's directory; see `emotune.models.weights.resolve`.
        head_lr_multiplier: A factor for the learning rate of those parameters that the initial weights do not contain.
        layer_decay: The factor from the learning rate of a layer to that of the layer below it (ELECTRA, Clark et al.
            2020, appendix B; BEiT, Bao et al. 2022): the output layer has ``lr``, and a parameter with k layers above
            it ``lr`` · ``layer_decay``^k, times ``head_lr_multiplier`` if it is new. How layers are counted:
            `emotune.models.layer_depth.layers_above`. 1: all layers have the same.
    """

    epochs: Count = 50
    patience: Count | None = None
    batch_size: Count = 50
    order: Order = "images"
    optimizer: Annotated[str, AfterValidator(known_optimizer)] = "sgd"
    optimizer_options: Mapping[str, Any] = FrozenDict()
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
    augment: Annotated[
        Literal["none", "randaugment", "trivialaugment"] | AugmentationCode,
        code_or_name(AugmentationCode, "none", "randaugment", "trivialaugment"),
    ] = "none"
    augment_ops: Count = 2
    augment_magnitude: Annotated[int, BeforeValidator(reject_bool), Field(ge=0, le=30)] = 9
    random_erasing: Annotated[Number, Field(ge=0, le=1)] = 0.0
    mixup: Annotated[Number, Field(ge=0, le=100)] = 0.0
    cutmix: Annotated[Number, Field(ge=0, le=100)] = 0.0
    views: Annotated[Count, Field(le=100)] = 1
    loss: Annotated[
        Literal["cross_entropy"] | NamedLoss | LossCode, named(LOSS_CLASSES, ["cross_entropy"], LossCode)
    ] = "cross_entropy"
    targets: Annotated[
        Literal["hard", "soft", "weighted"] | GaussianTargets, named(TARGET_CLASSES, ["hard", "soft", "weighted"])
    ] = "hard"
    label_smoothing: Fraction = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    test_crops: Annotated[Literal[1, 5, 10], BeforeValidator(reject_bool)] = 1
    precision: Literal["auto", "float32", "tf32", "bf16"] = "float32"
    init: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = "scratch"
    head_lr_multiplier: Positive = 1.0
    layer_decay: Annotated[Number, Field(gt=0, le=1)] = 1.0

    @field_validator("optimizer_options")
    @classmethod
    def _are_options_of_the_optimizer(cls, options: Mapping[str, Any], info: ValidationInfo) -> FrozenDict:
        optimizer = info.data.get("optimizer")  # missing if it is not valid, which is reported already
        return checked_options(optimizer, options) if optimizer else FrozenDict(options)

    @model_validator(mode="after")
    def _optimizer_uses_its_settings(self) -> "TrainConfig":
        if self.momentum != TrainConfig.momentum and not OPTIMIZERS[self.optimizer].momentum:
            raise ValueError(f'"momentum" is set, but optimizer is "{self.optimizer}": it would change nothing')
        for option, owner in (("dampening", "momentum"), ("decoupled_weight_decay", "weight_decay")):
            if option in self.optimizer_options and getattr(self, owner) == 0:
                raise ValueError(f'"optimizer_options" has {option}, but {owner} is 0: it would change nothing')
        return self

    @model_validator(mode="after")
    def _no_settings_without_effect(self) -> "TrainConfig":
        for name, owner, value in (
            ("min_scale", "crop", "resized"), ("step_epochs", "schedule", "step"), ("step_factor", "schedule", "step"),
            ("augment_ops", "augment", "randaugment"), ("augment_magnitude", "augment", "randaugment"),
        ):  # fmt: skip
            if getattr(self, owner) != value and getattr(self, name) != getattr(TrainConfig, name):
                raise ValueError(f'"{name}" is set, but {owner} is "{getattr(self, owner)}": it would change nothing')
        return self

    @model_validator(mode="after")
    def _loss_fits_the_targets(self) -> "TrainConfig":
        name = next((kind.name for kind in LOSS_CLASSES if isinstance(self.loss, kind)), None)
        if name and self.targets == "weighted":
            raise ValueError(
                f'"loss" is {name}, which needs distributions, but "targets" is weighted; give soft or hard'
            )
        one_hot = self.targets == "hard" and not (self.label_smoothing or self.mixup or self.cutmix)
        if name in ("kl", "jcdl") and one_hot:
            raise ValueError(f'"loss" is {name}, but "targets" is hard: it is the cross-entropy; give targets: soft')
        return self

    @model_validator(mode="after")
    def _batches_can_be_mixed(self) -> "TrainConfig":
        for name in ("mixup", "cutmix"):
            if getattr(self, name) and self.batch_size == 1:
                raise ValueError(f'"{name}" is set, but "batch_size" is 1: it would change nothing')
        return self

    @model_validator(mode="after")
    def _warm_up_ends_before_the_run(self) -> "TrainConfig":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f'"warmup_epochs" is {self.warmup_epochs:g} and "epochs" {self.epochs}: lr would never be reached'
            )
        return self

    @model_validator(mode="after")
    def _patience_ends_before_the_run(self) -> "TrainConfig":
        if self.patience and self.patience >= self.epochs:
            raise ValueError(
                f'"patience" ({self.patience}) must be below "epochs" ({self.epochs}); lower it or leave it out'
            )
        return self

    @model_validator(mode="after")
    def _steps_come_before_the_end(self) -> "TrainConfig":
        if self.schedule == "step" and self.step_epochs >= self.epochs:
            raise ValueError(
                f'"step_epochs" is {self.step_epochs} and "epochs" {self.epochs}: lr would never be lowered; give '
                "fewer, or schedule: constant"
            )
        return self

    @model_validator(mode="after")
    def _no_head_without_initial_weights(self) -> "TrainConfig":
        if self.init == "scratch" and self.head_lr_multiplier != TrainConfig.head_lr_multiplier:
            raise ValueError('"head_lr_multiplier" is set, but init is "scratch": it would change nothing')
        return self
