"""The commands that reports and messages print for the user to run."""

import shlex
from dataclasses import dataclass

from emotune.core.typed_command import typed_command

__all__ = ["DEFAULT_RUNS", "PROGRAM", "SUBCOMMANDS", "AblateCommand"]

PROGRAM = "python -m emotune.ablate"
SUBCOMMANDS = ("new", "status", "rerun", "prune")
DEFAULT_RUNS = "runs"
"""The folder of runs, unless ``--runs`` gives another one."""


@dataclass(frozen=True)
class AblateCommand:
    """A command ``python -m emotune.ablate``, with the options that decide about the report's content and place.

    Attributes:
        study: The path of the study file, as it was given; None: the quickstart.
        seeds: The value of ``--seeds``; None: the option is not given.
        aa: Whether ``--aa`` is given.
        model_cards: Whether ``--model-cards`` is given.
        runs: The value of ``--runs``.
        report: The value of ``--report``; None: the option is not given.
        test_on: The values of ``--test-on``.
    """

    study: str | None = None
    seeds: int | None = None
    aa: bool = False
    model_cards: bool = False
    runs: str = DEFAULT_RUNS
    report: str | None = None
    test_on: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The command that runs the study and writes its report.

        >>> print(AblateCommand("my study.yaml", seeds=5, runs="s3://lab/runs"))
        python -m emotune.ablate 'my study.yaml' --seeds 5 --runs s3://lab/runs
        """
        return self._text()

    def typed(self, verb: str = "", *operands: str) -> str:
        """The command of a verb in the spelling with which this process was started, for messages; not for reports.

        Args:
            verb: One of `SUBCOMMANDS`; empty: the command that trains.
            operands: Further operands.
        """
        return f"{typed_command('ablate')}{self._text(verb, *operands).removeprefix(PROGRAM)}"

    def rerun(self, run: str) -> str:
        """The command that trains one run again.

        >>> AblateCommand("my.yaml", aa=True).rerun("tanh-faces-s0-01234567")
        'python -m emotune.ablate rerun my.yaml tanh-faces-s0-01234567 --aa'
        """
        return self._text("rerun", run)

    def _text(self, verb: str = "", *operands: str) -> str:
        study = self.study
        if study is not None and (study.startswith("-") or study in SUBCOMMANDS):
            study = f"./{study}"
        words = [word for word in (verb, study, *operands) if word]
        words += ["--seeds", str(self.seeds)] if self.seeds is not None else []
        words += [word for one in self.test_on for word in ("--test-on", one)]
        words += ["--aa"] * self.aa + ["--model-cards"] * self.model_cards
        for option, value in (("--runs", self.runs if self.runs != DEFAULT_RUNS else None), ("--report", self.report)):
            if value is not None:
                words += [f"{option}={value}"] if value.startswith("-") else [option, value]
        return f"{PROGRAM} {shlex.join(words)}".rstrip()
