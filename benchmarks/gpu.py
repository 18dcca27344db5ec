"""What one GPU makes of emotune, in at most eight minutes; a dry run on a CPU takes about as long.

python benchmarks/gpu.py [--device cuda] [--minutes 8] [--out FILE.json]

Each line is printed as soon as it is measured, and what does not fit into the time is named at the end:

- steps of every network of the thesis and of ResNet-50 and ViT-S, fine-tuned, in bfloat16; of AlexNet in float32 and
  TF32, too. *Resident* are steps on a batch that lies on the device already: a whole epoch, which reads, decodes ahead,
  copies and crops, should be near it;
- the same ResNet-50 in a plain loop of torchvision: ImageFolder, a DataLoader with a worker per CPU, bfloat16;
- ResNet-50 and ViT-S frozen, as a run of which the head alone is trained: features once, then epochs of the head;
- two ranks on the one device by gloo against one rank: the largest difference of their losses;
- the hours of the thesis' networks on all of FI, from the measured epochs.

Without timm, ViT-S is left out.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pandas as pd
import torch
import torch.distributed as dist
from data import extract, make_images
from torch import multiprocessing as mp
from train import MODELS, Ours, ours

from emotune.cli.arguments import CommandLine
from emotune.config.backbone import BackboneConfig
from emotune.config.model import AlexNetConfig, MldrV2Config, ModelConfig
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.host import available_cpus, tune_malloc
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.counts import images_in
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.sources.class_folders import ClassFolders
from emotune.models.backbones.catalogue import resolve_inputs
from emotune.runs.record import METRICS
from emotune.runs.store import open_store
from emotune.training.distributed import World, open_rendezvous
from emotune.training.loop import train
from emotune.training.precision import numerics

FI_IMAGES, FI_EPOCHS, FI_SEEDS = 23_308, 50, 5
"""The images of FI, of which three quarters are trained on, and the length of a study of the thesis' networks."""
BACKBONES = {"resnet50": "torchvision:resnet50", "vit-s": "timm:vit_small_patch16_224"}
HEAD_EPOCHS, RANKS = 5, 2
TINY = AlexNetConfig(width=0.25, dropout=0.0)


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        images: The number of generated images.
        batch: The images of a step.
        steps: The number of steps of which the median is taken, after a quarter as many that are not counted.
        wide: Whether networks have their full width.
    """

    images: int
    batch: int
    steps: int
    wide: bool


@dataclass
class Results:
    """The measurements so far, and the time that is left.

    Attributes:
        ends: When no further measurement begins, by `time.monotonic`.
        out: The file that has them all after each of them; None: they are only printed.
        values: The measurements by name.
        left_out: The measurements for which there was no time, or not what they need.
    """

    ends: float
    out: Path | None
    values: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def measure(self, name: str, work: Callable[[], Iterator[tuple[str, float]]]) -> None:
        """Measures and prints, unless the time is over; an error is printed and ends this measurement only."""
        if time.monotonic() > self.ends:
            self.left_out.append(f"{name} (time)")
            return
        try:
            for key, value in work():
                self.values[f"{name} {key}"] = value
                print(f"{name:12} {key:42} {value:12.4g}", flush=True)
        except Exception as error:  # whatever it is, the other measurements are worth having
            self.left_out.append(f"{name} ({type(error).__name__}: {' '.join(str(error).split())[-300:]})")
        if self.out:
            self.out.write_text(json.dumps({"values": self.values, "left_out": self.left_out}, indent=1))


def networks(sizes: Sizes) -> dict[str, ModelConfig]:
    """The networks whose steps are measured."""
    thesis: dict[str, ModelConfig] = MODELS | {"mldr_v2": MldrV2Config()}
    if not sizes.wide:
        thesis = {name: replace(model, width=0.0625) for name, model in MODELS.items()}  # type: ignore[call-arg]
    return thesis | {name: BackboneConfig(backbone=one) for name, one in backbones().items()}


def backbones() -> dict[str, str]:
    """The backbones whose library is installed."""
    return {name: one for name, one in BACKBONES.items() if find_spec(one.split(":")[0])}


def synchronised(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds of a call, with all that it has started on the device."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def steps_of(
    model: ModelConfig, dataset: DatasetRef, sizes: Sizes, device: torch.device, precision: str
) -> Iterator[tuple[str, float]]:
    """The rates of steps and epochs, and the memory, of a network in training."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with numerics(precision, deterministic=False):
        warm = -(-sizes.steps // 4)
        network: Ours = ours(model, dataset, sizes.batch, device, precision)
        first = next(iter(network.batches()))
        resident = replace(first, images=first.images_on(device))
        step_s = median(
            [synchronised(device, partial(network.step_s, resident)) for _ in range(warm + sizes.steps)][warm:]
        )
        yield f"{precision}: img/s, resident", len(first.indices) / step_s
        epoch_s = median(synchronised(device, network.epoch_s) for _ in range(2))
    rate = len(network.images) / epoch_s
    yield f"{precision}: img/s, an epoch", rate
    yield f"{precision}: epoch by resident", rate * step_s / len(first.indices)
    if device.type == "cuda":
        yield f"{precision}: GiB", torch.cuda.max_memory_allocated() / 2**30


def plain_loop(folder: Path, sizes: Sizes, device: torch.device) -> Iterator[tuple[str, float]]:
    """The rate of torchvision's own ResNet-50 in an ordinary loop; its second epoch, with workers that have started."""
    from torchvision import datasets, models, transforms

    seen = transforms.Compose([
        transforms.CenterCrop(256), transforms.RandomCrop(224), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    workers, pinned = available_cpus(), device.type == "cuda"
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(folder, seen), sizes.batch, shuffle=True, num_workers=workers, pin_memory=pinned,
        persistent_workers=True,
    )  # fmt: skip
    network = models.resnet50(num_classes=8).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)

    def epoch() -> None:
        for images, targets in loader:
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16):
                outputs = network(images.to(device, memory_format=torch.channels_last, non_blocking=True))
                loss = torch.nn.functional.cross_entropy(outputs, targets.to(device))
            loss.backward()
            optimizer.step()

    epoch_s = [synchronised(device, epoch) for _ in range(2)][-1]
    yield "bf16: img/s, an epoch", len(loader.dataset) / epoch_s  # type: ignore[arg-type]


def frozen(backbone: str, dataset: DatasetRef, device: torch.device, scratch: Path) -> Iterator[tuple[str, float]]:
    """The rate at which a run computes features, and that of its epochs, in which the head alone is trained."""
    model = BackboneConfig(backbone=backbone, tune="head")
    settings = TrainConfig(batch_size=128, precision="bf16", optimizer="adamw", lr=1e-3, epochs=HEAD_EPOCHS)
    run = RunConfig(
        variant="frozen", dataset=dataset, seed=0, model=model, train=settings,
        input=resolve_inputs({"frozen": (model, settings)})["frozen"],
    )  # fmt: skip
    began = time.perf_counter()
    record = train(run, open_store(scratch / "frozen").directory(run), World(0, 1, device))
    assert record is not None
    images = sum(images_in(dataset, split) for split in ("train", "val"))  # those of test follow after training
    yield "bf16: img/s, features", images / record["durations_s"]["reading"]
    yield "bf16: img/s, epochs of the head", record["images_per_s"]
    yield "seconds of the whole run", time.perf_counter() - began


def rank(number: int, port: int, device: str, run: RunConfig, runs: str) -> None:
    """One of two ranks that train a run on one device."""
    dist.init_process_group("gloo", store=open_rendezvous("127.0.0.1", port), rank=number, world_size=RANKS)
    train(run, open_store(runs).directory(run), World(number, RANKS, torch.device(device)), resources=Resources())
    dist.barrier()
    dist.destroy_process_group()


def two_ranks(dataset: DatasetRef, device: torch.device, scratch: Path) -> Iterator[tuple[str, float]]:
    """The largest relative difference of the training losses of two ranks and of one, in float32 without dropout."""
    run = RunConfig(variant="two", dataset=dataset, seed=0, model=TINY, train=TrainConfig(batch_size=64, epochs=2))
    alone, together = open_store(scratch / "alone"), open_store(scratch / "together")
    train(run, alone.directory(run), World(0, 1, device))
    store = open_rendezvous("127.0.0.1")
    mp.start_processes(rank, (store.port, str(device), run, together.url), RANKS, start_method="spawn")
    one, two = (pd.read_json(Path(runs.url) / run.id / METRICS, lines=True)["train_loss"] for runs in (alone, together))
    yield "largest relative difference of losses", float((one / two - 1).abs().max())


def main() -> None:
    """Generates images and shards, and measures."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=8.0, help="the time after which nothing new begins")
    parser.add_argument("--out", type=Path, help="a file that has all values as JSON, also if the time is cut")
    options = parser.parse_args()
    results = Results(time.monotonic() + 60 * options.minutes, options.out)
    device = torch.device(options.device)
    sizes = Sizes(4000, 128, 20, wide=True) if device.type == "cuda" else Sizes(160, 8, 4, wide=False)
    tune_malloc()
    name = torch.cuda.get_device_name() if device.type == "cuda" else "a dry run, small networks"
    print(f"{name}; torch {torch.__version__}, {available_cpus()} CPUs, batches of {sizes.batch}", flush=True)
    with tempfile.TemporaryDirectory(prefix="emotune-gpu-") as folder:
        scratch = Path(folder)
        os.environ["EMOTUNE_CACHE"] = str(scratch / "cache")
        make_images(scratch / "images", sizes.images)
        write_shards(ClassFolders(scratch / "images").listing(), Folder(str(scratch / "shards")))
        extract(str(scratch / "shards"), scratch / "extracted")
        (dataset,) = resolve_datasets([Selection(data=str(scratch / "shards"))])
        measure_all(results, dataset, sizes, device, scratch)
    for one in results.left_out:
        print(f"left out: {one}")


def measure_all(results: Results, dataset: DatasetRef, sizes: Sizes, device: torch.device, scratch: Path) -> None:
    """Measures everything, first what nobody could know without a GPU."""
    results.measure("two ranks", partial(two_ranks, dataset, device, scratch))
    for name, model in networks(sizes).items():
        results.measure(name, partial(steps_of, model, dataset, sizes, device, "bf16"))
    results.measure("plain loop", partial(plain_loop, scratch / "extracted", sizes, device))
    for name, backbone in backbones().items():
        results.measure(f"{name} frozen", partial(frozen, backbone, dataset, device, scratch))
    for precision in ("float32", "tf32") if device.type == "cuda" else ("float32",):
        results.measure("alexnet", partial(steps_of, networks(sizes)["alexnet"], dataset, sizes, device, precision))
    results.measure("FI", partial(extrapolated, results))


def extrapolated(results: Results) -> Iterator[tuple[str, float]]:
    """The hours that the thesis' networks need for all of FI, in bfloat16."""
    images = 0.75 * FI_IMAGES * FI_EPOCHS * FI_SEEDS
    hours = {
        name: images / rate / 3600 for name in MODELS if (rate := results.values.get(f"{name} bf16: img/s, an epoch"))
    }
    for name, value in hours.items():
        yield f"hours of {FI_SEEDS} runs of {name}, {FI_EPOCHS} epochs", value


if __name__ == "__main__":
    main()
