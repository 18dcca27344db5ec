"""Training steps and epochs, against a straightforward script and against the machine's matrix products.

python benchmarks/train.py [--batch 128] [--device cuda] [--give-back]

Networks of full width, measured in turns so that all meet the same noise; medians. *Plain* is an ordinary PyTorch
script for the same network, in its own process: float32, nn.LocalResponseNorm, nn.Dropout, SGD, ImageFolder and a
DataLoader. *Ours* is a step of a run, including cropping, in bfloat16. *Limit* is three times an image's forward FLOPs
at the rate of a large bfloat16 matrix product. The batch size is KSH12's (section 5).

On CPUs whose matrix products are slower in bfloat16 than in float32, ours and the limit use float32 and smaller
batches, so that the benchmark still takes about five minutes; the output says so.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from data import crops, extract, make_images
from torch import nn

from emotune.cli.arguments import CommandLine
from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, ModelConfig
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.host import available_cpus, tune_malloc
from emotune.core.storage import Folder
from emotune.data.augment import crop_and_normalise
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import Batch, Split, open_split
from emotune.data.sources.class_folders import ClassFolders
from emotune.execution.checks.advice import bf16_factor
from emotune.models.backbones.catalogue import resolve_inputs
from emotune.models.build import build
from emotune.models.cost import cost
from emotune.models.dropout import SampleDropout
from emotune.models.local_response import LocalResponseNorm
from emotune.runs.directory import RunDirectory
from emotune.training.distributed import World
from emotune.training.epoch_randomness import draw_randomness
from emotune.training.precision import numerics
from emotune.training.setup import load_or_init
from emotune.training.step import TrainState, take_step

MODELS: dict[str, ModelConfig] = {
    "alexnet": AlexNetConfig(), "attention": AttentionConfig(), "dual": DualBranchConfig(), "mldr": MldrConfig(),
}  # fmt: skip
COMPARED = ("alexnet", "attention", "dual")
"""Networks that are compared with the plain script; MldrNet is compared with AlexNet only."""
IMAGES, ROUNDS, PLAIN_ROUNDS, LR = 700, 5, 2, 1e-4
BATCH, EXACT_BATCH = 128, 32
LOOP_S = 120.0
"""Seconds after which no further round starts, once there are two."""


@dataclass(frozen=True)
class Ours:
    """A network in training, and the training images."""

    run: RunConfig
    state: TrainState
    images: Split

    def batches(self) -> Iterable[Batch]:
        """The batches of the first epoch."""
        return self.images.training_batches(
            self.run.train.batch_size, self.run.stream("order"), 0, pin=self.state.world.device.type == "cuda"
        )

    def step_s(self, batch: Batch) -> float:
        """Seconds of one step."""
        randomness = draw_randomness(self.run, 0, len(self.images))
        return seconds(lambda: take_step(self.state, batch, randomness, LR))  # which waits for the loss

    def epoch_s(self) -> float:
        """Seconds of the steps of one epoch."""

        def epoch() -> None:
            randomness = draw_randomness(self.run, 0, len(self.images))
            with closing(self.batches()) as batches:
                for batch in batches:
                    take_step(self.state, batch, randomness, LR)

        return seconds(epoch)

    def reading_s(self) -> float:
        """Seconds of only reading and cropping the images of one epoch."""

        def read() -> None:
            views = draw_randomness(self.run, 0, len(self.images)).crops
            with closing(self.batches()) as batches:
                for batch in batches:
                    crop_and_normalise(batch.images_on(self.state.world.device), views, batch.indices)

        return seconds(read)


def ours(model: ModelConfig, dataset: DatasetRef, batch: int, device: torch.device, precision: str) -> Ours:
    """A network ready for its first step."""
    train = TrainConfig(batch_size=batch, precision=precision, lr=LR)
    seen = resolve_inputs({model.name: (model, train)}).get(model.name, InputSpec())
    run = RunConfig(variant=model.name, dataset=dataset, seed=0, model=model, train=train, input=seen)
    images = open_split(dataset, "train")
    with tempfile.TemporaryDirectory() as scratch:
        state, _ = load_or_init(run, RunDirectory(scratch, run), World(0, 1, device), Resources(), images)
    state.network.train()
    return Ours(run, state, images)


def seconds(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def matrix_rate(precision: str) -> float:
    """FLOP/s of the CPUs' matrix products, measured for about as long as a step takes."""
    n, products = 2048, 24 if precision == "bf16" else 8
    a, b = (torch.randn(n, n).to(torch.bfloat16 if precision == "bf16" else torch.float32) for _ in range(2))

    def work() -> None:
        for _ in range(products):
            a @ b

    return products * 2 * n**3 / seconds(work)


def plainly(network: nn.Module) -> nn.Module:
    """The same network with torch's own layers and memory format."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, LocalResponseNorm):
                setattr(module, name, nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
            elif isinstance(child, SampleDropout):
                setattr(module, name, nn.Dropout(child.p))
    return network


def serve_plain(orders: Connection, folder: str, batch: int) -> None:
    """Runs the plain script: receives (network, "step" or "epoch") and sends the seconds, until it receives None."""
    from torchvision.datasets import ImageFolder

    torch.set_num_threads(available_cpus())
    networks: dict[str, nn.Module] = {}
    images, targets = torch.randn(batch, 3, 227, 227), torch.randint(0, 8, (batch,))
    for name, unit in iter(orders.recv, None):
        network = networks.setdefault(name, plainly(build(MODELS[name], 8)).train())
        loader = torch.utils.data.DataLoader(ImageFolder(folder, crops()), batch, shuffle=True)
        if unit == "step":
            plain_steps(network, [(images, targets)])  # warms the CPU's caches
        orders.send(seconds(partial(plain_steps, network, loader if unit == "epoch" else [(images, targets)])))


def plain_steps(network: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Takes one step per batch."""
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=0.9, weight_decay=5e-4)
    for images, targets in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()


def on_cpu(dataset: DatasetRef, folder: Path, batch: int, precision: str) -> None:
    """Measures on CPUs, and prints the ratios last."""
    device, native = torch.device("cpu"), precision == "bf16"
    torch.set_num_threads(available_cpus())
    here, there = get_context("spawn").Pipe()
    plain = get_context("spawn").Process(target=serve_plain, args=(there, str(folder), batch), daemon=True)
    plain.start()

    def plain_s(name: str, unit: str = "step") -> float:
        here.send((name, unit))
        return here.recv()

    networks = {name: ours(model, dataset, batch, device, precision) for name, model in MODELS.items()}
    first = next(iter(networks["alexnet"].batches()))
    size = len(first.indices)
    flops = {name: size * 3 * cost(model, 8).forward_flops for name, model in MODELS.items()}
    rates: list[float] = []
    step_s, share, plain_step_s = ({name: [] for name in networks} for _ in range(3))
    began = time.monotonic()
    for number in range(ROUNDS + 2):
        if number > 1 and time.monotonic() - began > LOOP_S:
            break
        for name, network in networks.items():
            network.step_s(first)  # warms the CPU's caches
            rates.append(matrix_rate(precision))
            step_s[name].append(network.step_s(first))
            share[name].append(flops[name] / rates[-1] / step_s[name][-1])
        for name in COMPARED if number < (PLAIN_ROUNDS if native else 1) else ():
            plain_step_s[name].append(plain_s(name))
    cores = f"{available_cpus()} cores, batches of {size}"
    print(f"{cores}, matrix products {median(rates) / 1e9:.0f} GFLOP/s in {'bfloat16' if native else 'float32'}")
    warm = min(2, len(rates) // len(networks) - 1)
    ours_s, shares = ({name: median(values[warm:]) for name, values in series.items()} for series in (step_s, share))
    ratios = {name: median(plain_step_s[name]) / ours_s[name] for name in COMPARED}
    for name, seconds_of_step in ours_s.items():
        compared = f", {ratios[name]:.1f} × the plain script" if name in ratios else ""
        print(f"{name:10} {size / seconds_of_step:7.1f} img/s a step, {shares[name]:.2f} of the limit{compared}")
    alexnet = networks["alexnet"]
    epoch_s, reading_s = (
        median(work() for _ in range(3 if native else 1)) for work in (alexnet.epoch_s, alexnet.reading_s)
    )
    plain_epoch_s, images = plain_s("alexnet", "epoch"), len(alexnet.images)
    here.send(None)
    if native:
        exact = ours(MODELS["alexnet"], dataset, batch, device, "float32")
        exact_s = median([exact.step_s(first) for _ in range(ROUNDS)][2:])
        faster = exact_s / ours_s["alexnet"]
        print(f"alexnet    {size / exact_s:7.1f} img/s a step in float32: bfloat16 is {faster:.1f} × as fast")
    print(f"alexnet    {images / epoch_s:7.1f} img/s an epoch, {plain_epoch_s / epoch_s:.1f} × the plain script")
    print(f"ratio_vs_plain = {min(ratios.values()):.2f}")
    print(f"share_of_limit = {min(shares[name] for name in COMPARED):.2f}")
    print(f"mldr_cost = {ours_s['mldr'] / ours_s['alexnet']:.2f}")
    print(f"data_wait = {reading_s / epoch_s:.3f}")


def on_gpu(dataset: DatasetRef, device: torch.device) -> None:
    """Prints images per second, the cost of reading and memory of every network at several batch sizes."""
    for name, model in MODELS.items():
        shares: dict[int, str] = {}
        for batch in (128, 256, 512):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            try:
                network = ours(model, dataset, batch, device, "bf16")
                first = next(iter(network.batches()))
                resident = replace(first, images=first.images_on(device))
                step_s = median([network.step_s(resident) for _ in range(ROUNDS + 5)][5:])
                epoch_s = median(network.epoch_s() for _ in range(ROUNDS))
            except torch.OutOfMemoryError:
                break
            rate, resident_rate = len(network.images) / epoch_s, len(first.indices) / step_s
            shares[batch] = (
                f"{name:10} batches of {len(first.indices)}: {rate:.0f} img/s an epoch, {rate / resident_rate:.2f} of "
                f"{resident_rate:.0f} with images on the device, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
            )
        print("\n".join(shares.values()))


def main() -> None:
    """Generates images and shards, and measures."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int,
                        help=f"images per step (default: {BATCH}, or {EXACT_BATCH} in float32)")  # fmt: skip
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--give-back", action="store_true", help="return freed memory to the kernel; runs do not")
    options = parser.parse_args()
    if not options.give_back:
        tune_malloc()  # as a run does
    gpu = options.device == "cuda"
    factor = 0.0 if gpu else bf16_factor(available_cpus())
    precision, batch, divisor = ("bf16", BATCH, 1) if factor <= 1 else ("float32", EXACT_BATCH, 4)
    if precision == "float32":
        print(f"On these CPUs a matrix product in bfloat16 takes {factor:.1f} times as long as in float32: ours and "
              f"the limit are in float32, in batches of {options.batch or batch}.", flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="emotune-train-") as name:
        scratch = Path(name)
        os.environ["EMOTUNE_CACHE"] = str(scratch / "cache")
        make_images(scratch / "images", IMAGES * 10 if gpu else IMAGES // divisor)
        write_shards(ClassFolders(scratch / "images").listing(), Folder(str(scratch / "shards")))
        extract(str(scratch / "shards"), scratch / "extracted")
        (dataset,) = resolve_datasets([Selection(data=str(scratch / "shards"))])
        with numerics(precision, deterministic=False):
            if gpu:
                on_gpu(dataset, torch.device("cuda"))
            else:
                on_cpu(dataset, scratch / "extracted", options.batch or batch, precision)


if __name__ == "__main__":
    main()
