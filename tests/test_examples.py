"""The script and the notebook of `examples/` run as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.sources.scenes import Scenes

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_the_script_trains_and_compares_variants_on_a_folder_of_images(image_folder: Path, tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    arguments = [str(image_folder), "--epochs", "1", "--seeds", "2", "--width", "0.0625"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "own_images.py"), *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "own-images" / "index.html").exists()
    assert len(list((tmp_path / "runs").glob("*/record.json"))) == 4
    assert sum(str(image_folder) in line for line in done.stdout.splitlines()) == 3


@pytest.mark.slow
def test_the_study_of_an_own_network_and_loss_trains_on_ray_and_predicts_after_its_files_are_gone(
    image_folder: Path, tmp_path: Path
):
    for file in (EXAMPLES / "own_network").iterdir():
        shutil.copy(file, tmp_path)
    text = (tmp_path / "study.yaml").read_text()
    small = text.replace("epochs: 3", "epochs: 1").replace("[scenes]", "[small]").replace("seeds: 2", "seeds: 1")
    (tmp_path / "study.yaml").write_text(f"{small}resources: {{workers: 2}}\n")
    write_shards(Scenes(160, seed=1).listing(), Folder(str(tmp_path / "small")), shares=(0.5, 0.25, 0.25))

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("emotune.ablate", "study.yaml")
    own = sorted((tmp_path / "runs").glob("tiny-*-s0-*"))
    assert len(own) == 3 and all((folder / "record.json").exists() for folder in own)
    assert (own[0] / "code.py").read_text() == (tmp_path / "nets.py").read_text()
    assert len(list((tmp_path / "runs").glob("*/loss_code.py"))) == 1
    assert len(list((tmp_path / "runs").glob("*/metric-*.json"))) == 4
    assert "own_worst_recall" in (tmp_path / "reports" / "study" / "runs.csv").read_text()

    nets = (tmp_path / "nets.py").read_text()
    (tmp_path / "nets.py").write_text(nets.replace("nn.Dropout(0.1)", "nn.Dropout(0.2)"))
    plan = run("emotune.ablate", "study.yaml", "--plan")
    assert "+        self.dropout = nn.Dropout(0.2)" in plan
    (tmp_path / "nets.py").unlink()
    images = str(image_folder / "fear")
    run("emotune.predict", str(own[0]), images, code=2)
    assert len(run("emotune.predict", str(own[0]), images, "--trust-code", "--csv").splitlines()) > 8


@pytest.mark.slow
@pytest.mark.usefixtures("shared_cache")
@pytest.mark.filterwarnings("ignore")  # Jupyter's own
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=800, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert len(list((tmp_path / "runs").glob("*/record.json"))) == 4
    assert (tmp_path / "reports" / "notebook" / "index.html").exists()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert outputs[0][-1]["data"]["text/plain"].startswith("(True, ")


def test_the_notebook_is_stored_without_outputs():
    import nbformat

    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
