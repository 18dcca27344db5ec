"""Read what runs left behind: the results of a study as tables, and the classifier of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.config.ablate_command import DEFAULT_RUNS
from emotune.config.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from emotune.inference.predictor import Predictor

__all__ = ["Results", "load_predictor", "load_results"]


@dataclass(frozen=True)
class Results:
    """The results of a study, as tables.

    Attributes:
        runs: A row for each run, finished or not: its variant, data set, seed, state, metrics and costs. The user's own
            metric, ``own_<function>``, is NaN where `run_study` has not computed it yet.
        curves: A row for each epoch of a run: losses and accuracies.
        predictions: A row for each test image of a finished run: ``run, variant, dataset, seed, sample_id, target,
            group, logit_<class>…``; or ``true_``, ``predicted_`` and ``sd_<dimension>`` on the dimensions' own scales.
        comparisons: A row for each declared contrast and data set: ``seeds, mean``, the ends ``low`` and ``high`` of
            the joint 95 % interval, the adjusted ``p`` and the ``verdict`` that are read off it, and more.
        transfer: A row for each run and other data set of the study's ``test_on``: ``run, variant, dataset, seed,
            tested_on, split, state, classes, images, near_training, other_classes`` and the metrics; NaN where a run
            has not been tested.
        transfer_comparisons: A row for each declared contrast and other data set: ``dataset, tested_on, contrast,
            seeds, mean``, the ends ``low`` and ``high`` of an interval for all of them together, and the same on the
            own test images in the same classes.
    """

    runs: "pd.DataFrame"
    curves: "pd.DataFrame"
    predictions: "pd.DataFrame"
    comparisons: "pd.DataFrame"
    transfer: "pd.DataFrame"
    transfer_comparisons: "pd.DataFrame"


def load_results(study: Study | str | Path, runs: str | Path = DEFAULT_RUNS) -> Results:
    """Reads what a study's runs left behind, finished or not, and compares its variants.

    Args:
        study: A study, or the path of its file.
        runs: The folder or URL in which its runs have their directories.

    Raises:
        InputError: the study cannot be used, its settings are not chosen yet, or the runs cannot be read.
    """
    import pandas as pd

    from emotune.analysis.rating_arrays import with_own_ratings
    from emotune.api.tuning_stage import require_choices
    from emotune.execution.plan.resolved_study import resolve_study
    from emotune.report.contrast_table import contrast_table
    from emotune.report.results import compute_results
    from emotune.report.transfer_report import transfer_contrast_table, transfer_runs

    resolved = resolve_study(study, runs)
    require_choices(resolved)
    results = compute_results(resolved.study, resolved.plan(), resolved.tests, resolved.tuning)
    names = ["run", "variant", "dataset", "seed"]
    tables = []
    for row in results.records.done()[names].to_dict("records"):
        table = results.records.predictions[row["run"]]
        if dimensions := results.records.dimensions.get(row["dataset"]):
            table = with_own_ratings(table, dimensions)
        tables.append(pd.DataFrame(row, index=table.index).join(table))
    return Results(
        runs=results.records.runs,
        curves=results.records.curves,
        predictions=pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=names),
        comparisons=contrast_table(results.other_analyses),
        transfer=transfer_runs(results.transfer),
        transfer_comparisons=transfer_contrast_table(results.transfer),
    )


def load_predictor(run: str | Path, device: str = "auto", *, trust_code: bool = False) -> "Predictor":
    """The classifier of a finished run.

    Args:
        run: The run's folder or URL.
        device: ``cpu``, ``cuda``, or ``auto``: the GPU if there is one.
        trust_code: Whether code that comes with the run may be executed, if its network is not one of emotune's.

    Raises:
        InputError: the run is not finished, its files are damaged, or its code is not trusted.
    """
    from emotune.inference import predictor

    return predictor.load_predictor(str(run), device, trust_code=trust_code)
