"""Class folders as a source: one folder of images per class, with or without published splits."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from emotune.config.labels import LABEL_SPACES
from emotune.core.errors import InputError
from emotune.data.sources.base import NO_LICENCE, Entry, Labels, Listing
from emotune.data.sources.folder_layout import display_path, list_files, read_layout, separate_images

__all__ = ["ClassFolders", "list_class_folders"]


@dataclass(frozen=True)
class ClassFolders:
    """One folder of images per class, ``<class>/**/<image>``; hidden files and folders are skipped.

    Published splits are kept, be they laid out as ``<split>/<class>`` or as ``<class>/<split>``. Files that are not
    images are skipped and counted in a note.
    """

    help: ClassVar[str] = "one folder of images per class"
    directory: Annotated[Path, "the folder that holds one folder of images per class"]
    labels: Labels = "mikels"

    def listing(self) -> Listing:
        """The images, class by class.

        Raises:
            InputError: there is no such folder, a class has no images, or the folders are not named after the classes
                of the label space.
        """
        return list_class_folders(self.directory, self.labels, separate_images, "images")


def list_class_folders(
    directory: Path, labels: str, separate: Callable[[Sequence[Path]], tuple[list[Path], Counter[str]]], kind: str
) -> Listing:
    """The files of a kind in class folders, class by class.

    Args:
        directory: The folder that holds one folder per class.
        labels: The label space; *any* to take the names of the folders.
        separate: A function that gives the files of that kind, and the number of others by suffix.
        kind: The kind of files, for messages.

    Raises:
        InputError: as in `ClassFolders.listing`.
    """
    layout = read_layout(directory, LABEL_SPACES.get(labels))
    entries: list[Entry] = []
    skipped: Counter[str] = Counter()
    for folder in layout.folders:
        files, others = separate(list_files(folder.path))
        skipped += others
        if not files:
            problem = f"no {kind}" + (f", but {others.total()} other files," if others else "")
            inner = folder.path.relative_to(directory)
            raise InputError(f"{directory}: {problem} in {inner}; add {kind} or remove the folder")
        entries += [
            Entry(display_path(file, directory), folder.label, {folder.label: 1}, file, split=folder.split)
            for file in files
        ]
    notes = list(layout.notes)
    if skipped:
        kinds = ", ".join(f"{suffix} {number}" for suffix, number in skipped.most_common(5))
        notes.append(f"{skipped.total()} files that are not {kind} were skipped ({kinds})")
    name = directory.resolve().name
    return Listing(name, layout.classes, entries, f"class folders in {name}", NO_LICENCE,
                   notes=[f"{directory}: {note}" for note in notes], scanned=directory)  # fmt: skip
