"""Decodes a video: some frames, equally spaced in time, as squares below each other in one image.

Time decides, not the number of a frame: frames need not last equally long, and the first need not be at zero.
"""

import errno
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from emotune.data.image_io import MAX_PIXELS, DecompressionBombError, TruncatedImageError, UnreadableImageError

__all__ = ["MAX_ROWS", "VERSION", "DecodedClip", "decode_clip"]

VERSION = 2
"""It is raised when other frames would be taken than before, so that shards of videos are made again."""
MAX_ROWS = 65_500
"""The most rows of a JPEG."""

FORMATS = ",".join((
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegvideo", "mpegts", "asf", "flv",
    "ogg", "gif", "h264", "hevc", "m4v",
))  # fmt: skip
"""The containers that are read. FFmpeg knows more, some of which are lists of other files or addresses."""
CANNOT_READ = (errno.ENOENT, errno.EACCES, errno.EISDIR, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM)
"""Errors of the system, not of the file's content."""
MISSING_S, MISSING_SHARE = 0.5, 0.05
"""The time that must be missing at the end for a file to count as cut: so many seconds, and this share of it."""


@dataclass(frozen=True)
class DecodedClip:
    """The frames of a video.

    Attributes:
        strip: The frames as squares below each other, RGB, upright.
        size: The width and height of a whole frame in pixels, upright.
    """

    strip: Image.Image
    size: tuple[int, int]


@dataclass(frozen=True)
class _Timeline:
    """When frames are shown, in units of the stream.

    Attributes:
        start: When the first frame is shown.
        end: When the last frame ends.
        last: When the last frame is shown.
        step: The usual time between frames.
    """

    start: int
    end: int
    last: int
    step: int


def decode_clip(path: Path, frames: int, side: int | None = 256, max_pixels: int = MAX_PIXELS) -> DecodedClip:
    """The frames that are shown at the middles of so many equal parts of a video's duration.

    A frame that is shown in several of them is repeated.

    Args:
        path: The file.
        frames: The number of frames.
        side: The side in pixels to which the squares at the centres of larger frames are reduced; None keeps them
            as far as a JPEG can hold all squares below each other.
        max_pixels: The maximum number of pixels of a frame, and of all squares together.

    Raises:
        UnreadableImageError: the file is no video, has no frames, or is damaged. Its subclasses: `TruncatedImageError`
            and `DecompressionBombError`.
        OSError: the file cannot be read.
    """
    from av.error import FFmpegError  # late: it is an extra

    try:
        with _opened(path) as (container, stream):
            timeline = _timeline(container, stream)
        with _opened(path) as (container, stream):
            _check_pixels(stream.codec_context.width, stream.codec_context.height, max_pixels)
            chosen = _frames_at(container, stream, timeline, frames, max_pixels)
            images = [_upright(one, stream.sample_aspect_ratio, max_pixels) for one in Counter(chosen)]
    except (FFmpegError, OSError) as error:
        if isinstance(error, OSError) and error.errno in CANNOT_READ:
            raise
        raise UnreadableImageError(f"no video, or damaged: {error.strerror or error}") from None
    size = images[0].size
    shorter = min(MAX_ROWS // frames if side is None else side, *size)
    _check_pixels(shorter, frames * shorter, max_pixels)
    strip = Image.new("RGB", (shorter, frames * shorter))
    top = 0
    for image, times in zip(images, Counter(chosen).values(), strict=True):
        square = ImageOps.fit(image, (shorter, shorter), Image.Resampling.LANCZOS)
        for _ in range(times):
            strip.paste(square, (0, top))
            top += shorter
    return DecodedClip(strip, size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The file and its video stream.

    The file is opened here, because FFmpeg would take some names for addresses.
    """
    import av
    from av.stream import Disposition

    with path.open("rb") as file:
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        with av.open(file, container_options=options, metadata_errors="ignore") as container:
            streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
            if not streams:
                raise UnreadableImageError("no video stream" + (", only sound" if container.streams.audio else ""))
            streams[0].codec_context.thread_count = 1  # a process per CPU reads files
            yield container, streams[0]


def _timeline(container: Any, stream: Any) -> _Timeline:
    """When the frames of a video are shown, without decoding them.

    Raises:
        TruncatedImageError: the file ends long before the time that its header gives.
    """
    shown: dict[int, int] = {}
    ends: list[Fraction] = []
    starts: list[Fraction] = []
    for packet in container.demux([stream, *container.streams.audio]):
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None or not packet.size or packet.is_discard:  # an edit list hides frames before or after a cut
            continue
        if packet.stream is stream:
            shown[at] = packet.duration or 0
        starts.append(at * packet.time_base)
        ends.append((at + (packet.duration or 0)) * packet.time_base)
    if not shown:
        raise UnreadableImageError("no frames")
    times = sorted(shown)
    steps = np.diff(times)
    usual = int(np.median(steps)) if len(steps) else 0
    step = max(shown[times[-1]], usual, 1)  # some files give the last frame no time, or almost none
    timeline = _Timeline(times[0], times[-1] + step, times[-1], usual or step)
    declared = max(Fraction(container.duration or 0, 1_000_000), (stream.duration or 0) * stream.time_base)
    missing = declared - (max(ends) - min(Fraction(0), *starts))  # some count from zero, others from the first frame
    if missing > MISSING_S and missing > MISSING_SHARE * declared:
        raise TruncatedImageError(f"ends {float(missing):.1f} s before the {float(declared):.1f} s of its header")
    return timeline


def _frames_at(container: Any, stream: Any, timeline: _Timeline, count: int, max_pixels: int) -> list[Any]:
    """The frames that are shown at the middles of equal parts of the time, decoded one after another."""
    length = timeline.end - timeline.start
    instants = [timeline.start + Fraction((2 * part + 1) * length, 2 * count) for part in range(count)]
    chosen: list[Any] = []
    before = at = None
    for frame in container.decode(stream):
        _check_pixels(frame.width, frame.height, max_pixels)
        at = frame.pts if frame.pts is not None else timeline.start if at is None else at + timeline.step
        while before is not None and len(chosen) < count and instants[len(chosen)] < at:
            chosen.append(before)
        before = frame
        if len(chosen) == count:
            break
    if before is None or at is None:
        raise UnreadableImageError("no frame can be decoded")
    if len(chosen) < count and at < timeline.last:
        raise TruncatedImageError("damaged: the last frames cannot be decoded")
    chosen += [before] * (count - len(chosen))
    if any(frame.is_corrupt for frame in chosen):
        raise UnreadableImageError("damaged: a frame lacks parts")
    return chosen


def _upright(frame: Any, aspect: Fraction | None, max_pixels: int) -> Image.Image:
    """A frame in RGB, as a player shows it: with square pixels, and turned as its metadata say."""
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    if aspect and aspect != 1:
        width = max(1, round(image.width * aspect))
        _check_pixels(width, image.height, max_pixels)  # files may claim any ratio
        image = image.resize((width, image.height), Image.Resampling.LANCZOS)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raises an error if decoding would take too much memory."""
    if width * height > max_pixels:
        raise DecompressionBombError(
            f"too large to decode safely: {width}×{height} pixels; --max-pixels raises the limit, --size stores less"
        )
