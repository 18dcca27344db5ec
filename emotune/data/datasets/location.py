"""Where the shards of a data set are; the embedded data set ``scenes`` is drawn into the cache on first use."""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from emotune.config.run import DatasetRef
from emotune.core.cache_dir import cache_folder
from emotune.core.storage import Folder
from emotune.data.manifest import FORMAT, MANIFEST, Manifest, hash_with_split, read_manifest

__all__ = ["EMBEDDED", "embedded_content_hash", "is_ready", "manifest_of", "materialise", "outputs_of", "shards_folder"]

EMBEDDED = "scenes"
"""The name and the location of the embedded data set: synthetic images, see `emotune.data.sources.synthetic`."""

EMBEDDED_IMAGES = 1600
EMBEDDED_SEED = 0
EMBEDDED_SHARES = (0.5, 0.0625, 0.4375)
"""Shares of train, val and test. Test is large because the set is there to tell variants apart."""


def embedded_content_hash() -> str:
    """The content hash of the embedded data set, known before an image of it is drawn."""
    from emotune.data.sources.scenes import scenes_hash  # importing the generator takes less than a tenth of a second

    return hash_with_split(scenes_hash(EMBEDDED_IMAGES, EMBEDDED_SEED), EMBEDDED_SHARES)


def shards_folder(ref: DatasetRef) -> Folder:
    """The folder of the data set's shards; for the embedded one, the folder in the cache that it is drawn into."""
    if ref.location != EMBEDDED:
        return Folder(ref.location)
    return Folder(str(cache_folder() / f"{EMBEDDED}-{ref.content_hash[:16]}-format{FORMAT}"))


def is_ready(ref: DatasetRef) -> bool:
    """Whether the shards exist; False only for the embedded data set before its first use on this machine."""
    return shards_folder(ref).read(MANIFEST) is not None


def manifest_of(ref: DatasetRef) -> Manifest:
    """The manifest of a data set whose shards exist.

    Raises:
        InputError: there is no manifest, or it cannot be used.
    """
    return read_manifest(shards_folder(ref))


def outputs_of(ref: DatasetRef) -> tuple[str, ...]:
    """The names of what a model on a data set predicts: its classes, or its dimensions if those are the task.

    Raises:
        InputError: there is no manifest, or it cannot be used.
    """
    return tuple(one.name for one in ref.dimensions) or manifest_of(ref).classes


def materialise(ref: DatasetRef, advance: Callable[[int], None] = lambda images: None, workers: int = 1) -> Folder:
    """The folder of the data set's shards, which exist afterwards: the embedded data set is drawn if need be.

    Args:
        ref: The data set.
        advance: A callback for progress, called with the number of images drawn since its last call.
        workers: The number of processes that draw.

    Raises:
        InputError: the cache folder cannot be written.
    """
    folder = shards_folder(ref)
    if ref.location == EMBEDDED and not is_ready(ref):
        from emotune.data.build.shards import write_shards
        from emotune.data.sources.scenes import Scenes

        path = Path(folder.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not is_ready(ref):
                listing = Scenes(EMBEDDED_IMAGES, EMBEDDED_SEED).listing()
                write_shards(listing, folder, shares=EMBEDDED_SHARES, workers=workers, advance=advance)
    return folder
