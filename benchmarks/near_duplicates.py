"""Near-duplicates: Hamming distances of altered copies and of different images, and the time to find duplicates.

python benchmarks/near_duplicates.py [IMAGES]               # a folder of images (default: 600 synthetic scenes)
python benchmarks/near_duplicates.py --hashes 1e4 1e5 1e6   # seconds of the search among so many random hashes

The last hundredth of the random hashes are copies of the first, every second one mirrored, at distances up to 80 bits.
"""

import argparse
import io
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from emotune.cli.arguments import CommandLine
from emotune.core.host import available_cpus
from emotune.data.build.hamming_search import pairs_within
from emotune.data.build.near_duplicates import copies_in_other_classes, copies_of_earlier, scene_numbers
from emotune.data.build.perceptual_hash import COPY_DISTANCE, SCENE_DISTANCE, perceptual_hash
from emotune.data.image_io import DecodedImage, UnreadableImageError, decode_image, shrink
from emotune.data.sources.folder_layout import list_files
from emotune.data.sources.synthetic import draw_scene

COPIES = 300
NEAREST = 20


def at_quality(image: Image.Image, quality: int) -> Image.Image:
    """The image after JPEG compression."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def cut(image: Image.Image, share: float) -> Image.Image:
    """The image without a share of its width and height on each side."""
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG at quality 30": lambda image: at_quality(image, 30),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice as large": lambda image: image.resize((image.width * 2, image.height * 2)),
    "grey": lambda image: image.convert("L"),
    "brighter by 20 %": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "contrast up by 30 %": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "cut by 2 % at each side": lambda image: cut(image, 0.02),
    "cut by 5 % at each side": lambda image: cut(image, 0.05),
}


def images(folder: Path | None) -> Iterator[tuple[str, Image.Image]]:
    """Names and images, as they are stored in shards."""
    if folder is None:
        yield from ((f"scene {index}", draw_scene(index, 0).image) for index in range(600))
        return
    for path in list_files(folder):
        try:
            yield str(path.relative_to(folder)), shrink(decode_image(path.read_bytes(), 256), 256)
        except UnreadableImageError as error:
            print(f"{path}: {error}")


def hamming_distance(one: bytes, other: bytes) -> int:
    """Hamming distance of two hashes."""
    return int(np.bitwise_count(np.frombuffer(one, np.uint8) ^ np.frombuffer(other, np.uint8)).sum())


def near_duplicate_pairs(hashes: list[bytes]) -> list[tuple[int, int, int]]:
    """Index pairs of near-duplicates, with their Hamming distances."""
    pairs: list[tuple[int, int, int]] = []

    def collect(i: np.ndarray, j: np.ndarray) -> None:
        pairs.extend(
            (one, other, hamming_distance(hashes[one], hashes[other])) for one, other in zip(i, j, strict=True)
        )

    pairs_within(np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 4), None, SCENE_DISTANCE, collect)
    return pairs


def planted(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random hashes (N, 8), the last hundredth of which are copies of the first, and the copies' distances."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 2**64, (count, 8), np.uint64)
    copies = count // 100
    distances, mirrored = np.arange(copies) % 81, np.arange(copies) % 2 == 1
    rows = np.where(mirrored[:, None], np.roll(hashes[:copies], 4, axis=1), hashes[:copies])
    changed = np.unpackbits(rows.view(np.uint8), axis=1)
    for row, distance, at in zip(changed, distances, 256 * mirrored, strict=True):
        row[at + generator.choice(256, distance, replace=False)] ^= 1
        row[256 - at : 512 - at] = generator.integers(0, 2, 256)
    hashes[count - copies :] = np.ascontiguousarray(np.packbits(changed, axis=1)).view(np.uint64)
    return hashes, distances


def time_search(count: int) -> float:
    """Seconds of the whole search among ``count`` hashes; checks that every planted copy is found."""
    hashes, distances = planted(count)
    copies, none = len(distances), np.zeros(count, np.int64)
    times, began_s = [time.perf_counter()], time.process_time()
    other, copied = copies_in_other_classes(hashes, none)
    times.append(time.perf_counter())
    rows = np.flatnonzero(copied)
    earlier = np.full(count, -1)
    originals = copies_of_earlier(hashes[rows])
    earlier[rows] = np.where(originals < 0, -1, rows[originals])
    times.append(time.perf_counter())
    scene = scene_numbers(hashes, none)
    times.append(time.perf_counter())
    expected = np.where(distances <= COPY_DISTANCE, np.arange(copies), -1)
    assert (other == -1).all()
    assert (earlier[: count - copies] == -1).all()
    assert (earlier[count - copies :] == expected).all(), "a planted copy was missed"
    assert ((scene[:copies] == scene[count - copies :]) == (distances <= SCENE_DISTANCE)).all(), (
        "a planted scene was missed"
    )
    steps = ", ".join(f"{seconds:.1f}" for seconds in np.diff(times))
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{count} images: {times[-1] - times[0]:.1f} s (copies in other classes, copies, scenes: {steps} s) "
        f"with {available_cpus()} CPUs, {time.process_time() - began_s:.1f} s of them used; peak {peak_gib:.2f} GiB",
        flush=True,
    )
    return times[-1] - times[0]


def main() -> None:
    """Prints the nearest pairs and the distances of altered copies; or, with ``--hashes``, the time of a search."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=Path, help="a folder of images (default: 600 synthetic scenes)")
    parser.add_argument("--hashes", nargs="+", type=float, help="numbers of random hashes to search instead")
    options = parser.parse_args()
    if options.hashes:
        seconds = {int(count): time_search(int(count)) for count in options.hashes}
        if 10**6 in seconds:
            print(f"alike_million_s = {seconds[10**6]:.1f}")
        return
    compare(options.images)


def compare(folder: Path | None) -> None:
    """Prints the nearest pairs of different images, then the distances of altered copies."""
    hashes: dict[str, bytes] = {}
    sample: list[tuple[str, Image.Image]] = []
    spent_s = 0.0
    for name, image in images(folder):
        began = time.perf_counter()
        digest = perceptual_hash(image)
        spent_s += time.perf_counter() - began
        if digest:
            hashes[name] = digest
            if len(hashes) % 7 == 0 and len(sample) < COPIES:
                sample.append((name, image.copy()))
    names = list(hashes)
    began = time.perf_counter()
    pairs = sorted(near_duplicate_pairs(list(hashes.values())), key=lambda pair: pair[2])
    compared_s = time.perf_counter() - began
    print(f"{len(hashes)} images, {1e6 * spent_s / len(hashes):.0f} µs each; all pairs compared in {compared_s:.1f} s")
    duplicates = sum(pair[2] <= COPY_DISTANCE for pair in pairs)
    print(f"{len(pairs)} pairs within {SCENE_DISTANCE} bits, {duplicates} within {COPY_DISTANCE}; the nearest:")
    for i, j, distance in pairs[:NEAREST]:
        print(f"  {distance:3} bits  {names[i]}  {names[j]}")
    print(f"copies of {len(sample)} images: bits (median, 95th percentile), share found as duplicates, as one scene")
    for kind, alter in ALTERED.items():
        copies = (
            (name, perceptual_hash(shrink(DecodedImage(alter(p), False, p.size, False), 256))) for name, p in sample
        )
        distances = np.array([hamming_distance(hashes[name], copy) for name, copy in copies if copy])
        middle, high = np.percentile(distances, [50, 95])
        same, alike = np.mean(distances <= COPY_DISTANCE), np.mean(distances <= SCENE_DISTANCE)
        print(f"  {kind:24} {middle:4.0f} {high:4.0f} {same:7.1%} {alike:7.1%}")


if __name__ == "__main__":
    main()
