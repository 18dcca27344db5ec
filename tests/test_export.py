"""`python -m emotune.export`: exit codes and messages, without torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from exported_study import Exported

from emotune.export import main


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    monkeypatch.chdir(tmp_path)
    return Exported(tmp_path, str(tmp_path / "runs"))


def test_what_is_exported_and_what_is_left_out_is_told(exported: Exported, capsys: pytest.CaptureFixture[str]):
    assert main(["width.yaml", "--to", "tensorboard"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"left out: 1 failed: {exported.failed.id} (RuntimeError: out of luck)" in lines
    assert lines[-1] == "3 runs exported, 0 unchanged"
    assert main(["width.yaml", "--to", "tensorboard", "--seeds", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("left out: 2 missing: ") for line in lines) and lines[-1].startswith(
        "0 runs exported, 3"
    )


def test_a_damaged_run_is_left_out_and_the_exit_code_says_so(exported: Exported, capsys: pytest.CaptureFixture[str]):
    (exported.folder / "runs" / exported.finished[0].id / "predictions.parquet").write_bytes(b"torn")
    assert main(["width.yaml", "--to", "tensorboard"]) == 1
    assert f"left out: 1 damaged: {exported.finished[0].id} (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["none.yaml", "--to", "hub"], "none.yaml: "),
        (["width.yaml", "--to", "tensorboard", "--runs", "elsewhere"], "elsewhere"),
        (["width.yaml", "--to", "tensorboard", "--project", "mine"], "--project: "),
        (["width.yaml", "--to", "mlflow", "--repo-id", "anna/mine"], "--repo-id: "),
        (["width.yaml", "--to", "wandb", "--license", "mit"], "--license: "),
        (["width.yaml", "--to", "hub", "--seeds", "0"], "--seeds 0: "),
        (["width.yaml", "--to", "hub", "--report", "s3://lab/reports"], "--report s3://lab/reports: "),
    ],
)
def test_input_that_cannot_be_used_ends_with_2_and_is_named(
    exported: Exported, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("emotune.export: ") and named in error


def test_a_dry_run_writes_nothing_and_names_every_file(exported: Exported, capsys: pytest.CaptureFixture[str]):
    before = sorted(exported.folder.rglob("*"))
    assert main(["width.yaml", "--to", "mlflow", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert sorted(exported.folder.rglob("*")) == before
    for name in ("config.json", "record.json", "metrics.jsonl", "predictions.parquet"):
        assert printed.count(f"{name} (") == len(exported.finished)
    assert "study.yaml (" in printed and "weights.safetensors" not in printed


def test_neither_torch_nor_ray_is_imported_and_help_imports_nothing_heavy(exported: Exported):
    code = "import sys; from emotune.export import main; code = main(sys.argv[1:]); sys.exit({} or code)"
    for words, heavy in (
        (["width.yaml", "--to", "tensorboard"], {"torch", "ray"}),
        (["none.yaml", "--to", "hub"], {"torch", "ray", "pandas", "scipy", "matplotlib"}),
    ):
        program = code.format(f"', '.join({heavy} & set(sys.modules))")
        ended = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        assert ended.returncode == (0 if words[0] == "width.yaml" else 2), ended.stderr
