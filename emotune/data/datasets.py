"""The data sets that a study names: the embedded one, or folders of shards."""

from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from emotune.config.run import DatasetRef, Selection
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import FORMAT, MANIFEST, SPLITS, Manifest, digest, hash_with_split, read_manifest

__all__ = [
    "SCENES_IMAGES",
    "is_ready",
    "manifest_of",
    "materialise",
    "resolve",
    "shards_folder",
]  # fmt: skip

SCENES_IMAGES = 1600
SCENES_SEED = 0
SCENES_SHARES = (0.5, 0.0625, 0.4375)
"""Of the embedded data set; test is large, because telling variants apart is what it is for."""


def resolve(selections: Sequence[Selection | str]) -> tuple[DatasetRef, ...]:
    """The data sets that a study names: ``scenes``, or folders (or URLs) of shards, or parts of them.

    Reads manifests only; nothing is drawn or decoded.

    Raises:
        InputError: no shards there, a part that lacks a class, or two data sets of one name.
    """
    refs: dict[str, DatasetRef] = {}
    for selection in selections:
        ref = _ref(Selection(data=selection) if isinstance(selection, str) else selection)
        if ref.name in refs:
            raise InputError(f'datasets: two are called "{ref.name}"; give one another name (emotune.shard --name)')
        if twin := next((r for r in refs.values() if r.identity == ref.identity), None):
            raise InputError(f'datasets: "{twin.name}" and "{ref.name}" hold the same images; name one of them')
        same = [r for r in refs.values() if r.content_hash == ref.content_hash]
        if whole := next((r for r in same if "all" in (r.part, ref.part)), None):
            raise InputError(
                f'datasets: "{whole.name}" and "{ref.name}" overlap: one is a part of the other; name one, or the '
                "parts well and noisy"
            )
        refs[ref.name] = ref
    return tuple(refs.values())


def _ref(selection: Selection) -> DatasetRef:
    suffix = "" if selection.part == "all" else f"-{selection.part}"
    if selection.data == "scenes":
        # Draws no image: importing the generator costs less than a tenth of a second.
        from emotune.data.sources.base import scenes_hash

        content_hash = hash_with_split(scenes_hash(SCENES_IMAGES, SCENES_SEED), SCENES_SHARES)
        return DatasetRef(name=f"scenes{suffix}", location="scenes", content_hash=content_hash, part=selection.part)
    location = selection.data if "://" in selection.data else _folder(selection.data)
    manifest = read_manifest(Folder(location))
    for split in SPLITS:
        if lacking := [c for c in manifest.classes if not manifest.count(split, c, selection.part)]:
            raise InputError(
                f'datasets: "{selection.data}": its {selection.part} part has no image in {split} of '
                f"{', '.join(lacking)}; take another part"
            )
    name = f"{manifest.name}{suffix}"
    cut = digest(str(shard.samples) for shard in manifest.of("train"))[:16]
    return DatasetRef(name=name, location=location, content_hash=manifest.content_hash, part=selection.part, cut=cut)


def _folder(name: str) -> str:
    try:
        path = Path(name).expanduser().resolve()
        if name and path.is_dir():
            return str(path)
    except (OSError, ValueError, RuntimeError):  # no path at all, or the home folder of nobody
        pass
    raise InputError(f'datasets: "{name}": neither "scenes" nor a folder or URL of shards')


def shards_folder(ref: DatasetRef) -> Folder:
    """Where the shards are, or, of the embedded set, will be."""
    return Folder(_location(ref))


def is_ready(ref: DatasetRef) -> bool:
    """Whether the shards are there; False only for the embedded set before its first use on this machine."""
    return shards_folder(ref).read(MANIFEST) is not None


def manifest_of(ref: DatasetRef) -> Manifest:
    """The manifest of a data set that is ready.

    Raises:
        InputError: there is none.
    """
    return read_manifest(shards_folder(ref))


def materialise(ref: DatasetRef, advance: Callable[[int], None] = lambda images: None, workers: int = 1) -> Folder:
    """The folder of the data set's shards; draws the embedded one where this machine does not have it yet.

    Raises:
        InputError: the cache folder cannot be written.
    """
    location = shards_folder(ref)
    if ref.location == "scenes" and not is_ready(ref):
        from emotune.data.build.shards import write_shards
        from emotune.data.sources.base import Scenes

        path = Path(location.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not is_ready(ref):
                listing = Scenes(SCENES_IMAGES, SCENES_SEED).listing()
                write_shards(listing, location, shares=SCENES_SHARES, workers=workers, advance=advance)
    return location


def _location(ref: DatasetRef) -> str:
    if ref.location != "scenes":
        return ref.location
    return str(cache_folder() / f"scenes-{ref.content_hash[:16]}-format{FORMAT}")
