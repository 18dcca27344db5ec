"""Every command that the README names does what it says, and none is added without being tried."""

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

import numpy as np
import pytest
from PIL import Image

from emotune.config.labels import MIKELS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
STARTS = ("python ", "torchrun ", "pip ", "ray ", "ls ", "find ")

ELSEWHERE = {
    "pip install -e '.[test]' && pytest": ".ci/run, in a fresh virtual environment",
    "python -m emotune.ablate ablations/fi_8k.yaml": "tests/test_ablations.py plans it; its images are not ours",
    "ray up cluster/config.yaml": "tests/cluster/test_aws.py",
    "pip install 'emotune[classical]'": ".ci/run, as a part of the extra test",
}
"""Commands of the README that other tests run, and which."""

SMALL = {
    "quickstart.py": "--plan",
    "near_duplicates.py": "IMAGES/awe",
    "report.py": "--variants 2 --seeds 2 --images 50 --repeats 1",
    "scale.py": "--most 100",
    "lrn.py": "",
    "data.py": "--help",  # minutes at their smallest
    "execution.py": "--help",
    "train.py": "--help",
}
"""With what each of `benchmarks/` is tried: so little that its figures mean nothing."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Of code blocks and of the text, in their order, each once."""
    lines = [line.partition(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL))
    named = [span for span in spans if span.startswith(STARTS) and "…" not in span]
    return list(dict.fromkeys([*lines, *named]))


def tried() -> list[str]:
    return [command for command in commands() if command not in ELSEWHERE]


LEAVES = {
    "python -m emotune.shard folder IMAGES --out DATA": "DATA/manifest.json",
    "python -m emotune.ablate my.yaml": "reports/my/index.html",
    "python -m emotune.ablate my.yaml --model-cards": "reports/my/cards/tanh.md",
    "python -m emotune.predict RUN IMAGES --out PREDICTIONS": "PREDICTIONS/predictions.csv",
    "python -m emotune.predict RUN --onnx network.onnx": "network.onnx",
}
"""What is there after a command, beside its exit code."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder in which a reader might stand: images, and the README's study, made so small that it takes seconds."""
    folder = tmp_path_factory.mktemp("reader")
    rng = np.random.default_rng(0)
    for label in MIKELS:
        for k in range(40):
            path = folder / "IMAGES" / label / f"{k}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(path)
    (study,) = blocks("yaml")
    small = study.replace("width: 0.25", "width: 0.0625").replace("epochs: 20", "epochs: 1")
    assert small.count("0.0625") == small.count("epochs: 1,") == 1
    (folder / "my.yaml").write_text(small)
    (folder / "other.yaml").write_text(small.replace("tanh: {", "other: {").replace("tanh - ", "other - "))
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks")
    return folder


@contextmanager
def terminal(typed: str) -> Iterator[int]:
    """The end of a terminal that a command reads from, at which somebody has typed something."""
    keyboard, reads = os.openpty()
    try:
        os.write(keyboard, typed.encode())
        yield reads
    finally:
        os.close(reads)
        os.close(keyboard)


def run(command: str, folder: Path) -> None:
    """Runs a command as a reader's shell would; what asks before it removes something is told yes."""
    command = command.removeprefix("pip install -e . && ")
    if re.fullmatch(r"python -m emotune\.ablate( --aa)?", command):
        command += " --seeds 1"  # of three: a third of the longest of all
    if benchmark := re.match(r"python benchmarks/(\S+)", command):
        command = f"{benchmark[0]} {SMALL[benchmark[1]]}"
    if (runs := runs_of_tanh(folder)) and " RUN " in f"{command} ":
        command = command.replace("RUN", f"runs/{runs[0].name}", 1).replace("IMAGES", "IMAGES/awe")
        command = command.replace("awe/*/*", "awe/*")
    python = shlex.quote(sys.executable)
    shell = re.sub(
        r"(^|\| )python ", rf"\1{python} ", command.replace("torchrun ", f"{python} -m torch.distributed.run ")
    )
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with terminal("y\n") as stdin:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shell], cwd=folder, env=environment, capture_output=True, text=True,
            stdin=stdin, timeout=900, check=False,
        )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def runs_of_tanh(folder: Path) -> list[Path]:
    """Folders of the runs of the README's variant of this name, which only the study calls so."""
    configs = sorted((folder / "runs").glob("attention-*/config.json"))
    return [path.parent for path in configs if json.loads(path.read_text())["model"]["score"] == "tanh"]


def test_commands_that_others_try_are_in_the_readme_still():
    assert set(ELSEWHERE) <= set(commands())


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_every_command_of_the_readme_works_one_after_another(place):
    order = tried()
    # A reader trains before anything that was trained can be asked.
    order.sort(key=lambda command: (" RUN " in f"{command} ", "verify" in command, "prune" in command))
    assert set(LEAVES) <= set(order)
    for command in order:
        run(command, place)
        assert (place / LEAVES.get(command, "")).exists(), command
    assert len(runs_of_tanh(place)) == 5, "those of ten seeds were trained, and pruned"
    assert len(list((place / "PREDICTIONS").glob("*.png"))) == 40
