"""Draw scenes: synthetic images on which attention to a small region helps to classify.

A program draws them. They are not photographs, and nobody was ever asked about the emotions that they evoke. With them
the whole harness runs within minutes, without a download, on data whose ground truth is known. Each image has 256×256
pixels, and its label can be inferred from two sources:

* a **palette** of sky, ground and texture, which is weak evidence that is visible everywhere;
* one small **motif** at a random place among distractors, which is strong evidence
  (`emotune.data.sources.synthetic_sprites`).

Five simulated annotators vote on the **label**, which is wrong in about a tenth of the images, as with real annotators.

A model that finds the motif does well; a model that averages colours does not. Whether a model attended to the motif
can be tested, since every scene has a `motif_box`. Results on scenes compare models on scenes; they are not evidence
about human emotion.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from emotune.config.labels import MIKELS, POSITIVE
from emotune.data.sources.synthetic_sprites import DISTRACTORS_GROUND, DISTRACTORS_SKY, MOTIFS, draw_pebble

__all__ = ["GENERATOR_VERSION", "Scene", "draw_scene", "vote_on"]

GENERATOR_VERSION: int = 1  # raised when a seed gives other images than before; part of a run's identity

SCENE_SIDE = 256  # pixels; a property of the drawings, so it is independent of the size that readers decode to

# The difficulty of the data set, all in one place.
OWN_PALETTE = 0.34  # probability of the palette of the drawn emotion; otherwise that of a random other one
PALETTE_FADE = (
    0.1,
    0.45,
)  # share by which a palette moves to the mean of all, uniform; more is more overlap
PALETTE_JITTER = 12.0  # standard deviation of each palette colour, in levels of 255
MOTIF_SIZE = (72, 112)  # pixels
MOTIF_TURN = 14.0  # degrees, either way
MOTIF_TINT = 0.12  # each channel of the motif is scaled by up to this much, either way
DISTRACTORS = (3, 5)  # number of neutral objects per image
DISTRACTOR_SIZE = (34, 84)  # pixels
PEBBLES = (1, 2)  # number of blobs in the colours of other emotions' motifs
PEBBLE_SIZE = (30, 64)  # pixels
VOTERS = 5
VOTER_SKILL = 0.65  # probability that an annotator votes for the drawn emotion
SAME_VALENCE = 0.7  # probability that a wrong vote is for a class of the same valence


@dataclass(frozen=True)
class Scene:
    """One synthetic image with its ground truth.

    Attributes:
        image: The image, 256×256 pixels, RGB.
        drawn: The emotion whose motif is in the image.
        votes: The votes of five simulated annotators, by class; only counts above zero.
        label: The class with the most votes; ties are broken at random.
        motif_box: The box of the motif as left, top, right and bottom in pixels; right and bottom are exclusive.
    """

    image: Image.Image
    drawn: str
    votes: dict[str, int]
    label: str
    motif_box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Palette:
    """The colours of sky and ground, and a texture.

    Attributes:
        colours: The colours at the top of the sky, of the sky and the ground at the horizon, and at the bottom.
        grain: The width and height of a blotch of texture in pixels; wide ones look like bands, high ones like rain.
        strength: The standard deviation of the texture's brightness, in levels of 255.
    """

    colours: tuple[tuple[int, int, int], ...]
    grain: tuple[int, int]
    strength: float


PALETTES: dict[str, Palette] = {
    "amusement": Palette(((255, 190, 205), (255, 236, 190), (170, 225, 175), (120, 195, 150)), (16, 16), 6),
    "anger": Palette(((95, 25, 30), (205, 95, 60), (125, 55, 40), (60, 25, 25)), (16, 4), 8),
    "awe": Palette(((50, 60, 135), (170, 150, 205), (110, 125, 165), (60, 75, 120)), (64, 16), 9),
    "contentment": Palette(((135, 195, 240), (240, 240, 205), (165, 205, 110), (105, 165, 75)), (64, 64), 7),
    "disgust": Palette(((140, 145, 75), (195, 190, 115), (125, 115, 60), (80, 75, 40)), (32, 8), 9),
    "excitement": Palette(((80, 35, 130), (240, 110, 160), (135, 65, 150), (75, 35, 105)), (8, 8), 6),
    "fear": Palette(((25, 35, 50), (70, 90, 95), (45, 55, 55), (20, 25, 30)), (4, 48), 7),
    "sadness": Palette(((110, 125, 150), (185, 192, 202), (125, 138, 150), (85, 95, 112)), (4, 96), 7),
}


def draw_scene(index: int, seed: int = 0) -> Scene:
    """The scene number `index` of the synthetic set `seed`.

    It depends on these two numbers only, not on the number of scenes, their order or the process that draws them. The
    drawn emotion is `MIKELS[index % 8]`, so that any eight consecutive scenes are balanced.

    Raises:
        ValueError: index or seed is negative.
    """
    drawn = MIKELS[index % len(MIKELS)]
    votes, label = vote_on(index, seed)
    rng = _generator(index, seed, stream=1)
    background, horizon = _paint_background(_choose_palette(drawn, rng), rng)
    motif = _make_motif(drawn, rng)
    left, top = (int(rng.integers(0, SCENE_SIDE - extent + 1)) for extent in motif.size)
    box = (left, top, left + motif.width, top + motif.height)
    for sprite, place in _distractors(drawn, horizon, box, rng):
        background.paste(sprite, place, sprite)
    background.paste(motif, box, motif)
    return Scene(background, drawn, votes, label, box)


def vote_on(index: int, seed: int = 0) -> tuple[dict[str, int], str]:
    """The votes on scene number `index` of the set `seed`, and its label, without drawing the image.

    Returns:
        The votes by class, which sum to five and are all above zero, and the class with the most votes.
    """
    rng = _generator(index, seed, stream=0)
    chances = _vote_chances(MIKELS[index % len(MIKELS)])
    votes = {name: int(n) for name, n in zip(MIKELS, rng.multinomial(VOTERS, chances), strict=True) if n}
    leaders = [name for name, n in votes.items() if n == max(votes.values())]
    return votes, leaders[int(rng.integers(len(leaders)))]


def _vote_chances(drawn: str) -> list[float]:
    """The probability that an annotator votes for each of MIKELS, given the drawn emotion; they sum to 1."""
    same = [name for name in MIKELS if name != drawn and (name in POSITIVE) == (drawn in POSITIVE)]
    miss, others = 1 - VOTER_SKILL, len(MIKELS) - 1 - len(same)
    in_valence, across = miss * SAME_VALENCE / len(same), miss * (1 - SAME_VALENCE) / others
    return [VOTER_SKILL if name == drawn else in_valence if name in same else across for name in MIKELS]


def _generator(index: int, seed: int, stream: int) -> np.random.Generator:
    # Votes (stream 0) and images (stream 1) are independent: labels need no drawing, and can be changed without it.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, stream)))


def _choose_palette(drawn: str, rng: np.random.Generator) -> Palette:
    """The palette of the drawn emotion or, more often, of another one, faded and jittered so that palettes overlap."""
    owner = drawn if rng.random() < OWN_PALETTE else str(rng.choice([name for name in MIKELS if name != drawn]))
    mean = np.mean([palette.colours for palette in PALETTES.values()], axis=0)
    fade = rng.uniform(*PALETTE_FADE)
    colours = (1 - fade) * np.array(PALETTES[owner].colours) + fade * mean + rng.normal(0, PALETTE_JITTER, (4, 3))
    return Palette(tuple(map(tuple, colours.tolist())), PALETTES[owner].grain, PALETTES[owner].strength)


def _paint_background(palette: Palette, rng: np.random.Generator) -> tuple[Image.Image, int]:
    """An image of sky over rolling ground, both with texture, and the mean row of the horizon."""
    horizon = int(rng.integers(SCENE_SIDE * 2 // 5, SCENE_SIDE * 3 // 4))
    rows, x = np.arange(SCENE_SIDE, dtype=np.float32)[:, None], np.linspace(0, 2 * np.pi, SCENE_SIDE, dtype=np.float32)
    hills = sum(rng.uniform(2, 11) / k * np.sin(k * x + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    below = (rows > horizon + hills)[:, :, None]
    top, far, near, foot = np.array(palette.colours, dtype=np.float32)
    sky = top + (far - top) * np.minimum(rows / horizon, 1)
    ground = near + (foot - near) * np.clip((rows - horizon) / (SCENE_SIDE - horizon), 0, 1)
    width, height = (max(2, SCENE_SIDE // cell) for cell in palette.grain)
    blotches = Image.fromarray(rng.normal(0, palette.strength, (height, width)).astype(np.float32))
    texture = np.asarray(blotches.resize((SCENE_SIDE, SCENE_SIDE), Image.Resampling.BICUBIC))[:, :, None]
    pixels = np.where(below, ground[:, None, :], sky[:, None, :]) + texture
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), horizon


def _make_motif(drawn: str, rng: np.random.Generator) -> Image.Image:
    """The motif at a random size, slightly rotated and tinted, cropped to its visible part; RGBA."""
    sprite = MOTIFS[drawn](int(rng.integers(MOTIF_SIZE[0], MOTIF_SIZE[1] + 1)), rng)
    sprite = sprite.rotate(rng.uniform(-MOTIF_TURN, MOTIF_TURN), Image.Resampling.BICUBIC, expand=True)
    tint = np.append(rng.uniform(1 - MOTIF_TINT, 1 + MOTIF_TINT, 3), 1.0)  # alpha stays as it is
    sprite = Image.fromarray(np.clip(np.asarray(sprite) * tint, 0, 255).astype(np.uint8))
    return sprite.crop(sprite.getbbox())


def _distractors(
    drawn: str, horizon: int, motif_box: tuple[int, int, int, int], rng: np.random.Generator
) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
    """Sprites without meaning, each with its top left corner: distant ones first, neutral objects before pebbles."""
    feet = np.sort(rng.uniform(0, SCENE_SIDE, int(rng.integers(DISTRACTORS[0], DISTRACTORS[1] + 1))))
    for foot in feet:
        in_sky = foot < horizon * 0.75
        table, near = (DISTRACTORS_SKY, rng.random()) if in_sky else (DISTRACTORS_GROUND, rng.uniform(0.2, 1))
        size = int(DISTRACTOR_SIZE[0] + (DISTRACTOR_SIZE[1] - DISTRACTOR_SIZE[0]) * near)
        top = int(foot) - size // 2 if in_sky else int(max(foot, horizon + 12)) - size
        yield table[int(rng.integers(len(table)))](size, rng), _free_place(size, motif_box, rng, top)
    others = [name for name in MIKELS if name != drawn]
    for emotion in rng.choice(others, int(rng.integers(PEBBLES[0], PEBBLES[1] + 1)), replace=False):
        size = int(rng.integers(PEBBLE_SIZE[0], PEBBLE_SIZE[1] + 1))
        yield draw_pebble(size, rng, str(emotion)), _free_place(size, motif_box, rng)


def _free_place(
    size: int, motif_box: tuple[int, int, int, int], rng: np.random.Generator, top: int | None = None
) -> tuple[int, int]:
    """A corner for a sprite, at row `top` if given, that leaves the motif's centre free if a few tries find one."""
    left, upper, right, lower = motif_box
    x = y = 0
    for _ in range(6):
        x = int(rng.integers(-size // 4, SCENE_SIDE - size * 3 // 4))
        y = int(rng.integers(0, SCENE_SIDE - size)) if top is None else top
        if not (left - size * 0.7 < x < right - size * 0.3 and upper - size * 0.7 < y < lower - size * 0.3):
            break
    return x, y
