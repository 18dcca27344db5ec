"""Compares the results of a study with faults with those of the same study without faults."""

import io
from typing import Any

import pandas as pd
from disturbed import EPOCHS, Disturbed


def require_same(disturbed: Disturbed, undisturbed: Disturbed, *variants: str) -> None:
    """Asserts that runs ended with the same bits: predictions, weights, and everything in the record but times."""
    for variant in variants or ("alexnet", "attention"):
        ours, theirs = disturbed.record(variant), undisturbed.record(variant)
        assert without_times(ours) == without_times(theirs)
        for name in ("predictions.parquet", "weights.safetensors"):
            assert disturbed.file(variant, name).read_bytes() == undisturbed.file(variant, name).read_bytes(), name
        lines = [pd.read_json(io.StringIO(of.file(variant, "metrics.jsonl").read_text()), lines=True)
                 for of in (disturbed, undisturbed)]  # fmt: skip
        assert len(lines[0]) == EPOCHS
        pd.testing.assert_frame_equal(*(table.drop(columns="train_s_so_far") for table in lines), check_exact=True)


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that depend neither on the clock nor on interruptions."""
    kept = {key: value for key, value in record.items()
            if not key.endswith("_s") and key not in ("interruptions", "last_epoch")}  # fmt: skip
    kept["files"] = {name: size for name, size in record["files"].items() if name != "metrics.jsonl"}  # it has times
    return kept | {"last_epoch": {k: v for k, v in record["last_epoch"].items() if not k.endswith("_s_so_far")}}
