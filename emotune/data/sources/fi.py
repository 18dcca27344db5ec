"""FI as a source: the data set of You et al. (2016), as link files or as the archive that circulates."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from emotune.config.labels import MIKELS
from emotune.core.errors import raise_if_any
from emotune.data.annotations import OTHER, agreement_of
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Listing, Url
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.sources.published_files import (
    RESEARCH_LICENCE,
    convert_rows,
    first_existing,
    make_listing,
    read_lines,
)

__all__ = ["FiArchive", "FiLinks"]

_Line = tuple[str, tuple[int, int]]  # a line of a link file: its place, and (agree, disagree)


@dataclass(frozen=True)
class FiLinks:
    """FI as link files (You et al., "Building a large scale dataset for image emotion recognition", AAAI 2016).

    The files ``<emotion>_*.csv`` have lines ``emotion,url,disagree,agree``. Three independent loaders read them so, and
    two of them call agree > disagree *well*.

    A tie has no majority and is noisy. Lines that repeat a link in one class are one image: equal counts are a copied
    line and count once, different counts are two rounds of votes and are added. A link in several classes has the label
    of the one class in which it is well. It has no label if it is well in several classes, noisy in all of them, or
    without votes.
    """

    help: ClassVar[str] = "FI as its link files, to be downloaded: eight emotions, about five votes each"
    directory: Annotated[Path, "the folder agg, or the folder that holds it"]
    part: Annotated[Literal["well", "noisy", "all"], "well: more people agree than disagree; noisy: the rest"] = "well"

    def listing(self) -> Listing:
        agg = first_existing(self.directory, "agg", "")
        words = {file: file.name.split("_")[0] for file in sorted(agg.glob("[!.]*.csv"))}
        files = {file: label for file, word in words.items() if (label := match_class(word, MIKELS))}
        problems = [f"{file}: {unknown_class(word, MIKELS)}" for file, word in words.items() if file not in files]
        raise_if_any(problems + [f"{agg}: no file {label}_*.csv" for label in MIKELS if label not in files.values()])
        lines = (
            (where, (where, label, cells)) for file, label in files.items() for where, cells in read_lines(file, ",")
        )
        links: dict[str, dict[str, list[_Line]]] = {}
        for url, label, line in convert_rows(lines, _link):
            links.setdefault(url, {}).setdefault(label, []).append(line)
        images = [image for url, by_label in links.items() for image in _resolve_link(url, by_label, self.part)]
        name = "fi" if self.part == "well" else f"fi-{self.part}"
        return make_listing(
            name, MIKELS, images, f"FI (You et al., AAAI 2016), link files, part {self.part}", RESEARCH_LICENCE
        )


def _link(row: tuple[str, str, Sequence[str]]) -> tuple[str, str, _Line]:
    """The link, the class and the counts of a line, given its place, the class of its file, and its cells."""
    where, label, cells = row
    match = re.fullmatch(r"\w+,(https?://\S+),(\d+),(\d+)", ",".join(cells))
    if match is None or match_class(cells[0], MIKELS) != label:
        raise ValueError(f'expected "{label},<http link>,<disagree>,<agree>", found "{",".join(cells)}"')
    return match[1], label, (Path(where).name, (int(match[3]), int(match[2])))


def _resolve_link(url: str, lines: Mapping[str, Sequence[_Line]], part: str) -> Iterator[Entry | ExcludedImage]:
    """The entry of a link and the exclusion of its other lines.

    Args:
        url: The link.
        lines: Its lines by class.
        part: The part of the data set that is listed: well, noisy or all.
    """
    rounds = {label: {counts for _, counts in given} for label, given in lines.items()}
    votes: dict[str, dict[str, float]] = {
        label: {label: sum(agree for agree, _ in counts), OTHER: sum(disagree for _, disagree in counts)}
        for label, counts in rounds.items()
    }
    parts = {label: agreement_of(label, votes[label]) for label in lines}
    best = "well" if "well" in parts.values() else "noisy"
    if best == "noisy" and part == "well":
        return
    leaders = {label: given[0][0] for label, given in lines.items() if parts[label] == best}
    if len(leaders) == 1 and part in (best, "all"):
        (label, first), *_ = leaders.items()
        voted = any(votes[label].values())
        yield (
            Entry(url, label, votes[label], Url(url)) if voted else ExcludedImage(url, label, Problem.VOTES, "no votes")
        )
        yield from (
            ExcludedImage(url, label, Problem.EXACT, f"{where} repeats {first}") for where, _ in lines[label][1:]
        )
    for label, given in lines.items():
        if part not in (parts[label], "all"):
            continue
        others = ", ".join(f"{best} in {other} ({where})" for other, where in leaders.items() if other != label)
        yield from (ExcludedImage(url, label, Problem.AMBIGUOUS, f"{where}; {others}") for where, _ in given if others)


@dataclass(frozen=True)
class FiArchive:
    """FI as the archive that circulates: ``<class>/<class>_NNNN.jpg``, labelled by folder.

    The format is that in Kahsolt/EmotionSpaces and, in part, in Aniket1523/image-emotion-recognition. 1,356 of its
    23,185 files are copies of one image that says "no longer available".
    """

    help: ClassVar[str] = "FI as the archive that circulates: eight folders of images"
    directory: Annotated[Path, "the folder that holds the eight folders, or emotion_dataset with them"]

    def listing(self) -> Listing:
        listing = ClassFolders(first_existing(self.directory, "emotion_dataset", "")).listing()
        return replace(listing, name="fi", source="FI (You et al., AAAI 2016), images", licence=RESEARCH_LICENCE)
