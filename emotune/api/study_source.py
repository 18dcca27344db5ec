"""The file of a study and the command that reproduces it, also of a study that was built in Python."""

from pathlib import Path

from emotune.config.ablate_command import AblateCommand
from emotune.config.study import Study

__all__ = ["command_for", "keep_source"]


def command_for(study: Study, runs: str | Path, out: Path, *, model_cards: bool) -> AblateCommand:
    """The command that does the same as `emotune.run_study`.

    Args:
        study: The study.
        runs: The folder or URL of the runs.
        out: The folder of the report.
        model_cards: Whether there is a model card for each variant.
    """
    return AblateCommand(
        study.file or str(_source_file(study, out)), None, study.aa is not None, model_cards, str(runs), str(out)
    )


def keep_source(study: Study, out: Path) -> None:
    """Writes a study that was built in Python beside its report, for the command that reproduces it."""
    if not study.file:
        out.mkdir(parents=True, exist_ok=True)
        _source_file(study, out).write_text(study.source, encoding="utf-8")


def _source_file(study: Study, out: Path) -> Path:
    return out / f"{study.name}.yaml"
