"""The noun of what a data set holds: texts are written for images, and are told of clips where the samples are clips.

Sentences, tables, figures and templates say *image*; `worded` gives their text in the noun of the data that the command
or page is about, which `speaking_of` sets. Only text of this package's own goes through it, never a name of the user's.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["noun_of", "speaking_of", "speed_unit", "worded"]

_noun: ContextVar[str] = ContextVar("noun", default="image")
_WORD = re.compile(r"\b(?:([Aa])n )?([Ii])mage(s?)\b(?!-)")


def noun_of(frames: Collection[int]) -> str:
    """The noun for the samples of data sets: *image*, *clip*, or, of data sets of both, *sample*.

    Args:
        frames: The number of frames of each data set's samples; 1 for images.
    """
    if all(number == 1 for number in frames):
        return "image"
    return "sample" if 1 in frames else "clip"


@contextmanager
def speaking_of(frames: Collection[int]) -> Iterator[None]:
    """Within the block, `worded` says what `noun_of` says."""
    before = _noun.set(noun_of(frames))
    try:
        yield
    finally:
        _noun.reset(before)


def speed_unit() -> str:
    """The unit of a speed of training, short enough for the head of a column.

    >>> with speaking_of([8]):
    ...     speed_unit()
    'clips/s'
    """
    return {"image": "img"}.get(noun := _noun.get(), f"{noun}s") + "/s"


def worded(text: str) -> str:
    """A text about images in the noun of the samples that are spoken of.

    >>> with speaking_of([8]):
    ...     worded("Each image is counted once; an image of several is kept. Images: 5")
    'Each clip is counted once; a clip of several is kept. Clips: 5'
    """
    noun = _noun.get()
    if noun == "image":
        return text

    def replaced(found: re.Match[str]) -> str:
        article, first, plural = found.groups()
        word = noun.capitalize() if first == "I" else noun
        return f"{f'{article} ' if article else ''}{word}{plural}"

    return _WORD.sub(replaced, text)
