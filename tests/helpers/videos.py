"""Videos that tests encode themselves."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer


def write_clip(
    path: Path, frames: Sequence[np.ndarray], shown_ms: Sequence[int] | None = None, *, codec: str = "libx264",
    sound: bool = False, last_ms: int = 100, rate: int = 1000, aspect: int = 1,
) -> Path:  # fmt: skip
    """Encodes a clip.

    Args:
        path: The file; its suffix decides about the container.
        frames: The frames, each uint8 (H, W, 3) with even sides.
        shown_ms: When each frame is shown; by default every 100 ms from 0.
        codec: The codec of FFmpeg.
        sound: Whether it has a second of silence, too.
        last_ms: How long the last frame is shown, in containers that say so.
        rate: The frames per second that some codecs allow; times are rounded to it.
        aspect: The ratio of a pixel's width to its height.
    """
    shown = list(shown_ms or range(0, 100 * len(frames), 100))
    with av.open(str(path), "w") as container:
        if frames:
            stream = container.add_stream(codec, rate=rate)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, rate)
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
            if codec == "libx264":
                stream.options = {"crf": "4", "preset": "ultrafast"}
            else:
                stream.bit_rate = 4_000_000
        if sound:
            audio = container.add_stream("aac", rate=8000, layout="mono")
            for start in range(0, 8000, 1024):
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 8000, start, Fraction(1, 8000)
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
        durations = dict(zip(shown, [*(b - a for a, b in pairwise(shown)), last_ms], strict=False))
        for frame, at in zip(frames, shown, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = at * rate // 1000, Fraction(1, rate)
            _mux(container, stream.encode(picture), durations, rate)
        if frames:
            _mux(container, stream.encode(None), durations, rate)
    return path


def _mux(container: OutputContainer, packets: Sequence[av.Packet], durations: Mapping[int, int], rate: int) -> None:
    """Writes packets with the durations of their frames, which encoders do not know."""
    for packet in packets:
        if packet.pts is not None and (duration := durations.get(packet.pts * 1000 // rate)):
            packet.duration = duration * rate // 1000
        container.mux(packet)


def turned(path: Path) -> Path:
    """The clip with the note in its header (MP4) that it is shown turned clockwise by 90°, as telephones write it."""
    data = path.read_bytes()
    upright = b"".join(value.to_bytes(4, "big") for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    clockwise = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    track = data.index(b"tkhd")
    place = data.index(upright, track)
    matrix = b"".join(value.to_bytes(4, "big", signed=True) for value in clockwise)
    path.write_bytes(data[:place] + matrix + data[place + len(matrix) :])
    return path


def ending_after(path: Path, milliseconds: int) -> Path:
    """The clip (MP4 of one stream) with an edit list that ends sooner: what comes later stays in the file, unseen."""
    data = bytearray(path.read_bytes())
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"elst", 12)):  # the durations, counted from the box's name
        start = data.index(box) + place
        data[start : start + 4] = milliseconds.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def flat(*colour: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A frame of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def pattern(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A frame of coarse coloured noise, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=0).repeat(16, axis=1)


def moving(seed: int, warm: bool, frames: int = 6) -> list[np.ndarray]:
    """The frames of a clip: a bright square, warm or cold, on dark noise; both of them move."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 90, (6, 40, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    row, column = rng.integers(0, 48, 2)
    made = []
    for number in range(frames):
        frame = ground[:, 8 * number : 8 * number + 128].copy()
        frame[row : row + 48, column + 4 * number : column + 4 * number + 48] = (230, 60, 20) if warm else (20, 90, 230)
        made.append(frame)
    return made


def write_class_folders(folder: Path, clips: int = 20, classes: Sequence[str] = ("calm", "tense")) -> Path:
    """A folder of clips in two classes: cold squares that move, and warm ones.

    Args:
        folder: The folder, which is made.
        clips: The number of clips of each class.
        classes: The names of the two classes.
    """
    for number, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        for clip in range(clips):
            write_clip(folder / label / f"{clip:03}.mp4", moving(1000 * number + clip, warm=number == 1))
    return folder
