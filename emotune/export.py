"""`python -m emotune.export [STUDY] --to TOOL`: finished runs to MLflow, W&B, trackio, TensorBoard or the hub."""

import argparse
import sys
from collections.abc import Sequence

from emotune.api.export_study import export_study
from emotune.cli.ablate_options import chosen_study
from emotune.cli.arguments import exits_on_broken_pipe, reraise_broken_pipe
from emotune.cli.export_options import export_options, parse
from emotune.core.errors import TRY_AGAIN, InputError, UnavailableError, describe_os_error, print_error
from emotune.core.terminal import make_console
from emotune.core.typed_command import error_prefix
from emotune.execution.run.signals import INTERRUPTED, interruption

__all__ = ["main"]


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all finished runs are exported; 1: a finished run is damaged, or the output cannot be written; 2: the input
        cannot be used; 75: the tool cannot be reached or is in use; 130: interrupted; 141: nobody reads the output any
        more.
    """
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        with interruption():
            return _export(options)
    except InputError as error:
        print_error(error_prefix("export"), error)
        return 2
    except UnavailableError as error:
        print_error(error_prefix("export"), error)
        print_error(
            error_prefix("export"), RuntimeError("What was exported is kept; the same command goes on from there.")
        )
        return TRY_AGAIN
    except OSError as error:
        reraise_broken_pipe(error)
        print_error(error_prefix("export"), OSError(describe_os_error(error)))
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED


def _export(options: argparse.Namespace) -> int:
    study, console = chosen_study(options, options.study), make_console()
    outcome = export_study(study, options.to, options.runs, export_options(options), console)
    for line in (*outcome.left_out, *outcome.notes):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not options.dry_run:
        console.print(f"{len(outcome.written)} runs exported, {len(outcome.unchanged)} unchanged", highlight=False)
    return 1 if outcome.damaged else 0


if __name__ == "__main__":
    sys.exit(main())
