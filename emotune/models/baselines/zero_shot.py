"""Zero-shot classification by CLIP (Radford et al. 2021, sections 2 and 3.1), with open_clip's models and tokenizer."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from emotune.config.run import RunConfig
from emotune.config.zero_shot import ZeroShotConfig
from emotune.core.errors import InputError
from emotune.models.baselines.clip_catalogue import clip_architecture
from emotune.models.meta_device import on_meta_device
from emotune.models.networks.fixed_features import in_batches
from emotune.models.weights.backbone_weights import StateDict, fit_by_name
from emotune.models.weights.weights_file import read_weights

__all__ = ["Prompts", "ZeroShot", "check_zero_shot", "zero_shot"]

NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "text.transformer.embeddings.position_ids")
"""Tensors in files of OpenAI and others that say how the model was built."""


class ZeroShot(nn.Module):
    """A model of open_clip that compares images with texts of the classes: (B, 3, side, side) → logits (B, K).

    Logits are the cosine similarities times the model's own scale. An image's logits do not depend on those beside it.

    Args:
        clip: The model with its weights.
        classes: The classes' embeddings of length 1, (D, K).
    """

    classes: torch.Tensor

    def __init__(self, clip: nn.Module, classes: torch.Tensor) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("classes", classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return in_batches(lambda part: [self._logits(part)[..., None, None]], images)[0].flatten(1)

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        clip: Any = self.clip
        logits = clip.logit_scale.exp() * clip.encode_image(images, normalize=True) @ self.classes
        return logits if clip.logit_bias is None else logits + clip.logit_bias


@dataclass(frozen=True)
class Prompts:
    """The texts of classes in the place of a fitted model: an image's features are its logits already.

    The methods are those of `emotune.models.baselines.baseline.Baseline`.

    Args:
        config: The options.
        classes: The classes.
        network: The model that gives the logits.
    """

    config: ZeroShotConfig
    classes: Sequence[str]
    network: ZeroShot

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Fits nothing; returns the texts of each class and the scale of the logits."""
        clip: Any = self.network.clip
        texts = {label: self.config.texts(label) for label in self.classes}
        return {"texts": texts, "logit_scale": round(clip.logit_scale.exp().item(), 4)}

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The logits (N, K) as they are, of which a softmax gives probabilities."""
        return features

    @property
    def parameters(self) -> int:
        """The number of fitted values, 0."""
        return 0


def zero_shot(run: RunConfig, classes: Sequence[str]) -> ZeroShot:
    """The model of a run with its weights and the embeddings of its classes, on the CPU and in evaluation mode.

    Raises:
        InputError: the weights cannot be read or do not fit, or a text is too long.
    """
    from open_clip.zero_shot_classifier import build_zero_shot_classifier  # late: an extra, whose import takes seconds

    model = _config(run)
    tokenizer = _tokenizer(model, classes)
    clip = _build(model)
    clip.load_state_dict(_tensors(run, clip))
    clip.eval().requires_grad_(False)
    return ZeroShot(clip, build_zero_shot_classifier(clip, tokenizer, classes, _templates(model))).eval()


def check_zero_shot(run: RunConfig, classes: Sequence[str]) -> None:
    """Raises the errors of `zero_shot` without the memory and time that the model takes."""
    model = _config(run)
    _tokenizer(model, classes)
    try:
        with on_meta_device():
            clip = _build(model)
    except NotImplementedError:  # some constructors compute with numbers
        clip = _build(model)
    _tensors(run, clip)


def _config(run: RunConfig) -> ZeroShotConfig:
    assert isinstance(run.model, ZeroShotConfig)  # the caller has looked
    return run.model


def _build(config: ZeroShotConfig) -> nn.Module:
    """A model with random weights, as `open_clip.create_model` builds it, which may also look for weights on a hub."""
    from open_clip import CLIP, CoCa, CustomTextCLIP

    options = deepcopy(clip_architecture(config).model)
    options["vision_cfg"]["timm_model_pretrained"] = False
    kind: Any = CLIP
    if options.pop("custom_text", False):
        kind = CoCa if "multimodal_cfg" in options else CustomTextCLIP
    try:
        return kind(**options)
    except NotImplementedError:
        raise
    except Exception as error:  # whatever open_clip's or timm's constructors raise
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(f"model.architecture: open_clip cannot build {config.architecture} ({reason})") from None


def _tensors(run: RunConfig, clip: Any) -> dict[str, torch.Tensor]:
    """The file's tensors as the model names them; older files name a text tower's otherwise, as open_clip knows."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    assert run.weights is not None  # a study cannot leave them out
    location, source = read_weights(run.weights, run.model)
    problem = f"{location}: its tensors do not fit {_config(run).architecture}"
    remedy = "use the architecture that the file is for"
    if not isinstance(source, StateDict):
        raise InputError(f"{problem}: these are the weights of a run; give a file that open_clip saved")
    tensors: dict[str, torch.Tensor] = convert_state_dict(clip, dict(source.tensors))
    shapes = {name: one.shape for name, one in clip.state_dict().items()}
    tensors = {name: one for name, one in tensors.items() if name not in NOT_WEIGHTS}
    if "positional_embedding" in tensors and "positional_embedding" not in shapes:
        tensors = convert_to_custom_text_state_dict(tensors)
    for name in ("logit_scale", "logit_bias"):
        if name in tensors and name in shapes and tensors[name].numel() == shapes[name].numel():
            tensors[name] = tensors[name].reshape(shapes[name])
    fit_by_name(problem, shapes, list(shapes), tensors, remedy)
    if extra := sorted(tensors.keys() - shapes.keys()):
        raise InputError(f"{problem}: it has {len(extra)} more, {extra[0]} for example; {remedy}")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{location}: {name} contains numbers that are not finite; use other weights")
    return tensors


def _templates(config: ZeroShotConfig) -> list[Any]:
    """The functions that give each text of a class."""
    return [lambda label, number=number: config.texts(label)[number] for number in range(len(config.prompts))]


def _tokenizer(config: ZeroShotConfig, classes: Sequence[str]) -> Any:
    """The tokenizer of the architecture, whose vocabulary is in open_clip's package.

    Raises:
        InputError: a text has more tokens than the model reads, so that its end would be cut off.
    """
    from open_clip import SimpleTokenizer

    options = clip_architecture(config).model["text_cfg"]
    length = options.get("context_length", 77)
    tokenizer = SimpleTokenizer(context_length=length, **(options.get("tokenizer_kwargs") or {}))
    for text in [text for label in classes for text in config.texts(label)]:
        if (count := len(tokenizer.encode(text)) + 2) > length:
            raise InputError(
                f'model.prompts: "{text}" has {count} tokens, the architecture reads {length}; give a shorter text'
            )
    return tokenizer
