"""Small data sets beside `small_shards`, to test its runs on: scenes with a polarity, and copies of its images."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from emotune.config.labels import POLARITY, POSITIVE
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.manifest import read_manifest
from emotune.data.shard_reader import Sample, checked_samples
from emotune.data.sources.base import Entry, Listing
from emotune.data.sources.scenes import Scenes

Alter = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Given:
    """A call that gives the bytes of an image, which can be pickled."""

    data: bytes

    def __call__(self) -> bytes:
        return self.data


def samples_of(folder: Path, split: str) -> list[Sample]:
    """The samples of a split in a folder of shards."""
    found = Folder(str(folder))
    return [one for shard in read_manifest(found).shards_of(split) for one in checked_samples(found, shard)]


def altered(sample: Sample, alter: Alter) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(sample.jpg)) as image:
        alter(image.convert("RGB")).save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((200, 180))


def mirrored_and_toned(image: Image.Image) -> Image.Image:
    return ImageOps.mirror(image).point(lambda value: min(255, round(1.1 * value + 4)))


def write_polarity(folder: Path, copies: Mapping[str, bytes] | None = None, scenes: int = 60) -> None:
    """Writes scenes that are positive or negative, and copies of other images by their key, all of them for testing."""
    listing = Scenes(scenes, seed=5).listing()
    entries = [
        Entry(one.source, "positive" if one.label in POSITIVE else "negative", {}, one.image, one.key)
        for one in listing.entries
    ]  # fmt: skip
    entries += [
        Entry(f"copy {key}", POLARITY[number % 2], {}, Given(data), key, split="test")
        for number, (key, data) in enumerate((copies or {}).items())
    ]  # fmt: skip
    write_entries(folder, folder.name, POLARITY, entries)


def write_entries(folder: Path, name: str, classes: Sequence[str], entries: Sequence[Entry]) -> None:
    """Writes shards of 25 samples, whose splits have shares of a quarter, a quarter and a half."""
    listing = Listing(name, tuple(classes), entries, "made by a test", "none", synthetic=True)
    write_shards(listing, Folder(str(folder)), shares=(0.25, 0.25, 0.5), samples_per_shard=25, workers=1)
