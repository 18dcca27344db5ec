"""Heads on features that are computed once, against bare PyTorch scripts beside them.

    python benchmarks/features.py [--images 7940] [--repeats 3]

- *extraction*: images per second of EfficientNet-lite0's features on their way from the shards into the cache, over
  those of its forward pass alone, on tensors in memory, in batches of 50.
- *linear run*, *attention run*: seconds of a run of 20 epochs in a process that has trained one before, over those of
  a plain loop over the same arrays in memory: 1,280 pooled values, and maps of 7×7×1280, in float16, of 70 % of the
  images. The loop has the same batches of 50, learning rate schedule and validation after each epoch, and saves its
  weights.
- *hundred runs*: seconds of `python -m emotune.ablate` for 5 variants of the linear head with 20 seeds each, from the
  command to the page, with one worker per core, over those of a hundred such loops, divided by the number of cores.

The runs' maps come from a small backbone, because only their size matters; the images are synthetic. All comparisons
are made in turns, with one thread, and the ratios are those of medians. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import nn

from emotune.cli.arguments import CommandLine
from emotune.config.backbone import BackboneConfig
from emotune.config.input_spec import InputSpec
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.host import available_cpus, tune_malloc
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import Split, open_split
from emotune.data.sources.scenes import Scenes
from emotune.models.backbones.build import library_layout
from emotune.runs.directory import RunDirectory
from emotune.training.distributed import World
from emotune.training.features import FeatureSource
from emotune.training.loop import train
from emotune.training.setup import load_or_init

BACKBONE = "timm:tf_efficientnet_lite0"
SEEN = InputSpec(side=224, resize=256, mean=(0.5,) * 3, std=(0.5,) * 3)
CHANNELS, SIDE, EPOCHS, BATCH, LR = 1280, 7, 20, 50, 0.01
EXTRACTED = 200
"""The number of images in the shard whose features are timed."""
ALONE = World(0, 1, torch.device("cpu"))
TRUNK = f"""
import torch.nn.functional as F
from torch import nn


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, {CHANNELS}, 1)

    def forward(self, x):
        return F.relu(self.layer(F.adaptive_avg_pool2d(x, {SIDE})))
"""
STUDY = """
question: What do many small runs cost?
datasets: [{data}]
model: {{backbone: trunk.py:Trunk, head: mean, tune: head}}
train: {{init: trunk.pth, epochs: {epochs}, batch_size: {batch}, lr: {lr}}}
baseline: v0
variants: {{v0: {{}}, v1: {{train.lr: 0.02}}, v2: {{train.lr: 0.005}}, v3: {{train.weight_decay: 0.0}},
            v4: {{train.label_smoothing: 0.1}}}}
seeds: {seeds}
contrasts: [v1 - v0, v2 - v0, v3 - v0, v4 - v0]
"""


class AttentionHead(nn.Module):
    """The plain script's attention head: (B, C, h, w) → logits (B, K)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.score, self.output = nn.Linear(CHANNELS, 1), nn.Linear(CHANNELS, classes)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        positions = maps.flatten(2).transpose(1, 2)
        weights = self.score(positions).softmax(1)
        return self.output((weights * positions).sum(1))


class LinearHead(nn.Module):
    """The plain script's linear head: (B, C, 1, 1) → logits (B, K)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.output = nn.Linear(CHANNELS, classes)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.output(pooled.flatten(1))


Arrays = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""The features and the classes of each split, in memory."""


def plain_run(head: nn.Module, arrays: Arrays, path: Path) -> float:
    """Seconds of a plain loop over the arrays."""
    began = time.perf_counter()
    features, targets = arrays["train"]
    optimizer = torch.optim.SGD(head.parameters(), lr=LR, momentum=0.9, weight_decay=5e-4)
    steps = -(-len(targets) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    for _ in range(EPOCHS):
        loss_sum, correct = 0.0, 0
        head.train()
        for rows in torch.randperm(len(targets)).split(BATCH):
            logits = head(features[rows].float())
            loss = F.cross_entropy(logits, targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item() * len(rows)
            correct += (logits.argmax(1) == targets[rows]).sum().item()
        plain_accuracy(head, *arrays["val"])
    plain_accuracy(head, *arrays["test"])
    torch.save(head.state_dict(), path)
    return time.perf_counter() - began


@torch.no_grad()
def plain_accuracy(head: nn.Module, features: torch.Tensor, targets: torch.Tensor) -> float:
    """The accuracy on a split, in batches as those of emotune."""
    head.eval()
    parts = zip(features.split(BATCH), targets.split(BATCH), strict=True)
    return sum((head(part.float()).argmax(1) == labels).sum().item() for part, labels in parts) / len(targets)


def head_run(dataset: DatasetRef, model: dict[str, object], seen: InputSpec, folder: Path, seed: int = 0) -> RunConfig:
    """A run of a head on a frozen backbone."""
    config = TypeAdapter(BackboneConfig).validate_python({**model, "tune": "head"}, context={"folder": folder})
    settings = TrainConfig(epochs=EPOCHS, batch_size=BATCH, lr=LR)
    return RunConfig(dataset=dataset, seed=seed, model=config, train=settings, input=seen)


def source_of(run: RunConfig, scratch: Path) -> FeatureSource:
    """The source of the features of a run."""
    state, _ = load_or_init(run, RunDirectory(str(scratch), run), ALONE, Resources(), index_of(run, "train"))
    assert state.backbone is not None
    return FeatureSource(run, state, state.backbone, Resources(), lambda: False, lambda images: None)


def index_of(run: RunConfig, split: str) -> Split:
    """A split whose images are not decoded."""
    return open_split(run.dataset, split, run.input, decoded=(), order="shards")


def extraction_share(folder: Path, repeats: int) -> float:
    """The rate of extraction over that of the forward pass alone."""
    shards = folder / "few"
    write_shards(Scenes(3 * EXTRACTED, seed=1).listing(), Folder(str(shards)), samples_per_shard=EXTRACTED)
    (dataset,) = resolve_datasets([Selection(data=str(shards))])
    library_layout(BACKBONE, SEEN.side)
    run = head_run(dataset, {"backbone": BACKBONE, "head": "attention"}, SEEN, folder)
    source = source_of(run, folder)
    images = torch.rand(BATCH, 3, SEEN.side, SEEN.side).contiguous(memory_format=torch.channels_last)
    count = len(index_of(run, "train"))
    plain, ours = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, count, BATCH):
                source.backbone.backbone(images[: count - start])
        plain.append(count / (time.perf_counter() - began))
        for path in (folder / "cache").glob("**/*-features.npy"):
            path.unlink()
        began = time.perf_counter()
        source.reader("train")
        ours.append(count / (time.perf_counter() - began))
    print(f"extraction: {median(ours):.1f} of {median(plain):.1f} images per second", flush=True)
    return median(ours) / median(plain)


def run_ratio(dataset: DatasetRef, head: str, folder: Path, repeats: int) -> tuple[float, float]:
    """The seconds of a run over those of the plain loop, and the latter."""
    run = head_run(dataset, {"backbone": "trunk.py:Trunk", "head": head}, SEEN, folder)
    source, arrays = source_of(run, folder), {}
    trunk: Any = source.backbone.backbone
    torch.save(trunk.network.state_dict(), folder / "trunk.pth")  # random weights are others for each seed
    for name in ("train", "val", "test"):
        split = index_of(run, name)
        (features,) = source.reader(name).take(np.arange(len(split)))
        arrays[name] = features, torch.from_numpy(split.targets)
    kind = LinearHead if head == "mean" else AttentionHead
    plain, ours = [], []
    for number in range(repeats + 1):  # the first ones are not counted
        plain.append(plain_run(kind(len(split.classes)), arrays, folder / "plain.pt"))
        pool = folder / f"{head}-{number}"
        began = time.perf_counter()
        record = train(run, RunDirectory(str(pool), run), ALONE)
        ours.append(time.perf_counter() - began)
        assert record is not None
        assert record["reading"] == "features"
    plain_s, ours_s = median(plain[1:]), median(ours[1:])
    print(f"{head}: {ours_s:.2f} s ({record['durations_s']}), plain loop {plain_s:.2f} s", flush=True)
    return ours_s / plain_s, plain_s


def hundred_s(shards: Path, folder: Path, seeds: int) -> float:
    """The seconds of a study of the linear head, from the command to the page."""
    text = STUDY.format(data=shards, epochs=EPOCHS, batch=BATCH, lr=LR, seeds=seeds)
    (folder / "many.yaml").write_text(text)
    command = [sys.executable, "-m", "emotune.ablate", "many.yaml", "--runs", str(folder / "many")]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - began


def main() -> None:
    """Draws images, and measures."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=7940, help="images in all (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the many runs (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions of each measurement (default: %(default)s)")
    options = parser.parse_args()
    tune_malloc()  # as a run does
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="emotune-features-") as name:
        folder = Path(name)
        os.environ["EMOTUNE_CACHE"] = str(folder / "cache")
        (folder / "trunk.py").write_text(TRUNK)
        extraction = extraction_share(folder, options.repeats)
        shards = folder / "shards"
        write_shards(Scenes(options.images, seed=2).listing(), Folder(str(shards)), samples_per_shard=1000)
        (dataset,) = resolve_datasets([Selection(data=str(shards))])
        linear, plain_s = run_ratio(dataset, "mean", folder, options.repeats)
        attention, _ = run_ratio(dataset, "attention", folder, options.repeats)
        bare_s = 5 * options.seeds * plain_s / available_cpus()
        many_s = hundred_s(shards, folder, options.seeds)
        print(f"{5 * options.seeds} runs: {many_s:.1f} s, plain loops {bare_s:.1f} s on {available_cpus()} cores")
    print(f"extraction_share = {extraction:.2f}")
    print(f"linear_run_ratio = {linear:.2f}")
    print(f"attention_run_ratio = {attention:.2f}")
    print(f"hundred_runs_ratio = {many_s / bare_s:.2f}")


if __name__ == "__main__":
    main()
