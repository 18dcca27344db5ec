"""Plans of runs that begin with a file of weights: one that does not fit is refused, and no code is executed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from narrow import NARROW, caffes_arrays, run_with, write_npz
from safetensors.torch import save_file
from torchvision.models import resnet18

from emotune.ablate import main
from emotune.config.backbone import BackboneConfig
from emotune.config.heads import MaxHeadConfig, MeanHeadConfig
from emotune.execution.checks.weights import check_initial_weights, check_local_weights

CODE = """
from pathlib import Path
Path("{mark}").touch()
import torch.nn as nn
class Tiny(nn.Sequential):
    def __init__(self, classes):
        super().__init__(nn.Conv2d(3, 4, 5, stride=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
"""
STUDY = """
question: Does it fit?
datasets: [{data}]
model: {model}
train: {{epochs: 1, batch_size: 16, init: {init}}}
baseline: a
variants: {{a: {{}}, b: {{train.lr: 0.001}}}}
seeds: 2
contrasts: [b - a]
"""


@pytest.fixture
def plan(tmp_path: Path, small_shards: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def plan(model: str, init: Path) -> tuple[int, str]:
        (tmp_path / "few.yaml").write_text(STUDY.format(data=small_shards, model=model, init=init))
        monkeypatch.chdir(tmp_path)
        code = main(["few.yaml", "--plan", "--executor", "local"])
        said = capsys.readouterr()
        assert not (tmp_path / "runs").exists() and not (tmp_path / "reports").exists()
        return code, said.out + said.err

    return plan


def test_a_plan_refuses_weights_that_do_not_fit_as_the_command_does(plan, tmp_path: Path):
    fits = write_npz(tmp_path / "x.npz", caffes_arrays())
    assert plan("{name: alexnet, width: 0.0625, lrn: caffe}", fits)[0] == 0
    code, said = plan("{name: alexnet, width: 0.125}", fits)
    assert code == 2
    assert all(word in said for word in ("variants.a: train.init", "variants.b: train.init", "x.npz", "conv1"))
    torch.save({"layer.weight": torch.ones(3, 3)}, tmp_path / "x.pth")
    assert plan("{backbone: 'torchvision:resnet18', head: mean}", tmp_path / "x.pth")[0] == 2
    (tmp_path / "y.pth").write_bytes(b"no weights")
    code, said = plan("{name: alexnet, width: 0.0625}", tmp_path / "y.pth")
    assert code == 2 and "not readable as weights" in said


def test_a_backbone_s_file_of_the_same_names_fits(plan, tmp_path: Path):
    save_file(resnet18().state_dict(), tmp_path / "x.safetensors")
    assert plan("{backbone: 'torchvision:resnet18', head: mean}", tmp_path / "x.safetensors")[0] == 0
    code, said = plan("{backbone: 'torchvision:resnet34', head: mean}", tmp_path / "x.safetensors")
    assert code == 2 and "torchvision:resnet34" in said


def test_a_plan_executes_no_code_of_the_user_s_and_says_what_it_left(plan, tmp_path: Path):
    mark = tmp_path / "executed"
    (tmp_path / "nets.py").write_text(CODE.format(mark=mark))
    torch.save({"0.weight": torch.ones(1)}, tmp_path / "x.pth")
    code, said = plan("{code: 'nets.py:Tiny'}", tmp_path / "x.pth")
    assert code == 0 and not mark.exists()
    assert said.count("own code") == 2, "a line for each variant"


def test_notes_on_a_file_are_the_same_in_a_plan(tmp_path: Path):
    run = run_with(write_npz(tmp_path / "x.npz", caffes_arrays()), NARROW)
    assert check_local_weights([run]) == check_initial_weights([run])
    assert "lrn caffe" in check_local_weights([run])[0]


def test_a_note_on_a_file_and_a_network_is_one_line_however_many_variants_begin_with_it(tmp_path: Path):
    renamed = {f"part{k}.tensor": one for k, one in enumerate(resnet18().state_dict().values())}
    torch.save(renamed, tmp_path / "x.pth")
    runs = []
    for head in (MeanHeadConfig(name="mean"), MaxHeadConfig(name="max")):
        run = run_with(tmp_path / "x.pth", BackboneConfig(backbone="torchvision:resnet18", head=head))
        runs += [replace(run, variant=f"{head.name} {k}", seed=k) for k in (0, 1)]
    (line,) = check_local_weights(runs)
    assert line.startswith("mean 0, mean 1, max 0, max 1: ")
    (of_another,) = check_local_weights([run_with(write_npz(tmp_path / "x.npz", caffes_arrays()), NARROW)])
    assert check_local_weights([*runs, run_with(tmp_path / "x.npz", NARROW)]) == [line, of_another]
