"""How folders of images are laid out: one per class, with or without published splits above or below the classes."""

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
"""A file of such a name is an image, or the loss of one."""

OF_THE_SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")
SHOWN = 5


@dataclass(frozen=True)
class ClassFolder:
    """Where images of a class are; ``split`` where the layout says it."""

    path: Path
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Layout:
    """The folders of images, class by class, and what is to be said of them."""

    classes: tuple[str, ...]
    folders: tuple[ClassFolder, ...]
    notes: tuple[str, ...]


def require_folder(directory: Path, expected: str) -> None:
    """Refuses what is no folder, above all an archive.

    Raises:
        InputError: says what it is, and what to do.
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
        raise InputError(f"{directory}: no such folder, but an archive ({kind}): unpack it, and name the folder")
    raise InputError(f"{directory}: no such folder, but a file; name {expected}")


def read_layout(directory: Path, classes: Sequence[str] | None) -> Layout:
    """What the folders in ``directory`` are; None for ``classes`` takes their names as classes.

    Raises:
        InputError: no folders, or such as are neither classes nor splits.
    """
    require_folder(directory, "one with a folder of images per class")
    found, notes = _folders(directory)
    if not found:
        raise InputError(
            f"{directory}: holds no folders; expected one folder of images per class{_archives(directory)}"
        )
    folders = _below_splits(directory, found) or _above_splits(directory, found)
    if folders:
        splits = list(dict.fromkeys(folder.split for folder in folders))
        notes.append(f"the folders' own splits are taken: {', '.join(splits)}")
    else:
        folders = [ClassFolder(path, path.name) for path in found]
    if classes is None:
        folders = _named_alike(directory, folders)
        classes = tuple(sorted({folder.label for folder in folders}))
        if len(classes) < 2:
            raise InputError(f'{directory}: only one class, "{classes[0]}"; a classifier needs two or more')
    else:
        folders = _of_label_space(directory, folders, classes)
    for label in classes:
        if len(paths := {one.path.name: None for one in folders if one.label == label}) > 1:
            notes.append(f"folders that are one class, {label}: {', '.join(paths)}")
    order = {label: index for index, label in enumerate(classes)}
    return Layout(tuple(classes), tuple(sorted(folders, key=lambda one: (order[one.label], one.path))), tuple(notes))


def separate_images(files: Sequence[Path]) -> tuple[list[Path], Counter[str]]:
    """The images, by their names or else by their first bytes; and how many others there are, by suffix."""
    images: list[Path] = []
    others: Counter[str] = Counter()
    for file in files:
        try:
            is_image = file.suffix.lower() in IMAGE_SUFFIXES or file_kind_of(file) in IMAGE_KINDS
        except OSError:
            is_image = True  # one that is lost, which is to be said
        if is_image:
            images.append(file)
        else:
            others[file.suffix.lower() or file.name] += 1
    return images, others


def list_files(directory: Path) -> list[Path]:
    """The files in a folder and its subfolders, in the order of their names, but not hidden ones.

    Links that lead nowhere are among them: they are images that are lost, which is to be said.

    Raises:
        InputError: there is a link to a folder, which could lead in a circle.
    """
    paths = sorted(directory.rglob("*"))
    visible = [path for path in paths if not any(_is_hidden(part) for part in path.relative_to(directory).parts)]
    if linked := next((path for path in visible if path.is_symlink() and path.is_dir()), None):
        raise InputError(f"{linked}: links to folders are not followed; put the folder itself here, or remove the link")
    return [path for path in visible if path.is_file() or not path.exists()]


def display_path(path: Path, directory: Path) -> str:
    """The path within the folder, as text that is valid Unicode whatever bytes the file's name has."""
    return str(path.relative_to(directory)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in OF_THE_SYSTEM


def _folders(directory: Path) -> tuple[list[Path], list[str]]:
    """The visible folders; and a note about those that are shards."""
    found = sorted(path for path in directory.iterdir() if path.is_dir() and not _is_hidden(path.name))
    shards = [
        one for one in found if ((one / MANIFEST).exists() and any(one.glob("*.tar"))) or (one / ".spool").exists()
    ]
    notes = [f"folders of shards are passed over: {', '.join(path.name for path in shards)}"] if shards else []
    return [path for path in found if path not in shards], notes


def _is_shards(path: Path) -> bool:
    return (path / ".spool").exists() or ((path / MANIFEST).exists() and any(path.glob("*.tar")))


def _archives(directory: Path) -> str:
    """What to say if a folder holds archives."""
    for path in sorted(directory.iterdir()):
        try:
            if path.is_file() and file_kind_of(path) in ARCHIVE_KINDS:
                return f"; {path.name} is an archive: unpack it"
        except OSError:
            continue
    return ""


def _below_splits(directory: Path, found: Sequence[Path]) -> list[ClassFolder]:
    """Classes in folders of splits (``train/awe``); none if the layout is another one."""
    splits = [path for path in found if match_split(path.name)]
    inside = {path: _folders(path)[0] for path in splits}
    published = {match_split(path.name) for path in splits}
    if not splits or (len(splits) < len(found) and len(published) < 2):
        return []
    names = ", ".join(path.name for path in splits)
    if others := [path.name for path in found if path not in splits]:
        raise InputError(f"{directory}: {names} are folders of splits, but {', '.join(others[:SHOWN])} "
                         f"{'is' if len(others) == 1 else 'are'} not; put elsewhere what is no split")  # fmt: skip
    if flat := [path.name for path in splits if not inside[path]]:
        raise InputError(f"{directory}: {names} are folders of splits, but {', '.join(flat)} holds no folders of "
                         "classes; expected <split>/<class>/<image>")  # fmt: skip
    return [ClassFolder(path, path.name, match_split(top.name)) for top in splits for path in inside[top]]


def _above_splits(directory: Path, found: Sequence[Path]) -> list[ClassFolder]:
    """Splits in folders of classes (``awe/train``); none if the layout is another one."""
    inside = {path: _folders(path)[0] for path in found}
    split = {path: bool(below) and all(match_split(one.name) for one in below) for path, below in inside.items()}
    if not any(split.values()) or len({match_split(one.name) for path in found for one in inside[path]} - {None}) < 2:
        return []
    if flat := [path.name for path in found if not split[path]]:
        raise InputError(f"{directory}: some folders of classes hold folders of splits ({_first(split).name}), but "
                         f"{', '.join(flat[:SHOWN])} {'does' if len(flat) == 1 else 'do'} not")  # fmt: skip
    if loose := [path.name for path in found if separate_images([one for one in path.iterdir() if one.is_file()])[0]]:
        raise InputError(f"{directory}: images lie beside the folders of splits in {', '.join(loose[:SHOWN])}")
    return [ClassFolder(one, path.name, match_split(one.name)) for path in found for one in inside[path]]


def _first(split: dict[Path, bool]) -> Path:
    return next(path for path, has in split.items() if has)


def _named_alike(directory: Path, folders: Sequence[ClassFolder]) -> list[ClassFolder]:
    """The folders, if no two names differ in capitals alone."""
    by_lower: dict[str, str] = {}
    for folder in folders:
        if (other := by_lower.setdefault(folder.label.lower(), folder.label)) != folder.label:
            raise InputError(f'{directory}: the folders "{other}" and "{folder.label}" differ in capitals alone; '
                             "make them one, or rename one")  # fmt: skip
    return list(folders)


def _of_label_space(directory: Path, folders: Sequence[ClassFolder], classes: Sequence[str]) -> list[ClassFolder]:
    """The folders with the classes that their names mean."""
    named = [(folder, match_class(folder.label, classes)) for folder in folders]
    strange = Counter(folder.label for folder, label in named if label is None)
    missing = [label for label in classes if label not in {label for _, label in named}]
    if not strange and not missing:
        return [ClassFolder(folder.path, label, folder.split) for folder, label in named if label]
    problems = []
    if strange:
        shown = ", ".join(unknown_class(name, classes) for name in list(strange)[:SHOWN])
        number = f"{len(strange)} folders are no classes: " if len(strange) > 1 else ""
        problems.append(f"{directory}: {number}{shown}{', …' * (len(strange) > SHOWN)}")
    if missing:
        which = "the class" if len(missing) == 1 else f"{len(missing)} classes:"
        problems.append(
            f"{directory}: no folder for {which} {', '.join(f'{chr(34)}{one}{chr(34)}' for one in missing)}"
        )
    inner = [one for folder in folders for one in _folders(folder.path)[0] if match_class(one.name, classes)]
    if inner and len(missing) == len(classes):
        problems.append(f"Folders of classes are in {inner[0].parent}: name this one")
    problems.append(f"The classes are {', '.join(classes)}. To take the folder names as they are: --labels any")
    raise InputError("\n".join(problems))
