"""Reading and sharding images: speed against ImageFolder, webdataset and the codec's limit, and peak memory.

python benchmarks/data.py [--images 4000] [--source FOLDER]

Five ways to read an epoch of the same images, on one core each, measured in turns: (a) torchvision's ImageFolder with
a DataLoader, (b) webdataset's pipeline with Pillow, (c) emotune's first epoch, which decodes into the cache, (d)
emotune's later epochs, (e) emotune's epochs without a cache: images are read by index from the shards and decoded each
time. All give batches of 50 float32 images of 3×227×227, cropped, mirrored and normalised. Sharding is compared with
only decoding, resizing and encoding the same images in as many processes.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from emotune.cli.arguments import CommandLine
from emotune.config.labels import MIKELS
from emotune.core.host import available_cpus
from emotune.core.storage import Folder
from emotune.data.build.ingest_image import LIMITS
from emotune.data.build.reader_pool import reader_pool
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.image_io import decode_image, encode_jpeg, shrink
from emotune.data.manifest import read_manifest
from emotune.data.shard_reader import read_samples
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.folder_layout import list_files

BATCH = 50
ROUNDS = 5
SIZE = (500, 375)
"""Width and height of the generated images in pixels: Flickr's medium size, in which FI's images circulate."""


def make_images(folder: Path, count: int) -> None:
    """Writes photograph-like images into class folders: smooth noise at several scales."""
    generator = np.random.default_rng(0)
    for number in range(count):
        image = Image.new("RGB", SIZE)
        for scale in (4, 16, 64):
            noise = Image.fromarray(generator.integers(0, 256, (3 * scale, 4 * scale, 3), np.uint8))
            image = Image.blend(image, noise.resize(SIZE, Image.Resampling.BICUBIC), 0.5 if scale > 4 else 1.0)
        path = folder / MIKELS[number % len(MIKELS)] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, "JPEG", quality=90)


def recode(path: Path) -> int:
    """Size in bytes of an image after decoding, resizing and encoding: the least work of any sharding."""
    return len(encode_jpeg(shrink(decode_image(path.read_bytes(), LIMITS.shorter_side), LIMITS.shorter_side)))


def recode_all(paths: list[Path]) -> int:
    """Total size in bytes of a chunk of recoded images."""
    return sum(map(recode, paths))


def sharding(images: Path, out: Path) -> float:
    """Images per second of sharding, divided by those of decoding, resizing and encoding alone."""
    processes, paths = available_cpus(), list_files(images)
    chunks = [paths[start : start + 64] for start in range(0, len(paths), 64)]
    with reader_pool(processes) as pool:
        list(pool.map(recode_all, chunks[: 2 * processes]))  # each process imports first
        began = time.perf_counter()
        list(pool.map(recode_all, chunks))
        limit = len(paths) / (time.perf_counter() - began)
    began = time.perf_counter()
    write_shards(ClassFolders(images).listing(), Folder(str(out)), workers=processes)
    rate = len(paths) / (time.perf_counter() - began)
    print(f"sharding: {rate:.0f} images/s with {processes} processes; decoding, resizing, encoding alone: {limit:.0f}")
    return rate / limit


def memory(images: Path, scratch: Path) -> None:
    """Prints the peak anonymous memory of sharding and reading, for an eighth of the images and for all."""
    paths = list_files(images)
    few = scratch / "few"
    for path in paths[::8]:
        (few / path.parent.name).mkdir(parents=True, exist_ok=True)
        (few / path.parent.name / path.name).hardlink_to(path)
    for name, folder in (("1×", few), ("8×", images)):
        out = scratch / f"memory-{name}"
        shard = [sys.executable, "-m", "emotune.shard", "folder", str(folder), "--out", str(out)]
        shard += ["--shard-images", "100"]  # a few shards are in memory: equally large for few and for many images
        read = [sys.executable, __file__, "--read", str(out)]
        sizes = [peak_mib(command, scratch / f"cache-{name}") for command in (shard, read)]
        count = len(list_files(folder))
        print(f"memory at {name} ({count} images): sharding {sizes[0]:.0f} MiB, reading two epochs {sizes[1]:.0f} MiB")


def peak_mib(command: list[str], cache: Path) -> float:
    """Peak anonymous memory (pages that belong to no file) of a command and its children, in MiB."""
    peak = 0
    environment = os.environ | {"EMOTUNE_CACHE": str(cache)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            try:
                family = [process.pid, *map(int, tasks.read_text().split())]
                peak = max(peak, sum(anonymous_kib(pid) for pid in family))
            except OSError:
                continue
            time.sleep(0.02)
    assert process.returncode == 0, command
    return peak / 1024


def anonymous_kib(pid: int) -> int:
    """Resident anonymous memory of a process in KiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)


def read_epochs(data: str, epochs: int, *, indexed: bool = False) -> list[float]:
    """Seconds per epoch with emotune, which decodes in the first epoch, or, if ``indexed``, in every epoch."""
    import torch

    from emotune.data.augment import crop_and_normalise, draw_crops
    from emotune.data.read.batches import open_split

    torch.set_num_threads(1)
    seconds, began = [], time.perf_counter()
    split = open_split(resolve_datasets([data])[0], "train", decoded=() if indexed else None)
    for epoch in range(epochs):
        views = draw_crops(len(split), 0, epoch)
        for batch in split.training_batches(BATCH, 0, epoch):
            crop_and_normalise(batch.images, views, batch.indices)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    return seconds


def crops() -> Callable[[Image.Image], Any]:
    """torchvision transforms as users write them; torch is imported late because reader processes import this file."""
    from torchvision import transforms

    from emotune.config.input_spec import InputSpec

    seen = InputSpec()

    return transforms.Compose([
        transforms.CenterCrop(seen.resize), transforms.RandomCrop(seen.side), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(seen.mean, seen.std),
    ])  # fmt: skip


def image_folder(folder: Path) -> float:
    """Seconds of one epoch of (a), ImageFolder."""
    import torch
    from torchvision.datasets import ImageFolder

    loader = torch.utils.data.DataLoader(ImageFolder(str(folder), crops()), BATCH, shuffle=True)
    began = time.perf_counter()
    for _images, _targets in loader:
        pass
    return time.perf_counter() - began


def webdataset_epoch(shards: list[str]) -> float:
    """Seconds of one epoch of (b), webdataset."""
    import webdataset as wds

    transform = crops()

    def image(sample: tuple[bytes, dict]) -> tuple[Any, int]:
        return transform(Image.open(io.BytesIO(sample[0])).convert("RGB")), MIKELS.index(sample[1]["label"])

    began = time.perf_counter()
    pipeline = wds.WebDataset(shards, shardshuffle=100).shuffle(1000).decode().to_tuple("jpg", "json")
    for _images, _targets in pipeline.map(image).batched(BATCH):
        pass
    return time.perf_counter() - began


def extract(data: str, out: Path) -> list[str]:
    """Writes the JPEGs of the train shards into class folders, for (a), and returns the shards' paths, for (b)."""
    folder = Folder(data)
    shards = read_manifest(folder).shards_of("train")
    for shard in shards:
        for sample in read_samples(folder.read(shard.file) or b"", shard.file):
            path = out / sample.label / f"{sample.key}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sample.jpg)
    return [str(Path(data) / shard.file) for shard in shards]


def reading(data: str, scratch: Path) -> dict[str, float]:
    """Seconds of one epoch of (a) to (e): medians over rounds in which they take turns on one core."""
    shards, folder = extract(data, scratch / "extracted"), scratch / "extracted"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ["EMOTUNE_CACHE"] = str(scratch / "warm")
    read_epochs(data, 1)  # imports
    seconds: dict[str, list[float]] = {name: [] for name in "abcde"}
    for number in range(ROUNDS):
        os.environ["EMOTUNE_CACHE"] = str(scratch / f"reading-{number}")
        first, *later = read_epochs(data, 3)
        seconds["e"] += read_epochs(data, 3, indexed=True)[1:]
        shutil.rmtree(scratch / f"reading-{number}")
        seconds["c"].append(first)
        seconds["d"] += later
        seconds["a"].append(image_folder(folder))
        seconds["b"].append(webdataset_epoch(shards))
    return {name: median(values) for name, values in seconds.items()}


def main() -> None:
    """Measures, and prints the ratios last."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000, help="number of generated images (default: %(default)s)")
    parser.add_argument("--source", type=Path, help="class folders of images to use instead of generated ones")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.read:
        read_epochs(options.read, 2)
        return
    with tempfile.TemporaryDirectory(prefix="emotune-data-") as name:
        scratch = Path(name)
        images = options.source or scratch / "images"
        if not options.source:
            make_images(images, options.images)
        share = sharding(images, scratch / "shards")
        memory(images, scratch)
        epoch_s = reading(str(scratch / "shards"), scratch)
        count = sum(shard.samples for shard in read_manifest(Folder(str(scratch / "shards"))).shards_of("train"))
    ways = ("ImageFolder", "webdataset", "emotune, first", "emotune, later", "emotune, indexed")
    for letter, way in zip("abcde", ways, strict=True):
        print(f"({letter}) {way:16} {count / epoch_s[letter]:8.0f} images/s on one core")
    print(f"later_epochs_vs_webdataset = {epoch_s['b'] / epoch_s['d']:.2f}")
    print(f"first_epoch_vs_webdataset = {epoch_s['b'] / epoch_s['c']:.2f}")
    print(f"indexed_vs_webdataset = {epoch_s['b'] / epoch_s['e']:.2f}")
    print(f"sharding_share_of_limit = {share:.2f}")


if __name__ == "__main__":
    main()
