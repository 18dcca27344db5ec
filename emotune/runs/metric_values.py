"""The values of a metric of the user's own, beside the predictions of each run: ``metric-<8 hex>.json``.

The eight digits are a hash of the metric's code and options, so a run keeps the values of earlier versions of the code,
and those of other studies. A value also names the sha256 of the predictions that it was computed from; if they have
changed since, it does not count.
"""

import contextlib
import hashlib
import json
import math
import re
import time
from typing import Any, TypedDict, cast

from emotune.config.metric import Metric, MetricCode
from emotune.core.storage import Folder
from emotune.runs.record import PREDICTIONS
from emotune.runs.store import RunStates

__all__ = ["MetricFile", "earlier_version", "metric_file", "missing_values", "read_value", "value_bytes", "write_value"]

METRIC_FILE = re.compile(r"metric-[0-9a-f]{8}\.json")


class MetricFile(TypedDict):
    """The content of a file with a value.

    Attributes:
        code: The place of the metric's function, ``metrics.py:worst_recall``.
        identity: What identifies its code: the function's name, the digest of the file's text, and the options that
            differ from their defaults.
        options: The options.
        source: The text of the file.
        predictions: The sha256 of the predictions.
        value: The value.
        time: The time of its computation, in seconds since 1970.
    """

    code: str
    identity: dict[str, Any]
    options: dict[str, Any]
    source: str
    predictions: str
    value: float
    time: float


def metric_file(code: MetricCode) -> str:
    """The name of the file in a run's directory that has the value of a metric."""
    return f"metric-{hashlib.sha256(json.dumps(code.identity, sort_keys=True).encode()).hexdigest()[:8]}.json"


def read_value(folder: Folder, metric: Metric, predictions: bytes | None = None) -> float | None:
    """The value of the user's own metric for a finished run; None if it has not been computed.

    Args:
        folder: The run's directory.
        metric: The metric. A value beyond its bounds does not count.
        predictions: The content of the run's predictions; None: it is read.

    Raises:
        InputError: the folder cannot be reached.
    """
    code = metric.user_code
    found = _read(folder, metric_file(code)) if code else None
    if code is None or found is None or found["identity"] != code.identity:
        return None
    predictions = folder.read(PREDICTIONS) if predictions is None else predictions
    low, high = metric.scale.bounds
    is_valid = math.isfinite(found["value"]) and low <= found["value"] <= high
    return found["value"] if is_valid and found["predictions"] == _sha256(predictions or b"") else None


def write_value(folder: Folder, code: MetricCode, predictions: bytes, value: float) -> None:
    """Writes the value of a metric for a finished run, atomically; `read_value` reads it back."""
    content: MetricFile = {
        "code": code.code, "identity": code.identity, "options": dict(code.options), "source": code.source,
        "predictions": _sha256(predictions), "value": value, "time": time.time(),
    }  # fmt: skip
    folder.write_json(metric_file(code), content)


def missing_values(states: RunStates, metric: Metric) -> list[str]:
    """The ids of the finished runs for which the user's own metric has not been computed, in the study's order.

    Args:
        states: The runs of the study, and what their store has of them.
        metric: The study's metric; if it is emotune's, none is missing.

    Raises:
        InputError: the store cannot be reached.
    """
    if metric.user_code is None:
        return []
    folder, ids = states.store.folder, list(dict.fromkeys(run.id for run in states.runs if run.id in states.records))
    values = states.store.map(lambda run_id: read_value(folder / run_id, metric), ids)
    return [run_id for run_id, value in zip(ids, values, strict=True) if value is None]


def value_bytes(states: RunStates, metric: Metric) -> list[bytes]:
    """The files with the values of the user's own metric, of all finished runs that have one."""
    if (code := metric.user_code) is None:
        return []
    folder, name = states.store.folder, metric_file(code)
    return [data for data in states.store.map(lambda run_id: (folder / run_id).read(name), states.records) if data]


def earlier_version(folder: Folder, code: MetricCode) -> MetricFile | None:
    """The latest value in a run's directory of another version of a metric: of a function of the same name."""
    names = [name for name in folder.names() if METRIC_FILE.fullmatch(name) and name != metric_file(code)]
    found = [value for name in names if (value := _read(folder, name)) and value["identity"].get("entry") == code.entry]
    return max(found, key=lambda value: value["time"], default=None)


def _read(folder: Folder, name: str) -> MetricFile | None:
    """The content of a file with a value; None if it is missing or damaged, so that it is computed again."""
    data = folder.read(name) or b""
    with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):
        value = json.loads(data)
        numbers, texts = (value["value"], value["time"]), (value["code"], value["source"], value["predictions"])
        if all(isinstance(one, int | float) for one in numbers) and all(isinstance(one, str) for one in texts):
            return cast(MetricFile, value | {"identity": dict(value["identity"]), "options": dict(value["options"])})
    return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
