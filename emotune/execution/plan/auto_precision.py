"""``train.precision: auto``: a precision that suits the machine, decided once for all runs of a study.

The first command that trains a run decides, and the study's entry among those of the store (`emotune.runs.registry`)
keeps the decision. Commands on other machines follow it, also where another precision would be faster: runs of one
study that differ in their rounding would be no replicates.
"""

import socket
from dataclasses import dataclass

from emotune.config.study import Study
from emotune.config.train import DecidedPrecision
from emotune.core.errors import InputError
from emotune.core.host import has_native_bfloat16
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore

__all__ = ["AutoPrecision", "decide_precision", "require_one_decision"]


@dataclass(frozen=True)
class AutoPrecision:
    """The meaning of *auto* in a study.

    Attributes:
        precision: The precision.
        host: The machine that decided.
        when: The date of the decision; empty if no run has been trained, so that it can still change.
    """

    precision: DecidedPrecision
    host: str
    when: str = ""

    def __str__(self) -> str:
        if self.when:
            return f"train.precision auto: {self.precision}, as decided on {self.host}, {self.when}."
        return (
            f"train.precision auto: {self.precision}, as suits this machine; the first one that trains a run of the "
            "study decides for all."
        )


def decide_precision(study: Study, store: RunStore) -> AutoPrecision | None:
    """The meaning of *auto* in a study: the earliest decision in the store, else what suits this machine.

    Args:
        study: The study, before or after *auto* is replaced.
        store: The folder of its runs.

    Returns:
        None if no variant has *auto*.

    Raises:
        InputError: nothing is decided, the runs ask for GPUs, and this machine has none to ask.
    """
    if not study.awaits_precision and study.auto_precision is None:
        return None
    for one in sorted(Registry(store).same_name_as(study), key=lambda one: one.time):
        if one.auto_precision:
            return AutoPrecision(one.auto_precision, one.origin.host, one.when)
    native = _gpu_has_native_bfloat16() if study.resources.gpus_per_worker else has_native_bfloat16()
    return AutoPrecision("bf16" if native else "float32", socket.gethostname())


def require_one_decision(study: Study, store: RunStore) -> None:
    """Raises an `InputError` if another machine decided otherwise while this one, with the study registered, began."""
    decided = decide_precision(study, store)
    if decided is not None and decided.precision != study.auto_precision:
        raise InputError(
            f"train.precision: auto: {decided.host} has just decided for {decided.precision}; give the same command "
            "once more, which follows it"
        )


def _gpu_has_native_bfloat16() -> bool:
    """Whether the GPU of this machine multiplies bfloat16 itself."""
    import torch  # late: it takes seconds

    if not torch.cuda.is_available():
        raise InputError(
            "train.precision: auto asks the first machine that trains, and this one has no GPU, but "
            "resources.gpus_per_worker asks for GPUs; write bf16 (GPUs of compute capability 8.0 or more, such as "
            "A100, L4, RTX 30) or float32"
        )
    return torch.cuda.is_bf16_supported(including_emulation=False)
