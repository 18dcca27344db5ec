"""Batch normalisation (Ioffe, Szegedy 2015) over the images of all ranks, as if one rank computed the whole batch.

The layers of a network stay what they are, with their keys in its ``state_dict``; only their call of
`torch.nn.functional.batch_norm` is computed over all ranks. So this holds for subclasses that do more, too, such as
timm's with their activation. On GPUs torch's own function computes it (that of `torch.nn.SyncBatchNorm`); it refuses
CPUs, for which there is one here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.modules._functions import SyncBatchNorm
from torch.overrides import TorchFunctionMode

from emotune.core.errors import InputError

__all__ = ["batch_norm_layers", "normalise_over_ranks", "require_whole_batches"]

BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
INSTANCE_NORM = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def batch_norm_layers(network: nn.Module) -> list[str]:
    """The dotted paths of the layers that normalise with the statistics of a batch.

    Args:
        network: A network in the mode in which it is trained: layers in evaluation mode do not count.
    """
    return [path for path, layer in network.named_modules() if isinstance(layer, BATCH_NORM) and layer.training]


def require_whole_batches(network: nn.Module, *, workers: int, accumulate: int, compiled: bool = False) -> None:
    """Refuses layers whose results would depend on how a batch is divided.

    Args:
        network: A network in the mode in which it is trained.
        workers: The number of ranks.
        accumulate: The number of pieces in which a rank computes its share of a batch.
        compiled: Whether training steps are compiled.

    Raises:
        InputError: the network has batch normalisation, and shares are computed in pieces, or several ranks compile
            their steps, which is not tested; it has instance normalisation with running statistics, which are not
            averaged over pieces and ranks; or it has `torch.nn.SyncBatchNorm`.
    """
    names = batch_norm_layers(network)
    if names and accumulate > 1:
        raise InputError(
            f"resources.accumulate is {accumulate}, but {_listed(names)} normalise with the statistics of a whole "
            "batch, which a piece does not have; set accumulate: 1, and more workers or a smaller train.batch_size to "
            "use less memory"
        )
    if names and workers > 1 and compiled:
        raise InputError(
            f"resources.compile: {_listed(names)} normalise with the statistics of all {workers} workers, which is not "
            "compiled; set compile: false, or workers: 1"
        )
    synchronised = [path for path, layer in network.named_modules() if isinstance(layer, nn.SyncBatchNorm)]
    if synchronised and workers > 1:
        raise InputError(
            f"{_listed(synchronised)} are torch's SyncBatchNorm, which refuses CPUs; write nn.BatchNorm2d, which is "
            "computed over all workers here"
        )
    tracking = [
        path
        for path, layer in network.named_modules()
        if isinstance(layer, INSTANCE_NORM) and layer.training and layer.track_running_stats
    ]
    if tracking and (accumulate > 1 or workers > 1):
        raise InputError(
            f"{_listed(tracking)} keep running statistics of instance normalisation, which depend on how a batch is "
            "divided; set workers: 1 and accumulate: 1, or track_running_stats=False in the network"
        )


def _listed(names: Sequence[str]) -> str:
    """Some layers' paths in a sentence.

    >>> _listed(["a", "b", "c", "d", "e"])
    'the layers a, b, c and 2 more'
    """
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"the layers {shown}"


def normalise_over_ranks(network: nn.Module) -> None:
    """Has the network's batch normalisation use the statistics of all ranks when it is trained, from now on.

    Every rank must then call each layer as often as the others, in training mode; a rank may have no images. Running
    statistics stay the same on all ranks. A layer in evaluation mode does what it always does.
    """
    for layer in network.modules():
        if isinstance(layer, BATCH_NORM):
            _Everywhere().around(layer)


class _Everywhere(TorchFunctionMode):
    """Within a layer's forward pass, computes batch normalisation over all ranks."""

    def __init__(self) -> None:
        super().__init__()
        self._entered = False

    def around(self, layer: nn.Module) -> None:
        """Is entered when the layer is called in training mode, and left after that."""
        layer.register_forward_pre_hook(self._before, prepend=True)
        layer.register_forward_hook(self._after, always_call=True)

    def _before(self, layer: nn.Module, inputs: Any) -> None:
        if layer.training:
            self._entered = True
            self.__enter__()

    def _after(self, layer: nn.Module, inputs: Any, outputs: Any) -> None:
        if self._entered:
            self._entered = False
            self.__exit__(None, None, None)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return (_batch_norm if function is F.batch_norm else function)(*args, **(kwargs or {}))


def _batch_norm(
    x: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    """`torch.nn.functional.batch_norm` with the statistics of all ranks, if it uses those of a batch."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    if x.device.type == "cpu":
        y: Any = _BatchNormOverRanks.apply(x, weight, bias, running_mean, running_var, momentum, eps)
        return y
    # A share without images tells the others statistics of its own type; theirs are float32 for 16-bit images, too.
    values = x if x.numel() else x.float()
    size = dist.get_world_size()
    normalised: Any = SyncBatchNorm.apply(
        values, weight, bias, running_mean, running_var, eps, momentum, dist.group.WORLD, size
    )
    return normalised.to(x.dtype)


class _BatchNormOverRanks(torch.autograd.Function):
    """Batch normalisation of tensors on CPUs, (B, C, …) with B images on this rank, perhaps none."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        running_mean: torch.Tensor | None,
        running_var: torch.Tensor | None,
        momentum: float,
        eps: float,
    ) -> torch.Tensor:
        count, mean, var = _statistics(x)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), momentum)
        mean, var = mean.to(_precise(x)), var.to(_precise(x))
        ctx.count, ctx.eps = count, eps
        ctx.save_for_backward(x, weight, mean, var)
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  # its decorator hides what it takes
        x, weight, mean, var = ctx.saved_tensors
        places, shape = _places(x), (1, -1, *[1] * (x.ndim - 2))
        scale = (var + ctx.eps).rsqrt().view(shape)
        normalised = (x.to(mean.dtype) - mean.view(shape)) * scale
        grad = grad.to(mean.dtype)
        grad_bias, grad_weight = grad.sum(places), (grad * normalised).sum(places)
        grad_x = None
        if ctx.needs_input_grad[0]:
            sums = torch.stack([grad_bias, grad_weight]).double()
            dist.all_reduce(sums)
            of_mean, of_var = (part.to(mean.dtype).view(shape) for part in sums / ctx.count)
            grad_x = grad - of_mean - normalised * of_var
            grad_x = grad_x * (scale if weight is None else scale * weight.view(shape))
        needed = ctx.needs_input_grad  # the gradients of parameters are averaged over ranks as all others are
        return grad_x, grad_weight if needed[1] else None, grad_bias if needed[2] else None, *[None] * 4


def _places(x: torch.Tensor) -> list[int]:
    """All dimensions but that of channels."""
    return [0, *range(2, x.ndim)]


def _precise(x: torch.Tensor) -> torch.dtype:
    """The type of the statistics of a batch of x's type: float32 for those of 16 bits."""
    return torch.promote_types(x.dtype, torch.float32)


def _statistics(x: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The number of values per channel on all ranks, their mean and their variance, float64 (C,).

    Raises:
        ValueError: there is only one value per channel, whose variance says nothing.
    """
    channels = x.shape[1]
    mine = torch.zeros(2 * channels + 1, dtype=torch.float64)  # mean, sum of squared deviations, number
    if x.numel():
        var, mean = torch.var_mean(x.to(_precise(x)), _places(x), correction=0)
        number = x.numel() // channels
        mine = torch.cat([mean.double(), var.double() * number, torch.tensor([number], dtype=torch.float64)])
    all_ranks = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(all_ranks, mine)
    means, squares, numbers = torch.stack(all_ranks).split([channels, channels, 1], 1)
    count = numbers.sum()
    if count == 1:
        raise ValueError(f"batch normalisation in training needs more than one value per channel, of {tuple(x.shape)}")
    mean = (means * numbers).sum(0) / count
    return count.item(), mean, (squares + numbers * (means - mean) ** 2).sum(0) / count
