"""Valence and arousal of Emotion6, which its table has beside the votes."""

from collections.abc import Sequence
from pathlib import Path

from emotune.config.target import Dimension
from emotune.core.errors import InputError
from emotune.data.sources.base import Listing
from emotune.data.sources.published_files import RESEARCH_LICENCE, convert_rows, read_lines
from emotune.data.sources.rated_images import RatedImage, last_of_each, parse_rating, rated_listing, require_any_image

__all__ = ["EMOTION6", "read_rated_table"]

EMOTION6 = "Emotion6 (Peng et al., CVPR 2015)"
DIMENSIONS = (Dimension("valence", 1, 9), Dimension("arousal", 1, 9))
"""The scale is our reading: the README of the data set states none."""


def read_rated_table(path: Path, folders: Sequence[Path]) -> Listing:
    """The listing of ``ground_truth.txt`` as *dimensions*.

    Args:
        path: The table.
        folders: The folders in which the images may be; the first one that has any of them counts.

    Raises:
        InputError: a column is missing, or a line cannot be used.
    """
    (where, header), *rows = read_lines(path, "\t") or [(f"{path}:1", [])]
    columns = {cell.lower().strip("[] "): number for number, cell in enumerate(header)}
    if missing := [one.name for one in DIMENSIONS if one.name not in columns]:
        raise InputError(f"{where}: no column {', '.join(missing)}; found {', '.join(header) or 'nothing'}")
    names = [cells[0] for _, cells in rows]
    folder = next((one for one in folders if any((one / name).is_file() for name in names)), folders[0])
    require_any_image(folder, names)

    def rated(cells: Sequence[str]) -> RatedImage:
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} columns; the header has {len(header)}")
        ratings = {one.name: (parse_rating(one, cells[columns[one.name]]), None) for one in DIMENSIONS}
        return RatedImage(cells[0], folder / cells[0], ratings)

    images, notes = last_of_each(convert_rows(rows, rated))
    return rated_listing("emotion6-dimensions", DIMENSIONS, images, EMOTION6, RESEARCH_LICENCE, notes=notes)
