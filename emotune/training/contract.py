"""What the user's own code must do; it is tried before anything is spent, a network on two images of noise.

1. It is built in the same way each time.
2. It maps images (B, 3, 227, 227) to finite logits (B, classes) in floating point.
3. Every parameter that requires a gradient gets a finite one, and random numbers are torch's.
4. In evaluation it gives the same logits each time, and those of an image do not depend on the rest of the batch.
5. Its ``state_dict`` holds everything that its logits depend on.
"""

import torch
from torch import nn

from emotune.config.model import CodeConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.core.user_module import user_line
from emotune.data.augmentation_policies import check_augmentation
from emotune.data.image_io import CROP_SIDE
from emotune.models.build import build
from emotune.models.dropout import SampleDropout, set_dropout_seeds
from emotune.training.batch_norm import require_whole_batches
from emotune.training.loss import check_loss
from emotune.training.network_checks import other_generators, parameters_without_gradient

__all__ = ["check_contract", "try_user_code"]

TOLERANCE = 1e-3
"""The relative difference that rounding may make between a batch of one image and a batch of two."""
MOST_NAMES = 3


def try_user_code(run: RunConfig, classes: int, resources: Resources) -> list[str]:
    """Tries a run's own network, loss and augmentation.

    Args:
        run: The run.
        classes: The number of classes of its data set.
        resources: The resources with which it will be trained.

    Returns:
        A line on the layers that are replaced, if there are any.

    Raises:
        InputError: the code cannot be trained with; the message says why.
    """
    notes = []
    if isinstance(run.model, CodeConfig):
        network = check_contract(run.model, classes).train()
        require_whole_batches(
            network, workers=resources.workers, accumulate=resources.accumulate, compiled=resources.compile
        )
        if seeded := [path for path, layer in network.named_modules() if isinstance(layer, SampleDropout)]:
            notes.append(f"dropout with masks that follow from the seed and the image, in {_listed(seeded)}.")
    check_loss(run.train, classes)
    check_augmentation(run.train)
    return notes


def check_contract(config: CodeConfig, classes: int) -> nn.Module:
    """Tries a network of the user's own on two images of noise.

    Args:
        config: The network's config.
        classes: The number of classes.

    Returns:
        The network, with random weights, in evaluation mode.

    Raises:
        InputError: a clause of the contract does not hold; the message says which.
    """
    network = _built_twice(config, classes)
    images = torch.randn(2, 3, CROP_SIDE, CROP_SIDE, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    set_dropout_seeds(network, torch.arange(2))
    _check_training(config, network.train(), images, classes)
    with torch.inference_mode():
        _check_evaluation(config, network.eval(), images)
        twin = build(config, classes, seed=1).eval()
        try:
            twin.load_state_dict(network.state_dict())
        except RuntimeError as error:
            raise _broken(config, f"cannot load its own state_dict ({error})") from None
        if not torch.equal(_logits(config, twin, images), _logits(config, network, images)):
            raise _broken(
                config, "gives other logits after loading its own state_dict; register what it depends on as "
                "parameters or buffers"
            )  # fmt: skip
    return network


def _built_twice(config: CodeConfig, classes: int) -> nn.Module:
    """The network, after it was built from the same seed twice with the same outcome."""
    remedy = "is not built in the same way each time; draw with torch's default generator alone, not numpy's or others"
    try:
        network, again = (build(config, classes, seed=0) for _ in range(2))
    except RuntimeError as error:
        raise _broken(config, f"{remedy} ({error})") from None
    other = again.state_dict()
    for name, tensor in network.state_dict().items():
        if name not in other or not torch.equal(tensor, other[name]):
            raise _broken(config, f"{remedy} ({name} differs)")
    return network


def _check_training(config: CodeConfig, network: nn.Module, images: torch.Tensor, classes: int) -> None:
    logits = _logits(config, network, images)
    if not isinstance(logits, torch.Tensor) or logits.shape != (len(images), classes):
        given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise _broken(config, f"gives {given} for {len(images)} images; it must give logits ({len(images)}, {classes})")
    if not logits.is_floating_point():
        raise _broken(config, f"gives logits of type {logits.dtype}; they must be floating point")
    if not logits.isfinite().all():
        raise _broken(config, "gives logits that are not finite for two images of noise")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise _broken(config, "has no parameter that requires a gradient; there is nothing to train")
    loss = nn.functional.cross_entropy(logits.float(), torch.arange(len(images)) % classes)
    if not loss.requires_grad:
        raise _broken(config, "gives logits that no parameter has a gradient for; do not detach them")
    if unused := parameters_without_gradient(network, loss):
        raise _broken(
            config, f"has parameters that get no gradient: {_listed(unused)}; use them, or set requires_grad to False"
        )  # fmt: skip
    nn.functional.cross_entropy(_logits(config, network, images).float(), torch.zeros(2, dtype=torch.long)).backward()
    wrong = [name for name, p in network.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    if wrong:
        raise _broken(config, f"has parameters that get gradients that are not finite: {_listed(wrong)}")
    network.zero_grad(set_to_none=True)
    if others := other_generators(lambda: _logits(config, network, images)):
        raise _broken(config, f"draws from {' and '.join(others)} in training; draw with torch, which a run seeds")


def _check_evaluation(config: CodeConfig, network: nn.Module, images: torch.Tensor) -> None:
    logits = _logits(config, network, images)
    if not torch.equal(logits, _logits(config, network, images)):
        raise _broken(config, "gives other logits each time in evaluation; draw random numbers in training alone")
    alone = torch.cat([_logits(config, network, image[None]) for image in images])
    scale = logits.abs().max().clamp(min=1e-6)
    if ((alone - logits).abs().max() / scale).item() > TOLERANCE:
        raise _broken(config, "gives an image other logits alone than in a batch of two; images must not mix")


def _logits(config: CodeConfig, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    try:
        return network(images)
    except InputError:
        raise
    except Exception as error:
        place = user_line(error.__traceback__, config.file)
        size = tuple(images.shape)
        raise _broken(config, f"fails on images {size}: {place}: {type(error).__name__}: {error}") from error


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def _broken(config: CodeConfig, problem: str) -> InputError:
    return InputError(f"model.code: {config.code} {problem}")
