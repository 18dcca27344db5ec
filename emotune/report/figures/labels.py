"""Names beside points, without overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "beside"]


@dataclass(frozen=True)
class Box:
    """A rectangle, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        """Whether the two have a common area."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


def beside(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: tuple[float, float],
    taken: Sequence[Box],
) -> list[Box] | None:
    """Boxes of texts beside their points, that meet neither each other nor what is drawn; None if there is no room.

    The points with the fewest free places are served first.

    Args:
        points: In points, from the lower left corner of the frame.
        sizes: Width and height of each text, in points.
        frame: Width and height of the room.
        taken: Other things, the points' marks among them.
    """
    free = []
    for (x, y), (w, h) in zip(points, sizes, strict=True):
        right, middle, left, around = x + 5, y - h / 2, x - 5 - w, x - w / 2
        corners = [(right, middle), (left, middle), (around, y + 4), (around, y - 4 - h), (x + 3, y + 3), (x + 3, y - 3 - h),
                   (x - 3 - w, y + 3), (x - 3 - w, y - 3 - h)]  # fmt: skip
        boxes = [Box(a, b, a + w, b + h) for a, b in corners]
        boxes = [box for box in boxes if box.left >= 0 and box.right <= frame[0] and box.bottom >= 0 and box.top <= frame[1]]
        free.append([box for box in boxes if not any(box.meets(other) for other in taken)])
    placed: dict[int, Box] = {}
    while len(placed) < len(points):
        i = min((i for i in range(len(points)) if i not in placed), key=lambda i: len(free[i]))
        if not free[i]:
            return None
        placed[i] = free[i][0]
        free = [[box for box in boxes if not box.meets(placed[i])] for boxes in free]
    return [placed[i] for i in range(len(points))]
