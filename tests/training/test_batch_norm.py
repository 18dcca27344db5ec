"""Batch normalisation over all ranks is that of one rank which computes the whole batch."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from ranks import start_ranks
from running import ALONE, changed, first, start, trained
from torch import nn
from torch.nn.modules._functions import SyncBatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.models.adapt import adapt_network
from emotune.models.build import MODELS
from emotune.runs.directory import PREDICTIONS, RunDirectory
from emotune.training.batch_norm import batch_norm_layers, require_whole_batches
from emotune.training.distributed import World, connect, open_rendezvous
from emotune.training.evaluate import evaluate
from emotune.training.loop import InterruptedRunError, train
from emotune.training.step import take_step


class Activated(nn.BatchNorm2d):
    """A subclass that does more, as timm's do."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).tanh()


def image_network(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 2), *layers, *pooled(nn.AdaptiveAvgPool2d(1)))


def pooled(pool: nn.Module) -> tuple[nn.Module, ...]:
    return pool, nn.Flatten(), nn.Linear(5, 3)


IMAGES, VECTORS = (7, 3, 4, 4), (7, 3)
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    # The layers, the shape of a global batch, and how many of its images rank 0 has.
    "two layers": (lambda: image_network(nn.BatchNorm2d(5), nn.Tanh(), nn.BatchNorm2d(5)), IMAGES, 3),
    "one image": (lambda: image_network(nn.BatchNorm2d(5)), IMAGES, 1),
    "no image": (lambda: image_network(nn.BatchNorm2d(5)), IMAGES, 7),
    "first": (lambda: nn.Sequential(nn.BatchNorm2d(3), *image_network()), IMAGES, 4),
    "cumulative": (lambda: image_network(nn.BatchNorm2d(5, momentum=None)), IMAGES, 4),
    "momentum": (lambda: image_network(nn.BatchNorm2d(5, momentum=0.4, eps=0.1)), IMAGES, 4),
    "not affine": (lambda: image_network(nn.BatchNorm2d(5, affine=False)), IMAGES, 4),
    "without bias": (lambda: image_network(nn.BatchNorm2d(5, bias=False)), IMAGES, 4),
    "untracked": (lambda: image_network(nn.BatchNorm2d(5, track_running_stats=False)), IMAGES, 4),
    "subclass": (lambda: image_network(Activated(5)), IMAGES, 4),
    "frozen": (lambda: image_network(nn.BatchNorm2d(5).requires_grad_(False), nn.BatchNorm2d(5)), IMAGES, 4),
    "vectors, one": (lambda: nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)), VECTORS, 1),
    "sequences": (lambda: nn.Sequential(nn.Conv1d(3, 5, 2), nn.BatchNorm1d(5), *pooled(nn.AdaptiveAvgPool1d(1))),
                  (7, 3, 4), 2),
    "volumes": (lambda: nn.Sequential(nn.Conv3d(3, 5, 1), nn.BatchNorm3d(5), *pooled(nn.AdaptiveAvgPool3d(1))),
                (7, 3, 2, 2, 2), 2),
}  # fmt: skip


def layer_steps(name: str, world: World, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Outputs, gradients and states of three steps."""
    make, shape, first_share = CASES[name]
    generator = torch.Generator().manual_seed(0)
    batches = [2 + 3 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)]
    torch.manual_seed(0)
    network = make().to(dtype)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.7), use_buffers=True)
    model, keys = world.wrap(network), list(network.state_dict())
    share = slice(None) if world.size == 1 else (slice(first_share), slice(first_share, None))[world.rank]
    measured: dict[str, torch.Tensor] = {}
    for step, batch in enumerate(batches):
        network.train()
        for layer in network if name == "frozen" else ():
            if not any(parameter.requires_grad for parameter in layer.parameters()):
                layer.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
            loss = F.cross_entropy(model(batch[share].to(dtype)), torch.arange(7)[share] % 3, reduction="sum") / 7
        (loss * world.size).backward()
        measured[f"loss {step}"] = world.sum(loss.detach().double())
        for path, parameter in network.named_parameters():
            if parameter.grad is not None:
                measured[f"gradient {path} {step}"] = parameter.grad.clone()
                parameter.data.add_(parameter.grad, alpha=-0.1)
                parameter.grad = None
        average.update_parameters(network)
    measured |= {f"state {path}": tensor.clone() for path, tensor in network.state_dict().items()}
    measured |= {f"average {path}": tensor.clone() for path, tensor in average.module.state_dict().items()}
    measured["evaluated"] = network.eval()(batches[0].to(dtype)).detach()
    assert list(network.state_dict()) == keys
    return measured


class Modern(nn.Module):
    """A small network with batch normalisation and dropout of channels, units and, if asked for, whole layers."""

    def __init__(self, classes: int, skipping: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, stride=8), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2))
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, classes))
        self.skipping = skipping
        adapt_network(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        y = self.block(x)
        if self.skipping and self.training:  # per image (Huang et al. 2016), and torch's dropout as a function
            y = F.dropout(y, 0.2) * (torch.rand(len(y), 1, 1, 1, device=y.device) < 0.8) / 0.8
        return self.head((x + y).mean((2, 3)))


def modern_run(run: RunConfig, skipping: bool) -> RunConfig:
    """A run of this network, in the place of another: 10 steps."""
    MODELS["alexnet"] = partial(_modern, skipping=skipping)  # type: ignore[index]
    return changed(run, batch_size=15, label_smoothing=0.1 * skipping, clip_norm=1.0, ema_decay=0.8)


def _modern(classes: int, config: Any, *, skipping: bool) -> nn.Module:
    return Modern(classes, skipping)


def states(run: RunConfig, world: World) -> dict[str, torch.Tensor]:
    """The states of the network and of its average after an epoch."""
    begun = start(run, world)
    for batch in begun.batches:
        take_step(begun.state, batch, begun.randomness, 0.01)
    average = begun.state.result.state_dict()
    return begun.state.network.state_dict() | {f"average {path}": tensor for path, tensor in average.items()}


def interrupted(run: RunConfig, pool: str, world: World) -> None:
    """A run that is stopped after three steps, and continued."""
    asked = iter([False, False, True])
    with pytest.raises(InterruptedRunError):
        train(run, RunDirectory(pool, run), world, stop=lambda: next(asked))
    train(run, RunDirectory(pool, run), world)


def _rank(rank: int, port: int, run_json: dict[str, Any], out: str) -> None:
    torch.set_num_threads(1)
    run = RunConfig.from_json(run_json)
    measured: dict[str, Any] = {}
    with connect(rank, 2, gpu=False, store=open_rendezvous("127.0.0.1", port)) as world:
        for name in CASES:
            measured[name] = layer_steps(name, world)
        measured["bf16"] = layer_steps("two layers", world, torch.float32)
        with pytest.raises(ValueError, match="more than one value"):
            world.wrap(nn.BatchNorm1d(3))(torch.ones(1 - rank, 3))
        for skipping in (False, True):
            modern = modern_run(run, skipping)
            measured["states", skipping] = states(modern, world)
            train(modern, RunDirectory(f"{out}/whole", modern), world)
            interrupted(modern, f"{out}/interrupted", world)
    torch.save(measured, f"{out}/{rank}.pt")


@pytest.fixture(scope="module")
def started() -> dict[str, Path]:
    return {}


@pytest.fixture
def out(run: RunConfig, started: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What two ranks measured, which are started once for all tests."""
    before = MODELS["alexnet"]
    if not started:
        started["out"] = tmp_path_factory.mktemp("ranks")
        store = open_rendezvous("127.0.0.1")
        start_ranks(_rank, (store.port, run.to_json(), str(started["out"])), 2)
    yield started["out"]
    MODELS["alexnet"] = before  # type: ignore[index]


def measured(out: Path) -> list[Any]:
    return [torch.load(out / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.parametrize("name", [*CASES, "bf16"])
def test_two_ranks_normalise_as_one(out: Path, name: str):
    rough = name == "bf16"
    alone = layer_steps("two layers", ALONE, torch.float32) if rough else layer_steps(name, ALONE)
    ranks = [rank[name] for rank in measured(out)]
    for key, expected in alone.items():
        for rank in ranks:
            close = {"rtol": 0.05, "atol": 0.05} if rough else {"rtol": 1e-11, "atol": 1e-12}
            torch.testing.assert_close(rank[key], expected, **close, msg=lambda text, key=key: f"{key}: {text}")
        if not key.startswith("loss"):
            assert torch.equal(ranks[0][key], ranks[1][key]), key
    assert ranks[0].keys() == ranks[1].keys() == alone.keys()


def test_frozen_layers_keep_their_statistics_and_others_do_not():
    steps = layer_steps("frozen", ALONE)
    assert torch.equal(steps["state 1.running_mean"], torch.zeros(5, dtype=torch.float64))
    assert steps["state 1.num_batches_tracked"] == 0
    assert steps["state 2.num_batches_tracked"] == 3


def test_two_ranks_train_a_network_that_one_trains(run: RunConfig, out: Path, tmp_path: Path):
    modern = modern_run(run, skipping=False)
    alone = states(modern, ALONE)
    for rank in measured(out):
        for path, expected in alone.items():
            torch.testing.assert_close(rank["states", False][path], expected, rtol=1e-3, atol=1e-5)
    _, expected = trained(modern, tmp_path)
    together = pd.read_parquet(out / "whole" / modern.id / PREDICTIONS)
    columns = [c for c in expected if c.startswith("logit_")]
    np.testing.assert_allclose(together[columns], expected[columns], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("skipping", [False, True])
def test_ranks_agree_and_resume_to_the_same_bits(run: RunConfig, out: Path, skipping: bool):
    one, other = (rank["states", skipping] for rank in measured(out))
    assert all(torch.equal(tensor, other[path]) for path, tensor in one.items())
    modern = modern_run(run, skipping)
    whole, interrupted = (pd.read_parquet(out / pool / modern.id / PREDICTIONS) for pool in ("whole", "interrupted"))
    pd.testing.assert_frame_equal(whole, interrupted, check_exact=True)


def test_what_a_network_draws_from_torchs_generators_is_the_same_after_an_interruption(
    run: RunConfig, out: Path, tmp_path: Path
):
    modern = modern_run(run, skipping=True)
    _, expected = trained(modern, tmp_path / "a")
    interrupted(modern, str(tmp_path / "b"), ALONE)
    resumed = pd.read_parquet(tmp_path / "b" / modern.id / PREDICTIONS)
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)
    _, twin = trained(replace(modern, replicate=1), tmp_path / "c")
    assert not twin.equals(expected)


def test_each_step_and_piece_draws_anew_from_torchs_generators_and_evaluation_draws_nothing(run: RunConfig, out: Path):
    modern = changed(modern_run(run, skipping=True), ema_decay=0.0)
    MODELS["alexnet"] = lambda classes, config: Drawing(classes)  # type: ignore[index]
    drawn = []
    for _ in range(2):
        begun = start(modern, resources=Resources(accumulate=2))
        for batch in begun.batches:
            take_step(begun.state, batch, begun.randomness, 0.01)
        before = torch.get_rng_state()
        evaluate(begun.state.result, first(begun.images, 5), ALONE)
        assert torch.equal(torch.get_rng_state(), before)
        drawn.append(begun.state.network.drawn)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == len(drawn[0]) == 10


class Drawing(nn.Module):
    """A network that notes what it draws."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head, self.drawn = nn.Linear(3, classes), []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.drawn.append(torch.rand(1).item())
        return self.head(images.mean((2, 3)))


def test_batches_in_pieces_are_refused_with_batch_normalisation(run: RunConfig, out: Path):
    modern_run(run, skipping=False)
    with pytest.raises(InputError, match=r"accumulate is 2.* stem\.1, block\.1"):
        start(run, resources=Resources(accumulate=2))
    network = Modern(8)
    require_whole_batches(network, workers=1, accumulate=1, compiled=True)
    with pytest.raises(InputError, match=r"compile: .* stem\.1, block\.1"):
        require_whole_batches(network, workers=2, accumulate=1, compiled=True)
    assert batch_norm_layers(network) == ["stem.1", "block.1"]
    network.eval()
    assert batch_norm_layers(network) == []
    require_whole_batches(network, workers=2, accumulate=2)


def test_torchs_layer_for_gpus_is_refused_with_several_ranks():
    network = nn.Sequential(nn.Conv2d(3, 5, 2), nn.SyncBatchNorm(5))
    require_whole_batches(network, workers=1, accumulate=1)
    with pytest.raises(InputError, match="the layers 1 are"):
        require_whole_batches(network, workers=2, accumulate=1)


def test_running_statistics_of_instance_normalisation_are_for_one_rank():
    network = nn.Sequential(nn.InstanceNorm2d(3), nn.InstanceNorm2d(3, track_running_stats=True))
    require_whole_batches(network, workers=1, accumulate=1)
    for divided in ({"workers": 2, "accumulate": 1}, {"workers": 1, "accumulate": 2}):
        with pytest.raises(InputError, match="the layers 1 keep"):
            require_whole_batches(network, **divided)


def test_torchs_function_for_gpus_takes_what_it_gets():
    """It is undocumented."""
    names = ["input", "weight", "bias", "running_mean", "running_var", "eps", "momentum", "process_group", "world_size"]
    assert list(inspect.signature(SyncBatchNorm.forward).parameters)[1:] == names
