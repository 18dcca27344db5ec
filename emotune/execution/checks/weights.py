"""Checks of the weights that runs begin with: whether a file has what the network needs, before anything is spent."""

from collections.abc import Callable, Sequence

from emotune.config.backbone import BackboneCode
from emotune.config.labels import MIKELS
from emotune.config.model import CodeConfig
from emotune.config.run import RunConfig
from emotune.core.errors import InputError, raise_if_any
from emotune.data.datasets.location import is_ready, outputs_of

__all__ = ["check_initial_weights", "check_local_weights"]


def check_initial_weights(runs: Sequence[RunConfig], show: Callable[[str], None] = lambda line: None) -> list[str]:
    """A line on each thing that speaks against weights, which names the variants that begin with them.

    Args:
        runs: The runs.
        show: A function that is called with lines on how far it is.

    Raises:
        InputError: weights are missing, or do not fit their networks; one line for each variant.
    """
    notes, problems = dict[str, list[str]](), list[str]()
    outcomes: dict[object, str | InputError] = {}
    for run in {(run.variant, run.dataset.whole): run for run in runs}.values():
        if run.weights is None:
            continue
        show(f"{run.variant}: checking the weights in {run.weights.location}")
        classes = outputs_of(run.dataset) if is_ready(run.dataset) else MIKELS
        key = (run.model, run.input, run.weights, run.train.head_lr_multiplier, tuple(classes))
        if key not in outcomes:
            outcomes[key] = _note_or_error(run, classes)
        outcome = outcomes[key]
        if isinstance(outcome, InputError):
            option = "" if str(outcome).startswith("model.") else "train.init: "
            problems.append(f"variants.{run.variant}: {option}{outcome}")
        elif outcome:
            notes.setdefault(outcome, []).append(run.variant)
    raise_if_any(list(dict.fromkeys(problems)))
    return [f"{', '.join(dict.fromkeys(variants))}: {note}." for note, variants in notes.items()]


def check_local_weights(runs: Sequence[RunConfig]) -> list[str]:
    """The lines of `check_initial_weights` for files on this machine, made without executing code of the user's own.

    Weights that are not checked have a line that says so, except a library's own, which are downloaded when they are
    needed.

    Args:
        runs: The runs.

    Raises:
        InputError: weights are missing, or do not fit their networks; one line for each variant.
    """
    local, lines = list[RunConfig](), list[str]()
    for run in runs:
        if run.weights is None or run.weights.location.startswith("torchvision"):
            continue
        if _is_own_network(run):
            lines.append(f"{run.variant}: its network is own code, so whether its weights fit is not checked yet.")
        elif "://" in run.weights.location:
            lines.append(f"{run.variant}: its weights are behind a URL, so whether they fit is not checked yet.")
        else:
            local.append(run)
    return check_initial_weights(local) + list(dict.fromkeys(lines))


def _note_or_error(run: RunConfig, classes: Sequence[str]) -> str | InputError:
    from emotune.models.weights.initial_weights import check_weights  # late: with torch

    try:
        return check_weights(run, classes).note
    except InputError as error:
        return error


def _is_own_network(run: RunConfig) -> bool:
    """Whether building the run's network would execute code of the user's own."""
    return isinstance(run.model, CodeConfig) or isinstance(getattr(run.model, "backbone", None), BackboneCode)
