"""`manifest.json`: what a folder of shards holds. Read by plans and reports, so nothing heavy is imported here."""

import csv
import hashlib
import io
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.types import ClassName, Digest, SingleLine, escape_control_characters
from emotune.core.errors import InputError
from emotune.core.storage import Folder

__all__ = ["FORMAT", "HEALTH", "MANIFEST", "MAX_NAME_LENGTH", "SPLITS", "ExcludedImage", "Manifest", "Problem", "Shard",
           "content_line", "count_excluded", "digest", "hash_with_split", "health_csv", "read_manifest",
           "write_manifest"]  # fmt: skip

MANIFEST = "manifest.json"
HEALTH = "health.csv"
SPLITS = ("train", "val", "test")
FORMAT = 2
MAX_NAME_LENGTH = 80
"""Characters of a data set's name, which is a part of folders' names; those may have 255."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a spreadsheet takes a cell for a formula."""


# A manifest may come from anybody, and what it says becomes file names, pages and tables.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=MAX_NAME_LENGTH)]
ShardFile = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.tar$", max_length=100)]
Amount = Annotated[int, Field(ge=0)]


class Problem(StrEnum):
    """Why an image does not become a sample."""

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
    """One WebDataset tar. All its samples belong to one split."""

    file: ShardFile
    split: Literal["train", "val", "test"]
    samples: Annotated[int, Field(ge=1)]
    bytes: Amount
    sha256: Digest


@dataclass(frozen=True)
class ExcludedImage:
    """An image with a problem: a row of ``health.csv``. ``kept`` ones are in the shards all the same, as asked."""

    source: str
    label: str
    problem: Problem
    detail: str
    kept: bool = False


@dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds.

    ``content_hash`` covers every sample's key, label, votes, split and bytes, but not how samples were cut into shards.
    ``counts`` are by split, then by class; ``noisy`` are those among them whose label less than a majority of votes
    supports (`emotune.data.annotations.agreement_of`). ``health`` counts, by problem and class, the images that were
    left out; ``health.csv``, whose hash is ``health_sha256``, names each. ``recipe`` is a digest of what the shards
    were made from, and how. ``allow_thumbnails``: images may be reprinted in reports, as whoever made the shards has
    said.
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

    @model_validator(mode="after")
    def _is_coherent(self) -> "Manifest":
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: one stands twice")
        if len({shard.file for shard in self.shards}) < len(self.shards):
            raise ValueError("shards: one stands twice")
        for name, counts in (("counts", self.counts), ("noisy", self.noisy)):
            if set(counts) != set(SPLITS) or any(set(counts[split]) != set(self.classes) for split in SPLITS):
                raise ValueError(f"{name}: not a number for each split and class")
        if any(n > self.counts[split][label] for split, by in self.noisy.items() for label, n in by.items()):
            raise ValueError("noisy: more than there are")
        return self

    def shards_of(self, split: str) -> list[Shard]:
        """The shards of one split."""
        return [shard for shard in self.shards if shard.split == split]

    def count(self, split: str, label: str, part: str = "all") -> int:
        """How many images of a class a split has, in all or in one part (``well`` or ``noisy``)."""
        everything, noisy = self.counts[split][label], self.noisy[split][label]
        return {"all": everything, "noisy": noisy, "well": everything - noisy}[part]

    @property
    def may_show_images(self) -> bool:
        """Whether a report may show images: drawn ones, and those of which it was said."""
        return self.synthetic or self.allow_thumbnails

    @property
    def left_out(self) -> dict[str, int]:
        """How many images were left out, by problem, the most frequent first."""
        totals = {problem: sum(by_class.values()) for problem, by_class in self.health.items()}
        return dict(sorted(totals.items(), key=lambda item: -item[1]))


def read_manifest(folder: Folder) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        InputError: there is none, or it is not one.
    """
    value = folder.read_json(MANIFEST)
    if value is None:
        raise InputError(
            f"{folder}: no {MANIFEST} here; make shards with "
            f"`python -m emotune.shard folder IMAGES --out {shlex.quote(str(folder))}`"
        )
    where = folder / MANIFEST
    if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
        raise InputError(f"{where}: format {value['format']}, this emotune reads {FORMAT}; make the shards again")
    written = value.pop("sha256", None) if isinstance(value, dict) else None
    try:
        manifest = TypeAdapter(Manifest).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        said = problem["msg"].removeprefix("Value error, ")
        what = ": ".join(filter(None, [escape_control_characters(".".join(map(str, problem["loc"]))), said]))
        raise InputError(f"{where}: {what}; make the shards again") from None
    if written != _digest(value):
        raise InputError(f"{where}: not as it was written (its own hash does not fit); make the shards again")
    return manifest


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Writes the manifest: the last file of a folder of shards, which makes it whole."""
    value: dict[str, Any] = asdict(manifest)
    folder.write_json(MANIFEST, value | {"sha256": _digest(value)})


def digest(lines: Iterable[str]) -> str:
    """The SHA-256 of lines of text."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def count_excluded(problems: Sequence[ExcludedImage]) -> dict[str, dict[str, int]]:
    """How many images were left out, by problem and class."""
    health: dict[str, dict[str, int]] = {}
    for row in problems:
        if not row.kept:
            by_class = health.setdefault(row.problem.value, {})
            label = escape_control_characters(row.label)
            by_class[label] = by_class.get(label, 0) + 1
    return health


def health_csv(problems: Sequence[ExcludedImage]) -> bytes:
    """The file ``health.csv``: for people, so what a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["source", "label", "problem", "detail", "left_out"])
    for row in problems:
        cells = (row.source, row.label, row.problem, row.detail, "no" if row.kept else "yes")
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells])
    return text.getvalue().encode(errors="backslashreplace")  # names of files need not be Unicode


def content_line(key: str, label: str, votes: dict[str, float], split: str, sha256: str) -> str:
    """What a sample adds to the content hash of a data set, which is the digest of all these lines, sorted."""
    return f"{key} {label} {json.dumps(votes, sort_keys=True)} {split} {sha256}"


def hash_with_split(content_hash: str, shares: tuple[float, float, float]) -> str:
    """The content hash of images that are known beforehand, together with how they are split."""
    return digest([content_hash, "/".join(f"{share:g}" for share in shares)])


def _digest(value: dict[str, Any]) -> str:
    """Of a manifest's content, so that a flipped byte in it shows."""
    return digest([json.dumps(value, sort_keys=True)])
