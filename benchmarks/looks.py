"""How far apart the perceptual hashes of altered copies and of different pictures are, in bits.

python benchmarks/looks.py [PICTURES]      # any folder of pictures; without one, 600 synthetic scenes
"""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from emotune.arguments import CommandLine
from emotune.data.looks import ALIKE, SAME, alike_pairs, look
from emotune.data.pictures import Loaded, UnreadablePictureError, load, shrink
from emotune.data.scenes import draw_scene
from emotune.data.sources import files_below

COPIES = 300
NEAREST = 20


def at_quality(picture: Image.Image, quality: int) -> Image.Image:
    """The picture after JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def cut(picture: Image.Image, share: float) -> Image.Image:
    """The picture without a share of its width and height at each side."""
    x, y = round(picture.width * share), round(picture.height * share)
    return picture.crop((x, y, picture.width - x, picture.height - y))


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG at quality 30": lambda picture: at_quality(picture, 30),
    "half as large": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "twice as large": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
    "grey": lambda picture: picture.convert("L"),
    "brighter by 20 %": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "contrast up by 30 %": lambda picture: ImageEnhance.Contrast(picture).enhance(1.3),
    "cut by 2 % at each side": lambda picture: cut(picture, 0.02),
    "cut by 5 % at each side": lambda picture: cut(picture, 0.05),
}


def pictures(folder: Path | None) -> Iterator[tuple[str, Image.Image]]:
    """Names, and pictures as they go into shards."""
    if folder is None:
        yield from ((f"scene {index}", draw_scene(index, 0).picture) for index in range(600))
        return
    for path in files_below(folder):
        try:
            yield str(path.relative_to(folder)), shrink(load(path.read_bytes(), 256), 256)
        except UnreadablePictureError as error:
            print(f"{path}: {error}")


def bits(one: bytes, other: bytes) -> int:
    """In how many bits two hashes differ."""
    return int(np.bitwise_count(np.frombuffer(one, np.uint8) ^ np.frombuffer(other, np.uint8)).sum())


def main() -> None:
    """Prints the nearest pairs of different pictures, then what becomes of altered copies."""
    parser = CommandLine(description=__doc__)
    parser.add_argument("pictures", nargs="?", type=Path)
    looks: dict[str, bytes] = {}
    sample: list[tuple[str, Image.Image]] = []
    spent_s = 0.0
    for name, picture in pictures(parser.parse_args().pictures):
        began = time.perf_counter()
        seen = look(picture)
        spent_s += time.perf_counter() - began
        if seen:
            looks[name] = seen
            if len(looks) % 7 == 0 and len(sample) < COPIES:
                sample.append((name, picture.copy()))
    names = list(looks)
    began = time.perf_counter()
    pairs = sorted(alike_pairs(list(looks.values())), key=lambda pair: pair[2])
    compared_s = time.perf_counter() - began
    print(f"{len(looks)} pictures, {1e6 * spent_s / len(looks):.0f} µs each; all pairs compared in {compared_s:.1f} s")
    print(f"{len(pairs)} pairs within {ALIKE} bits, {sum(p[2] <= SAME for p in pairs)} within {SAME}; the nearest:")
    for i, j, distance in pairs[:NEAREST]:
        print(f"  {distance:3} bits  {names[i]}  {names[j]}")
    print(f"copies of {len(sample)} pictures: bits at the median and the 95th percentile, share called the same, alike")
    for kind, alter in ALTERED.items():
        copies = ((name, look(shrink(Loaded(alter(p), False, p.size, False), 256))) for name, p in sample)
        found = np.array([bits(looks[name], copy) for name, copy in copies if copy])
        at = np.percentile(found, [50, 95])
        print(f"  {kind:24} {at[0]:4.0f} {at[1]:4.0f} {np.mean(found <= SAME):7.1%} {np.mean(found <= ALIKE):7.1%}")


if __name__ == "__main__":
    main()
