"""The contours of an image: edges one pixel wide, followed from end to end, and cut at their corners."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import depth_first_order
from skimage.color import rgb2gray
from skimage.feature import canny
from skimage.morphology import skeletonize

__all__ = ["Contours", "Pieces", "contours_of", "pieces_of"]

SIGMA = 2.0
"""The smoothing before edges are sought, in pixels."""
THRESHOLDS = (0.05, 0.12)
"""Canny's two thresholds for the Sobel magnitude of grey values from 0 to 1."""
SHORTEST = 12
"""The pixels of the shortest contour."""
REACH = 6
"""How far from a pixel the directions are taken that a contour has before and behind it, in pixels."""
CORNER = np.deg2rad(40)
"""The least turn of a corner."""
ROUNDED, SIDE = 3, 15
"""The sides of a corner are taken from the third to the fifteenth pixel: the smoothing rounds the corner itself."""
STEP = 5
"""Lengths are measured along every fifth pixel, because steps from pixel to pixel are longer than the line."""
NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Contours:
    """The contours of an image, one after the other.

    Attributes:
        points: Row and column of each pixel in the order along its contour, (N, 2).
        number: The number of the contour of each pixel, rising, (N,).
        closed: Whether a contour ends where it begins, (contours,).
    """

    points: np.ndarray
    number: np.ndarray
    closed: np.ndarray


@dataclass(frozen=True)
class Pieces:
    """Parts of contours; a closed one ends where it begins.

    Attributes:
        points: Row and column of each pixel, in order, (N, 2).
        first: The place in ``points`` of a piece's first pixel, (pieces,).
        count: The number of pixels of a piece.
        length: The length of a piece in pixels.
        chord: The distance of its ends.
    """

    points: np.ndarray
    first: np.ndarray
    count: np.ndarray
    length: np.ndarray
    chord: np.ndarray

    @property
    def straightness(self) -> np.ndarray:
        """The distance of the ends over the length: 1 of a straight piece, 0 of a closed one."""
        return np.minimum(self.chord / np.maximum(self.length, 1), 1)

    def of(self, piece: int) -> np.ndarray:
        """The points of a piece, (count, 2)."""
        return self.points[self.first[piece] : self.first[piece] + self.count[piece]]


def contours_of(image: np.ndarray) -> Contours:
    """The contours in the grey values of an image: uint8 (H, W, 3).

    Edges are those of Canny (1986), thinned; they end where three or more meet, and those shorter than 12 pixels are
    left out.
    """
    edges = skeletonize(canny(rgb2gray(image), SIGMA, *THRESHOLDS))
    beside = ndimage.convolve(edges.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant") - 1
    labels, found = ndimage.label(edges & (beside <= 2), np.ones((3, 3)))
    long = np.bincount(labels.ravel(), minlength=found + 1) >= SHORTEST
    long[0] = False
    points = np.argwhere(long[labels])
    if not len(points):
        return Contours(points, np.zeros(0, int), np.zeros(0, bool))
    pairs = _neighbours(points, edges.shape)
    ends = np.bincount(pairs.ravel(), minlength=len(points)) == 1
    label = labels[tuple(points.T)]
    # One pixel of each contour to start from: an end if it has one.
    order = np.lexsort((~ends, label))
    starts = order[np.r_[True, np.diff(label[order]) > 0]]
    order = _followed(pairs, starts, len(points))
    number = np.cumsum(np.isin(order, starts)) - 1
    return Contours(points[order], number, ~ends[order[np.r_[True, np.diff(number) > 0]]])


def pieces_of(contours: Contours) -> tuple[Pieces, Pieces, np.ndarray]:
    """The contours of an image as they are, their pieces from corner to corner, and the angles at corners.

    Returns:
        The whole contours; the pieces; and the angle between both sides of each corner, 0 to π (A,).
    """
    number, closed = contours.number, contours.closed
    count = np.bincount(number, minlength=len(closed))
    first = np.cumsum(count) - count
    wholes = _measured(contours.points, first, count, closed)
    if not len(number):
        return wholes, wholes, np.zeros(0)
    place = np.arange(len(number)) - first[number]
    turn = _turns(contours, first, count, place)
    corner = _peaks(turn, first, count, number, place, closed)
    # A closed contour begins at its first corner, so that no piece is cut where the contour happened to begin.
    begin = np.full(len(closed), 0)
    has = np.zeros(len(closed), bool)
    for_closed = np.flatnonzero(corner & closed[number])[::-1]
    begin[number[for_closed]], has[number[for_closed]] = place[for_closed], True
    order = np.lexsort(((place - begin[number]) % count[number], number))
    starts = np.flatnonzero((place == begin[number])[order] | corner[order])
    sizes = np.diff(np.append(starts, len(number)))
    of_contour = number[order][starts]
    pieces = _measured(contours.points[order], starts, sizes, (closed & ~has)[of_contour])
    return wholes, pieces, _corner_angles(pieces, of_contour, has)


def _neighbours(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The pairs of points that touch, (pairs, 2)."""
    numbers = np.full((shape[0] + 1, shape[1] + 2), -1)  # with a margin
    numbers[points[:, 0], points[:, 1] + 1] = np.arange(len(points))
    pairs = []
    for down, across in NEIGHBOURS:
        other = numbers[points[:, 0] + down, points[:, 1] + 1 + across]
        here = np.flatnonzero(other >= 0)
        pairs.append(np.stack([here, other[here]], axis=1))
    return np.concatenate(pairs)


def _followed(pairs: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
    """The points in the order along the contours: those are paths and cycles, which a search in depth walks along."""
    root = np.stack([np.full(len(starts), count), starts], axis=1)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1], root]).T
    graph = sparse.csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(count + 1, count + 1))
    return depth_first_order(graph, count, return_predecessors=False)[1:]


def _turns(contours: Contours, first: np.ndarray, count: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The change of direction at each pixel, 0 to π, and 0 near the ends of open contours."""
    number = contours.number
    before, behind = (
        contours.points[first[number] + (place + step) % count[number]] - contours.points for step in (-REACH, REACH)
    )
    turn = np.pi - _angle(before, behind)
    near_end = np.minimum(place, count[number] - 1 - place) < REACH
    return np.where(near_end & ~contours.closed[number], 0, turn)


def _corner_angles(pieces: Pieces, number: np.ndarray, cornered: np.ndarray) -> np.ndarray:
    """The angles between neighbouring pieces of a contour, 0 to π, (A,).

    Args:
        pieces: The pieces, in order.
        number: The contour of each piece, rising.
        cornered: Whether a contour is closed with a corner where its first piece begins, (contours,).
    """
    last = pieces.count - 1
    near, far = np.minimum(ROUNDED, last // 3), np.minimum(SIDE, last)
    begin, end = pieces.first, pieces.first + last
    leaving = pieces.points[begin + far] - pieces.points[begin + near]
    coming = pieces.points[end - far] - pieces.points[end - near]
    begins = np.r_[True, np.diff(number) > 0]
    ends = np.r_[begins[1:], True]
    following = np.arange(len(number)) + 1
    following[ends] = np.flatnonzero(begins)
    at_corner = ~ends | cornered[number]
    return _angle(coming[at_corner], leaving[following[at_corner]])


def _angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The angle between vectors, (N, 2) each → (N,)."""
    return np.abs(np.arctan2(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0], (one * other).sum(axis=1)))


def _peaks(
    turn: np.ndarray, first: np.ndarray, count: np.ndarray, number: np.ndarray, place: np.ndarray, closed: np.ndarray
) -> np.ndarray:
    """Where a contour turns enough and more than anywhere near: bool (N,)."""
    peak = turn >= CORNER
    for step in range(1, REACH + 1):
        for sign in (-1, 1):
            there = place + sign * step
            inside = ((there >= 0) & (there < count[number])) | closed[number]
            other = turn[first[number] + there % count[number]]
            peak &= ~inside | (turn > other if sign < 0 else turn >= other)
    return peak


def _measured(points: np.ndarray, first: np.ndarray, count: np.ndarray, closed: np.ndarray) -> Pieces:
    """Pieces with their lengths and chords."""
    if not len(first):
        return Pieces(points, first, count, np.zeros(0), np.zeros(0))
    piece = np.repeat(np.arange(len(first)), count)
    place = np.arange(len(points)) - first[piece]
    last = first + count - 1
    at_step = np.flatnonzero(place % STEP == 0)
    to = np.minimum(at_step + STEP, last[piece[at_step]])
    steps = np.hypot(*(points[to] - points[at_step]).T)
    gap = np.hypot(*(points[last] - points[first]).T)
    length = np.bincount(piece[at_step], steps, minlength=len(first)) + closed * gap
    return Pieces(points, first, count, length, np.where(closed, 0, gap))
