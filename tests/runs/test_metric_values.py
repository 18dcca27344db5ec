"""The values of a metric of the user's own, beside the runs: found again for the same code and predictions alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from emotune.config.metric import Metric
from emotune.core.storage import Folder
from emotune.runs.metric_values import earlier_version, metric_file, read_value, write_value
from emotune.runs.record import PREDICTIONS

SOURCE = "def f(frame, k=1):\n    return k\n"


def metric(source: str = SOURCE, **fields) -> Metric:
    return Metric(code="metrics.py:f", source=source, **({"min_effect": 1.0} | fields))


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    folder = Folder("memory://values" if request.param == "memory" else str(tmp_path)) / "run"
    folder.write(PREDICTIONS, b"predictions")
    return folder


def test_a_value_is_found_for_the_same_code_options_and_predictions_alone(folder: Folder):
    own = metric()
    assert own.user_code is not None and read_value(folder, own) is None
    write_value(folder, own.user_code, b"predictions", 3.25)
    same = [
        own, metric(options={"k": 1}), metric(f"# a comment\n{SOURCE}"), replace(own, min_effect=2.0, title="other"),
        replace(own, code="other.py:f"),
    ]  # fmt: skip
    assert [read_value(folder, one) for one in same] == [3.25] * len(same)
    others = [
        metric(options={"k": 2}), metric(SOURCE.replace("return k", "return 2 * k")), metric(bounds=(0, 3)), Metric(),
    ]  # fmt: skip
    assert [read_value(folder, one) for one in others] == [None] * len(others)
    folder.write(PREDICTIONS, b"others")
    assert read_value(folder, own) is None
    write_value(folder, own.user_code, b"others", 4.0)
    assert read_value(folder, own) == 4.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"value": 1}'])
def test_a_damaged_file_counts_as_missing(folder: Folder, content: bytes):
    own = metric()
    assert own.user_code is not None
    folder.write(metric_file(own.user_code), content)
    assert read_value(folder, own) is None
    write_value(folder, own.user_code, b"predictions", 1.0)
    assert read_value(folder, own) == 1.0


def test_the_latest_value_of_an_earlier_version_is_found(folder: Folder):
    versions = [metric(SOURCE.replace("return k", f"return {n}")) for n in range(3)]
    codes = [version.user_code for version in versions]
    assert all(code is not None for code in codes)
    for code in (codes[1], codes[0]):
        write_value(folder, code, b"predictions", 1.0)
    write_value(folder, Metric(code="m.py:g", source="def g(f): return 1", min_effect=1).user_code, b"", 1.0)
    found = earlier_version(folder, codes[2])
    assert found is not None and found["source"] == versions[0].source
    assert earlier_version(folder / "nothing", codes[2]) is None
