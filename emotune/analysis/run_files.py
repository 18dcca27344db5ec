"""The files of one run as tables: learning curve, predictions and attention weights, with checks for damage."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from emotune.analysis.prediction_arrays import keep_arrays, logits_of, targets_of
from emotune.analysis.rating_arrays import with_unit_ratings
from emotune.config.target import Dimension
from emotune.core.errors import InputError
from emotune.core.sample_noun import worded
from emotune.core.storage import Folder
from emotune.runs.directory import ATTENTION, METRICS, PREDICTIONS
from emotune.runs.predictions import LOGIT_PREFIX, PREDICTED_PREFIX, SD_PREFIX, TRUE_PREFIX

__all__ = ["EPOCH_COLUMNS", "curve_table", "read_attention", "read_curve", "read_predictions"]

EPOCH_COLUMNS = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "train_s_so_far",
                 "test_accuracy", "attention_entropy", "val_ccc", "val_score"]  # fmt: skip


def read_curve(folder: Folder) -> list[dict[str, float]]:
    """The learning curve of a run: the values of `EPOCH_COLUMNS` for each finished epoch; NaN for one that is lacking.

    Raises:
        InputError: the file is damaged.
    """
    try:
        return [_epoch(json.loads(line)) for line in (folder.read(METRICS) or b"").decode().splitlines()]
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder / METRICS}: cannot be read ({error}); delete the folder {folder} to train this run again"
        ) from None


def curve_table(epochs: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table of epochs, see `read_curve`, with further columns before `EPOCH_COLUMNS`."""
    table = pd.DataFrame(epochs, columns=[*columns, *EPOCH_COLUMNS])
    return table.astype(dict.fromkeys(EPOCH_COLUMNS, float)).astype({"epoch": int})


def _epoch(line: Mapping[str, Any]) -> dict[str, float]:
    values = {name: math.nan if line.get(name) is None else float(line[name]) for name in EPOCH_COLUMNS}
    return values | {"epoch": int(values["epoch"])}


def read_predictions(folder: Folder, data: bytes | None = None, dimensions: Sequence[Dimension] = ()) -> pd.DataFrame:
    """The predictions of a finished run: a row for each test image, ``sample_id, target, group, logit_<class>…``.

    Args:
        folder: The run's folder.
        data: The content of the file; None: it is read.
        dimensions: The dimensions that the run predicts, if it does not predict classes: then the table is that of
            `emotune.analysis.rating_arrays.with_unit_ratings`.

    Raises:
        InputError: the file is missing or damaged.
    """
    if dimensions:
        return _read_ratings(folder, data, dimensions)
    again = f"delete the folder {folder} to train this run again"
    frame = _read_table(folder, PREDICTIONS, ["sample_id", "target"], data)
    if frame is None:
        raise InputError(f"{folder / PREDICTIONS}: missing; {again}")
    kinds = {kind.kind for name, kind in frame.dtypes.items() if str(name).startswith(LOGIT_PREFIX)}
    numbers = logits_of(frame) if kinds == {"f"} else np.full((1, 1), np.nan)
    if not (np.isfinite(numbers) | np.isneginf(numbers)).all() or np.isneginf(numbers).all(axis=1).any():
        raise InputError(f"{folder / PREDICTIONS}: has logits that are not numbers; {again}")
    if not frame["sample_id"].is_unique:
        raise InputError(f"{folder / PREDICTIONS}: lists {worded('an image')} twice; {again}")
    is_complete = not (frame.empty or frame.isna().any(axis=None)) and pd.api.types.is_string_dtype(frame["target"])
    if is_complete:
        keep_arrays(frame)
    if not is_complete or (targets_of(frame) < 0).any():
        raise InputError(
            f"{folder / PREDICTIONS}: has no {worded('images')}, missing values or unknown classes; {again}"
        )
    return frame


def _read_ratings(folder: Folder, data: bytes | None, dimensions: Sequence[Dimension]) -> pd.DataFrame:
    columns = [prefix + one.name for one in dimensions for prefix in (TRUE_PREFIX, PREDICTED_PREFIX, SD_PREFIX)]
    frame = _read_table(folder, PREDICTIONS, ["sample_id", "group", *columns], data)
    again = f"delete the folder {folder} to train this run again"
    if frame is None:
        raise InputError(f"{folder / PREDICTIONS}: missing; {again}")
    known = [name for name in columns if not name.startswith(SD_PREFIX)]
    kinds = {frame[name].dtype.kind for name in columns}
    if kinds != {"f"} or frame.empty or not np.isfinite(frame[known].to_numpy()).all():
        raise InputError(f"{folder / PREDICTIONS}: has no {worded('images')}, or ratings that are not numbers; {again}")
    if not frame["sample_id"].is_unique:
        raise InputError(f"{folder / PREDICTIONS}: lists {worded('an image')} twice; {again}")
    return with_unit_ratings(frame, dimensions)


def read_attention(folder: Folder, predictions: pd.DataFrame) -> pd.DataFrame | None:
    """The attention weights of a run, ``sample_id, layer, weights``; None if it recorded none.

    Args:
        folder: The run's folder.
        predictions: The run's predictions, whose images the weights must cover.

    Raises:
        InputError: the file is damaged.
    """
    frame = _read_table(folder, ATTENTION, ["sample_id", "layer", "weights"])
    if frame is None:
        return None
    try:
        images = predictions["sample_id"]
        layers = [frame] if frame["layer"].nunique(dropna=False) == 1 else [
            layer for _, layer in frame.groupby("layer", sort=False, dropna=False)
        ]  # fmt: skip
        complete = bool(layers) and all(_lists_once(f["sample_id"], images) for f in layers)
        sums = np.concatenate([np.stack(f["weights"].tolist()).sum(axis=1) for f in layers]) if complete else [0.0]
        if np.allclose(sums, 1, atol=1e-3):
            return frame
        problem = "weights do not sum to one" if complete else worded("weights are not for each test image once")
    except (ValueError, TypeError) as error:
        problem = str(error)
    raise InputError(f"{folder / ATTENTION}: damaged ({problem}); delete the folder {folder} to train this run again")


def _lists_once(ids: pd.Series, images: pd.Series) -> bool:
    """Whether these are the ids of the images, each once, in any order; as a rule they are in the same order."""
    return ids.array.equals(images.array) or (len(ids) == len(images) and set(ids) == set(images))


def _read_table(folder: Folder, name: str, columns: Sequence[str], data: bytes | None = None) -> pd.DataFrame | None:
    """A Parquet file that must have these columns; None if the file does not exist. It is read if there is no data."""
    data = folder.read(name) if data is None else data
    if data is None:
        return None
    try:
        frame = parquet.ParquetFile(pa.BufferReader(data)).read(use_threads=False).to_pandas(use_threads=False)
        if missing := [column for column in columns if column not in frame]:
            raise ValueError(f"the column {missing[0]} is missing")
        return frame
    except (ValueError, OSError, pa.ArrowException) as error:
        message = " ".join(str(error).split())  # some messages have several lines
        raise InputError(
            f"{folder / name}: cannot be read ({message}); delete the folder {folder} to train this run again"
        ) from None
