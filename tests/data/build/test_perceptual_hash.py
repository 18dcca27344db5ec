"""The hashes of altered and mirrored copies are near each other, those of different images are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from emotune.data.build.perceptual_hash import (
    BITS,
    COPY_DISTANCE,
    SCENE_DISTANCE,
    is_blank,
    mirrored_hash,
    perceptual_hash,
)
from emotune.data.sources.synthetic import draw_scene


def cloudy(seed: int, cells: int = 10, size: tuple[int, int] = (180, 140)) -> Image.Image:
    """Smooth noise: as a photograph, it has more of the low frequencies than of the high ones."""
    pixels = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def distance(one: Image.Image, other: Image.Image) -> int:
    return int(
        np.unpackbits(
            np.frombuffer(perceptual_hash(one), np.uint8) ^ np.frombuffer(perceptual_hash(other), np.uint8)
        ).sum()
    )


SCENES = [draw_scene(index, seed=5).image for index in range(8)]
ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": lambda image: compressed(image, 60),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice as large": lambda image: image.resize((image.width * 2, image.height * 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_copy_is_the_same_image(alter):
    assert max(distance(image, alter(image)) for image in SCENES) <= COPY_DISTANCE


def test_a_mirrored_or_turned_image_is_another():
    for image in SCENES:
        assert distance(image, ImageOps.mirror(image)) > SCENE_DISTANCE
        assert distance(image, image.rotate(90)) > SCENE_DISTANCE


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_the_hash_of_the_mirror_image_is_computed_without_mirroring(alter):
    for image in SCENES:
        other = mirrored_hash(alter(ImageOps.mirror(image)))
        differing = np.frombuffer(perceptual_hash(image), np.uint8) ^ np.frombuffer(other, np.uint8)
        assert np.bitwise_count(differing).sum() <= COPY_DISTANCE


def gradient(seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    down, right = np.mgrid[:90, :120]
    angle = generator.uniform(0, 2 * np.pi)
    slope = right * np.cos(angle) + down * np.sin(angle)
    share = ((slope - slope.min()) / np.ptp(slope))[..., None]
    first, last = generator.integers(0, 256, (2, 3))
    return Image.fromarray((first + (last - first) * share).astype(np.uint8))


def stripes(seed: int) -> Image.Image:
    rows = np.random.default_rng(seed).integers(0, 256, (16, 1, 3), np.uint8)
    image = Image.fromarray(np.broadcast_to(rows, (16, 20, 3)).copy())
    image = image.resize((120, 96), Image.Resampling.NEAREST)
    return image.rotate(90, expand=True) if seed % 2 else image


def rings(seed: int) -> Image.Image:
    """Mirrors itself in both directions, so that three quarters of its frequencies are empty."""
    generator = np.random.default_rng(seed)
    down, right = np.mgrid[:128, :128] - 63.5
    colours = generator.integers(0, 256, (9, 3), np.uint8)
    return Image.fromarray(colours[(np.hypot(down, right) / generator.uniform(11, 25)).astype(int)])


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 80, 3), np.uint8))


KINDS = {"scenes": lambda seed: draw_scene(seed, seed=6).image, "clouds": cloudy, "noise": noise,
         "gradients": gradient, "stripes": stripes, "rings": rings}  # fmt: skip


@pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)
def test_different_images_are_not_confused(draw):
    found = [(seen, mirrored_hash(image)) for image in map(draw, range(200)) if (seen := perceptual_hash(image))]
    straight, mirrored = np.frombuffer(b"".join(map(b"".join, found)), np.uint64).reshape(-1, 2, 4).swapaxes(0, 1)
    for other in (straight, mirrored):
        bits = np.bitwise_count(straight[:, None] ^ other).sum(axis=2)
        np.fill_diagonal(bits, BITS)
        assert bits.min(initial=BITS) > COPY_DISTANCE
        if draw not in (stripes, rings):
            assert len(found) > 150
            assert bits.min() > SCENE_DISTANCE


FLAT = {
    "black": Image.new("RGB", (100, 100)),
    "one colour": Image.new("RGB", (100, 70), (200, 30, 90)),
    "next to one colour": Image.fromarray(np.random.default_rng(1).integers(100, 103, (90, 90, 3), np.uint8)),
    "fine checks": Image.fromarray(np.indices((128, 128)).sum(0).astype(np.uint8) % 2 * 255),
    "stripes": stripes(2),
}


@pytest.mark.parametrize("image", FLAT.values(), ids=FLAT)
def test_an_image_without_structure_in_both_directions_has_no_hash(image):
    assert perceptual_hash(image) == b""


def test_only_an_image_of_one_colour_is_blank():
    assert [name for name, image in FLAT.items() if is_blank(image)] == list(FLAT)[:3]
    assert not is_blank(SCENES[0])
    half = Image.new("RGB", (100, 70), (200, 30, 90))
    half.paste((30, 110, 90), (0, 0, 50, 70))  # as bright
    assert not is_blank(half)


def test_a_hash_has_255_bits_half_of_them_set():
    bits = np.unpackbits(np.frombuffer(perceptual_hash(SCENES[0]), np.uint8))
    assert len(bits) == BITS + 1
    assert bits.sum() == BITS // 2
    assert bits[-1] == 0
