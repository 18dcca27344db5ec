"""`manifest.json`, which describes a folder of shards, and `health.csv`, which lists the excluded images.

Plans and reports read manifests, so this module imports nothing heavy.
"""

import csv
import hashlib
import io
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, field
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.target import Dimension, Target, dimension_problems
from emotune.config.types import ClassName, Digest, SingleLine, escape_control_characters
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.core.typed_command import typed_command

__all__ = ["FORMAT", "HEALTH", "MANIFEST", "MAX_NAME_LENGTH", "SPLITS", "ExcludedImage", "Manifest", "Problem",
           "Rating", "Shard", "content_digest", "content_line", "count_excluded", "digest", "hash_with_split",
           "health_csv", "read_manifest", "write_manifest"]  # fmt: skip

MANIFEST = "manifest.json"
HEALTH = "health.csv"
SPLITS = ("train", "val", "test")
FORMAT = 2
MAX_NAME_LENGTH = 80
"""Maximum number of characters of a data set's name, which is a part of folder names; those may have 255."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Characters that make a spreadsheet take a cell for a formula."""


# A manifest may come from anybody, and its values become file names, pages and tables: they are held against patterns.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=MAX_NAME_LENGTH)]
ShardFile = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.tar$", max_length=100)]
Amount = Annotated[int, Field(ge=0)]
Rating = tuple[float, float | None]
"""The mean of the annotators' ratings of an image in one dimension, and their standard deviation, None if unknown."""


class Problem(StrEnum):
    """The reasons why an image does not become a sample."""

    LOST = "not downloaded"
    UNREADABLE = "unreadable file"
    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    BOMB = "decompression bomb"
    TINY = "tiny"
    ASPECT = "extreme aspect ratio"
    ANIMATED = "animated"
    PAGES = "several pages"
    BLANK = "without content"
    PLACEHOLDER = "identical placeholder"
    AMBIGUOUS = "in several classes"
    EXACT = "exact duplicate"
    NEAR = "near-duplicate"
    VOTES = "no majority"


@dataclass(frozen=True)
class Shard:
    """One WebDataset tar file; all its samples belong to one split."""

    file: ShardFile
    split: Literal["train", "val", "test"]
    samples: Annotated[int, Field(ge=1)]
    bytes: Amount
    sha256: Digest


@dataclass(frozen=True)
class ExcludedImage:
    """An image with a problem: a row of ``health.csv``.

    Attributes:
        source: The image's path within the data set, or its link.
        label: The image's class; empty if it has none.
        problem: The kind of problem.
        detail: The problem in words.
        kept: Whether the image is in the shards in spite of the problem, because the user asked for that.
    """

    source: str
    label: str
    problem: Problem
    detail: str
    kept: bool = False


@dataclass(frozen=True)
class Manifest:
    """The description of a folder of shards.

    Attributes:
        name: The data set's name.
        classes: The K classes, in the order of the network's outputs.
        counts: Numbers of images by split, then by class.
        noisy: Numbers of those images whose label does not have more than half of the votes, by split and class
            (`emotune.data.annotations.agreement_of`).
        shards: The shard files.
        content_hash: A hash of every sample's key, label, votes, ratings, split and bytes; it does not depend on how
            samples are distributed over shards.
        health: Numbers of excluded images by problem, then by class.
        health_sha256: The hash of ``health.csv``, which lists the excluded images.
        source: The images' origin.
        licence: The images' licence.
        recipe: A digest of the inputs and options from which the shards were made.
        synthetic: Whether the images are drawn by a program.
        allow_thumbnails: Whether the maker of the shards permits reports to show images.
        format: The version of the manifest's format.
        target: What the images are labelled with. For *distributions*, an image whose votes tie has the first of the
            leading classes as its label. For *dimensions*, the classes are quarters of the first dimension, which
            are in every split as far as possible.
        dimensions: The D rated dimensions with their scales; empty for other targets.
        frames: The number of frames of each sample, which are squares below each other in its JPEG; 1 for images.
        rating_errors: The mean over the source's images of the squared standard error of the mean rating, on the
            dimension's own scale, of the dimensions whose raters' number and standard deviation are known.
    """

    name: Name
    classes: Annotated[tuple[ClassName, ...], Field(min_length=1)]
    counts: Mapping[str, Mapping[str, Amount]]
    noisy: Mapping[str, Mapping[str, Amount]]
    shards: tuple[Shard, ...]
    content_hash: Digest
    health: Mapping[SingleLine, Mapping[SingleLine, Amount]]
    health_sha256: Digest
    source: SingleLine
    licence: SingleLine
    recipe: Digest
    synthetic: bool = False
    allow_thumbnails: bool = False
    format: int = FORMAT
    target: Target = "classes"
    dimensions: tuple[Dimension, ...] = ()
    frames: Annotated[int, Field(ge=1)] = 1
    rating_errors: Mapping[SingleLine, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = field(default_factory=dict)

    @model_validator(mode="after")
    def _is_coherent(self) -> "Manifest":
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: one is listed twice")
        if len({shard.file for shard in self.shards}) < len(self.shards):
            raise ValueError("shards: one is listed twice")
        for name, counts in (("counts", self.counts), ("noisy", self.noisy)):
            if set(counts) != set(SPLITS) or any(set(counts[split]) != set(self.classes) for split in SPLITS):
                raise ValueError(f"{name}: needs a number for each split and class")
        if any(n > self.counts[split][label] for split, by in self.noisy.items() for label, n in by.items()):
            raise ValueError("noisy: more images than in counts")
        if problems := dimension_problems(self.target, self.dimensions):
            raise ValueError(problems[0])
        return self

    def shards_of(self, split: str) -> list[Shard]:
        """The shards of one split."""
        return [shard for shard in self.shards if shard.split == split]

    def count(self, split: str, label: str, part: str = "all") -> int:
        """The number of images of a class in a split, or in one part of it (``well`` or ``noisy``)."""
        total, noisy = self.counts[split][label], self.noisy[split][label]
        return {"all": total, "noisy": noisy, "well": total - noisy}[part]

    @property
    def may_show_images(self) -> bool:
        """Whether reports may show images: synthetic ones, and those whose thumbnails are allowed."""
        return self.synthetic or self.allow_thumbnails

    @property
    def left_out(self) -> dict[str, int]:
        """Numbers of excluded images by problem, the most frequent problem first."""
        totals = {problem: sum(by_class.values()) for problem, by_class in self.health.items()}
        return dict(sorted(totals.items(), key=lambda item: -item[1]))


def read_manifest(folder: Folder) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        InputError: there is no manifest, or it cannot be used.
    """
    value = folder.read_json(MANIFEST)
    if value is None:
        raise InputError(
            f"{folder}: no {MANIFEST} here; make shards with "
            f"`{typed_command('shard')} folder IMAGES --out {shlex.quote(str(folder))}`"
        )
    path = folder / MANIFEST
    if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
        raise InputError(f"{path}: format {value['format']}, but this version reads {FORMAT}; make the shards again")
    recorded_digest = value.pop("sha256", None) if isinstance(value, dict) else None
    try:
        manifest = TypeAdapter(Manifest).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        key = escape_control_characters(".".join(map(str, problem["loc"])))
        message = problem["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {': '.join(filter(None, [key, message]))}; make the shards again") from None
    if recorded_digest != _manifest_digest(value):
        raise InputError(f"{path}: changed since it was written (its sha256 does not match); make the shards again")
    return manifest


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Writes the manifest, which is the last file to be written: a folder of shards with a manifest is complete."""
    value: dict[str, Any] = asdict(manifest)
    if manifest.target == "classes":  # as before there were other targets
        del value["target"], value["dimensions"]
    if manifest.frames == 1:
        del value["frames"]
    if not manifest.rating_errors:
        del value["rating_errors"]
    folder.write_json(MANIFEST, value | {"sha256": _manifest_digest(value)})


def digest(lines: Iterable[str]) -> str:
    """The SHA-256 of lines of text."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def count_excluded(problems: Sequence[ExcludedImage]) -> dict[str, dict[str, int]]:
    """Numbers of excluded images by problem and class; kept images are not counted."""
    health: dict[str, dict[str, int]] = {}
    for row in problems:
        if not row.kept:
            by_class = health.setdefault(row.problem.value, {})
            label = escape_control_characters(row.label)
            by_class[label] = by_class.get(label, 0) + 1
    return health


def health_csv(problems: Sequence[ExcludedImage]) -> bytes:
    """The content of ``health.csv``.

    People open it in spreadsheets, so cells that would be taken for formulas begin with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["source", "label", "problem", "detail", "left_out"])
    for row in problems:
        cells = (row.source, row.label, row.problem, row.detail, "no" if row.kept else "yes")
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell for cell in cells])
    return text.getvalue().encode(errors="backslashreplace")  # file names need not be Unicode


def content_line(
    key: str,
    label: str,
    votes: dict[str, float],
    split: str,
    sha256: str,
    ratings: Mapping[str, Rating] = MappingProxyType({}),
) -> str:
    """A sample's line in the text whose digest is the data set's content hash, see `content_digest`."""
    rated = f" {json.dumps(ratings, sort_keys=True)}" if ratings else ""
    return f"{key} {label} {json.dumps(votes, sort_keys=True)} {split} {sha256}{rated}"


def content_digest(lines: Iterable[str], dimensions: Sequence[Dimension]) -> str:
    """The content hash of a data set from its samples' lines, in any order, and the scales of its dimensions."""
    scales = [json.dumps([asdict(one) for one in dimensions], sort_keys=True)] if dimensions else []
    return digest([*sorted(lines), *scales])


def hash_with_split(content_hash: str, shares: tuple[float, float, float]) -> str:
    """The content hash of a data set, from the hash of its images without their split and the shares of the splits."""
    return digest([content_hash, "/".join(f"{share:g}" for share in shares)])


def _manifest_digest(value: dict[str, Any]) -> str:
    """A digest of the manifest's content, which reveals any changed value."""
    return digest([json.dumps(value, sort_keys=True)])
