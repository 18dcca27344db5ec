"""The command with adaptive seeds on Ray: look by look, with a report that grows, and interrupted between two looks."""

import json
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from disturbed import Disturbed, Fault
from reading import incomplete

from emotune.api.growing_report import PAUSE_S

STUDY = """
question: Do colours tell more than textures, and more than networks that do not learn?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, dropout: 0.0}}
train: {{epochs: 1, batch_size: 24, lr: 1.0e-12}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
  colours: {{model.name: svm}}
  textures: {{model.name: svm, model.features: textures}}
seeds: {{up_to: 3, looks: [2, 3]}}
contrasts: [colours - textures, alexnet - colours, attention - alexnet]
resources: {{workers: 1}}
"""
HOLD = """
number = 1 + len(list(folder.glob(f"held-{now['variant']}-*")))
(folder / f"held-{now['variant']}-{number}").touch()
while number > 1 and not ((folder / f"go-{now['variant']}-{number}").exists() or now["stop"]()):
    time.sleep(0.02)
"""
"""Delays the first step of each run of a variant but the first, until the test releases it or it is asked to stop."""
ASKED_AT_THE_END = """
if len(list(folder.parent.glob("runs/*/record.json"))) == 3:
    os.kill(os.getpid(), signal.SIGTERM)
"""
"""Asks the command to stop when its fourth run has taken its last step."""
LAST_IS_A_NETWORK = """
question: Do networks that do not learn tell more than colours?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, dropout: 0.0}}
train: {{epochs: 1, batch_size: 24, lr: 1.0e-12}}
baseline: alexnet
variants:
  colours: {{model.name: svm}}
  alexnet: {{}}
seeds: {{up_to: 3, looks: [2, 3]}}
contrasts: [alexnet - colours]
"""
RELOADS = '<meta http-equiv="refresh"'


def look_of(study: Disturbed, pool: Path) -> dict[str, Any]:
    """The looks as ``status`` gives them."""
    ended = study.begin([sys.executable, "-m", "emotune.ablate", "status", "few.yaml", "--json", "--runs", str(pool)])
    (found,) = json.loads(ended.end().out)["looks"]
    return found


@pytest.mark.slow
def test_a_report_of_a_command_that_is_interrupted_after_the_last_run_of_a_look_says_that_runs_are_missing(
    tmp_path: Path, small_shards: Path
):
    with closing(Disturbed(tmp_path, small_shards)) as study:
        (tmp_path / "few.yaml").write_text(LAST_IS_A_NETWORK.format(data=small_shards))
        study.strike(Fault(ASKED_AT_THE_END, "alexnet", rank=0, at="write_predictions", always=True))
        ended = study.ablate("--executor", "local")
        assert ended.code == 130, ended
        between = look_of(study, study.pool)
        assert (between["reached"], between["next"], between["ended"]) == ([2], 3, 4), (
            "the runs of a look, and no other"
        )
        assert incomplete(study.page()) == (4, 6)


@pytest.mark.slow
def test_looks_on_ray_with_a_growing_report_interrupted_between_them_end_as_without_ray(
    tmp_path: Path, small_shards: Path
):
    with closing(Disturbed(tmp_path, small_shards)) as study:
        (tmp_path / "few.yaml").write_text(STUDY.format(data=small_shards))
        study.strike(*(Fault(HOLD, variant, rank=0, step=1, always=True) for variant in ("alexnet", "attention")))
        began, command = time.monotonic(), study.start()
        study.until((study.site / "held-attention-2").exists, "attention's second run")
        study.until(lambda: time.monotonic() - began > 2 * PAUSE_S, "the time of the first report")
        (study.site / "go-attention-2").touch()
        page = study.folder / "reports" / "few" / "index.html"
        study.until(page.exists, "the page of a study that is being trained")
        assert RELOADS in study.page() and command.process.poll() is None
        done, planned = incomplete(study.page()) or (0, 0)
        assert 4 <= done < planned == 8, "the runs of the first look"

        (study.site / "go-alexnet-2").touch()
        study.until((study.site / "held-alexnet-3").exists, "a run of the second look")
        command.process.send_signal(signal.SIGTERM)
        ended = command.end()
        assert ended.code == 130, ended
        assert RELOADS not in study.page() and incomplete(study.page()) is not None
        between = look_of(study, study.pool)
        assert (between["reached"], between["next"], between["runs"]) == ([2], 3, 10)
        assert between["resolved"] == {"colours - textures": 2} and between["open"] == ["alexnet - colours"]
        assert between["set_aside"] == ["attention - alexnet"]

        study.strike()
        shutil.copytree(study.pool, tmp_path / "locally")
        again = study.ablate()
        assert again.code == 0, again
        assert RELOADS not in study.page() and incomplete(study.page()) is None
        local = study.ablate(
            "--executor", "local", "--runs", str(tmp_path / "locally"), "--report", str(tmp_path / "r")
        )
        assert local.code == 0, local
        last = look_of(study, study.pool)
        assert last == look_of(study, tmp_path / "locally")
        assert (last["reached"], last["next"], last["ended"]) == ([2, 3], None, 10)
        records = [json.loads(path.read_text()) for path in study.pool.glob("*/record.json")]
        assert Counter(record["model"] for record in records) == {"alexnet": 3, "attention": 2, "svm": 5}
