"""Placement of labels beside points, without overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "Mark", "place_labels"]


@dataclass(frozen=True)
class Box:
    """A rectangle, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two rectangles overlap."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


@dataclass(frozen=True)
class Mark:
    """A point and the area that its marker and interval take, in points from the lower left corner."""

    x: float
    y: float
    area: Box


def place_labels(
    marks: Sequence[Mark], sizes: Sequence[tuple[float, float]], room: tuple[float, float]
) -> list[Box] | None:
    """A box beside each point that overlaps neither another box nor a mark; None if there is no room for all.

    Points with the fewest free positions are placed first.

    Args:
        marks: The points.
        sizes: The width and height of each label, in points.
        room: The width and height of the axes, in points.
    """
    free = []
    for mark, (w, h) in zip(marks, sizes, strict=True):
        right, left, centre = mark.x + 5, mark.x - 5 - w, mark.x - w / 2
        over, under, middle = mark.area.top + 1, mark.area.bottom - 1 - h, mark.y - h / 2
        beginnings = [(right, middle), (left, middle), (centre, over), (centre, under), (right, middle + h),
                      (right, middle - h), (left, middle + h), (left, middle - h), (mark.x, over), (mark.x - w, over),
                      (mark.x, under), (mark.x - w, under)]  # fmt: skip
        boxes = [Box(x, y, x + w, y + h) for x, y in beginnings]
        boxes = [box for box in boxes if min(box.left, box.bottom) >= 0 and box.right <= room[0] and box.top <= room[1]]
        free.append([box for box in boxes if not any(box.overlaps(other.area) for other in marks)])
    placed: dict[int, Box] = {}
    while len(placed) < len(marks):
        i = min((i for i in range(len(marks)) if i not in placed), key=lambda i: len(free[i]))
        if not free[i]:
            return None
        placed[i] = free[i][0]
        free = [[box for box in boxes if not box.overlaps(placed[i])] for boxes in free]
    return [placed[i] for i in range(len(marks))]
