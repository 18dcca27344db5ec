"""Whether shards may be written to a folder: not among images, nor over another source's unless that is asked for."""

from collections.abc import Collection
from typing import Any

from emotune.config.types import escape_control_characters
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import MANIFEST, read_manifest
from emotune.data.shard_reader import read_samples
from emotune.data.sources.base import Listing

__all__ = ["require_outside", "require_same_source", "require_shared_images"]


def require_outside(out: Folder, listing: Listing) -> None:
    """Refuses to write shards among the folders of images, where they would be taken for a class the next time.

    Raises:
        InputError: names another place.
    """
    if listing.scanned and out.local and out.local.resolve().is_relative_to(listing.scanned.resolve()):
        elsewhere = listing.scanned.resolve().with_name(f"{listing.scanned.resolve().name}-shards")
        raise InputError(f"{out}: lies in the folder of the images, {listing.scanned}; name an empty or new folder "
                         f"elsewhere, such as {elsewhere}")  # fmt: skip


def require_same_source(out: Folder, listing: Listing) -> None:
    """Refuses to replace shards whose manifest names another source, or other classes.

    A manifest that cannot be read protects nothing: no study can use such shards.

    Raises:
        InputError: says what is there, and how to replace it.
    """
    try:
        there = out.read_json(MANIFEST)
    except InputError:
        return
    if not isinstance(there, dict) or not isinstance(there.get("classes"), list) or "source" not in there:
        return
    if there["source"] != listing.source:
        raise InputError(_refusal(out, there, f"not of {listing.source}"))
    if set(there["classes"]) != set(listing.classes):
        raise InputError(_refusal(out, there, f"not the classes {', '.join(listing.classes)}"))


def require_shared_images(out: Folder, keys: Collection[str]) -> None:
    """Refuses to replace shards that have not one image in common with those that would replace them.

    Two folders, or two tables, may have the same name and classes.

    Args:
        out: The shards.
        keys: Of the samples that would replace theirs.

    Raises:
        InputError: says what is there, and how to replace it.
    """
    keys, read = frozenset(keys), 0
    try:
        manifest = read_manifest(out)
    except InputError:
        return
    for shard in manifest.shards:
        try:
            for sample in read_samples(out.read(shard.file) or b"", shard.file):
                if sample.key in keys:
                    return
                read += 1
        except InputError:  # damaged, or missing
            continue
    if read:
        raise InputError(_refusal(out, out.read_json(MANIFEST), "and none of the images that are to be stored here"))


def _refusal(out: Folder, there: dict[str, Any], other: str) -> str:
    counts = there["counts"] if isinstance(there.get("counts"), dict) else {}
    sums = {split: sum(by.values()) for split, by in counts.items() if isinstance(by, dict)}
    images = ", ".join(f"{split} {count:,}" for split, count in sums.items())
    said = (
        f'{out}: holds the shards of "{there.get("name")}" ({there["source"]}; {len(there["classes"])} classes: '
        f"{', '.join(map(str, there['classes']))}; images: {images}), {other}; name another folder, or give "
        "--replace to lose them"
    )
    return escape_control_characters(said)
