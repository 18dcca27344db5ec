"""What the user's own code must do; it is tried before anything is spent, a network on two images of noise.

A backbone of the user's own is tried with the head that it gets.

1. It is built in the same way each time.
2. It maps images (B, 3, side, side) to finite logits (B, classes) in floating point, also for no images.
3. Every parameter that requires a gradient gets a finite one, and random numbers are torch's.
4. In evaluation it gives the same logits each time, and those of an image do not depend on the rest of the batch. In
   training, the same holds if a batch is divided among workers or into pieces, except for batch normalisation.
5. Its ``state_dict`` holds everything that its logits depend on.
"""

from collections.abc import Sequence

import torch
from torch import nn

from emotune.config.backbone import BackboneConfig
from emotune.config.input_spec import InputSpec
from emotune.config.model import CodeConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.user_code import UserCode
from emotune.core.errors import InputError
from emotune.core.user_module import user_errors
from emotune.data.augmentation_policies import check_augmentation, generator_states
from emotune.models.build import build, build_for_inspection
from emotune.models.dropout import SampleDropout, set_dropout_seeds
from emotune.training.batch_norm import batch_norm_layers, require_whole_batches
from emotune.training.loss import check_loss

__all__ = ["check_contract", "check_division", "try_user_code"]

Own = CodeConfig | BackboneConfig
"""The config of a network that is, or has, the user's own code."""

TOLERANCE = 1e-3
"""The relative difference that rounding may make between a batch of one image and a batch of two."""
MOST_NAMES = 3
STOCHASTIC_DEPTHS = {"StochasticDepth": "p", "DropPath": "drop_prob"}
"""The layers of torchvision and timm that leave out others at random, and where they have the probability."""
DEPENDENCE = "results depend on resources.workers and accumulate, though not on interruptions."


def try_user_code(run: RunConfig, classes: int, resources: Resources) -> list[str]:
    """Tries a run's own network, loss and augmentation.

    Args:
        run: The run.
        classes: The number of classes of its data set, or of dimensions.
        resources: The resources with which it will be trained.

    Returns:
        A line on the layers that are replaced, if there are any.

    Raises:
        InputError: the code cannot be trained with; the message says why.
    """
    notes = []
    if isinstance(run.model, Own) and "model" in run.user_code:
        network = check_contract(run.model, classes, run.input).train()
        require_whole_batches(
            network, workers=resources.workers, accumulate=resources.accumulate, compiled=resources.compile
        )
        if seeded := [path for path, layer in network.named_modules() if isinstance(layer, SampleDropout)]:
            notes.append(f"dropout with masks that follow from the seed and the image, in {_listed(seeded)}.")
        notes += _dependence_on_division(run.model, network, run.input.side, resources)
    check_loss(run.train, classes, run.dataset.task)
    check_augmentation(run.train, run.input.side)
    return notes


def check_division(run: RunConfig, classes: int, resources: Resources) -> list[str]:
    """Checks that a network of a library's backbone can be trained on divided batches, without taking memory.

    Args:
        run: The run.
        classes: The number of classes of its data set.
        resources: The resources with which it will be trained.

    Returns:
        A line if results will depend on how batches are divided.

    Raises:
        InputError: the network normalises with the statistics of a batch that pieces do not have.
    """
    network = build_for_inspection(run.model, classes, run.input).train()
    require_whole_batches(
        network, workers=resources.workers, accumulate=resources.accumulate, compiled=resources.compile
    )
    depths = [
        path for path, layer in network.named_modules()
        if layer.training and getattr(layer, STOCHASTIC_DEPTHS.get(type(layer).__name__, ""), 0)
    ]  # fmt: skip
    return [f"{_listed(depths)} draw random numbers in training: {DEPENDENCE}"] if depths else []


def check_contract(config: Own, classes: int, input_spec: InputSpec = InputSpec()) -> nn.Module:
    """Tries a network of the user's own, or with a backbone of the user's own, on two images of noise.

    Args:
        config: The network's config.
        classes: The number of classes.
        input_spec: The network's input, which gives the side of images.

    Returns:
        The network, with random weights, in evaluation mode.

    Raises:
        InputError: a clause of the contract does not hold; the message says which.
    """
    network = _built_twice(config, classes, input_spec)
    images = _noise(2, input_spec.side)
    _check_training(config, network.train(), images, classes)
    with torch.inference_mode():
        _check_evaluation(config, network.eval(), images)
        twin = build(config, classes, seed=1, input_spec=input_spec).eval()
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


def _built_twice(config: Own, classes: int, input_spec: InputSpec) -> nn.Module:
    """The network, after it was built from the same seed twice with the same outcome."""
    remedy = "is not built in the same way each time; draw with torch's default generator alone, not numpy's or others"
    try:
        network, again = (build(config, classes, seed=0, input_spec=input_spec) for _ in range(2))
    except RuntimeError as error:
        raise _broken(config, f"{remedy} ({error})") from None
    other = again.state_dict()
    for name, tensor in network.state_dict().items():
        if isinstance(tensor, torch.Tensor) and not _is_same(tensor, other.get(name)):
            raise _broken(config, f"{remedy} ({name} differs)")
    return network


def _is_same(one: torch.Tensor, other: object) -> bool:
    """Whether two tensors have the same values, of which some may be no numbers."""
    if not isinstance(other, torch.Tensor) or one.shape != other.shape:
        return False
    return torch.equal(one, other) or torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _noise(count: int, side: int) -> torch.Tensor:
    """Images of noise, (count, 3, side, side), as a network gets them."""
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return images.contiguous(memory_format=torch.channels_last)


def _dependence_on_division(config: Own, network: nn.Module, side: int, resources: Resources) -> list[str]:
    """A line if results depend on how a batch is divided among workers and into pieces.

    Raises:
        InputError: they do so although the network draws no random numbers, and batches will be divided.
    """
    images = _noise(2, side)
    with torch.no_grad():
        before = torch.get_rng_state()
        together = _logits(config, network, images)
        if not torch.equal(before, torch.get_rng_state()):
            return [f"it draws random numbers in training besides those of torch's dropout layers: {DEPENDENCE}"]
        if batch_norm_layers(network):
            return []
        alone = torch.cat([_logits(config, network, images[n : n + 1], seeds=[n]) for n in range(2)])
    if _are_close(alone, together):
        return []
    if resources.workers > 1 or resources.accumulate > 1:
        raise _broken(
            config, "gives an image other logits alone than in a batch of two in training; images must not mix if "
            "batches are divided: set resources.workers and accumulate to 1"
        )  # fmt: skip
    return ["images of a batch mix in training, so that it cannot be trained with several workers."]


def _are_close(alone: torch.Tensor, together: torch.Tensor) -> bool:
    return ((alone - together).abs().max() / together.abs().max().clamp(min=1e-6)).item() <= TOLERANCE


def _check_training(config: Own, network: nn.Module, images: torch.Tensor, classes: int) -> None:
    logits = _logits(config, network, images)
    outputs: tuple[torch.Tensor, ...] = (logits,)
    if isinstance(config, BackboneConfig) and isinstance(logits, tuple):  # those of a head with several branches
        outputs, logits = logits, logits[0]
    if not isinstance(logits, torch.Tensor) or logits.shape != (len(images), classes):
        given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise _broken(config, f"gives {given} for {len(images)} images; it must give logits ({len(images)}, {classes})")
    if not logits.is_floating_point():
        raise _broken(config, f"gives logits of type {logits.dtype}; they must be floating point")
    if not logits.isfinite().all():
        raise _broken(config, "gives logits that are not finite for two images of noise")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise _broken(config, "has no parameter that requires a gradient; there is nothing to train")
    labels = torch.arange(len(images)) % classes
    loss = torch.stack([nn.functional.cross_entropy(one.float(), labels) for one in outputs]).mean()
    if not loss.requires_grad:
        raise _broken(config, "gives logits that no parameter has a gradient for; do not detach them")
    with user_errors(f"{_name(config)} fails in the backward pass", _code(config).file):
        loss.backward()
    trained = [(name, one.grad) for name, one in network.named_parameters() if one.requires_grad]
    if unused := [name for name, gradient in trained if gradient is None]:
        raise _broken(
            config, f"has parameters that get no gradient: {_listed(unused)}; use them, or set requires_grad to False"
        )  # fmt: skip
    if wrong := [name for name, gradient in trained if gradient is not None and not gradient.isfinite().all()]:
        raise _broken(config, f"has parameters that get gradients that are not finite: {_listed(wrong)}")
    network.zero_grad(set_to_none=True)
    before = generator_states()
    _logits(config, network, images)
    if others := [name for name, state in generator_states().items() if name != "torch" and state != before[name]]:
        raise _broken(config, f"draws from {' and '.join(others)} in training; draw with torch, which a run seeds")


def _check_evaluation(config: Own, network: nn.Module, images: torch.Tensor) -> None:
    logits = _logits(config, network, images)
    if not torch.equal(logits, _logits(config, network, images)):
        raise _broken(config, "gives other logits each time in evaluation; draw random numbers in training alone")
    alone = torch.cat([_logits(config, network, image[None]) for image in images])
    if not _are_close(alone, logits):
        raise _broken(config, "gives an image other logits alone than in a batch of two; images must not mix")
    if len(_logits(config, network, images[:0])) != 0:  # a worker's share of the last batch may be empty
        raise _broken(config, "gives logits for no images")


def _logits(config: Own, network: nn.Module, images: torch.Tensor, seeds: Sequence[int] | None = None) -> torch.Tensor:
    """The logits of a copy of the images, which a network may change; in training with the same masks each time."""
    if network.training:
        set_dropout_seeds(network, torch.tensor(range(len(images)) if seeds is None else seeds))
    with user_errors(f"{_name(config)} fails on images {tuple(images.shape)}", _code(config).file):
        return network(images.clone(memory_format=torch.preserve_format))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def _broken(config: Own, problem: str) -> InputError:
    return InputError(f"{_name(config)} {problem}")


def _name(config: Own) -> str:
    """The key in a study and the place of the user's code."""
    return f"model.{'backbone' if isinstance(config, BackboneConfig) else 'code'}: {_code(config).code}"


def _code(config: Own) -> UserCode:
    """The user's code that is tried."""
    code = config.backbone if isinstance(config, BackboneConfig) else config
    assert isinstance(code, UserCode)
    return code
