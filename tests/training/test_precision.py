"""Switches of the process are as a run needs them while it goes on, and as they were when it has ended."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from running import changed, trained
from torch import backends

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.runs.directory import RunDirectory
from emotune.training.loop import InterruptedRunError
from emotune.training.precision import numerics


def switches() -> dict[str, Any]:
    return {
        "matmul": backends.cuda.matmul.fp32_precision,
        "conv": backends.cudnn.conv.fp32_precision,
        "cpu matmul": backends.mkldnn.matmul.fp32_precision,
        "cpu conv": backends.mkldnn.conv.fp32_precision,
        "benchmark": backends.cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cublas": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "autocast": torch.is_autocast_enabled("cpu"),
    }


@pytest.mark.parametrize(
    ("precision", "gpu"), [("float32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")], ids=lambda value: value
)
@pytest.mark.parametrize("deterministic", [False, True])
def test_switches_are_set_for_a_run_and_put_back_even_when_it_ends_early(
    run: RunConfig, precision: str, gpu: str, deterministic: bool, tmp_path: Path
):
    before, recorded = switches(), []

    def stop() -> bool:
        recorded.append(switches())
        return True

    with pytest.raises(InterruptedRunError):
        trained(
            changed(run, precision=precision), tmp_path, resources=Resources(deterministic=deterministic), stop=stop
        )
    assert switches() == before
    expected = {"matmul": gpu, "conv": gpu, "cpu matmul": "ieee", "cpu conv": "ieee", "benchmark": False}
    expected |= {"deterministic": deterministic, "cublas": ":4096:8" if deterministic else before["cublas"]}
    assert {name: recorded[0][name] for name in expected} == expected
    assert not recorded[0]["autocast"], "only passes forward are"


def test_what_the_process_had_chosen_for_itself_is_put_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backends.cudnn, "benchmark", True)
    with numerics("float32", deterministic=False):
        assert not backends.cudnn.benchmark
    assert backends.cudnn.benchmark
    with numerics("tf32", deterministic=True):
        before = switches()
        with numerics("float32", deterministic=False):
            assert switches() != before
        assert switches() == before
        backends.cudnn.allow_tf32  # noqa: B018  torch's older names may be read: switches do not contradict each other


def test_a_deterministic_run_is_the_same_run_and_its_record_says_how_it_was_calculated(run: RunConfig, tmp_path: Path):
    run = changed(run, epochs=1)
    plain, _ = trained(run, tmp_path / "a")
    strict, _ = trained(run, tmp_path / "b", resources=Resources(deterministic=True, accumulate=2))
    assert plain["last_epoch"]["train_loss"] == pytest.approx(strict["last_epoch"]["train_loss"], rel=1e-5)
    assert plain["numerics"] == {
        "precision": "float32", "tf32": False, "autocast": None, "deterministic": False, "compiled": False,
        "accumulate": 1, "channels_last": True, "fused": True,
    }  # fmt: skip
    assert strict["numerics"] == plain["numerics"] | {"deterministic": True, "accumulate": 2}
    assert RunDirectory(str(tmp_path / "a"), run).folder.read_json("record.json")["numerics"] == plain["numerics"]
