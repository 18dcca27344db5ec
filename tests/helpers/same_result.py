"""Compares the results of a study with faults with those of the same study without faults."""

import io
from typing import Any

import pandas as pd
from disturbed import EPOCHS, Disturbed


def require_same(disturbed: Disturbed, undisturbed: Disturbed, *variants: str, epochs: int = EPOCHS) -> None:
    """Asserts that runs ended with the same bits: predictions, weights, and everything in the record but times.

    They may have other names where they are not disturbed.
    """
    names = {run: variant for variant, run in undisturbed.run_ids.items()}
    for variant in variants or disturbed.run_ids:
        other = names[disturbed.run_ids[variant]]
        ours, theirs = disturbed.record(variant), undisturbed.record(other)
        assert without_times(ours) == without_times(theirs)
        runs = (disturbed.file(variant, "."), undisturbed.file(other, "."))
        for name in ("predictions.parquet", "weights.safetensors"):
            assert len({(run / name).read_bytes() for run in runs}) == 1, name
        lines = [pd.read_json(io.StringIO((run / "metrics.jsonl").read_text()), lines=True) for run in runs]
        assert len(lines[0]) == epochs
        pd.testing.assert_frame_equal(*(table.drop(columns="train_s_so_far") for table in lines), check_exact=True)


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that depend neither on the clock nor on interruptions."""
    kept = {key: value for key, value in record.items()
            if not key.endswith("_s") and key not in ("interruptions", "last_epoch")}  # fmt: skip
    kept["files"] = {name: size for name, size in record["files"].items() if name != "metrics.jsonl"}  # it has times
    return kept | {"last_epoch": {k: v for k, v in record["last_epoch"].items() if not k.endswith("_s_so_far")}}
