"""Event files are read back with tensorboardX's protocol buffers and checksums."""

import math
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from emotune.core.errors import InputError
from emotune.execution.monitor.tensorboard import TensorBoardWriter
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress

RUN, PER_EPOCH = "alexnet-scenes-s0-01234567", 5


def at(step: int, *, validating: bool = False, new: bool = False) -> RunProgress:
    """The progress of a run of 4 epochs; ``new``: no step has been taken since it was continued."""
    known = (step - validating) // PER_EPOCH
    loss = math.nan if new else 2 - step / 100
    return RunProgress(
        RUN, step // PER_EPOCH + 1, 4, step / 20, loss, 10.0 * known if known else math.nan, 123.0, step, 20,
        "validating" if validating else "training", 0, 0.01,
    )  # fmt: skip


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves that TensorBoard draws: the start of a session revokes its step and all later ones."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.record_writer import masked_crc32c

    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        data, versions = path.read_bytes(), []
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            record = data[12 : 12 + length]
            assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
            assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(record)
            data, event = data[16 + length :], Event.FromString(record)
            if event.HasField("file_version"):
                versions.append(event.file_version)
            if event.HasField("session_log"):
                assert event.session_log.status == SessionLog.START
                for tag, points in found.items():
                    found[tag] = [(step, value) for step, value in points if step < event.step]
            for value in event.summary.value:
                found[value.tag].append((event.step, round(value.simple_value, 4)))
        assert versions == ["brain.Event:2"]
    return dict(found)


def steps(points: list[tuple[int, float]]) -> list[int]:
    return [step for step, _ in points]


def test_a_run_has_its_curves_in_a_folder_of_its_own(tmp_path: Path):
    with TensorBoardWriter(str(tmp_path / "new" / "events")) as events:
        for step in range(1, 21):
            events.on_progress(at(step, validating=step % PER_EPOCH == 0))
            if step % PER_EPOCH == 0:
                events.on_progress(at(step))
        events.on_end(RUN, Status(State.DONE))
    found = curves(tmp_path / "new" / "events" / RUN)
    assert steps(found["train/loss"]) == steps(found["train/lr"]) == steps(found["train/images_per_s"])
    assert found["train/loss"] == [(step, pytest.approx(2 - step / 100, abs=1e-4)) for step in range(1, 21)]
    assert found["val/accuracy"] == [(5, 10.0), (10, 20.0), (15, 30.0), (20, 40.0)]


def test_a_lost_worker_leaves_no_zigzag(tmp_path: Path):
    with TensorBoardWriter(str(tmp_path)) as events:
        for step in [*range(1, 13), *range(8, 21)]:
            events.on_progress(at(step))
    found = curves(tmp_path / RUN)
    assert steps(found["train/loss"]) == list(range(1, 21))
    assert steps(found["val/accuracy"]) == [5, 10, 15, 20]


@pytest.mark.parametrize("new", [True, False])
def test_a_run_that_another_command_continues_leaves_no_zigzag(tmp_path: Path, new: bool):
    with TensorBoardWriter(str(tmp_path)) as events:
        for step in range(1, 13):
            events.on_progress(at(step))
    with TensorBoardWriter(str(tmp_path)) as events:
        events.on_progress(at(8, new=new))
        for step in range(9, 21):
            events.on_progress(at(step))
    assert len(list((tmp_path / RUN).iterdir())) == 2
    found = curves(tmp_path / RUN)
    assert steps(found["train/loss"]) == list(range(1, 21))
    assert steps(found["val/accuracy"]) == [5, 10, 15, 20]


def test_an_interrupted_command_leaves_complete_files(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), TensorBoardWriter(str(tmp_path)) as events:
        events.on_progress(at(3))
        raise KeyboardInterrupt
    assert steps(curves(tmp_path / RUN)["train/loss"]) == [3]


def test_a_url_and_a_file_are_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for place in ("s3://bucket/events", str(tmp_path / "file")):
        with pytest.raises(InputError, match=f"--tensorboard {place}: "):
            TensorBoardWriter(place)


def test_a_folder_that_becomes_unwritable_ends_the_curves_but_not_the_study(tmp_path: Path, capsys):
    with TensorBoardWriter(str(tmp_path)) as events:
        (tmp_path / RUN).write_text("in the way")
        events.on_progress(at(1))
        events.on_progress(at(2))
        events.on_end(RUN, Status(State.DONE))
    assert capsys.readouterr().err.count(f"--tensorboard {tmp_path}: ") == 1


def test_writing_imports_neither_torch_nor_tensorboardx(tmp_path: Path):
    script = (
        "import sys; from emotune.execution.monitor.tensorboard import TensorBoardWriter\n"
        "from emotune.runs.progress import RunProgress\n"
        f"with TensorBoardWriter({str(tmp_path)!r}) as events:\n"
        "    events.on_progress(RunProgress('a', 1, 1, .5, 1., step=1, steps=2))\n"
        "sys.exit(bool({'torch', 'tensorboardX', 'ray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert len(list((tmp_path / "a").iterdir())) == 1
