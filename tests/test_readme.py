"""Every command and example of the README and of the documentation works."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documents import DOCS, PAGES, ROOT, blocks
from documents import commands as commands_of
from PIL import Image

from emotune import Study, load_study
from emotune.config.labels import MIKELS

START, IMAGES = DOCS / "get_started.md", DOCS / "tutorials" / "own_images.md"

ELSEWHERE_PAGES = {
    "tutorials/containers.md": "tests/cluster/test_containers_page.py",
    "tutorials/slurm.md": "tests/cluster/test_slurm_page.py",
    "tutorials/export.md": "tests/test_documented_commands.py",
    "tutorials/command_line.md": "tests/test_documented_commands.py",
}
"""Pages whose commands other tests run, or compare with the programs where they need a cluster, and where."""
ELSEWHERE = {
    "pip install -e '.[test]' && pytest": ".ci/run, in a fresh virtual environment",
    "pip install -e '.[docs]' && mkdocs build": "tests/docs/conftest.py",
    "python -m emotune.ablate ablations/thesis_systems.yaml": "tests/test_ablations.py plans it: not our images",
    "ray up cluster/config.yaml": "tests/cluster/test_aws.py",
    **{
        f"pip install 'emotune[{extra}]'": ".ci/run, as a part of the extra test"
        for extra in ("classical", "clip", "timm")
    },
}
"""Single commands that other tests run, and where."""

SMALL = {
    "quickstart.py": "--plan",
    "near_duplicates.py": "IMAGES/awe",
    "report.py": "--variants 2 --seeds 2 --images 50 --repeats 1",
    "scale.py": "--most 100",
    "gpu.py": "--device cpu --minutes 0.3",
    "lrn.py": "--rounds 2",
    "handmade.py": "--images 2 --rounds 1",
    "data.py": "--help",  # minutes at their smallest
    "execution.py": "--help",
    "train.py": "--help",
    "features.py": "--help",
}
"""The smallest arguments of each benchmark; its figures then mean nothing."""

IMAGES_OF_A_CLASS = 20

WITHOUT_RAY = ("--time-steps", "--seeds 10", "--aa", "--test-on OTHER")
"""Options with which commands train without Ray here, whose start takes as long as all else that they do; the
quickstart and the study are trained on it.
"""


def commands() -> list[str]:
    """The commands of all pages but those of which other tests run them, each once."""
    others = [DOCS / page for page in ELSEWHERE_PAGES]
    pages = [page for page in PAGES if page not in others]
    return list(dict.fromkeys(command for page in pages for command in commands_of(page)))


def my_study() -> str:
    """The study ``my.yaml`` of the documentation."""
    (study,) = blocks("yaml", START)
    return study


def tried() -> list[str]:
    return [command for command in commands() if command not in ELSEWHERE]


LEAVES = {
    "python -m emotune.shard folder IMAGES --out DATA": "DATA/manifest.json",
    "python -m emotune.ablate my.yaml": "reports/my/index.html",
    "python -m emotune.ablate my.yaml --model-cards": "reports/my/cards/tanh.md",
    "python -m emotune.predict RUN IMAGES --out PREDICTIONS": "PREDICTIONS/predictions.csv",
    "python -m emotune.predict RUN --onnx network.onnx": "network.onnx",
}
"""A file that each of these commands writes."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A reader's folder: images, the quickstart and the documentation's study, made so small that they take seconds."""
    folder = tmp_path_factory.mktemp("reader")
    rng = np.random.default_rng(0)
    for label in MIKELS:
        for k in range(IMAGES_OF_A_CLASS):
            path = folder / "IMAGES" / label / f"{k}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(path)
    small = my_study().replace("width: 0.25", "width: 0.0625").replace("epochs: 20", "epochs: 1")
    assert small.count("0.0625") == small.count("epochs: 1,") == 1
    (folder / "my.yaml").write_text(small)
    (folder / "other.yaml").write_text(small.replace("tanh: {", "other: {").replace("tanh - ", "other - "))
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks")
    checkout(folder).mkdir()
    (checkout(folder) / "emotune").symlink_to(ROOT / "emotune")
    (checkout(folder) / "ablations").mkdir()
    quickstart = (ROOT / "ablations" / "quickstart.yaml").read_text()
    small = quickstart.replace("width: 0.125", "width: 0.0625").replace("epochs: 5,", "epochs: 1,")
    assert small.count("0.0625") == small.count("epochs: 1,") == 1
    (checkout(folder) / "ablations" / "quickstart.yaml").write_text(small)
    return folder


def checkout(folder: Path) -> Path:
    """The reader's checkout: this one's package, with a quickstart of one epoch and half the width."""
    return folder / "checkout"


def write_yaml(folder: Path) -> Path:
    """The documentation's study as a file, as it stands there."""
    path = folder / "readme" / "my.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(my_study())
    return path


def run_rest_of_the_python_example(folder: Path) -> None:
    """What follows the study in the Python example, for the study whose runs are in the folder."""
    (example,) = blocks("python", IMAGES)
    imports = "".join(line for line in example.splitlines(keepends=True) if line.startswith("from "))
    _, call, rest = example.partition("run_study(study")
    shutil.copy(folder / "IMAGES" / "awe" / "0.jpg", folder / "a.jpg")
    names: dict[str, object] = {"study": load_study(folder / "my.yaml")}
    exec(f"{imports}{call}{rest}", names)
    assert len(names["results"].runs) == 10


def run_the_snippets_about_a_report(folder: Path) -> None:
    """Each test image of a run is one of the reader's files, and its probabilities sum to one."""
    of_files, of_probabilities = blocks("python", DOCS / "tutorials" / "report.md")
    names: dict[str, Any] = {"run": runs_of_tanh(folder)[0].name}
    exec(of_files, names)
    exec(of_probabilities, names)
    assert set(names["table"]["sample_id"]) == set(names["files"])
    assert all((folder / "IMAGES" / file).is_file() for file in names["files"].values())
    np.testing.assert_allclose(names["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_the_variants_of_backbones_are_valid(tmp_path: Path):
    (variants,) = blocks("yaml", DOCS / "tutorials" / "frozen_backbone.md")
    for file in ("nets.py", "losses.py"):
        shutil.copy(ROOT / "examples" / "own_network" / file, tmp_path)
    path = tmp_path / "backbones.yaml"
    path.write_text(f"question: Which?\ndatasets: [scenes]\nbaseline: mean\n{variants}")
    assert set(load_study(path).variants) == {"mean", "attention", "resnet", "own"}


@contextmanager
def terminal(typed: str) -> Iterator[int]:
    """A terminal's file descriptor from which a command reads what was typed."""
    keyboard, reads = os.openpty()
    try:
        os.write(keyboard, typed.encode())
        yield reads
    finally:
        os.close(reads)
        os.close(keyboard)


def run(command: str, folder: Path) -> None:
    """Runs a command as a reader's shell would; questions are answered with yes."""
    command = command.removeprefix("pip install -e . && ")
    executor = " --executor local" if command.endswith(WITHOUT_RAY) else ""
    command = command.replace(" OTHER", " scenes")
    if re.fullmatch(r"python -m emotune\.ablate( --aa)?", command):
        command += " --seeds 1"  # of three: the longest of all commands
    command += executor
    if benchmark := re.match(r"python benchmarks/(\S+)", command):
        command = f"{benchmark[0]} {SMALL[benchmark[1]]}"
    if (runs := runs_of_tanh(folder)) and " RUN " in f"{command} ":
        command = command.replace("RUN", f"runs/{runs[0].name}", 1).replace("IMAGES", "IMAGES/awe")
        command = command.replace("awe/*/*", "awe/*")
    python = shlex.quote(sys.executable)
    shell = re.sub(
        r"(^|\| )python ", rf"\1{python} ", command.replace("torchrun ", f"{python} -m torch.distributed.run ")
    )
    path = os.pathsep.join(filter(None, [str(checkout(folder)), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with terminal("y\n") as stdin:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shell], cwd=folder, env=environment, capture_output=True, text=True,
            stdin=stdin, timeout=900, check=False,
        )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def runs_of_tanh(folder: Path) -> list[Path]:
    """Directories of the runs of the variant ``tanh``."""
    configs = sorted((folder / "runs").glob("attention-*/config.json"))
    return [path.parent for path in configs if json.loads(path.read_text())["model"]["score"] == "tanh"]


def test_commands_that_other_tests_run_are_still_in_the_documentation():
    assert set(ELSEWHERE) <= set(commands())
    assert all((ROOT / place).is_file() for place in ELSEWHERE_PAGES.values())


def test_the_readme_has_the_study_that_the_first_steps_have_and_is_short():
    readme = ROOT / "README.md"
    assert blocks("yaml", readme) == [my_study()]
    assert len(readme.read_text().splitlines()) <= 130


def test_the_python_example_is_the_yaml_study_with_names_that_exist(place, monkeypatch):
    """The example is run up to the training, which the test of all commands does with the same study."""
    (example,) = blocks("python", IMAGES)
    head, call, _ = example.partition("run_study(study")
    assert call
    monkeypatch.chdir(place)
    names: dict[str, object] = {}
    exec(head, names)
    built, written = names["study"], load_study(write_yaml(place))
    assert isinstance(built, Study)
    assert (built.name, built.question, built.datasets) == (written.name, written.question, written.datasets)
    assert {variant: model for variant, (model, _) in built.variants.items()} == {
        variant: model for variant, (model, _) in written.variants.items()
    }
    assert (built.contrasts, built.seeds, built.metric) == (written.contrasts, written.seeds, written.metric)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_cache")
@pytest.mark.timeout(2400)
def test_every_command_of_the_documentation_works_one_after_another(place, monkeypatch):
    order = tried()
    # Training comes before the commands that use a trained run.
    order.sort(key=lambda command: (" RUN " in f"{command} ", "verify" in command, "prune" in command))
    assert set(LEAVES) <= set(order)
    for command in order:
        run(command, place)
        assert (place / LEAVES.get(command, "")).exists(), command
    assert len(runs_of_tanh(place)) == 5, "those of ten seeds were trained, and pruned"
    assert len(list((place / "PREDICTIONS").glob("*.png"))) == IMAGES_OF_A_CLASS
    monkeypatch.chdir(place)
    run_rest_of_the_python_example(place)
    run_the_snippets_about_a_report(place)
