"""`manifest.json`: what a folder of shards holds. Read by plans and reports, so nothing heavy is imported here."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from emotune.errors import InputError
from emotune.storage import Folder

__all__ = ["MANIFEST", "SPLITS", "LeftOut", "Manifest", "Shard", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"
SPLITS = ("train", "val", "test")
FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """One WebDataset tar. All its samples belong to one split."""

    file: str
    split: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class LeftOut:
    """A file that did not become a sample, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds.

    ``content_hash`` covers every sample's key, label, split and bytes, but not how samples were cut into shards.
    ``counts`` are by split, then by class.
    """

    name: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    shards: tuple[Shard, ...]
    content_hash: str
    left_out: tuple[LeftOut, ...]
    source: str
    licence: str
    synthetic: bool = False
    format: int = FORMAT

    def of(self, split: str) -> list[Shard]:
        """The shards of one split."""
        return [shard for shard in self.shards if shard.split == split]


def read_manifest(folder: Folder) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        InputError: there is none, or it is not one.
    """
    value = folder.read_json(MANIFEST)
    if value is None:
        raise InputError(
            f"{folder}: no {MANIFEST} here; make shards with `python -m emotune.shard folder PICTURES --out {folder}`"
        )
    if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
        found = value["format"]
        raise InputError(f"{folder / MANIFEST}: format {found}, this emotune reads {FORMAT}; make the shards again")
    try:
        return TypeAdapter(Manifest).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise InputError(f"{folder / MANIFEST}: {where}: {problem['msg']}; make the shards again") from None


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Writes the manifest: the last file of a folder of shards, which makes it whole."""
    value: dict[str, Any] = asdict(manifest)
    folder.write_json(MANIFEST, value)
