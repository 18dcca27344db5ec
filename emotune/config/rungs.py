"""The rungs of a study's tuning: with ``halving``, how many settings are trained for how many epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

from emotune.config.tuning import Tuning

__all__ = ["Rung", "halving_problems", "rungs_of"]


@dataclass(frozen=True)
class Rung:
    """Settings of a variant that are compared with each other after equally many epochs.

    Attributes:
        settings: The number of settings.
        epochs: The epochs of each run.
    """

    settings: int
    epochs: int


def rungs_of(tune: Tuning, epochs: int) -> tuple[Rung, ...]:
    """The rungs of a tuning, the same for every variant; one without halving.

    The last one has all epochs, each earlier one half as many (rounded down, at least one) and twice as many settings.
    There are as many as it takes from all settings to two, or as the epochs allow.

    Args:
        tune: The tuning.
        epochs: The epochs of a run of the study, which tuning runs have unless ``tune.epochs`` says otherwise.

    >>> tune = Tuning(over={"train.lr": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]}, halving=True)
    >>> [(rung.settings, rung.epochs) for rung in rungs_of(tune, 8)]
    [(6, 2), (3, 4), (2, 8)]
    """
    longest, settings = tune.epochs or epochs, len(tune.settings)
    if not tune.halving:
        return (Rung(settings, longest),)
    numbers = [settings]
    while numbers[-1] > 2 and longest >> len(numbers):
        numbers.append((numbers[-1] + 1) // 2)
    last = len(numbers) - 1
    return tuple(Rung(number, longest >> (last - place)) for place, number in enumerate(numbers))


def halving_problems(tune: Tuning, epochs: int, fitted: Sequence[str]) -> list[str]:
    """The reasons why successive halving means nothing in a study; empty if it does.

    Args:
        tune: The tuning.
        epochs: The epochs of a run of the study.
        fitted: The variants that are tuned and are not trained in epochs.
    """
    if not tune.halving:
        return []
    problems, settings, longest = [], len(tune.settings), tune.epochs or epochs
    if settings < 3:
        problems.append(
            f"tune.halving: of {settings} settings there is no better half to train on; give three or more, or leave "
            "out halving"
        )
    if longest < 2:
        problems.append(
            "tune.halving: one epoch cannot be halved; set tune.epochs to two or more, or leave out halving"
        )
    if fitted:
        problems.append(
            f"tune.halving: {', '.join(fitted)} {'are' if len(fitted) > 1 else 'is'} fitted and not trained in epochs; "
            f"add to the untuned: tune: {{untuned: [{', '.join([*tune.untuned, *fitted])}]}}, or leave out halving"
        )
    return problems
