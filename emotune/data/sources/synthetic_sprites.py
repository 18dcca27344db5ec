"""Draw the sprites of synthetic scenes: eight motifs that stand for an emotion, and distractors without meaning.

Each painter draws a motif or a distractor with a few discs, polygons and strokes. The tables at the end turn painters
into functions `(size, rng) -> RGBA image`.

Motifs are bold and saturated, and differ in shape *and* texture, because a narrow network must learn them from about a
thousand images. `draw_pebble` has their colours without their shapes, so that colour alone does not decide.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["DISTRACTORS_GROUND", "DISTRACTORS_SKY", "MOTIFS", "MOTIF_COLOURS", "draw_pebble"]

Colour = tuple[int, ...]
Drawer = Callable[[int, np.random.Generator], Image.Image]

OVERSAMPLE = 2  # sprites are drawn larger by this factor and averaged down, for smooth edges
WHITE, INK = (255, 255, 255), (10, 8, 18)
# The colours of each motif; pebbles have its first three.
MOTIF_COLOURS: dict[str, tuple[Colour, ...]] = {
    "amusement": ((235, 50, 60), (255, 205, 40), (45, 130, 235), (240, 90, 180), (60, 190, 90)),
    "anger": ((205, 25, 10), (255, 120, 10), (255, 225, 70)),
    "awe": ((24, 28, 92), (125, 115, 165), (255, 250, 215)),
    "contentment": ((255, 205, 50), (105, 190, 70), (245, 120, 170), (250, 245, 250), (170, 110, 220)),
    "disgust": ((125, 205, 25), (55, 95, 10), (205, 245, 95)),
    "excitement": ((255, 60, 150), (70, 220, 255), (255, 215, 70), (165, 255, 90), (255, 255, 240)),
    "fear": (INK, (255, 225, 40), (215, 60, 10)),
    "sadness": ((85, 95, 120), (50, 115, 215), (130, 140, 162)),
}


class Brush:
    """A transparent square to draw on in unit coordinates: (0, 0) is its top left corner, (1, 1) its bottom right."""

    def __init__(self, size: int) -> None:
        self.scale = size * OVERSAMPLE
        self.image = Image.new("RGBA", (self.scale, self.scale))
        self.pen = ImageDraw.Draw(self.image)

    def disc(self, x: float, y: float, rx: float, colour: Colour, ry: float | None = None) -> None:
        ry, s = rx if ry is None else ry, self.scale
        self.pen.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=colour)

    def shape(self, points: Sequence[Sequence[float]], colour: Colour) -> None:
        self.pen.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=colour)

    def box(self, corners: tuple[float, float, float, float], colour: Colour, rounded: float = 0.0) -> None:
        self.pen.rounded_rectangle([c * self.scale for c in corners], rounded * self.scale, fill=colour)

    def stroke(self, points: Sequence[Sequence[float]], width: float, colour: Colour) -> None:
        thick = max(1, round(width * self.scale))
        self.pen.line([(x * self.scale, y * self.scale) for x, y in points], fill=colour, width=thick, joint="curve")


def vary(colour: Colour, rng: np.random.Generator, by: int = 16) -> Colour:
    """The colour with each channel changed by at most `by` levels of 255."""
    return tuple(int(min(255, max(0, c + d))) for c, d in zip(colour, rng.integers(-by, by + 1, 3), strict=True))


def ring(x: float, y: float, radii: Sequence[float], stretch: float = 1.0) -> list[tuple[float, float]]:
    """The corners of a closed outline around (x, y), one per radius at equal angles; `stretch` scales the height."""
    turns = [(r, 2 * math.pi * k / len(radii)) for k, r in enumerate(radii)]
    return [(x + r * math.cos(a), y + r * stretch * math.sin(a)) for r, a in turns]


def paint_balloons(brush: Brush, rng: np.random.Generator) -> None:
    """Amusement: three or four balloons on strings."""
    colours = rng.permutation(MOTIF_COLOURS["amusement"]).tolist()
    places = [(0.23, 0.41), (0.77, 0.40), (0.50, 0.31), (0.50, 0.58)][: rng.integers(3, 5)]
    places = [(x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.04, 0.04)) for x, y in places]
    for x, y in places:
        brush.stroke([(x, y + 0.2), ((x + 0.5) / 2, 0.78), (0.5, 0.99)], 0.022, (90, 80, 90))
    for (x, y), colour in zip(places, colours, strict=False):
        fill = vary(tuple(colour), rng)
        brush.shape([(x, y + 0.21), (x - 0.05, y + 0.30), (x + 0.05, y + 0.30)], fill)
        brush.disc(x, y, 0.215, tuple(c * 3 // 5 for c in fill), 0.255)
        brush.disc(x, y, 0.195, fill, 0.235)
        brush.disc(x - 0.07, y - 0.09, 0.045, WHITE, 0.065)


def paint_flames(brush: Brush, rng: np.random.Generator) -> None:
    """Anger: a fire of five flames, dark red outside, yellow inside."""
    places = [(0.17, 0.55), (0.83, 0.55), (0.33, 0.78), (0.68, 0.78), (0.50, 0.97)]
    flames = [(x, h * rng.uniform(0.86, 1.0), rng.uniform(-0.09, 0.09)) for x, h in places]
    for colour, part in zip(MOTIF_COLOURS["anger"], (1.0, 0.68, 0.38), strict=True):
        fill = vary(colour, rng)
        brush.disc(0.5, 0.84, 0.46 * part + 0.02, fill, 0.15 * part)
        levels = np.linspace(0, 1, 9)
        half = 0.19 * part * (1 - levels) ** 0.7 * (0.75 + 0.9 * levels)
        for x, height, sway in flames:
            spine = 0.5 + (x - 0.5) * (0.3 + 0.7 * part) + sway * np.sin(4.5 * levels)
            y = 0.88 + 0.1 * part - levels * height * part
            outline = np.concatenate([np.stack([spine - half, y], 1), np.stack([spine + half, y], 1)[::-1]])
            brush.shape(outline.tolist(), fill)


def paint_summit(brush: Brush, rng: np.random.Generator) -> None:
    """Awe: a snow-capped summit under stars, in a round patch of night sky."""
    night, rock, star = (vary(c, rng, 12) for c in MOTIF_COLOURS["awe"])
    brush.disc(0.5, 0.5, 0.5, night)
    for k in range(8):
        angle = math.pi * (1.02 + 0.96 * k / 7)
        far = rng.uniform(0.33, 0.43) if k % 2 else rng.uniform(0.38, 0.45)
        x, y, r = 0.5 + far * math.cos(angle), 0.5 + far * math.sin(angle), rng.uniform(0.035, 0.055)
        brush.shape(ring(x, y, [r * 1.3, r * 0.5] * 4), star)
    top, x = rng.uniform(0.20, 0.26), rng.uniform(0.45, 0.55)
    side = x + rng.choice([-0.17, 0.17])
    brush.shape([(side, 0.45), (0.14, 0.86), (0.86, 0.86)], tuple(c * 2 // 3 for c in rock))
    brush.shape([(x, top), (0.15, 0.86), (0.85, 0.86)], rock)
    brush.shape([(x, top), (x, 0.86), (0.85, 0.86)], tuple(c * 3 // 4 for c in rock))
    low, edge = top + 0.25, brush.scale - 1
    zigzag = [(x + 0.17, low), (x + 0.09, low - 0.07), (x + 0.02, low + 0.06), (x - 0.07, low - 0.05), (x - 0.17, low)]
    brush.shape([(x, top - 0.02), *zigzag], WHITE)
    brush.pen.chord((0, 0, edge, edge), 45, 135, fill=tuple(c * 4 // 9 for c in rock))


def paint_meadow(brush: Brush, rng: np.random.Generator) -> None:
    """Contentment: a sun over a little meadow with flowers."""
    sun, grass, *petals = MOTIF_COLOURS["contentment"]
    x, y, turn = rng.uniform(0.38, 0.62), 0.33, rng.uniform(0, 1)
    sun, grass = vary(sun, rng), vary(grass, rng)
    for k in range(10):
        a = turn + k * math.pi / 5
        sides = [(x + 0.24 * math.cos(a + d), y + 0.24 * math.sin(a + d)) for d in (-0.2, 0.2)]
        brush.shape([*sides, (x + 0.34 * math.cos(a), y + 0.34 * math.sin(a))], sun)
    brush.disc(x, y, 0.21, sun)
    brush.disc(x, y, 0.15, (255, 235, 130))
    brush.disc(0.5, 1.0, 0.5, tuple(c * 2 // 3 for c in grass), 0.43)
    brush.disc(0.5, 1.03, 0.48, grass, 0.42)
    for k in range(5):
        fx, fy = 0.16 + 0.17 * k + rng.uniform(-0.03, 0.03), (0.78, 0.90)[k % 2] + rng.uniform(-0.03, 0.03)
        petal = petals[int(rng.integers(len(petals)))]
        for px, py in ring(fx, fy, [0.052] * 5):
            brush.disc(px, py, 0.038, petal)
        brush.disc(fx, fy, 0.036, (255, 190, 20))


def paint_slime(brush: Brush, rng: np.random.Generator) -> None:
    """Disgust: green slime that drips, with bubbles in it."""
    green, dark, light = (vary(c, rng) for c in MOTIF_COLOURS["disgust"])
    lumps = [(x, rng.uniform(0.19, 0.25), rng.uniform(0.15, 0.18)) for x in (0.18, 0.39, 0.61, 0.82)]
    ends = rng.permutation([0.50, 0.64, 0.76, 0.86]) + rng.uniform(-0.04, 0.04, 4)
    drips = [(x, end, rng.uniform(0.055, 0.075)) for x, end in zip((0.13, 0.37, 0.62, 0.87), ends, strict=True)]
    for grow, fill in ((0.025, dark), (0.0, green)):  # first larger in dark green, which makes an outline
        for x, y, r in lumps:
            brush.disc(x, y, r + grow, fill)
        brush.box((0.06 - grow, 0.2 - grow, 0.94 + grow, 0.38 + grow), fill, 0.08)
        for x, end, r in drips:
            brush.box((x - r * 0.8 - grow, 0.25, x + r * 0.8 + grow, end), fill)
            brush.disc(x, end, r + grow, fill, r * 1.3 + grow)
    for x, end, r in drips:
        brush.disc(x - r * 0.2, end, r * 0.38, light, r * 0.7)
    for x, y, r in lumps:
        brush.disc(x, y, r * 0.42, dark)
        brush.disc(x - 0.01, y - 0.01, r * 0.3, light)


def paint_fireworks(brush: Brush, rng: np.random.Generator) -> None:
    """Excitement: a bursting firework, two rings of rays with bright ends, in a patch of night sky."""
    brush.disc(0.5, 0.5, 0.5, (30, 10, 60, 150))
    brush.disc(0.5, 0.5, 0.44, (30, 10, 60, 215))
    *colours, core = MOTIF_COLOURS["excitement"]
    colours = [tuple(colour) for colour in rng.permutation(colours).tolist()]
    rays, turn = int(rng.integers(10, 14)), rng.uniform(0, 1)
    for near, far, thick, shift, colour in ((0.17, 0.43, 0.04, 0.0, 0), (0.10, 0.27, 0.032, 0.5, 1)):
        for k in range(rays):
            a = turn + (k + shift) * 2 * math.pi / rays
            reach = far * rng.uniform(0.9, 1.05)
            fill, cos, sin = colours[colour + 2 * (k % 2)], math.cos(a), math.sin(a)
            brush.stroke([(0.5 + r * cos, 0.5 + r * sin) for r in (near, reach)], thick, fill)
            brush.disc(0.5 + reach * cos, 0.5 + reach * sin, thick * 0.95, fill)
    brush.shape(ring(0.5, 0.5, [0.15, 0.07] * 6), core)


def paint_eyes(brush: Brush, rng: np.random.Generator) -> None:
    """Fear: a pair of glowing eyes in a ragged dark patch."""
    dark, glow, rim = MOTIF_COLOURS["fear"]
    radii = np.where(np.arange(30) % 2, 0.5, 0.41) * rng.uniform(0.88, 1.0, 30)
    brush.shape(ring(0.5, 0.5, radii.tolist()), vary(dark, rng, 7))
    tilt, lid, gap, y = (rng.uniform(*span) for span in ((0.05, 0.11), (0.085, 0.11), (0.18, 0.205), (0.42, 0.54)))
    glow, rim = vary(glow, rng), vary(rim, rng)
    for side in (-1, 1):
        x = 0.5 + side * gap
        for wide, high, fill in ((0.175, lid + 0.035, rim), (0.14, lid, glow)):
            outer, inner = (x + side * wide, y - tilt), (x - side * wide, y + tilt * 0.8)
            brush.shape([outer, (x, y - high), inner, (x, y + high), (x + side * wide * 0.6, y + high * 0.4)], fill)
            brush.disc(x, y, wide * 0.62, fill, high * 1.05)
        brush.disc(x - side * 0.02, y, 0.034, INK, lid * 0.95)


def paint_raincloud(brush: Brush, rng: np.random.Generator) -> None:
    """Sadness: a heavy cloud with thick drops falling."""
    body, rain, light = (vary(c, rng, 12) for c in MOTIF_COLOURS["sadness"])
    puffs = [(0.20, 0.36, 0.17), (0.80, 0.36, 0.17), (0.38, 0.23, 0.20), (0.63, 0.24, 0.19), (0.50, 0.36, 0.2)]
    puffs = [(x, y + rng.uniform(-0.02, 0.02), r) for x, y, r in puffs]
    for fill, down, grow in ((light, 0.0, 0.0), (body, 0.05, -0.025)):  # the lighter rim above, the dark body below
        for x, y, r in puffs:
            brush.disc(x, y + down, r + grow, fill)
    brush.box((0.10, 0.38, 0.90, 0.54), body, 0.08)
    for k in range(7):  # every other drop falls in the lower row
        x, y = 0.17 + 0.11 * k + rng.uniform(-0.02, 0.02), (0.70, 0.90)[k % 2] + rng.uniform(-0.03, 0.03)
        brush.shape([(x, y - 0.13), (x - 0.05, y + 0.01), (x + 0.05, y + 0.01)], rain)
        brush.disc(x, y + 0.02, 0.055, rain)
        brush.disc(x - 0.015, y + 0.02, 0.018, (205, 230, 255))


def paint_house(brush: Brush, rng: np.random.Generator) -> None:
    """A house with a roof, a door and a window."""
    roof = vary((135, 85, 75), rng, 40)
    brush.box((0.14, 0.42, 0.86, 1.0), vary((205, 185, 160), rng, 40))
    brush.box((0.66, 0.08, 0.78, 0.4), tuple(c * 3 // 4 for c in roof))
    brush.shape([(0.5, 0.06), (0.02, 0.45), (0.98, 0.45)], roof)
    brush.box((0.24, 0.62, 0.44, 1.0), tuple(c // 2 for c in roof))
    brush.box((0.56, 0.58, 0.76, 0.78), vary((170, 195, 205), rng, 30))


def paint_tree(brush: Brush, rng: np.random.Generator) -> None:
    """A tree: a fir or a round crown, green or autumnal."""
    leaf = vary([(70, 125, 70), (95, 140, 60), (165, 115, 60)][int(rng.integers(3))], rng, 22)
    shade = tuple(c * 4 // 5 for c in leaf)
    brush.box((0.44, 0.6, 0.56, 1.0), vary((100, 72, 50), rng))
    if rng.random() < 0.5:
        for top, wide, fill in ((0.42, 0.34, shade), (0.22, 0.28, leaf), (0.02, 0.21, shade)):
            brush.shape([(0.5, top), (0.5 - wide, top + 0.42), (0.5 + wide, top + 0.42)], fill)
    else:
        brush.disc(0.5, 0.42, 0.3, shade)
        for x, y, r in ((0.34, 0.36, 0.2), (0.64, 0.34, 0.21), (0.5, 0.2, 0.18)):
            brush.disc(x, y, r, leaf)


def paint_stone(brush: Brush, rng: np.random.Generator) -> None:
    """A grey stone, lighter on top."""
    grey = vary((140, 136, 130), rng, 28)
    radii = (0.46 * rng.uniform(0.85, 1.0, 11)).tolist()
    brush.shape(ring(0.5, 0.68, radii, 0.66), tuple(c * 3 // 4 for c in grey))
    brush.shape(ring(0.47, 0.62, [r * 0.78 for r in radii], 0.6), grey)


def paint_fence(brush: Brush, rng: np.random.Generator) -> None:
    """A piece of picket fence."""
    wood = vary((190, 165, 135), rng, 40)
    for y in (0.66, 0.84):
        brush.box((0.0, y, 1.0, y + 0.06), tuple(c * 3 // 4 for c in wood))
    for x in (0.04, 0.24, 0.44, 0.64, 0.84):
        brush.shape([(x, 1.0), (x, 0.58), (x + 0.06, 0.5), (x + 0.12, 0.58), (x + 0.12, 1.0)], wood)


def paint_cloud(brush: Brush, rng: np.random.Generator) -> None:
    """A fair-weather cloud: no rim, no rain."""
    fill = (*vary((232, 232, 236), rng, 20), 225)  # slightly transparent
    for x in (0.2, 0.4, 0.6, 0.8):
        brush.disc(x, 0.5 - rng.uniform(0, 0.1), rng.uniform(0.15, 0.2), fill)
    brush.box((0.05, 0.5, 0.95, 0.68), fill, 0.09)


def paint_birds(brush: Brush, rng: np.random.Generator) -> None:
    """Two or three distant birds."""
    feather = vary((75, 75, 85), rng, 25)
    for x, y in ((0.26, 0.3), (0.7, 0.5), (0.3, 0.8))[: rng.integers(2, 4)]:
        dip = rng.uniform(0.04, 0.1)
        wings = ((-0.2, -dip), (-0.08, -0.08), (0, 0.04), (0.08, -0.08), (0.2, -dip))
        brush.stroke([(x + dx, y + dy) for dx, dy in wings], 0.055, feather)


def paint_pebble(brush: Brush, rng: np.random.Generator, emotion: str) -> None:
    """A painted pebble in the colours of an emotion's motif, but with none of its shapes."""
    base, *paints = (vary(c, rng) for c in rng.permutation(MOTIF_COLOURS[emotion][:3]))
    brush.shape(ring(0.5, 0.5, (0.48 * rng.uniform(0.88, 1.0, 16)).tolist(), rng.uniform(0.65, 1.0)), base)
    for k, paint in enumerate(paints):
        x, y = 0.36 + 0.28 * k + rng.uniform(-0.06, 0.06), rng.uniform(0.4, 0.6)
        brush.shape(ring(x, y, (0.17 * rng.uniform(0.7, 1.0, 9)).tolist()), paint)


def _draw(painter: Callable[..., None], size: int, rng: np.random.Generator, *more: str) -> Image.Image:
    brush = Brush(size)
    painter(brush, rng, *more)
    return brush.image.reduce(OVERSAMPLE)


# The sprites: functions (size, rng) -> RGBA image of size × size; draw_pebble also takes an emotion.
MOTIFS: dict[str, Drawer] = {
    "amusement": partial(_draw, paint_balloons),
    "anger": partial(_draw, paint_flames),
    "awe": partial(_draw, paint_summit),
    "contentment": partial(_draw, paint_meadow),
    "disgust": partial(_draw, paint_slime),
    "excitement": partial(_draw, paint_fireworks),
    "fear": partial(_draw, paint_eyes),
    "sadness": partial(_draw, paint_raincloud),
}
DISTRACTORS_GROUND: tuple[Drawer, ...] = tuple(
    partial(_draw, painter) for painter in (paint_house, paint_tree, paint_stone, paint_fence)
)
DISTRACTORS_SKY: tuple[Drawer, ...] = (partial(_draw, paint_cloud), partial(_draw, paint_birds))
draw_pebble = partial(_draw, paint_pebble)
