"""The script and the notebook of `examples/` run as they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
