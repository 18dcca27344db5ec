import errno
import os
from pathlib import Path

import pytest
import torch

from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.execution.run.error_messages import failure_text
from emotune.runs.directory import RunDirectory


def text_of(raising) -> list[str]:
    try:
        raising()
    except BaseException as error:
        return failure_text(error, "/pool/a-run").splitlines()
    raise AssertionError("nothing was raised")


def test_the_first_line_is_the_errors_own_and_the_traceback_follows():
    def raising():
        raise RuntimeError("this layer is cursed\nand this is more")

    first, *rest = text_of(raising)
    assert first == "RuntimeError: this layer is cursed"
    assert any("in raising" in line for line in rest)


def cuda_memory():
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    "raising", [lambda: torch.empty(2**60, dtype=torch.uint8), lambda: bytearray(2**62), cuda_memory]
)
def test_out_of_memory_on_any_device_is_named_with_what_to_do(raising):
    first, *_ = text_of(raising)
    assert "memory" in first
    assert all(key in first for key in ("resources.accumulate", "resources.cpus_per_worker", "gpus_per_worker"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_what_cannot_be_written_is_named_with_the_folder_even_behind_another_error(number: int):
    def raising():
        try:
            raise OSError(number, os.strerror(number))
        except OSError:
            raise ValueError("half a checkpoint") from None

    first, *_ = text_of(raising)
    assert first.startswith("/pool/a-run: ")
    assert os.strerror(number) in first and "--runs" in first


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_is_named():
    def raising():
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    assert os.strerror(errno.ENOSPC) in text_of(raising)[0]


def test_what_a_failed_run_keeps_is_20_lines_that_begin_with_the_error_and_end_where_it_was_raised(tmp_path: Path):
    def even(number: int):
        odd(number - 1)

    def odd(number: int):
        even(number - 1) if number > 1 else [][number]

    data = DatasetRef(name="photos", location="/data", content_hash="0")
    run = RunConfig(variant="a", dataset=data, seed=0, model=AlexNetConfig(), train=TrainConfig())
    directory = RunDirectory(str(tmp_path), run)
    directory.fail("\n".join(text_of(lambda: even(100))))
    status = directory.status()
    lines = status.detail.splitlines()
    assert len(lines) == 20
    assert status.reason == lines[0] == lines[-1]
    assert status.reason.startswith("IndexError: ")
    assert any("[][number]" in line for line in lines)
