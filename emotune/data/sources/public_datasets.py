"""Sets of the field in the formats in which they circulate; each class says where its format was learnt from.

A listing raises an InputError that names all the lines that cannot be used, or what is missing where. No image is
opened here: lost, broken and equal ones are found when shards are written.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from emotune.config.labels import EKMAN, MIKELS, POLARITY
from emotune.core.errors import InputError, raise_if_any
from emotune.data.annotations import OTHER, agreement_of, majority_class, parse_votes
from emotune.data.manifest import SPLITS, ExcludedImage, Problem
from emotune.data.sources.base import NO_LICENCE, Entry, Listing, Url
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.sources.csv_rows import merge_vote_rows, summarise_problems
from emotune.data.sources.csv_source import Csv
from emotune.data.sources.folder_layout import display_path, require_folder
from emotune.data.sources.scenes import Scenes

__all__ = ["SOURCES", "Abstract", "ArtPhoto", "EmoSet", "Emotion6", "FiArchive", "FiLinks", "Twitter1"]

RESEARCH = "for research; the images belong to their owners"
_Line = tuple[str, tuple[int, int]]  # of a link file: where it stands, (agree, disagree)


@dataclass(frozen=True)
class FiLinks:
    """FI (You et al., "Building a large scale dataset for image emotion recognition", AAAI 2016): ``<emotion>_*.csv``,
    lines ``emotion,url,disagree,agree`` (so read it three independent loaders; two call agree > disagree *well*).

    A tie has no majority and is noisy. Lines that repeat a link in one class are one image: equal counts are a copied
    line and count once, different counts are two rounds of votes and are added. A link in several classes has the label
    of the one in which it is well. If there are several such, or it is noisy in all, it has no label. So it is
    without votes.
    """

    help: ClassVar[str] = "FI as its link files, to be downloaded: eight emotions, about five votes each"
    directory: Annotated[Path, "the folder agg, or the one that holds it"]
    part: Annotated[Literal["well", "noisy", "all"], "well: more people agree than disagree; noisy: the rest"] = "well"

    def listing(self) -> Listing:
        agg = _first(self.directory, "agg", "")
        words = {file: file.name.split("_")[0] for file in sorted(agg.glob("[!.]*.csv"))}
        files = {file: match_class(word, MIKELS) for file, word in words.items()}
        problems = [f"{file}: {unknown_class(words[file], MIKELS)}" for file, label in files.items() if label is None]
        raise_if_any(problems + [f"{agg}: no file {label}_*.csv" for label in MIKELS if label not in files.values()])
        lines = ((where, (where, label, cells)) for file, label in files.items() for where, cells in _lines(file, ","))
        links: dict[str, dict[str, list[_Line]]] = {}
        for url, label, line in _each(lines, _link):
            links.setdefault(url, {}).setdefault(label, []).append(line)
        made = [one for url, by_label in links.items() for one in _resolved(url, by_label, self.part)]
        name = "fi" if self.part == "well" else f"fi-{self.part}"
        return _listing(name, MIKELS, made, f"FI (You et al., AAAI 2016), link files, part {self.part}", RESEARCH)


def _link(row: tuple[str, str, Sequence[str]]) -> tuple[str, str, _Line]:
    where, label, cells = row
    match = re.fullmatch(r"\w+,(https?://\S+),(\d+),(\d+)", ",".join(cells))
    if match is None or match_class(cells[0], MIKELS) != label:
        raise ValueError(f'expected "{label},<http link>,<disagree>,<agree>", found "{",".join(cells)}"')
    return match[1], label, (Path(where).name, (int(match[3]), int(match[2])))


def _resolved(url: str, lines: Mapping[str, Sequence[_Line]], part: str) -> Iterator[Entry | ExcludedImage]:
    """What becomes of a link, given its lines by class."""
    rounds = {label: {counts for _, counts in given} for label, given in lines.items()}
    votes = {one: {one: sum(a for a, _ in counts), OTHER: sum(d for _, d in counts)} for one, counts in rounds.items()}
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
    """FI as the archive that circulates: ``<class>/<class>_NNNN.jpg`` (so in Kahsolt/EmotionSpaces and, in part, in
    Aniket1523/image-emotion-recognition), labelled by folder. 1,356 of 23,185 files are one "no longer available".
    """

    help: ClassVar[str] = "FI as the archive that circulates: eight folders of images"
    directory: Annotated[Path, "holds the eight folders, or emotion_dataset with them"]

    def listing(self) -> Listing:
        listing = ClassFolders(_first(self.directory, "emotion_dataset", "")).listing()
        return replace(listing, name="fi", source="FI (You et al., AAAI 2016), images", licence=RESEARCH)


@dataclass(frozen=True)
class EmoSet:
    """EmoSet-118K (Yang et al., ICCV 2023): ``train.json``, ``val.json`` and ``test.json`` list ``[emotion, id, image
    path, annotation path]`` (README and EmoSet.py of JingyuanYY/EmoSet), in some copies without the id (so reads them
    Kahsolt/EmotionSpaces). ``info.json``, which numbers the labels, and the annotations are not needed.
    """

    help: ClassVar[str] = "EmoSet-118K: eight emotions, 118,102 images, with its own split"
    directory: Annotated[Path, "holds train.json, val.json, test.json and the folder image"]

    def listing(self) -> Listing:
        _first(self.directory, "image")
        entries: list[Entry] = []
        for split in SPLITS:
            file = _first(self.directory, f"{split}.json")
            (items,) = _each([(str(file), file)], lambda file: json.loads(file.read_bytes()))
            numbered = enumerate(items if isinstance(items, list) else [items], 1)
            entries += _each(((f"{file}: entry {n}", (split, item)) for n, item in numbered), self._entry)
        return Listing("emoset", MIKELS, entries, "EmoSet-118K (Yang et al., ICCV 2023)", NO_LICENCE)

    def _entry(self, row: tuple[str, Any]) -> Entry:
        split, item = row
        if not (isinstance(item, list) and len(item) in (3, 4) and all(isinstance(part, str) for part in item)):
            raise ValueError("expected [emotion, id, image path, annotation path], or these without the id")
        label, path = _label(item[0]), item[-2]
        return Entry(path, label, {label: 1}, self.directory / path, split=split)


@dataclass(frozen=True)
class Emotion6:
    """Emotion6 (Peng et al., CVPR 2015). ``ground_truth.txt``, tab separated with a header: image (``disgust/1.jpg`` in
    ``images``; the folder is a search word, no label), valence, arousal, probabilities of anger, disgust, fear, joy,
    sadness, surprise, neutral (README.txt of the set). The most probable is the label; a tie has none. Where neutral is
    no class, its share is of votes for none of the classes.
    """

    help: ClassVar[str] = "Emotion6: Ekman's six emotions as shares of votes, 1,980 images"
    directory: Annotated[Path, "holds ground_truth.txt and the folder images"]
    neutral: Annotated[Literal["leave-out", "class"], "what to do with images that are mostly neutral"] = "leave-out"

    def listing(self) -> Listing:
        seven = (*EKMAN, "neutral")
        name, classes = ("emotion6", EKMAN) if self.neutral == "leave-out" else ("emotion6-neutral", seven)
        table = _vote_table(_first(self.directory, "ground_truth.txt"), "\t", seven)
        for _, votes in table:
            votes[OTHER if classes == EKMAN else "neutral"] = votes.pop("neutral")
        table, notes = merge_vote_rows(table)
        made = _judged(table, [self.directory / folder for folder in ("images", "Images", "")])
        return _listing(name, classes, made, "Emotion6 (Peng et al., CVPR 2015)", RESEARCH, notes)


@dataclass(frozen=True)
class Abstract:
    """Abstract paintings (Machajdik and Hanbury, "Affective image classification …", ACM Multimedia 2010), beside
    ``ABSTRACT_groundTruth.csv``: a header ``'','Amusement',…,'Content',…,'Sad'``, lines ``'abstract_0001.jpg',0,…`` of
    votes (so read it tensorbay, Kahsolt/EmotionSpaces and others). A tie has no label.
    """

    help: ClassVar[str] = "Abstract, paintings of Machajdik and Hanbury: eight emotions, votes, 280 images"
    directory: Annotated[Path, "holds ABSTRACT_groundTruth.csv and its images, or testImages_abstract with them"]

    def listing(self) -> Listing:
        path = _first(self.directory, "ABSTRACT_groundTruth.csv", "testImages_abstract/ABSTRACT_groundTruth.csv")
        table, notes = merge_vote_rows(_vote_table(path, ",", MIKELS))
        made = _judged(table, [path.parent, self.directory / "testImages_abstract"])
        return _listing("abstract", MIKELS, made, "Abstract (Machajdik and Hanbury, ACM MM 2010)", NO_LICENCE, notes)


@dataclass(frozen=True)
class ArtPhoto:
    """ArtPhoto (Machajdik and Hanbury, ACM Multimedia 2010): ``<emotion>_NNNN.jpg`` in one folder, sadness as ``sad``
    (the list of the files in acumos/image-mood-classifier). What is no JPEG, as a ``ReadMe.rtf``, is passed over.
    """

    help: ClassVar[str] = "ArtPhoto of Machajdik and Hanbury: eight emotions, 806 images"
    directory: Annotated[Path, "holds the images, or testImages_artphoto with them"]

    def listing(self) -> Listing:
        root = _first(self.directory, "testImages_artphoto", "")
        files = [path for path in sorted(root.glob("[!.]*")) if path.suffix.lower() in (".jpg", ".jpeg")]
        labels = _each(((str(file), file) for file in files), lambda file: _label(file.stem.split("_")[0]))
        raise_if_any([f"{root}: no image of {label}, <emotion>_NNNN.jpg" for label in MIKELS if label not in labels])
        entries = [
            Entry(display_path(file, root), label, {label: 1}, file) for file, label in zip(files, labels, strict=True)
        ]
        return Listing("artphoto", MIKELS, entries, "ArtPhoto (Machajdik and Hanbury, ACM MM 2010)", NO_LICENCE)


@dataclass(frozen=True)
class Twitter1:
    """Twitter I (You et al., "Robust image sentiment analysis …", AAAI 2015), each image judged by five people. Those
    on which at least three agree are the lines ``<image> <1 positive, 0 negative>`` of ``twitter_three_agrees.txt``;
    likewise ``…four…``, ``…five…``, so their votes are known. (They are in johnwsh/twitterDataset; two loaders agree.)
    """

    help: ClassVar[str] = "Twitter I: positive or negative, 1,269 images, five votes each"
    directory: Annotated[Path, "holds twitter_three_agrees.txt, …, and the folder Agg_AMT_Candidates or images"]
    agree: Annotated[Literal["3", "4", "5"], "how many of the five people must agree"] = "3"

    def listing(self) -> Listing:
        votes: dict[str, dict[str, float]] = {}

        def take(row: tuple[int, Sequence[str]]) -> None:
            n, cells = row
            if len(cells) != 2 or cells[1] not in ("0", "1"):
                raise ValueError('expected an image and 0 or 1, such as "a.jpg 1"')
            label, other = POLARITY if cells[1] == "0" else POLARITY[::-1]
            if votes.get(cells[0], {}).get(other, 0) > 2:
                raise ValueError(f"{cells[0]} is {label} here, but {other} above or where fewer agree")
            votes[cells[0]] = {label: n, other: 5 - n}

        names = {n: f"{word}_agree" for n, word in enumerate(("three", "four", "five"), 3) if n >= int(self.agree)}
        files = {n: _first(self.directory, f"twitter_{name}s.txt", f"ground_truth/twitter_{name}s.txt", f"{name}.txt")
                 for n, name in names.items()}  # fmt: skip
        _each(((where, (n, cells)) for n, file in files.items() for where, cells in _lines(file, None)), take)
        folders = [self.directory / folder for folder in ("Agg_AMT_Candidates", "images", "")]
        name = "twitter1" if self.agree == "3" else f"twitter1-{self.agree}"
        source = f"Twitter I (You et al., AAAI 2015), at least {self.agree} of 5 agree"
        return _listing(name, POLARITY, _judged(list(votes.items()), folders), source, NO_LICENCE)


def _listing(
    name: str, classes: tuple[str, ...], made: Iterable[Any], source: str, licence: str, notes: Sequence[str] = ()
) -> Listing:
    made = list(made)
    entries, left_out = ([one for one in made if isinstance(one, kind)] for kind in (Entry, ExcludedImage))
    return Listing(name, classes, entries, source, licence, left_out, notes=notes)


def _judged(table: Sequence[tuple[str, dict[str, float]]], folders: Sequence[Path]) -> Iterator[Entry | ExcludedImage]:
    """The images, labelled with what has most votes, in the first of the folders that has any of them."""
    has_any = [folder for folder in folders if any((folder / name).is_file() for name, _ in table)]
    if not has_any:
        raise InputError(f"{folders[0]}: has none of the {len(table)} images that are listed")
    for name, votes in table:
        label = majority_class(votes, tuple(votes))
        if label and label != OTHER:
            yield Entry(name, label, votes, has_any[0] / name)
        else:
            yield ExcludedImage(
                name, "", Problem.VOTES, "neutral has most votes" if label else f"no single class: {votes}"
            )


def _vote_table(path: Path, delimiter: str, classes: Sequence[str]) -> list[tuple[str, dict[str, float]]]:
    """Images and their votes; a column is a class if the last word of its header is (``[prob. anger]``)."""
    (where, header), *rows = _lines(path, delimiter) or [(f"{path}:1", [])]
    words = [re.split("[^a-z]+", cell.lower().strip("[] "))[-1] for cell in header]
    columns = {match_class(word, classes) or word: column for column, word in enumerate(words)}
    if missing := [label for label in classes if label not in columns]:
        raise InputError(f"{where}: no column {', '.join(missing)}; found {', '.join(header) or 'nothing'}")

    def take(cells: Sequence[str]) -> tuple[str, dict[str, float]]:
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} columns; the header has {len(header)}")
        return cells[0], {label: parse_votes(cells[columns[label]]) for label in classes}

    return _each(rows, take)


def _each(rows: Iterable[tuple[str, Any]], make: Callable[[Any], Any]) -> list[Any]:
    """What `make` makes of each row, or its ValueErrors: a line per kind, with the first row and how many there are."""
    made, problems = [], []
    for where, row in rows:
        try:
            made.append(make(row))
        except ValueError as error:
            problems.append((where, str(error)))
    raise_if_any(summarise_problems(problems))
    return made


def _lines(path: Path, delimiter: str | None) -> list[tuple[str, list[str]]]:
    """The cells of every line that is not blank, without quotes around them, and where it stands."""
    try:
        rows = [line.rstrip().split(delimiter) for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text in UTF-8 ({error})") from None
    return [(f"{path}:{n}", [cell.strip().strip("'\"") for cell in row]) for n, row in enumerate(rows, 1) if any(row)]


def _label(name: str) -> str:
    label = match_class(name, MIKELS)
    if label is None:
        raise ValueError(unknown_class(name, MIKELS))
    return label


def _first(directory: Path, *names: str) -> Path:
    require_folder(directory, "the one that holds the set")
    found = [directory / name for name in names if (directory / name).exists()]
    if not found:
        raise InputError(f"{directory}: no {' or '.join(name for name in names if name)} here")
    return found[0]


SOURCES: Mapping[str, type] = MappingProxyType({
    "folder": ClassFolders, "csv": Csv, "fi-links": FiLinks, "fi-archive": FiArchive, "emoset": EmoSet,
    "emotion6": Emotion6, "abstract": Abstract, "artphoto": ArtPhoto, "twitter1": Twitter1, "scenes": Scenes,
})  # fmt: skip
"""The kinds of data sets that `emotune.shard` reads, by the name of its command."""
