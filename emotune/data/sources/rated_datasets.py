"""Public data sets of valence and arousal, in the formats in which they circulate; each class cites where it is from.

As in `emotune.data.sources.public_datasets`, no image is opened here. What a docstring calls our reading is not known
from a copy of the data set; a file that does not fit is refused.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from emotune.config.target import Dimension
from emotune.core.errors import InputError, raise_if_any
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import NO_LICENCE, Listing, Url
from emotune.data.sources.published_files import RESEARCH_LICENCE, convert_rows, first_existing
from emotune.data.sources.rated_images import (
    RatedImage,
    last_of_each,
    parse_rating,
    parse_sd,
    rated_listing,
    require_any_image,
)

__all__ = ["FindingEmo", "Gaped", "Naps", "Oasis"]

Row = Mapping[str, str]


@dataclass(frozen=True)
class Oasis:
    """OASIS (Kurdi, Lozano and Banaji, "Introducing the Open Affective Standardized Image Set", 2017), 900 photographs.

    ``OASIS.csv`` has a first column without a name, and ``Theme``, ``Category``, ``Source``, and the mean, the standard
    deviation and the number of ratings of valence and arousal, from 1 to 7: ``Valence_mean``, ``Valence_SD``, …. Its
    lines end in a bare carriage return. The photograph is ``<Theme>.jpg``, without the spaces around the theme.
    """

    help: ClassVar[str] = "OASIS: valence and arousal of 900 photographs, with the raters' standard deviations"
    directory: Annotated[Path, "the folder that holds OASIS.csv and the folder images"]

    def listing(self) -> Listing:
        table = first_existing(self.directory, "OASIS.csv")
        images = first_existing(self.directory, "images", "Images", "")
        dimensions = (Dimension("valence", 1, 7), Dimension("arousal", 1, 7))
        columns = [f"{one.name.capitalize()}_{what}" for one in dimensions for what in ("mean", "SD")]
        rows = list(_rows(table, ",", ["Theme", *columns]))
        names = {id(row): f"{row['Theme'].strip()}.jpg" for _, row in rows}
        require_any_image(images, names.values())

        def rated(row: Row) -> RatedImage:
            ratings = {
                one.name: (parse_rating(one, row[columns[2 * i]]), parse_sd(one, row[columns[2 * i + 1]]))
                for i, one in enumerate(dimensions)
            }
            raters = {one.name: _raters(row.get(f"{one.name.capitalize()}_N", "")) for one in dimensions}
            return RatedImage(names[id(row)], images / names[id(row)], ratings, raters=raters)

        rated_images, notes = last_of_each(convert_rows(rows, rated))
        return rated_listing("oasis", dimensions, rated_images, "OASIS (Kurdi et al., 2017)", NO_LICENCE, notes=notes)


@dataclass(frozen=True)
class Gaped:
    """GAPED (Dan-Glauser and Scherer, 2011): 730 pictures, rated from 0 to 100.

    There is a folder of ``.bmp`` files for each category: ``A``, ``H``, ``N``, ``P``, ``Sn`` and ``Sp``. That each has
    a list, ``<category>.txt`` in it or beside it, with lines of the picture, its valence and its arousal, separated by
    tabs or blanks, is our reading; so is a header, which names valence.
    """

    help: ClassVar[str] = "GAPED: valence and arousal of 730 pictures"
    directory: Annotated[Path, "the folder that holds the folders A, H, N, P, Sn, Sp and their lists"]

    def listing(self) -> Listing:
        dimensions = (Dimension("valence", 0, 100), Dimension("arousal", 0, 100))
        found = {name: first_existing(self.directory, name) for name in ("A", "H", "N", "P", "Sn", "Sp")}
        lists = {
            name: first_existing(self.directory, f"{name}/{name}.txt", f"{name}.txt") for name in found
        }  # fmt: skip
        lines = [
            (where, (folder, cells)) for name, folder in found.items() for where, cells in _words(lists[name])
            if not any("valence" in cell.lower() for cell in cells)
        ]  # fmt: skip

        def rated(row: tuple[Path, Sequence[str]]) -> RatedImage:
            folder, cells = row
            if len(cells) < 3:
                raise ValueError("expected a picture, its valence and its arousal, separated by tabs")
            name = cells[0] if "." in cells[0] else f"{cells[0]}.bmp"
            ratings = {one.name: (parse_rating(one, cells[1 + i]), None) for i, one in enumerate(dimensions)}
            return RatedImage(f"{folder.name}/{name}", folder / name, ratings)

        images, notes = last_of_each(convert_rows(lines, rated))
        require_any_image(self.directory, [image.source for image in images])
        return rated_listing("gaped", dimensions, images, "GAPED (Dan-Glauser and Scherer, 2011)", RESEARCH_LICENCE,
                             notes=notes)  # fmt: skip


@dataclass(frozen=True)
class Naps:
    """NAPS (Marchewka et al., 2014): 1,356 photographs, rated from 1 to 9.

    ``NAPS_valence_arousal_2014.csv`` is separated by semicolons and has the columns ``ID``, ``Category``, ``Nr``,
    ``V_H``, ``Description``, ``Valence`` and ``Arousal``. That the photograph is ``<ID>.jpg``, and that decimals may
    have a comma, is our reading.
    """

    help: ClassVar[str] = "NAPS: valence and arousal of 1,356 photographs"
    directory: Annotated[Path, "the folder that holds NAPS_valence_arousal_2014.csv and the photographs"]

    def listing(self) -> Listing:
        dimensions = (Dimension("valence", 1, 9), Dimension("arousal", 1, 9))
        rows = list(_rows(first_existing(self.directory, "NAPS_valence_arousal_2014.csv"), ";",
                          ["ID", "Valence", "Arousal"]))  # fmt: skip
        names = [f"{row['ID'].strip()}.jpg" for _, row in rows]
        folders = [self.directory / folder for folder in ("", "images", "Images")]
        folder = next((one for one in folders if any((one / name).is_file() for name in names)), folders[0])
        require_any_image(folder, names)

        def rated(row: Row) -> RatedImage:
            name = f"{row['ID'].strip()}.jpg"
            ratings = {one.name: (parse_rating(one, row[one.name.capitalize()].replace(",", ".")), None)
                       for one in dimensions}  # fmt: skip
            return RatedImage(name, folder / name, ratings)

        images, notes = last_of_each(convert_rows(rows, rated))
        return rated_listing("naps", dimensions, images, "NAPS (Marchewka et al., 2014)", RESEARCH_LICENCE, notes=notes)


@dataclass(frozen=True)
class FindingEmo:
    """FindingEmo (Mertens et al., 2024): valence from -3 to 3 and arousal from 0 to 6 of the people in 25,869 scenes.

    The package ``findingemo-light`` has ``annotations_single.ann``, a table with a row per picture (``image_path``,
    ``valence``, ``arousal`` and others), and ``dataset_urls_exploded.json`` with links, several for some pictures:
    ``{"rel_path": …, "idx_url": …, "url": …}``. The link with the smallest number is downloaded. A picture without a
    link is left out. Each picture has one annotator, so there are no standard deviations.
    """

    help: ClassVar[str] = "FindingEmo: valence and arousal of the people in 25,869 scenes, downloaded from links"
    directory: Annotated[Path, "the folder that holds annotations_single.ann and dataset_urls_exploded.json"]

    def listing(self) -> Listing:
        dimensions = (Dimension("valence", -3, 3), Dimension("arousal", 0, 6))
        rows = list(_rows(first_existing(self.directory, "annotations_single.ann"), ",",
                          ["image_path", "valence", "arousal"]))  # fmt: skip
        links = _links(first_existing(self.directory, "dataset_urls_exploded.json"))
        left_out = [
            ExcludedImage(row["image_path"], "", Problem.LOST, "no link") for _, row in rows
            if row["image_path"] not in links
        ]  # fmt: skip

        def rated(row: Row) -> RatedImage:
            ratings = {one.name: (parse_rating(one, row[one.name]), None) for one in dimensions}
            return RatedImage(row["image_path"], Url(links[row["image_path"]]), ratings)

        with_link = [(where, row) for where, row in rows if row["image_path"] in links]
        images, notes = last_of_each(convert_rows(with_link, rated))
        return rated_listing(
            "findingemo", dimensions, images, "FindingEmo (Mertens et al., 2024)",
            "annotations CC BY-NC-SA 4.0; the images belong to their owners", left_out=left_out, notes=notes,
        )  # fmt: skip


def _links(path: Path) -> dict[str, str]:
    """The link with the smallest number of each picture."""
    try:
        entries = json.loads(path.read_bytes())
        ordered = sorted(entries, key=lambda entry: -int(entry["idx_url"]))
        return {str(entry["rel_path"]): str(entry["url"]) for entry in ordered}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: not a list of rel_path, idx_url and url ({error})") from None


def _text(path: Path) -> list[str]:
    """The lines of a file, whatever ends them."""
    try:
        return path.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text in UTF-8 ({error})") from None


def _words(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The place and the cells of each line that is not blank, separated by tabs, or else by blanks."""
    for number, line in enumerate(_text(path), 1):
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if any(cells):
            yield f"{path}:{number}", cells


def _rows(path: Path, delimiter: str, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The place and the cells of each row of a table by column.

    Raises:
        InputError: a column is missing, or rows have more or fewer cells than the header.
    """
    lines = _text(path)
    reader = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    if missing := [name for name in columns if name not in header]:
        found = ", ".join(filter(None, header)) or "nothing"
        raise InputError(f"{path}:1: no column {', '.join(missing)}; found {found}")
    rows = [(f"{path}:{reader.line_num}", cells) for cells in reader if any(cells)]
    raise_if_any([
        f"{where}: {len(cells)} columns; the header has {len(header)}"
        for where, cells in rows if len(cells) != len(header)
    ][:5])  # fmt: skip
    yield from ((where, dict(zip(header, cells, strict=True))) for where, cells in rows)


def _raters(text: str) -> int:
    """The number of ratings in a cell; 0 if it is not known.

    Raises:
        ValueError: the text is not such a number.
    """
    text = text.strip()
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise ValueError(f'number of ratings "{text}" is not a number')
    return int(text)
