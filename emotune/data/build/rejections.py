"""Why images do not make a data set: which classes lack what, the commonest reasons with an example, and what to do."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from emotune.data.file_type import IMAGE_KINDS, UNREAD_KINDS, describe_kind, file_kind_of
from emotune.data.manifest import SPLITS, ExcludedImage, Problem
from emotune.data.sources.base import Entry, Listing

__all__ = ["explain_missing_splits", "explain_too_few_listed"]

DETAILS = 3
"""Of each problem, so many different ones are shown."""

EVERY_CLASS = f"Every class needs an image in each of {', '.join(SPLITS)}: three at least that show different scenes."

ADVICE: Mapping[Problem, str] = MappingProxyType({
    Problem.LOST: "The same command tries again what may work by now; reasons that stay are in health.csv.",
    Problem.TRUNCATED: "Get the files again: these are not whole.",
    Problem.BOMB: "Store these images smaller, or give a higher --max-pixels.",
    Problem.ASPECT: "A higher --max-aspect takes them, or --keep aspect.",
    Problem.ANIMATED: "--keep animated takes their first frame.",
    Problem.PAGES: "--keep pages takes their first page.",
    Problem.BLANK: "--keep blank takes images of one colour.",
    Problem.PLACEHOLDER: "One content under many names is mostly a notice that an image is gone: get the images again.",
    Problem.AMBIGUOUS: "Put each image into one class only.",
    Problem.EXACT: "A copy adds nothing: add other images.",
    Problem.NEAR: "--keep near takes near-duplicates.",
    Problem.VOTES: "Give these images a label, or more votes.",
})  # fmt: skip


def explain_too_few_listed(listing: Listing) -> list[str]:
    """Lines about classes of which fewer images are listed than there are splits; none if there is no such class."""
    have = Counter(entry.label for entry in listing.entries)
    few = [label for label in listing.classes if have[label] < len(SPLITS)]
    if not few:
        return []
    lines = [f'class "{one}": {_images(have[one])}{_left_out_of(one, listing.left_out)}' for one in few]
    return [*lines, *_reasons(listing, few, listing.left_out), *_remedy(listing, few, listing.left_out)]


def explain_missing_splits(
    listing: Listing,
    counts: Mapping[str, Mapping[str, int]],
    groups: Mapping[str, int],
    left_out: Sequence[ExcludedImage],
) -> list[str]:
    """Lines about classes that lack a split; none if there is no such class.

    Args:
        listing: What the source listed.
        counts: Of the images that can be used, by split and class.
        groups: How many groups of near-duplicates these are, by class.
        left_out: What is wrong with the others.
    """
    lacking = [label for label in listing.classes if not all(counts[split][label] for split in SPLITS)]
    if not lacking:
        return []
    lines = []
    for label in lacking:
        have = ", ".join(f"{split} {counts[split][label]}" for split in SPLITS)
        total = sum(counts[split][label] for split in SPLITS)
        one_scene = f", which show only {groups[label]} different scenes" if groups[label] < 3 <= total else ""
        lines.append(f'class "{label}": too few images ({have}){one_scene}{_left_out_of(label, left_out)}')
    return [*lines, *_reasons(listing, lacking, left_out), *_remedy(listing, lacking, left_out)]


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _left_out_of(label: str, left_out: Sequence[ExcludedImage]) -> str:
    found = Counter(row.problem for row in left_out if row.label == label and not row.kept)
    return "; left out: " + ", ".join(f"{n} {problem}" for problem, n in found.most_common()) if found else ""


def _remedy(listing: Listing, lacking: Sequence[str], left_out: Sequence[ExcludedImage]) -> list[str]:
    """For the classes of which nothing was left out."""
    small = [one for one in lacking if not any(row.label == one and not row.kept for row in left_out)]
    if not small:
        return []
    if any(entry.split for entry in listing.entries if entry.label in small):
        return [
            f"The source itself puts the images of {_named(small)} into splits: put some into those that are empty, "
            "or take the splits out of the source, so that emotune makes them"
        ]
    return [EVERY_CLASS, f"Add images to {_named(small)}, or leave such classes out of the source"]


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 5} more classes" if len(labels) > 5 else ""
    return ", ".join(f'"{label}"' for label in labels[:5]) + more


def _reasons(listing: Listing, lacking: Sequence[str], left_out: Sequence[ExcludedImage]) -> list[str]:
    """A line per problem: how many images have it, its commonest details with an example each, and what to do."""
    by_problem: dict[Problem, list[ExcludedImage]] = defaultdict(list)
    for row in left_out:
        if not row.kept and (row.label in lacking or not row.label):
            by_problem[row.problem].append(row)
    entries = {entry.source: entry for entry in listing.entries}
    lines = []
    for problem, rows in sorted(by_problem.items(), key=lambda item: -len(item[1])):
        details: dict[str, list[ExcludedImage]] = defaultdict(list)
        for row in rows:
            details[_general(problem, row, entries.get(row.source))].append(row)
        common = sorted(details.values(), key=len, reverse=True)
        parts = [_example(problem, same, entries.get(same[0].source), len(common) > 1) for same in common[:DETAILS]]
        more = f"; and {len(common) - DETAILS} other details" if len(common) > DETAILS else ""
        advice = _ADVISERS[problem](listing, rows, entries) if problem in _ADVISERS else ADVICE.get(problem, "")
        lines.append(f"{problem}: {_images(len(rows))}: {'; '.join(parts)}{more}. {advice}".rstrip())
    return lines


def _general(problem: Problem, row: ExcludedImage, entry: Entry | None) -> str:
    """The detail without what differs from image to image, so that the same ones can be counted."""
    if problem is Problem.UNDECODABLE and (kind := _kind(entry)):
        return kind
    return (
        re.sub(r"\d+", "0", row.detail) if problem in (Problem.TRUNCATED, Problem.VOTES, Problem.EXACT) else row.detail
    )


def _example(problem: Problem, rows: Sequence[ExcludedImage], entry: Entry | None, one_of_many: bool) -> str:
    detail = rows[0].detail
    if problem is Problem.UNREADABLE and isinstance(path := entry and entry.image, Path) and not _exists(path):
        detail = f"no such file: {os.fsencode(path).decode('utf-8', 'replace')}"
    elif problem is Problem.UNDECODABLE and (kind := _kind(entry)) and describe_kind(kind) not in detail:
        detail = describe_kind(kind)
    return f"{f'{len(rows)} × ' if one_of_many else ''}{detail}, such as {rows[0].source}"


def _kind(entry: Entry | None) -> str:
    """Of a file that is no image which emotune reads; empty if it is one, or cannot be read."""
    try:
        kind = file_kind_of(entry.image) if entry and isinstance(entry.image, Path) else ""
    except (OSError, ValueError):
        return ""
    return "" if kind in IMAGE_KINDS - set(UNREAD_KINDS) else kind


def _about_missing_files(listing: Listing, rows: Sequence[ExcludedImage], entries: Mapping[str, Entry]) -> str:
    """Where was looked, and how the paths must be changed."""
    found = [entries[row.source] for row in rows if row.source in entries]
    missing = [one for one in found if isinstance(one.image, Path) and not _exists(one.image)]
    if not missing:
        return "Make these files readable."
    said = []
    sources = [one.source for one in missing]
    relative = [source for source in sources if not _is_absolute(source)]
    if absolute := len(sources) - len(relative):
        said.append(f"{absolute} paths are absolute, so of the machine where the table was made: make them relative.")
    if slashed := sum("\\" in source for source in relative):
        said.append(f"{slashed} paths have back slashes; with slashes there are no such files, either.")
    if listing.base and relative:
        said.append(f"Paths are relative to {listing.base}.")
        first = relative[0].replace("\\", "/")
        if there := next((folder for folder in _near(listing.base) if _exists(folder / first)), None):
            said.append(f"{first} is in {there}: give --images {there}")
        elif alike := _differently_cased(listing.base / first):
            said.append(f"There is {alike}, whose name has other capitals.")
    return " ".join(said)


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", path) is not None


def _near(base: Path) -> list[Path]:
    """Folders in which the paths may start: those above, and those beside and below."""
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
    try:
        return next((one for one in path.parent.iterdir() if one.name.lower() == path.name.lower()), None)
    except OSError:
        return None


def _about_tiny_images(listing: Listing, rows: Sequence[ExcludedImage], entries: Mapping[str, Entry]) -> str:
    sides = Counter(min(map(int, size)) for row in rows for size in re.findall(r"(\d+)×(\d+)", row.detail))
    common = f"--min-side {sides.most_common(1)[0][0]}" if sides else "A lower --min-side"
    return f"{common} takes them, but small images may lack what large ones show."


def _about_undecodable_files(listing: Listing, rows: Sequence[ExcludedImage], entries: Mapping[str, Entry]) -> str:
    return "" if any(_kind(entries.get(row.source)) for row in rows) else "Get the files again, or convert them."


_ADVISERS: Mapping[Problem, Callable[[Listing, Sequence[ExcludedImage], Mapping[str, Entry]], str]] = MappingProxyType({
    Problem.UNREADABLE: _about_missing_files, Problem.TINY: _about_tiny_images,
    Problem.UNDECODABLE: _about_undecodable_files,
})  # fmt: skip
