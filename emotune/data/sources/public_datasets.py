"""Public data sets of image emotion, in the formats in which they circulate; each class cites where its format is from.

A listing raises an InputError that names every line that cannot be used, or the files that are missing. Images are not
opened here: missing, broken and duplicate ones are found when shards are written.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from emotune.config.labels import EKMAN, MIKELS, POLARITY
from emotune.core.errors import InputError, raise_if_any
from emotune.data.annotations import OTHER
from emotune.data.manifest import SPLITS
from emotune.data.sources.base import NO_LICENCE, Entry, Listing
from emotune.data.sources.csv_rows import merge_vote_rows
from emotune.data.sources.emotion6_ratings import EMOTION6, read_rated_table
from emotune.data.sources.folder_layout import display_path
from emotune.data.sources.published_files import (
    RESEARCH_LICENCE,
    convert_rows,
    first_existing,
    label_by_votes,
    make_listing,
    mikels_class,
    read_lines,
    read_vote_table,
)

__all__ = ["Abstract", "ArtPhoto", "EmoSet", "Emotion6", "Twitter1"]


@dataclass(frozen=True)
class EmoSet:
    """EmoSet-118K (Yang et al., ICCV 2023), with its own split.

    ``train.json``, ``val.json`` and ``test.json`` list ``[emotion, id, image path, annotation path]`` (README and
    EmoSet.py of JingyuanYY/EmoSet), in some copies without the id (Kahsolt/EmotionSpaces). Neither ``info.json``, which
    numbers the labels, nor the annotations are needed.
    """

    help: ClassVar[str] = "EmoSet-118K: eight emotions, 118,102 images, with its own split"
    directory: Annotated[Path, "the folder that holds train.json, val.json, test.json and the folder image"]

    def listing(self) -> Listing:
        first_existing(self.directory, "image")
        entries: list[Entry] = []
        for split in SPLITS:
            file = first_existing(self.directory, f"{split}.json")
            (items,) = convert_rows([(str(file), file)], lambda file: json.loads(file.read_bytes()))
            numbered = enumerate(items if isinstance(items, list) else [items], 1)
            entries += convert_rows(((f"{file}: entry {n}", (split, item)) for n, item in numbered), self._entry)
        return Listing("emoset", MIKELS, entries, "EmoSet-118K (Yang et al., ICCV 2023)", NO_LICENCE)

    def _entry(self, row: tuple[str, Any]) -> Entry:
        split, item = row
        if not (isinstance(item, list) and len(item) in (3, 4) and all(isinstance(part, str) for part in item)):
            raise ValueError("expected [emotion, id, image path, annotation path], or the same without the id")
        label, path = mikels_class(item[0]), item[-2]
        return Entry(path, label, {label: 1}, self.directory / path, split=split)


@dataclass(frozen=True)
class Emotion6:
    """Emotion6 (Peng et al., CVPR 2015).

    ``ground_truth.txt`` is separated by tabs and has a header. Its columns are the image (``disgust/1.jpg`` in
    ``images``, where the folder is a search word and not a label), valence, arousal, and the probabilities of anger,
    disgust, fear, joy, sadness, surprise and neutral (README.txt of the data set). The most probable class is the
    label, and a tie has none. If neutral is not a class, its share counts as votes for none of the classes. As
    *distributions*, all images stay that have a vote for a class. As *dimensions*, valence and arousal are the ratings;
    that their scale is from 1 to 9 is our reading.
    """

    help: ClassVar[str] = "Emotion6: Ekman's six emotions as shares of votes, 1,980 images"
    directory: Annotated[Path, "the folder that holds ground_truth.txt and the folder images"]
    neutral: Annotated[Literal["leave-out", "class"], "exclude mostly neutral images, or make neutral a class"] = (
        "leave-out"
    )
    target: Annotated[Literal["classes", "distributions", "dimensions"], "what is predicted"] = "classes"

    def listing(self) -> Listing:
        seven = (*EKMAN, "neutral")
        name, classes = ("emotion6", EKMAN) if self.neutral == "leave-out" else ("emotion6-neutral", seven)
        path = first_existing(self.directory, "ground_truth.txt")
        folders = [self.directory / folder for folder in ("images", "Images", "")]
        if self.target == "dimensions":
            if self.neutral != "leave-out":
                raise InputError(f"--neutral {self.neutral}: ratings have no classes; leave it out")
            return read_rated_table(path, folders)
        table = read_vote_table(path, "\t", seven)
        for _, votes in table:
            votes[OTHER if classes == EKMAN else "neutral"] = votes.pop("neutral")
        merged, notes = merge_vote_rows(table)
        if self.target == "distributions" and classes == EKMAN:
            notes = [
                *notes,
                "neutral is left out: shares are those of the votes for six emotions; --neutral class keeps it",
            ]
        images = label_by_votes(merged, folders, self.target)
        return make_listing(name, classes, images, EMOTION6, RESEARCH_LICENCE, notes, self.target)


@dataclass(frozen=True)
class Abstract:
    """Abstract paintings (Machajdik and Hanbury, "Affective image classification …", ACM Multimedia 2010).

    ``ABSTRACT_groundTruth.csv`` has a header ``'','Amusement',…,'Content',…,'Sad'`` and lines of votes,
    ``'abstract_0001.jpg',0,…`` (read so by tensorbay, Kahsolt/EmotionSpaces and others). A tie has no label.
    As *distributions*, it stays.
    """

    help: ClassVar[str] = "Abstract, paintings of Machajdik and Hanbury: eight emotions, votes, 280 images"
    directory: Annotated[Path, "the folder that holds ABSTRACT_groundTruth.csv, or testImages_abstract with it"]
    target: Annotated[Literal["classes", "distributions"], "what is predicted"] = "classes"

    def listing(self) -> Listing:
        path = first_existing(
            self.directory, "ABSTRACT_groundTruth.csv", "testImages_abstract/ABSTRACT_groundTruth.csv"
        )
        table, notes = merge_vote_rows(read_vote_table(path, ",", MIKELS))
        images = label_by_votes(table, [path.parent, self.directory / "testImages_abstract"], self.target)
        return make_listing(
            "abstract", MIKELS, images, "Abstract (Machajdik and Hanbury, ACM MM 2010)", NO_LICENCE, notes, self.target
        )


@dataclass(frozen=True)
class ArtPhoto:
    """ArtPhoto (Machajdik and Hanbury, ACM Multimedia 2010): ``<emotion>_NNNN.jpg`` in one folder.

    Sadness is written ``sad`` (list of files in acumos/image-mood-classifier). Files that are not JPEG files, such as
    ``ReadMe.rtf``, are skipped.
    """

    help: ClassVar[str] = "ArtPhoto of Machajdik and Hanbury: eight emotions, 806 images"
    directory: Annotated[Path, "the folder that holds the images, or testImages_artphoto with them"]

    def listing(self) -> Listing:
        root = first_existing(self.directory, "testImages_artphoto", "")
        files = [path for path in sorted(root.glob("[!.]*")) if path.suffix.lower() in (".jpg", ".jpeg")]
        labels = convert_rows(((str(file), file) for file in files), lambda file: mikels_class(file.stem.split("_")[0]))
        raise_if_any([f"{root}: no image of {label}, <emotion>_NNNN.jpg" for label in MIKELS if label not in labels])
        entries = [
            Entry(display_path(file, root), label, {label: 1}, file) for file, label in zip(files, labels, strict=True)
        ]
        return Listing("artphoto", MIKELS, entries, "ArtPhoto (Machajdik and Hanbury, ACM MM 2010)", NO_LICENCE)


@dataclass(frozen=True)
class Twitter1:
    """Twitter I (You et al., "Robust image sentiment analysis …", AAAI 2015), each image judged by five people.

    ``twitter_three_agrees.txt`` has a line ``<image> <1 positive, 0 negative>`` for each image on which at least three
    people agree. The files for four and five are alike, so the votes are known (johnwsh/twitterDataset; two loaders
    agree).
    """

    help: ClassVar[str] = "Twitter I: positive or negative, 1,269 images, five votes each"
    directory: Annotated[Path, "the folder that holds twitter_three_agrees.txt, … and the images' folder"]
    agree: Annotated[Literal["3", "4", "5"], "number of the five people who must agree"] = "3"

    def listing(self) -> Listing:
        votes: dict[str, dict[str, float]] = {}

        def add_votes(row: tuple[int, Sequence[str]]) -> None:
            n, cells = row
            if len(cells) != 2 or cells[1] not in ("0", "1"):
                raise ValueError('expected an image and 0 or 1, such as "a.jpg 1"')
            label, other = POLARITY if cells[1] == "0" else POLARITY[::-1]
            if votes.get(cells[0], {}).get(other, 0) > 2:
                raise ValueError(f"{cells[0]} is {label} here, but {other} above or in the file where fewer agree")
            votes[cells[0]] = {label: n, other: 5 - n}

        names = {n: f"{word}_agree" for n, word in enumerate(("three", "four", "five"), 3) if n >= int(self.agree)}
        files = {
            n: first_existing(
                self.directory, f"twitter_{name}s.txt", f"ground_truth/twitter_{name}s.txt", f"{name}.txt"
            )
            for n, name in names.items()
        }
        convert_rows(
            ((where, (n, cells)) for n, file in files.items() for where, cells in read_lines(file, None)), add_votes
        )
        folders = [self.directory / folder for folder in ("Agg_AMT_Candidates", "images", "")]
        name = "twitter1" if self.agree == "3" else f"twitter1-{self.agree}"
        source = f"Twitter I (You et al., AAAI 2015), at least {self.agree} of 5 agree"
        return make_listing(name, POLARITY, label_by_votes(list(votes.items()), folders), source, NO_LICENCE)
