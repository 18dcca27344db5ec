"""The commands that reports and messages print: each can be run as it stands there."""

import shlex
from dataclasses import dataclass

__all__ = ["DEFAULT_RUNS", "PROGRAM", "SUBCOMMANDS", "AblateCommand"]

PROGRAM = "python -m emotune.ablate"
SUBCOMMANDS = ("status", "rerun", "prune")
DEFAULT_RUNS = "runs"
"""The pool, where ``--runs`` does not name one."""


@dataclass(frozen=True)
class AblateCommand:
    """``python -m emotune.ablate``: the study, and the options that decide what is in its report and where it is.

    Attributes:
        study: The file, as it was given; None: the study that comes with emotune.
        seeds: ``--seeds``; None: the study's.
        aa: ``--aa``.
        model_cards: ``--model-cards``.
        runs: ``--runs``, as it was given.
        report: ``--report``, as it was given; None: the study's own folder.
    """

    study: str | None = None
    seeds: int | None = None
    aa: bool = False
    model_cards: bool = False
    runs: str = DEFAULT_RUNS
    report: str | None = None

    def __str__(self) -> str:
        """The command that runs the study and writes its report.

        >>> print(AblateCommand("my study.yaml", seeds=5, runs="s3://lab/runs"))
        python -m emotune.ablate 'my study.yaml' --seeds 5 --runs s3://lab/runs
        """
        return self._written()

    def rerun(self, run: str) -> str:
        """The command that takes up one run.

        >>> AblateCommand("my.yaml", aa=True).rerun("tanh-faces-s0-01234567")
        'python -m emotune.ablate rerun my.yaml tanh-faces-s0-01234567 --aa'
        """
        return self._written("rerun", run)

    def _written(self, verb: str = "", *operands: str) -> str:
        study = self.study
        if study is not None and (study.startswith("-") or study in SUBCOMMANDS):
            study = f"./{study}"
        words = [word for word in (verb, study, *operands) if word]
        words += ["--seeds", str(self.seeds)] if self.seeds is not None else []
        words += ["--aa"] * self.aa + ["--model-cards"] * self.model_cards
        for option, value in (("--runs", self.runs if self.runs != DEFAULT_RUNS else None), ("--report", self.report)):
            if value is not None:
                words += [f"{option}={value}"] if value.startswith("-") else [option, value]
        return f"{PROGRAM} {shlex.join(words)}".rstrip()
