"""Protects existing data from being overwritten: folders of images, and shards of another source."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from emotune.config.types import escape_control_characters
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import MANIFEST, read_manifest
from emotune.data.shard_reader import read_samples
from emotune.data.sources.base import Listing

__all__ = ["require_outside", "require_same_source", "require_shared_images"]


def require_outside(out: Folder, listing: Listing) -> None:
    """Checks that the shards are not written among the folders of images, where they would later count as a class.

    Raises:
        InputError: ``out`` is inside the folder of the images.
    """
    if listing.scanned and out.local and out.local.resolve().is_relative_to(listing.scanned.resolve()):
        elsewhere = listing.scanned.resolve().with_name(f"{listing.scanned.resolve().name}-shards")
        raise InputError(f"{out}: is inside the folder of the images, {listing.scanned}; name an empty or new folder "
                         f"elsewhere, such as {elsewhere}")  # fmt: skip


def require_same_source(out: Folder, listing: Listing) -> None:
    """Checks that existing shards are of the same source and have the same classes as the listing.

    An unreadable manifest protects nothing, because no study can use its shards.

    Raises:
        InputError: the shards are of another source, or have other classes.
    """
    try:
        manifest = out.read_json(MANIFEST)
    except InputError:
        return
    if not isinstance(manifest, dict) or not isinstance(manifest.get("classes"), list) or "source" not in manifest:
        return
    if manifest["source"] != listing.source:
        raise InputError(_refusal(out, manifest, f"not of {listing.source}"))
    if (target := manifest.get("target", "classes")) != listing.target:
        raise InputError(_refusal(out, manifest, f"whose target is {target} and not {listing.target}"))
    if set(manifest["classes"]) != set(listing.classes):
        raise InputError(_refusal(out, manifest, f"not the classes {', '.join(listing.classes)}"))


def require_shared_images(out: Folder, keys: Collection[str]) -> None:
    """Checks that existing shards have at least one image in common with those that would replace them.

    Two folders or two tables may have the same name and the same classes.

    Args:
        out: The folder of the shards.
        keys: The keys of the new samples.

    Raises:
        InputError: the shards have no image in common with the new ones.
    """
    keys, compared = frozenset(keys), 0
    try:
        manifest = read_manifest(out)
    except InputError:
        return
    for shard in manifest.shards:
        try:
            for sample in read_samples(out.read(shard.file) or b"", shard.file):
                if sample.key in keys:
                    return
                compared += 1
        except InputError:  # the shard is damaged or missing
            continue
    if compared:
        raise InputError(_refusal(out, asdict(manifest), "and none of the new images"))


def _refusal(out: Folder, manifest: dict[str, Any], difference: str) -> str:
    """The message that the folder holds other shards.

    Args:
        out: The folder of the shards.
        manifest: The content of its manifest, which has a source and classes, but may otherwise be invalid.
        difference: How they differ from what was to be written.
    """
    counts = manifest["counts"] if isinstance(manifest.get("counts"), dict) else {}
    totals = {split: sum(by_class.values()) for split, by_class in counts.items() if isinstance(by_class, dict)}
    images = ", ".join(f"{split} {total:,}" for split, total in totals.items())
    classes = ", ".join(map(str, manifest["classes"]))
    message = (
        f'{out}: holds the shards of "{manifest.get("name")}" ({manifest["source"]}; {len(manifest["classes"])} '
        f"classes: {classes}; images: {images}), {difference}; name another folder, or give --replace to lose them"
    )
    return escape_control_characters(message)
