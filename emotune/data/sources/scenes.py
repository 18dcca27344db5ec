"""The embedded synthetic images as a source: any number of scenes, drawn by a program."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar

from emotune.config.labels import MIKELS
from emotune.core.errors import InputError
from emotune.data.image_io import encode_jpeg
from emotune.data.sources.base import Entry, Listing
from emotune.data.sources.synthetic import GENERATOR_VERSION, draw_scene, vote_on

__all__ = ["Scenes", "scenes_hash"]


@dataclass(frozen=True)
class Scenes:
    """The synthetic images of `emotune.data.sources.synthetic`; their annotators are simulated."""

    help: ClassVar[str] = "the embedded synthetic images, any number of them"
    images: Annotated[int, "number of images to draw"] = 1600
    seed: Annotated[int, "seed of the set; each seed gives other images"] = 0

    def listing(self) -> Listing:
        """The images, in the order of their numbers.

        Raises:
            InputError: the number of images is not positive, or the seed is negative.
        """
        if self.images < 1 or self.seed < 0:
            raise InputError("--images must be positive and --seed not negative")
        entries = []
        for index in range(self.images):
            votes, label = vote_on(index, self.seed)
            source = f"scene {self.seed}/{index}"
            key = hashlib.sha256(source.encode()).hexdigest()[:20]
            entries.append(Entry(source, label, votes, _DrawScene(index, self.seed), key=key))
        return Listing(
            name="scenes",
            classes=MIKELS,
            entries=entries,
            source=f"synthetic: {self.images} images drawn by emotune.data.sources.synthetic, seed {self.seed}",
            licence="Apache-2.0, as emotune itself",
            content_hash=scenes_hash(self.images, self.seed),
            synthetic=True,
        )


@dataclass(frozen=True)
class _DrawScene:
    """A call that draws one image, which can be pickled and sent to another process."""

    index: int
    seed: int

    def __call__(self) -> bytes:
        return encode_jpeg(draw_scene(self.index, self.seed).image)


def scenes_hash(images: int, seed: int) -> str:
    """The content hash of `Scenes` before its split.

    It covers what the images are drawn from instead of their bytes, so that a plan need not draw them.
    """
    return hashlib.sha256(f"scenes v{GENERATOR_VERSION} {images} {seed}".encode()).hexdigest()
