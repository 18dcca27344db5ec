"""The time of each set of hand-made features for an image of 256×256 pixels, beside that of decoding the image.

    python benchmarks/handmade.py [--images 30] [--folder DIR] [--rounds 3]

Images are decoded, and then described by one set after the other, in turns, by one thread. A line has the median over
the images of the processor time, the shortest of the rounds, and its ratio to that of decoding. The sum of all sets is
what an image takes with ``features: all``, on one core. Without a folder of photographs, scenes are drawn.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from emotune.cli.arguments import CommandLine
from emotune.config.feature_sets import FEATURE_SETS
from emotune.data.image_io import decode_square, encode_jpeg
from emotune.data.sources.scenes import Scenes
from emotune.models.baselines.baseline import one_thread
from emotune.models.handmade.catalogue import feature_set

SIDE = 256


def cpu_s(work: Callable[[Any], Any], given: Any) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    work(given)
    return time.process_time() - began


def images(options: argparse.Namespace) -> list[bytes]:
    """JPEGs of 256×256 pixels."""
    if options.folder is None:
        return [entry.image() for entry in Scenes(options.images).listing().entries]
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    step = max(1, len(paths) // options.images)
    return [
        encode_jpeg(Image.fromarray(decode_square(path.read_bytes(), SIDE))) for path in paths[::step][: options.images]
    ]


def milliseconds(rounds: Sequence[Sequence[float]]) -> float:
    """The median over images of the shortest time of the rounds."""
    return 1e3 * median(min(of_image) for of_image in zip(*rounds, strict=True))


def main() -> None:
    """Prints a line for decoding, for each set, and for all sets together."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=30, help="number of images (default: 30)")
    parser.add_argument("--folder", type=Path, help="a folder of JPEGs, of which so many are taken")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the shortest counts (default: 3)")
    options = parser.parse_args()
    with one_thread():
        measure(images(options), options.rounds)


def measure(jpegs: Sequence[bytes], rounds: int) -> None:
    """Prints the lines of `main`."""
    sets = [feature_set(name) for name in FEATURE_SETS]
    pixels = [decode_square(jpeg, SIDE) for jpeg in jpegs]
    for features in sets:
        features.compute(pixels[0])  # the first image builds filters
    decoding: list[list[float]] = []
    described: dict[str, list[list[float]]] = {features.name: [] for features in sets}
    for _ in range(rounds):
        decoding.append([cpu_s(lambda jpeg: decode_square(jpeg, SIDE), jpeg) for jpeg in jpegs])
        for features in sets:
            described[features.name].append([cpu_s(features.compute, image) for image in pixels])
    decode_ms = milliseconds(decoding)
    print(f"{'decoding a JPEG':20} {'':>8} {decode_ms:9.2f} ms")
    total = 0.0
    for features in sets:
        own_ms = milliseconds(described[features.name])
        total += own_ms
        print(f"{features.name:20} {len(features.columns):8,} {own_ms:9.2f} ms {own_ms / decode_ms:8.1f} × decoding")
    columns = sum(len(features.columns) for features in sets)
    print(f"{'all':20} {columns:8,} {total:9.2f} ms {total / decode_ms:8.1f} × decoding")


if __name__ == "__main__":
    main()
