"""Commands that refuse a study leave no file and no folder behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from emotune import InputError, Study, run_study
from emotune.ablate import main
from emotune.config.model import AlexNetConfig
from emotune.config.train import TrainConfig
from emotune.execution.run.session import ExecutionOptions

STUDY = """
question: Is it refused?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, dropout: 0.0}}
train: {{epochs: 1, batch_size: 16}}
baseline: a
variants: {{a: {{}}, b: {{train.lr: 0.001}}, c: {{{c}}}}}
seeds: 1
contrasts: [b - a]
"""
NETS = """
import torch.nn as nn
class Wrong(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(3, classes + 1)
    def forward(self, images):
        return self.layer(images.mean((2, 3)))
"""


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[str]]:
    """What is in the folder of the command, and in that of its cache, besides what the test has put there."""
    place, cache = tmp_path / "here", tmp_path / "caches" / "cache"
    place.mkdir()
    (place / "nets.py").write_text(NETS)
    torch.save({"layer.weight": torch.ones(3, 3)}, place / "x.pth")
    monkeypatch.chdir(place)
    monkeypatch.setenv("EMOTUNE_CACHE", str(cache))

    def left() -> set[str]:
        found = {str(path.relative_to(place)) for path in place.rglob("*")} - {"nets.py", "x.pth", "few.yaml"}
        return found | ({str(cache)} if cache.parent.exists() else set())

    return left


@pytest.mark.parametrize(
    ("c", "reason"),
    [
        ("train.batch_size: 1000", "batch_size 1000"),
        ("train.init: x.pth", "x.pth"),
        ("model: {code: 'nets.py:Wrong'}", "nets.py"),
        ("train.optimizer: sgd, train.momentum: 2", "momentum"),
    ],
)
def test_a_refused_study(
    c: str, reason: str, small_shards: Path, left: Callable[[], set[str]], capsys: pytest.CaptureFixture[str]
):
    Path("few.yaml").write_text(STUDY.format(data=small_shards, c=c))
    for place in ((), ("--runs", "deep/er/runs", "--report", "deep/er/report")):
        assert main(["few.yaml", "--executor", "local", *place]) == 2
        assert reason in capsys.readouterr().err
        assert left() == set()


def test_a_folder_that_was_there_stays(small_shards: Path, left: Callable[[], set[str]]):
    Path("few.yaml").write_text(STUDY.format(data=small_shards, c="train.init: x.pth"))
    Path("runs").mkdir()
    assert main(["few.yaml", "--executor", "local"]) == 2
    assert left() == {"runs"}


def test_a_refused_study_of_python(small_shards: Path, left: Callable[[], set[str]]):
    variants = {"a": (AlexNetConfig(width=0.0625), TrainConfig(epochs=1, batch_size=16)),
                "b": (AlexNetConfig(width=0.0625), TrainConfig(epochs=1, batch_size=16, init="x.pth"))}  # fmt: skip
    study = Study("few", "Is it refused?", str(small_shards), "a", variants, seeds=1, contrasts=["b - a"])
    with pytest.raises(InputError, match=r"x\.pth"):
        run_study(study, options=ExecutionOptions(executor="local"))
    assert left() == set()
