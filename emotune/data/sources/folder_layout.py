"""Read the layout of class folders: one folder per class, with or without published splits above or below them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.core.errors import InputError
from emotune.data.file_type import ARCHIVE_KINDS, IMAGE_KINDS, file_kind_of
from emotune.data.manifest import MANIFEST
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.split import match_split

__all__ = ["ClassFolder", "Layout", "display_path", "list_files", "read_layout", "require_folder", "separate_images"]

IMAGE_SUFFIXES = frozenset(
    f".{suffix}" for suffix in ("jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "webp", "tif", "tiff", "ppm", "pgm",
                                "pnm", "heic", "heif", "avif", "jp2", "j2k", "jxl")
)  # fmt: skip
"""Suffixes of images; a file with such a suffix that is not an image is reported as unreadable."""

SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")
MAX_SHOWN = 5
"""Number of names that a message lists."""


@dataclass(frozen=True)
class ClassFolder:
    """A folder of images.

    Attributes:
        path: The folder.
        label: The class of its images.
        split: The split of its images, or None if the layout has no splits.
    """

    path: Path
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Layout:
    """The layout of a folder of class folders.

    Attributes:
        classes: The classes.
        folders: The folders of images, class by class.
        notes: Notes for the user on how the layout was read.
    """

    classes: tuple[str, ...]
    folders: tuple[ClassFolder, ...]
    notes: tuple[str, ...]


def require_folder(directory: Path, expected: str) -> None:
    """Raises an error unless the path is a folder.

    Args:
        directory: The path.
        expected: The folder to name instead, for the message.

    Raises:
        InputError: the path does not exist or is a file; the message tells what to do, above all with an archive.
    """
    if directory.is_dir():
        return
    if not directory.exists():
        raise InputError(f"{directory}: no such folder; name {expected}")
    try:
        kind = file_kind_of(directory)
    except OSError as error:
        raise InputError(f"{directory}: cannot be read ({error.strerror or error}); name {expected}") from None
    if kind in ARCHIVE_KINDS:
        raise InputError(f"{directory}: not a folder, but an archive ({kind}); unpack it and name the folder")
    raise InputError(f"{directory}: not a folder, but a file; name {expected}")


def read_layout(directory: Path, classes: Sequence[str] | None) -> Layout:
    """The class folders in ``directory``.

    Args:
        directory: The folder that holds class folders or folders of splits.
        classes: The classes of the label space; None to take the names of the folders as classes.

    Raises:
        InputError: there are no folders, or they are neither classes nor splits.
    """
    require_folder(directory, "one with a folder of images per class")
    paths, notes = _visible_folders(directory)
    if not paths:
        raise InputError(f"{directory}: no folders; expected one folder of images per class{_archive_hint(directory)}")
    folders = _splits_above_classes(directory, paths) or _splits_below_classes(directory, paths)
    if folders:
        splits = dict.fromkeys(folder.split for folder in folders if folder.split)
        notes.append(f"the splits of the folders are kept: {', '.join(splits)}")
    else:
        folders = [ClassFolder(path, path.name) for path in paths]
    if classes is None:
        _check_capitals(directory, folders)
        classes = sorted({folder.label for folder in folders})
        if len(classes) < 2:
            raise InputError(f"{directory}: only one class, {', '.join(classes)}; a classifier needs two or more")
    else:
        folders = _match_label_space(directory, folders, classes)
    for label in classes:
        if len(names := {folder.path.name: None for folder in folders if folder.label == label}) > 1:
            notes.append(f"folders that are one class, {label}: {', '.join(names)}")
    order = {label: index for index, label in enumerate(classes)}
    folders = sorted(folders, key=lambda folder: (order[folder.label], folder.path))
    return Layout(tuple(classes), tuple(folders), tuple(notes))


def separate_images(files: Sequence[Path]) -> tuple[list[Path], Counter[str]]:
    """The images among the files, by suffix or else by first bytes, and the number of other files by suffix."""
    images: list[Path] = []
    others: Counter[str] = Counter()
    for file in files:
        try:
            is_image = file.suffix.lower() in IMAGE_SUFFIXES or file_kind_of(file) in IMAGE_KINDS
        except OSError:
            is_image = True  # it cannot be read, which is reported when it is ingested
        if is_image:
            images.append(file)
        else:
            others[file.suffix.lower() or file.name] += 1
    return images, others


def list_files(directory: Path) -> list[Path]:
    """The files in a folder and its subfolders, sorted by path, without hidden ones.

    Broken links are listed, too: they are images that cannot be read, which is reported when they are ingested.

    Raises:
        InputError: there is a link to a folder, which could be circular.
    """
    paths = sorted(directory.rglob("*"))
    visible = [path for path in paths if not any(_is_hidden(part) for part in path.relative_to(directory).parts)]
    if linked := next((path for path in visible if path.is_symlink() and path.is_dir()), None):
        raise InputError(
            f"{linked}: links to folders are not followed; put the folder itself there, or remove the link"
        )
    return [path for path in visible if path.is_file() or not path.exists()]


def display_path(path: Path, directory: Path) -> str:
    """The path within the folder, as text that is valid Unicode whatever bytes the file's name has."""
    return str(path.relative_to(directory)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_FOLDERS


def _visible_folders(directory: Path) -> tuple[list[Path], list[str]]:
    """The folders in a folder, without hidden ones and folders of shards, and a note on the latter."""
    paths = sorted(path for path in directory.iterdir() if path.is_dir() and not _is_hidden(path.name))
    shards = [path for path in paths if _is_shards(path)]
    notes = [f"folders of shards are skipped: {', '.join(path.name for path in shards)}"] if shards else []
    return [path for path in paths if path not in shards], notes


def _is_shards(path: Path) -> bool:
    """Whether a folder holds shards, finished or not."""
    return (path / ".spool").exists() or ((path / MANIFEST).exists() and any(path.glob("*.tar")))


def _archive_hint(directory: Path) -> str:
    """The end of a message that asks to unpack an archive, if the folder holds one."""
    for path in sorted(directory.iterdir()):
        try:
            if path.is_file() and file_kind_of(path) in ARCHIVE_KINDS:
                return f"; {path.name} is an archive: unpack it"
        except OSError:
            continue
    return ""


def _splits_above_classes(directory: Path, paths: Sequence[Path]) -> list[ClassFolder]:
    """The folders of classes in folders of splits (``train/awe``); empty if the layout is another one."""
    splits = [path for path in paths if match_split(path.name)]
    inside = {path: _visible_folders(path)[0] for path in splits}
    published = {match_split(path.name) for path in splits}
    if not splits or (len(splits) < len(paths) and len(published) < 2):
        return []
    names = ", ".join(path.name for path in splits)
    if others := [path.name for path in paths if path not in splits]:
        are, them = ("is", "it") if len(others) == 1 else ("are", "them")
        raise InputError(f"{directory}: {names} are folders of splits, but {', '.join(others[:MAX_SHOWN])} {are} not; "
                         f"move {them} elsewhere")  # fmt: skip
    if flat := [path.name for path in splits if not inside[path]]:
        raise InputError(f"{directory}: {names} are folders of splits, but {', '.join(flat)} holds no folders of "
                         "classes; expected <split>/<class>/<image>")  # fmt: skip
    return [ClassFolder(path, path.name, match_split(top.name)) for top in splits for path in inside[top]]


def _splits_below_classes(directory: Path, paths: Sequence[Path]) -> list[ClassFolder]:
    """The folders of splits in folders of classes (``awe/train``); empty if the layout is another one."""
    inside = {path: _visible_folders(path)[0] for path in paths}
    with_splits = [path for path, folders in inside.items() if folders and all(match_split(f.name) for f in folders)]
    published = {match_split(folder.name) for folders in inside.values() for folder in folders} - {None}
    if not with_splits or len(published) < 2:
        return []
    if flat := [path.name for path in paths if path not in with_splits]:
        raise InputError(f"{directory}: some folders of classes hold folders of splits ({with_splits[0].name}), but "
                         f"{', '.join(flat[:MAX_SHOWN])} {'does' if len(flat) == 1 else 'do'} not")  # fmt: skip
    beside = {path: [file for file in path.iterdir() if file.is_file()] for path in paths}
    if loose := [path.name for path, files in beside.items() if separate_images(files)[0]]:
        raise InputError(f"{directory}: images lie beside the folders of splits in {', '.join(loose[:MAX_SHOWN])}")
    return [ClassFolder(folder, path.name, match_split(folder.name)) for path in paths for folder in inside[path]]


def _check_capitals(directory: Path, folders: Sequence[ClassFolder]) -> None:
    """Raises an InputError if the names of two folders differ in capitals only."""
    by_lower: dict[str, str] = {}
    for folder in folders:
        if (other := by_lower.setdefault(folder.label.lower(), folder.label)) != folder.label:
            raise InputError(f'{directory}: the folders "{other}" and "{folder.label}" differ in capitals only; '
                             "merge them, or rename one")  # fmt: skip


def _match_label_space(directory: Path, folders: Sequence[ClassFolder], classes: Sequence[str]) -> list[ClassFolder]:
    """The folders with the classes that their names mean.

    Raises:
        InputError: a folder is not a class, or a class has no folder.
    """
    named = [(folder, match_class(folder.label, classes)) for folder in folders]
    unknown = Counter(folder.label for folder, label in named if label is None)
    missing = [label for label in classes if label not in {label for _, label in named}]
    if not unknown and not missing:
        return [ClassFolder(folder.path, label, folder.split) for folder, label in named if label]
    problems = []
    if unknown:
        shown = ", ".join(unknown_class(name, classes) for name in list(unknown)[:MAX_SHOWN])
        number = f"{len(unknown)} folders are not classes: " if len(unknown) > 1 else ""
        problems.append(f"{directory}: {number}{shown}{', …' * (len(unknown) > MAX_SHOWN)}")
    if missing:
        which = "the class" if len(missing) == 1 else f"{len(missing)} classes:"
        names = ", ".join(f'"{label}"' for label in missing)
        problems.append(f"{directory}: no folder for {which} {names}")
    inner = [path for folder in folders for path in _visible_folders(folder.path)[0] if match_class(path.name, classes)]
    if inner and len(missing) == len(classes):
        problems.append(f"There are folders of classes in {inner[0].parent}: name that folder")
    problems.append(f"The classes are {', '.join(classes)}. To use the names of the folders as classes: --labels any")
    raise InputError("\n".join(problems))
