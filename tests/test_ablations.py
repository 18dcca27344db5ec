"""The studies in ``ablations/``: their opening comments, and their plans."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from emotune.ablate import main
from emotune.config.labels import EKMAN, MIKELS
from emotune.config.load import load_study
from emotune.execution.plan.resolution import resolution
from emotune.models.backbones.build import library_network
from emotune.shard import main as shard

ABLATIONS = sorted(Path("ablations").absolute().glob("*.yaml"))
COUNTS = {"train": 7, "val": 1, "test": 1}
"""Images per class and part (well, noisy), by split."""


def opening_comment(study: Path) -> str:
    """The comment at the beginning of a study file, in one line."""
    lines = study.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.lstrip("# ") for line in lines[:end])


def write_emotion6(place: Path) -> None:
    """Noise in the layout of Emotion6, with ten images on which most people named each emotion."""
    emotions, rng = [*EKMAN, "neutral"], np.random.default_rng(1)
    header = ["[image_filename]", "[valence]", "[arousal]", *(f"[prob. {name}]" for name in emotions)]
    rows = ["\t".join(header)]
    for number in range(70):
        name = f"{EKMAN[number % 6]}/{number}.jpg"
        (place / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(place / "images" / name)
        said = [0.0] * 7
        said[number % 7], said[number % 5] = 0.6, said[number % 5] + 0.4
        rows.append("\t".join([name, "5", "5", *(f"{share:.1f}" for share in said)]))
    (place / "ground_truth.txt").write_text("\n".join(rows))


def write_oasis(place: Path) -> None:
    """Noise in the layout of OASIS, with ratings from all over the scale."""
    rng = np.random.default_rng(2)
    rows = [",Theme,Category,Source,Valence_mean,Valence_SD,Valence_N,Arousal_mean,Arousal_SD,Arousal_N"]
    (place / "images").mkdir(parents=True)
    for number in range(80):
        Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(place / "images" / f"{number}.jpg")
        rows.append(f"I{number},{number} ,Scene,X,{1 + 6 * number / 79:.3f},1,100,{7 - number % 60 / 10:.3f},1,100")
    (place / "OASIS.csv").write_text("\r".join(rows))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A folder with ``data/fi``, well and noisy, and ``data/fi-8k``: noise, at least a batch to train on; and random
    weights in the place of those of ImageNet, which plans compare with the networks.
    """
    place = tmp_path_factory.mktemp("place")
    rows, rng = ["path,split," + ",".join(MIKELS)], np.random.default_rng(0)
    for split, number in ((split, number) for split, count in COUNTS.items() for number in range(count)):
        for index, label in enumerate(MIKELS):
            for votes in (4, 2):
                name = f"{split}-{number}-{label}-{votes}.jpg"
                Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(place / name)
                said = [0] * len(MIKELS)
                said[index], said[index - 1], said[index - 2] = votes, 1, 1
                rows.append(f"{name},{split}," + ",".join(map(str, said)))
    (place / "table.csv").write_text("\n".join(rows))
    for out, name in (("fi", "fi"), ("fi-8k", "fi-8k")):
        assert shard(["csv", str(place / "table.csv"), "--out", str(place / "data" / out), "--name", name]) == 0
    write_emotion6(place / "emotion6")
    arguments = ["--neutral", "class", "--target", "distributions", "--out", str(place / "data" / "emotion6")]
    assert shard(["emotion6", str(place / "emotion6"), *arguments]) == 0
    write_oasis(place / "oasis")
    assert shard(["oasis", str(place / "oasis"), "--out", str(place / "data" / "oasis")]) == 0
    (place / "data" / "weights").mkdir()
    network, _ = library_network("timm:tf_efficientnet_lite0", None)
    torch.save(network.state_dict(), place / "data" / "weights" / "efficientnet-lite0-57934424.pth")
    return place


@pytest.mark.parametrize("study", ABLATIONS, ids=lambda path: path.stem)
def test_a_study_opens_with_its_source_expected_result_and_cost(study):
    for heading in ("Source:", "Expected:", "Cost:"):
        assert heading in opening_comment(study), heading
    loaded = load_study(study)
    assert loaded.question.endswith("?")
    assert loaded.contrasts
    assert "min_effect" in study.read_text()


@pytest.mark.parametrize("study", ABLATIONS, ids=lambda path: path.stem)
def test_a_study_states_the_number_of_runs_and_the_smallest_effect_of_its_plan(study, images, monkeypatch, capsys):
    monkeypatch.chdir(images)
    assert main([str(study), "--plan", "--runs", "runs", "--executor", "local"]) == 0
    planned = " ".join(capsys.readouterr().out.split())
    loaded = load_study(study)
    count = len(loaded.variants) * loaded.seeds
    assert re.search(rf"\b{count} runs\b", planned)
    assert re.search(rf"Cost: {count} runs", opening_comment(study))
    stated = re.search(r"effects of at least ([\d.]+) standard deviations", opening_comment(study))
    assert bool(stated) == ("Seeds:" in opening_comment(study))
    if stated:
        assert stated[1] in re.findall(r"\d+\.\d+", resolution(loaded, [])[0])
