"""Writing the results of a finished run: predictions per image, attention weights, and the record."""

import io
import os
import platform
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from emotune.config.epoch_selection import score_in_words, selection_text
from emotune.config.run import RunConfig
from emotune.config.train import Order
from emotune.core.storage import Folder
from emotune.data.read.batches import Split
from emotune.models.cost import Cost
from emotune.runs.record import ATTENTION, OVER_FRAMES, PREDICTIONS, Hardware, InitialisationRecord, RunRecord
from emotune.training.distributed import World
from emotune.training.evaluate import Outputs
from emotune.training.progress import Progress
from emotune.training.selection import selected_epoch
from emotune.training.tasks import task_of

__all__ = ["make_record", "reading_mode", "write_predictions"]


def write_predictions(folder: Folder, run: RunConfig, split: Split, outputs: Outputs) -> None:
    """Writes the predictions for the test images, in their order, and the attention weights if there are any.

    ``predictions.parquet`` has a row per image: ``sample_id``, ``target`` (the class name), ``group`` (the same for
    near-duplicates), and ``logit_<class>`` for each class; for the task *distributions* also ``share_<class>``, the
    true share of the votes (`emotune.data.annotations.vote_shares`). For each dimension it has ``true_<dimension>``,
    ``predicted_<dimension>`` and ``sd_<dimension>`` in the place of ``target`` and logits. ``attention.parquet`` has a
    row per attention layer and image, layer by layer: ``sample_id``, ``layer``, and ``weights``, a list of float32 (P).
    Attention over the frames of clips comes last, as the layer ``over_frames``: a weight for each frame, in time.
    """
    ids = list(split.keys)
    _write(folder, PREDICTIONS, run, {"sample_id": ids} | task_of(run).columns(split, outputs.logits))
    over_frames = {} if outputs.over_frames is None else {OVER_FRAMES: outputs.over_frames}
    if attention := outputs.attention | over_frames:
        weights = [row for rows in attention.values() for row in rows]
        _write(folder, ATTENTION, run, {
            "sample_id": ids * len(attention), "layer": np.repeat(list(attention), len(ids)).tolist(),
            "weights": pa.array(weights, pa.list_(pa.float32())),
        })  # fmt: skip


def _write(folder: Folder, name: str, run: RunConfig, columns: dict[str, Any]) -> None:
    table = pa.table(columns).replace_schema_metadata({"run": run.id, "split": "test"})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    folder.write(name, buffer.getvalue())


def reading_mode(split: Split, order: Order) -> str:
    """How training images are read: ``decoded`` or ``indexed``, which give the same result, or ``shards``.

    ``indexed`` means that at least some images are read from the files of their shards and decoded each time;
    ``shards``, that images come in the order of shards; ``features``, that features are read, which were computed once.
    """
    if split.features is not None:
        return "features"
    return "shards" if order == "shards" else "decoded" if split.images.decoded else "indexed"


def make_record(
    run: RunConfig, world: World, progress: Progress, split: Split, durations_s: dict[str, float], costs: Cost,
    *, tested: tuple[Split, Outputs] | None,
) -> RunRecord:  # fmt: skip
    """The record of a finished run.

    Args:
        run: The run.
        world: The ranks that trained it.
        progress: The run's progress, with the metrics of its epochs.
        split: The training images.
        durations_s: The seconds by phase.
        costs: The parameters and FLOPs of the model.
        tested: The test images and the outputs for them; None: a tuning run has no test phase.
    """
    selected, task = selected_epoch(run, progress.history), task_of(run)
    record: dict[str, Any] = {
        "run": run.id,
        "model": run.model.name,
        "dataset": run.dataset.name,
        "seed": run.seed,
        "selection": selection_text(run.select, run.train.patience, score_in_words(run.select_by, run.dataset.task)),
        "selected_epoch": selected,
        "last_epoch": progress.history[-1],
        "parameters": costs.parameters,
        "forward_flops": costs.forward_flops,
        "train_images": len(split),
        **task.training_summary(split),
        "durations_s": {name: round(seconds, 3) for name, seconds in durations_s.items()},
        "images_per_s": round(len(split) * len(progress.history) / progress.train_s, 1),
        "workers": world.size,
        "reading": _one(progress.reading),
        "numerics": _one(progress.numerics),
        "initialisation": _initialisation(run, progress),
        "interruptions": progress.interruptions,
        "hardware": _hardware(world),
        "origins": progress.origins,
    }
    if tested is None:
        record["validation"] = next(one for one in progress.history if one["epoch"] == selected)
    else:
        test, outputs = tested
        record |= {"test_images": len(test), task.score: task.score_of(test.targets, outputs.logits)}
    if progress.notes:
        record["notes"] = progress.notes
    return cast(RunRecord, record)


def _one(values: list[Any]) -> Any:
    """The value if there is only one; all of them if a run was continued with another."""
    return values[0] if len(values) == 1 else values


def _initialisation(run: RunConfig, progress: Progress) -> InitialisationRecord:
    """The normalisation, and where the initial weights are from unless they were drawn."""
    given = {key: value for key, value in progress.initialisation.items() if value}
    return cast(InitialisationRecord, (asdict(run.weights) if run.weights else {}) | given)


def _hardware(world: World) -> Hardware:
    gpu = torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else None
    return {"machine": platform.machine(), "cpus": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}
