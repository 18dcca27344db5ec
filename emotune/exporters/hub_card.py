"""The card of a model repository: front matter that the hub reads, with every variant's result and its interval."""

from typing import Any

import jinja2

from emotune.analysis.seeds import Summary
from emotune.core.version import VERSION
from emotune.exporters.content import StudyContent
from emotune.report import phrasing
from emotune.report.contrast_table import contrast_table
from emotune.report.dataset_info import DatasetInfo, dataset_info, synthetic_sentences
from emotune.report.results import VariantSummary

__all__ = ["model_card"]

OWN_LICENCE = "apache-2.0"
LEVEL = 0.95
CLASSIFICATION = "image-classification"


def model_card(study: StudyContent, hub: Any, licence: str | None, repo: str) -> str:
    """The text of ``README.md``.

    Args:
        study: The study.
        hub: The module ``huggingface_hub``, whose validation the front matter passes.
        licence: The identifier of the licence of the weights on the hub; None: that of emotune if all images are
            synthetic, else *other*.
        repo: The name of the repository, for the example.
    """
    results, metric = study.results, study.results.study.metric
    refs = {run.config.dataset.name: run.config.dataset for run in study.runs}
    datasets = {name: dataset_info(ref) for name, ref in refs.items()}
    synthetic = all(data.synthetic for data in datasets.values())
    task = "image-regression" if results.records.dimensions else CLASSIFICATION
    rows = [(one, row) for one in results.repeats for row in results.repeated_summaries(one) if row.summary.n]
    data = hub.ModelCardData(
        model_name=study.name, library_name="emotune", license=licence or (OWN_LICENCE if synthetic else "other"),
        **({} if licence or synthetic else {"license_name": "see-the-images", "license_link": "README.md#licence"}),
        pipeline_tag=task if task == CLASSIFICATION else None, metrics=[metric.column],
        tags=["emotune", "emotion", "image-emotion", task, "synthetic-images" if synthetic else "photographs"],
        eval_results=[_result(hub, study, task, _dataset(datasets, one.dataset), row) for one, row in rows],
    )  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emotune.exporters"), autoescape=False, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"md": phrasing.escape_markdown, "mean_and_interval": phrasing.mean_and_interval}
    wholes = {info.whole: info for info in datasets.values()}
    return environment.get_template("hub_card.md").render(
        front_matter=data.to_yaml(), study=study, metric=metric, rows=rows, datasets=wholes.values(),
        contrasts=contrast_table(results.other_analyses).to_dict("records"), repo=repo, version=VERSION,
        synthetic=synthetic_sentences(list(datasets.values())), licence=data.license, example=study.runs[0],
        runs=sorted(study.runs, key=lambda run: (run.config.variant, run.config.dataset.name, run.config.seed)),
    )  # fmt: skip


def _dataset(datasets: dict[str, DatasetInfo], name: str) -> DatasetInfo:
    """The description of a data set on which contrasts are judged, of which divisions may have been tested."""
    return datasets.get(name) or next(info for info in datasets.values() if info.whole == name)


def _result(hub: Any, study: StudyContent, task: str, data: DatasetInfo, row: VariantSummary) -> Any:
    """A variant's mean as the hub reads it: the interval is in the name, which the hub shows, and in the arguments."""
    metric, summary = study.results.study.metric, row.summary
    shown = phrasing.mean_and_interval(summary, metric.scale)
    unit = f" ({metric.scale.unit})" if metric.scale.unit else ""
    said = "" if summary.interval is None else ", 95 % interval in brackets"
    name = f"{metric.scale.title}{unit} of {row.variant}, mean of {summary.n}{said}: {shown}"
    return hub.EvalResult(
        task_type=task, task_name=task.replace("-", " ").capitalize(), dataset_type=data.whole,
        dataset_name=data.whole, dataset_split="test", dataset_revision=data.content_hash, metric_type=metric.column,
        metric_value=round(summary.mean, 4), metric_name=name,
        metric_args={"variant": row.variant, **_interval(summary)},
    )  # fmt: skip


def _interval(summary: Summary) -> dict[str, Any]:
    known = {"n": summary.n}
    if summary.interval is None:
        return known
    low, high = summary.interval
    return known | {"interval": [round(low, 4), round(high, 4)], "level": LEVEL}
