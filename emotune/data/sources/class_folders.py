"""Class folders as a source: one folder of images per class, with or without published splits."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from emotune.config.labels import LABEL_SPACES
from emotune.core.errors import InputError
from emotune.data.sources.base import NO_LICENCE, Entry, Labels, Listing
from emotune.data.sources.folder_layout import display_path, list_files, read_layout, separate_images

__all__ = ["ClassFolders"]


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
        layout = read_layout(self.directory, LABEL_SPACES.get(self.labels))
        entries: list[Entry] = []
        skipped: Counter[str] = Counter()
        for folder in layout.folders:
            files, others = separate_images(list_files(folder.path))
            skipped += others
            if not files:
                problem = "no images" + (f", but {others.total()} other files," if others else "")
                inner = folder.path.relative_to(self.directory)
                raise InputError(f"{self.directory}: {problem} in {inner}; add images or remove the folder")
            entries += [
                Entry(display_path(file, self.directory), folder.label, {folder.label: 1}, file, split=folder.split)
                for file in files
            ]
        notes = list(layout.notes)
        if skipped:
            kinds = ", ".join(f"{suffix} {number}" for suffix, number in skipped.most_common(5))
            notes.append(f"{skipped.total()} files that are not images were skipped ({kinds})")
        name = self.directory.resolve().name
        return Listing(name, layout.classes, entries, f"class folders in {name}", NO_LICENCE,
                       notes=[f"{self.directory}: {note}" for note in notes], scanned=self.directory)  # fmt: skip
