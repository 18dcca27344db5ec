"""How the classes that a network was trained on and those of another data set become the same classes.

The networks' answers and the labels of the images are both read in the classes that the two have in common. The
probabilities of several classes that become one are summed. Classes that nothing in the other data set corresponds to
are left out: images that have such a label are not tested, and of an answer the probabilities of the remaining classes
count, divided by their sum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from emotune.config.labels import NEGATIVE, POLARITY, POSITIVE
from emotune.core.errors import InputError, suggest
from emotune.core.text import listed

__all__ = ["LabelMap", "map_labels"]

FEWEST = 2
"""Fewest classes that two data sets must have in common: one alone could not be answered wrongly."""


@dataclass(frozen=True)
class LabelMap:
    """Two label spaces and what they have in common.

    Attributes:
        classes: The common classes, in the order of the answers.
        answers: The common class of each class that networks answer; classes that are left out are absent.
        labels: The common class of each class of the images; classes that are left out are absent.
        unused_answers: The classes of the networks that are left out.
        unused_labels: The classes of the images that are left out.
    """

    classes: tuple[str, ...]
    answers: Mapping[str, str]
    labels: Mapping[str, str]
    unused_answers: tuple[str, ...] = ()
    unused_labels: tuple[str, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether both label spaces are the same."""
        return not self.unused_answers and not self.unused_labels and all(
            name == common for side in (self.answers, self.labels) for name, common in side.items()
        )  # fmt: skip

    @property
    def identity(self) -> list[object]:
        """The values that decide about the result, as JSON can hold them."""
        return [list(self.classes), sorted(self.answers.items()), sorted(self.labels.items())]

    def sentence(self) -> str:
        """The mapping in words; empty if both label spaces are the same.

        >>> map_labels(("anger", "awe", "fear"), ("anger", "fear", "joy")).sentence()
        'Only the classes that both have are compared, anger and fear: awe of the networks and joy of the images are \
left out.'
        """
        if self.is_identity:
            return ""
        sums = [text for side in (self.answers, self.labels) if (text := _sums(side))]
        unused = [
            f"{listed(names)} of the {owner}"
            for names, owner in ((self.unused_answers, "networks"), (self.unused_labels, "images")) if names
        ]  # fmt: skip
        left_out = f"{' and '.join(unused)} {_are([*self.unused_answers, *self.unused_labels])} left out."
        if not sums:
            return f"Only the classes that both have are compared, {listed(self.classes)}: {left_out}"
        return f"Classes are mapped: {'; '.join(sums)}.{f' {left_out}' if unused else ''}"


def map_labels(trained: Sequence[str], other: Sequence[str], own: Mapping[str, str | None] | None = None) -> LabelMap:
    """The classes that trained networks and another data set have in common.

    Without a mapping of one's own: all classes if they are the same; positive and negative if one side has only these
    and every other class of the other side is known to be one of the two, or else is left out; otherwise the classes
    that have the same name.

    Args:
        trained: The classes that the networks answer.
        other: The classes of the other data set.
        own: The mapping of classes of one side to classes of the other side, from the networks to the images if the
            names allow it. A class that it does not have stays itself, and one that is mapped to None is left out.

    Raises:
        InputError: they have less than two classes in common, or the mapping has a name that neither side knows.
    """
    if own:
        answers, labels = _mapped(trained, other, own)
    elif set(trained) == set(other):
        answers = labels = {name: name for name in trained}
    elif set(POLARITY) in (set(trained), set(other)):
        answers, labels = _polarity(trained), _polarity(other)
    else:
        answers = labels = {name: name for name in trained if name in other}
    common = set(answers.values()) & set(labels.values())
    if len(common) < FEWEST:
        example = ", ".join(f"{one}: {another}" for one, another in zip(trained[:FEWEST], other, strict=False))
        raise InputError(
            f"its classes ({listed(other)}) have {'nothing' if not common else f'only {common.pop()}'} in common with "
            f"those of the networks ({listed(trained)}); map at least two, such as map: {{{example}}}; give null "
            "for those to leave out"
        )
    answers, labels = ({a: b for a, b in side.items() if b in common} for side in (answers, labels))
    order = dict.fromkeys(answers[name] for name in trained if name in answers)
    return LabelMap(
        tuple(order), answers, labels,
        tuple(name for name in trained if name not in answers), tuple(name for name in other if name not in labels),
    )  # fmt: skip


def _mapped(
    trained: Sequence[str], other: Sequence[str], own: Mapping[str, str | None]
) -> tuple[dict[str, str], dict[str, str]]:
    """The common class of each class of both sides, by a mapping of the user's own."""
    forward, backward = (_unknown(own, *sides) for sides in ((trained, other), (other, trained)))
    if forward and backward:
        name, role, known = forward
        raise InputError(
            f'map: "{name}" is no class of the {role}{suggest(name, known)}; write classes of the networks and what '
            "they are among those of the images"
        )
    source, target = (other, trained) if forward else (trained, other)
    mapped = {name: to for name in source if (to := own.get(name, name)) is not None and to in target}
    kept = {name: name for name in target}
    return (kept, mapped) if forward else (mapped, kept)


def _unknown(
    own: Mapping[str, str | None], source: Sequence[str], target: Sequence[str]
) -> tuple[str, str, Sequence[str]] | None:
    """The first name of a mapping that is not a class of its side, with what the side is and its classes."""
    for name, to in own.items():
        if name not in source:
            return name, "networks", source
        if to is not None and to not in target:
            return to, "images", target
    return None


def _polarity(names: Iterable[str]) -> dict[str, str]:
    """Whether each class is positive or negative; classes that are neither are absent."""
    negative, positive = POLARITY
    return {name: positive if name in POSITIVE else negative for name in names if name in POSITIVE | NEGATIVE}


def _sums(side: Mapping[str, str]) -> str:
    """The classes of one side by the common class that they become, ``positive: awe, joy``; empty if none changes."""
    by_common: dict[str, list[str]] = {}
    for name, common in side.items():
        by_common.setdefault(common, []).append(name)
    return "; ".join(
        f"{listed(names)} {_are(names)} {common}" for common, names in by_common.items() if names != [common]
    )


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
