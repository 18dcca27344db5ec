"""Videos as a source: class folders or a table, of which some frames of each video become one sample."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from emotune.core.errors import InputError
from emotune.data.sources.base import NO_LICENCE, Clip, Entry, Labels, Listing
from emotune.data.sources.class_folders import list_class_folders
from emotune.data.sources.csv_source import Csv

__all__ = ["MAX_FRAMES", "VIDEO_SUFFIXES", "Video", "require_av"]

VIDEO_SUFFIXES = frozenset(
    f".{suffix}" for suffix in ("mp4", "m4v", "mov", "3gp", "mkv", "webm", "avi", "mpg", "mpeg", "m2v", "ts", "mts",
                                "m2ts", "wmv", "asf", "flv", "ogv", "gif")
)  # fmt: skip
"""Suffixes of videos; a file with such a suffix that is not a video is reported as unreadable."""
NO_CLIP_LICENCE = NO_LICENCE.replace("images", "clips")
MAX_FRAMES = 64
"""The most frames of a sample: they are stored below each other in one JPEG, whose sides are limited."""


@dataclass(frozen=True)
class Video:
    """Clips in one folder per class, as images are, or in a table as of `Csv`.

    A clip is one sample: it has one label, is in one split, and is what is tested and counted. Its frames are those
    that are shown at the middles of equal parts of its duration; they are decoded once, into the shards.
    """

    help: ClassVar[str] = "videos: one folder of clips per class, or a table of clips"
    clips: Annotated[Path, "the folder that holds one folder of clips per class, or a CSV file"]
    frames: Annotated[int, "frames of a clip, equally spaced in time"] = 8
    labels: Labels = "mikels"
    votes: Annotated[str, "of a table: columns of votes, separated by commas (default: they are recognised)"] = ""
    videos: Annotated[str, "of a table: folder to which paths are relative (default: that of the table)"] = ""
    target: Annotated[Literal["classes", "distributions"], "what is predicted; with distributions, ties stay"] = (
        "classes"
    )

    def listing(self) -> Listing:
        """The clips.

        Raises:
            InputError: PyAV is not installed, an option does not fit, or as in `ClassFolders` and `Csv`.
        """
        require_av()
        if not 2 <= self.frames <= MAX_FRAMES:
            raise InputError(f"--frames {self.frames}: give a number from 2 to {MAX_FRAMES}")
        listing = self._folders() if self.clips.is_dir() else self._table()
        entries = [self._as_clip(entry) for entry in listing.entries]
        licence = NO_CLIP_LICENCE if listing.licence == NO_LICENCE else listing.licence
        return replace(listing, entries=entries, frames=self.frames, licence=licence)

    def _folders(self) -> Listing:
        options = {"--votes": self.votes, "--videos": self.videos}
        if self.target != "classes":
            options["--target distributions"] = self.target
        if given := [name for name, value in options.items() if value]:
            raise InputError(
                f"{self.clips}: a folder, for which {given[0]} has no meaning; leave it out, or name a table"
            )
        return list_class_folders(self.clips, self.labels, separate_videos, "videos")

    def _table(self) -> Listing:
        listing = _Table(self.clips, self.labels, self.votes, self.videos, self.target).listing()
        if link := next((entry.source for entry in listing.entries if not isinstance(entry.image, Path)), None):
            raise InputError(
                f"{self.clips}: {link} is a link; videos are not downloaded: do that before, and give paths"
            )
        return listing

    def _as_clip(self, entry: Entry) -> Entry:
        assert isinstance(entry.image, Path)
        return replace(entry, image=Clip(entry.image, self.frames))


class _Table(Csv):
    BASE: ClassVar[str] = "--videos"


def separate_videos(files: Sequence[Path]) -> tuple[list[Path], Counter[str]]:
    """The videos among the files, by suffix, and the number of other files by suffix."""
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    return videos, Counter(file.suffix.lower() or file.name for file in files if file not in set(videos))


def require_av() -> None:
    """Raises an InputError unless PyAV is installed, which decodes videos."""
    if find_spec("av") is None:
        raise InputError("videos need PyAV: pip install 'emotune[video]'")
