"""Explains why images cannot become a data set: the classes that lack images, the reasons, and what to do.

Of rated images, whose classes only spread the ratings over the splits, no class must be in a split; but each split must
have images.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from emotune.core.sample_noun import worded
from emotune.data.file_type import IMAGE_KINDS, UNREAD_KINDS, describe_kind, file_kind_of
from emotune.data.manifest import SPLITS, ExcludedImage, Problem
from emotune.data.sources.base import Entry, Listing

__all__ = ["explain_missing_splits", "explain_too_few_listed"]

DETAILS = 3
"""Number of different details that are shown for each problem."""

EACH_SPLIT = f"an image in each of {', '.join(SPLITS)}, that is, at least three images of different scenes."
EVERY_CLASS = f"Every class needs {EACH_SPLIT}"

ADVICE: Mapping[Problem, str] = MappingProxyType({
    Problem.LOST: "The same command retries temporary failures; permanent ones are listed in health.csv.",
    Problem.TRUNCATED: "Get these files again: they are incomplete.",
    Problem.BOMB: "Store these images smaller, or give a higher --max-pixels.",
    Problem.ASPECT: "Give a higher --max-aspect, or keep them with --keep aspect.",
    Problem.ANIMATED: "Keep their first frame with --keep animated.",
    Problem.PAGES: "Keep their first page with --keep pages.",
    Problem.BLANK: "Keep images of one colour with --keep blank.",
    Problem.PLACEHOLDER: "One content under many names usually means that images are gone: get them again.",
    Problem.AMBIGUOUS: "Put each image into one class only.",
    Problem.EXACT: "A copy adds nothing: add other images.",
    Problem.NEAR: "Keep near-duplicates with --keep near.",
    Problem.VOTES: "Give these images a label, or more votes.",
})  # fmt: skip
"""What to do about each problem; `_ADVISERS` has the problems whose advice depends on the files."""


def explain_too_few_listed(listing: Listing) -> list[str]:
    """Lines about the classes with fewer listed images than there are splits; empty if there is no such class.

    Of rated images, only their number counts.
    """
    if listing.target == "dimensions":
        number = len(listing.entries)
        return [] if number >= len(SPLITS) else _about_rated(listing, f"{_images(number)} listed", listing.left_out)
    listed = Counter(entry.label for entry in listing.entries)
    small = [label for label in listing.classes if listed[label] < len(SPLITS)]
    if not small:
        return []
    lines = [f'class "{label}": {_images(listed[label])}{_excluded_of([label], listing.left_out)}' for label in small]
    return [*lines, *_reasons(listing, small, listing.left_out), *_remedy(listing, small, listing.left_out)]


def explain_missing_splits(
    listing: Listing,
    counts: Mapping[str, Mapping[str, int]],
    groups: Mapping[str, int],
    left_out: Sequence[ExcludedImage],
) -> list[str]:
    """Lines about the classes that have no image in some split; empty if there is no such class.

    Of rated images, the lines are about empty splits.

    Args:
        listing: The images that the source lists.
        counts: The number of usable images, by split and class.
        groups: The number of groups of near-duplicates among the usable images, by class.
        left_out: The images with problems.
    """
    if listing.target == "dimensions":
        totals = {split: sum(counts[split].values()) for split in SPLITS}
        by_split = ", ".join(f"{split} {total}" for split, total in totals.items())
        return (
            [] if all(totals.values()) else _about_rated(listing, f"too few {worded('images')} ({by_split})", left_out)
        )
    lacking = [label for label in listing.classes if not all(counts[split][label] for split in SPLITS)]
    if not lacking:
        return []
    lines = []
    for label in lacking:
        by_split = ", ".join(f"{split} {counts[split][label]}" for split in SPLITS)
        total = sum(counts[split][label] for split in SPLITS)
        few_scenes = f", which show only {groups[label]} different scenes" if groups[label] < 3 <= total else ""
        lines.append(
            f'class "{label}": too few {worded("images")} ({by_split}){few_scenes}{_excluded_of([label], left_out)}'
        )
    return [*lines, *_reasons(listing, lacking, left_out), *_remedy(listing, lacking, left_out)]


def _about_rated(listing: Listing, message: str, left_out: Sequence[ExcludedImage]) -> list[str]:
    """Lines about rated images that are too few."""
    remedy = f"Rated {worded('images')} need {worded(EACH_SPLIT)} Add {worded('images')}"
    if any(entry.split for entry in listing.entries):
        remedy = (f"The source itself assigns {worded('images')} to splits: assign some to the empty splits, or remove "
                  "the splits from the source, so that emotune assigns them")  # fmt: skip
    return [
        f"{message}{_excluded_of(listing.classes, left_out)}",
        *_reasons(listing, listing.classes, left_out),
        remedy,
    ]


def _images(number: int) -> str:
    return f"{number} {worded('image')}{'' if number == 1 else 's'}"


def _excluded_of(labels: Sequence[str], left_out: Sequence[ExcludedImage]) -> str:
    """The number of excluded images of some classes by problem, as the end of a line."""
    counts = Counter(row.problem for row in left_out if row.label in labels and not row.kept)
    return "; left out: " + ", ".join(f"{n} {problem}" for problem, n in counts.most_common()) if counts else ""


def _remedy(listing: Listing, lacking: Sequence[str], left_out: Sequence[ExcludedImage]) -> list[str]:
    """What to do about the classes of which no image was excluded."""
    small = [label for label in lacking if not any(row.label == label and not row.kept for row in left_out)]
    if not small:
        return []
    if any(entry.split for entry in listing.entries if entry.label in small):
        return [
            f"The source itself assigns the {worded('images')} of {_quoted(small)} to splits: assign some to the empty "
            "splits, or remove the splits from the source, so that emotune assigns them"
        ]
    return [worded(EVERY_CLASS), f"Add {worded('images')} to {_quoted(small)}, or leave such classes out of the source"]


def _quoted(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 5} more classes" if len(labels) > 5 else ""
    return ", ".join(f'"{label}"' for label in labels[:5]) + more


def _reasons(listing: Listing, lacking: Sequence[str], left_out: Sequence[ExcludedImage]) -> list[str]:
    """A line for each problem: the number of images, its most common details with an example each, and what to do."""
    by_problem: dict[Problem, list[ExcludedImage]] = defaultdict(list)
    for row in left_out:
        if not row.kept and (row.label in lacking or not row.label):
            by_problem[row.problem].append(row)
    entries = {entry.source: entry for entry in listing.entries}
    lines = []
    for problem, rows in sorted(by_problem.items(), key=lambda item: -len(item[1])):
        details: dict[str, list[ExcludedImage]] = defaultdict(list)
        for row in rows:
            details[_kind_of_detail(problem, row, entries.get(row.source))].append(row)
        common = sorted(details.values(), key=len, reverse=True)
        parts = [_example(problem, like, entries.get(like[0].source), len(common) > 1) for like in common[:DETAILS]]
        more = f"; and {len(common) - DETAILS} other details" if len(common) > DETAILS else ""
        advice = _ADVISERS[problem](listing, rows, entries) if problem in _ADVISERS else worded(ADVICE.get(problem, ""))
        lines.append(f"{problem}: {_images(len(rows))}: {'; '.join(parts)}{more}. {advice}".rstrip())
    return lines


def _kind_of_detail(problem: Problem, row: ExcludedImage, entry: Entry | None) -> str:
    """The detail without the numbers that differ from image to image, so that equal details can be counted."""
    if problem is Problem.UNDECODABLE and (kind := _foreign_kind(entry)):
        return kind
    varies = problem in (Problem.TRUNCATED, Problem.VOTES, Problem.EXACT)
    return re.sub(r"\d+", "0", row.detail) if varies else row.detail


def _example(problem: Problem, rows: Sequence[ExcludedImage], entry: Entry | None, one_of_many: bool) -> str:
    detail = rows[0].detail
    if problem is Problem.UNREADABLE and isinstance(path := entry and entry.image, Path) and not _exists(path):
        detail = f"no such file: {os.fsencode(path).decode('utf-8', 'replace')}"
    elif problem is Problem.UNDECODABLE and (kind := _foreign_kind(entry)) and describe_kind(kind) not in detail:
        detail = describe_kind(kind)
    return f"{f'{len(rows)} × ' if one_of_many else ''}{detail}, such as {rows[0].source}"


def _foreign_kind(entry: Entry | None) -> str:
    """The kind of a file that is not an image that emotune reads; empty if it is one, or cannot be read."""
    try:
        kind = file_kind_of(entry.image) if entry and isinstance(entry.image, Path) else ""
    except (OSError, ValueError):
        return ""
    return "" if kind in IMAGE_KINDS - set(UNREAD_KINDS) else kind


def _about_missing_files(listing: Listing, rows: Sequence[ExcludedImage], entries: Mapping[str, Entry]) -> str:
    """Advice on files that cannot be read: where they were searched, and how the paths must be changed."""
    listed = [entries[row.source] for row in rows if row.source in entries]
    sources = [entry.source for entry in listed if isinstance(entry.image, Path) and not _exists(entry.image)]
    if not sources:
        return "Make these files readable."
    advice = []
    relative = [source for source in sources if not _is_absolute(source)]
    if absolute := len(sources) - len(relative):
        advice.append(f"{absolute} paths are absolute, as on the machine where the table was made: make them relative.")
    if slashed := sum("\\" in source for source in relative):
        advice.append(f"{slashed} paths have back slashes; no such files exist with slashes, either.")
    if listing.base and relative:
        advice.append(f"Paths are relative to {listing.base}.")
        first = relative[0].replace("\\", "/")
        if base := next((folder for folder in _nearby_folders(listing.base) if _exists(folder / first)), None):
            advice.append(f"{first} is in {base}: give {'--videos' if listing.frames > 1 else '--images'} {base}")
        elif similar := _differently_cased(listing.base / first):
            advice.append(f"There is {similar}, whose name has other capitals.")
    return " ".join(advice)


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", path) is not None


def _nearby_folders(base: Path) -> list[Path]:
    """Folders to which the paths may be relative: those above ``base``, below it and beside it."""
    base = base.resolve()
    try:
        below = sorted(path for path in base.iterdir() if path.is_dir())
        beside = sorted(path for path in base.parent.iterdir() if path.is_dir())
    except OSError:
        return list(base.parents)[:3]
    return [*list(base.parents)[:3], *below[:100], *beside[:100]]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _differently_cased(path: Path) -> Path | None:
    """An existing path whose name differs only in capitals."""
    try:
        return next((other for other in path.parent.iterdir() if other.name.lower() == path.name.lower()), None)
    except OSError:
        return None


def _about_tiny_images(listing: Listing, rows: Sequence[ExcludedImage], entries: Mapping[str, Entry]) -> str:
    sides = Counter(min(map(int, size)) for row in rows for size in re.findall(r"(\d+)×(\d+)", row.detail))
    option = f"--min-side {sides.most_common(1)[0][0]}" if sides else "a lower --min-side"
    return f"Keep them with {option}; but small {worded('images')} may lack what large ones show."


def _about_undecodable_files(listing: Listing, rows: Sequence[ExcludedImage], entries: Mapping[str, Entry]) -> str:
    explained = any(_foreign_kind(entries.get(row.source)) for row in rows)  # by the details
    return "" if explained else "Get the files again, or convert them."


_ADVISERS: Mapping[Problem, Callable[[Listing, Sequence[ExcludedImage], Mapping[str, Entry]], str]] = MappingProxyType({
    Problem.UNREADABLE: _about_missing_files, Problem.TINY: _about_tiny_images,
    Problem.UNDECODABLE: _about_undecodable_files,
})  # fmt: skip
