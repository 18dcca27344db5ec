"""The command with tuning: killed in the first stage and continued, without Ray and with it, to the same choice."""

import json
import shutil
import signal
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from disturbed import HOLD, UNTIL_STOPPED, Disturbed, Fault

STUDY = """
question: Which rate suits which network?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, dropout: 0.0}}
train: {{epochs: 2, batch_size: 24, lr: 0.01}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
  colours: {{model.name: svm}}
seeds: 2
contrasts: [attention - alexnet]
tune: {{over: {{train.lr: [0.001, 0.01, 0.1]}}, epochs: 1, by: val_loss, untuned: [colours]}}
resources: {{workers: 1}}
"""
HALVED = STUDY.replace("epochs: 1, by", "halving: true, seeds: 1, by")
SECOND_RUNG = 4
"""A step that only runs of the second rung take, which have two epochs of three steps."""
LOCAL = ("--executor", "local")


def tuning_of(study: Disturbed, pool: Path) -> dict[str, Any]:
    """The tuning as ``status`` gives it."""
    ended = study.begin([sys.executable, "-m", "emotune.ablate", "status", "few.yaml", "--json", "--runs", str(pool)])
    return json.loads(ended.end().out)["tuning"]


def validations(pool: Path) -> dict[str, float]:
    """The loss of each tuning run."""
    records = [json.loads(path.read_text()) for path in pool.glob("*-tuning-*/record.json")]
    return {record["run"]: record["validation"]["val_loss"] for record in records}


@pytest.mark.slow
def test_killed_while_tuning_the_command_continues_to_the_same_choice(tmp_path: Path, small_shards: Path):
    with closing(Disturbed(tmp_path, small_shards)) as study:
        (tmp_path / "few.yaml").write_text(STUDY.format(data=small_shards))
        study.strike(Fault("os.kill(os.getpid(), signal.SIGKILL)", "attention", rank=0, step=1))
        assert study.ablate(*LOCAL).code == -signal.SIGKILL
        before = tuning_of(study, study.pool)
        assert (before["stage"], before["runs"], before["study_runs"]) == ("tuning", 12, 6)
        assert 0 < before["ended"] < 12 and before["chosen"] == []
        assert not (tmp_path / "reports" / "few" / "index.html").exists()

        study.strike()
        again = study.ablate(*LOCAL)
        assert again.code == 0, again
        after = tuning_of(study, study.pool)
        assert (after["stage"], after["ended"], len(after["chosen"])) == ("study", 12, 2)
        undisturbed = tmp_path / "undisturbed"
        whole = study.ablate(*LOCAL, "--runs", str(undisturbed), "--report", str(tmp_path / "r"))
        assert whole.code == 0, whole
        assert tuning_of(study, undisturbed) == after and validations(undisturbed) == validations(study.pool)
        assert 'id="figure-tuning-train-lr-scenes"' in study.page()
        records = [json.loads(path.read_text()) for path in study.pool.glob("*/record.json")]
        assert Counter("accuracy" in record for record in records) == {True: 6, False: 12}
        finished = study.ablate(*LOCAL)
        assert finished.code == 0 and "up to date" in finished.out


@pytest.mark.slow
def test_interrupted_on_ray_while_tuning_the_command_continues_to_the_choice_without_ray(
    tmp_path: Path, small_shards: Path
):
    with closing(Disturbed(tmp_path, small_shards)) as study:
        (tmp_path / "few.yaml").write_text(STUDY.format(data=small_shards))
        study.strike(Fault(UNTIL_STOPPED, "attention", rank=0, step=1))
        command = study.start()
        study.struck("attention")
        command.process.send_signal(signal.SIGTERM)
        ended = command.end()
        assert ended.code == 130, ended
        assert tuning_of(study, study.pool)["stage"] == "tuning"
        study.strike()
        shutil.copytree(study.pool, tmp_path / "locally")
        assert study.ablate().code == 0
        assert study.ablate(*LOCAL, "--runs", str(tmp_path / "locally"), "--report", str(tmp_path / "r")).code == 0
        assert tuning_of(study, study.pool)["chosen"] == tuning_of(study, tmp_path / "locally")["chosen"]


@pytest.mark.slow
def test_killed_on_ray_between_rungs_the_command_continues_to_the_choice_without_ray(
    tmp_path: Path, small_shards: Path
):
    with closing(Disturbed(tmp_path, small_shards)) as study:
        (tmp_path / "few.yaml").write_text(HALVED.format(data=small_shards))
        study.strike(Fault(HOLD, "alexnet", rank=0, step=SECOND_RUNG))
        command = study.start()
        study.struck("alexnet")
        command.process.kill()
        command.require_end_of_all(but="Agent")
        before = tuning_of(study, study.pool)
        assert (before["stage"], before["runs"]) == ("tuning", 10)
        first, second = before["rungs"]
        assert (first["settings"], first["epochs"], first["ended"]) == (3, 1, 6)
        assert (second["settings"], second["epochs"]) == (2, 2) and second["ended"] < 4
        study.strike()
        shutil.copytree(study.pool, tmp_path / "locally")
        again = study.ablate()
        assert again.code == 0, again
        local = study.ablate(*LOCAL, "--runs", str(tmp_path / "locally"), "--report", str(tmp_path / "r"))
        assert local.code == 0, local
        after = tuning_of(study, study.pool)
        assert after["chosen"] == tuning_of(study, tmp_path / "locally")["chosen"]
        assert [rung["ended"] for rung in after["rungs"]] == [6, 4]
        assert 'id="figure-tuning-train-lr-scenes"' in study.page()
