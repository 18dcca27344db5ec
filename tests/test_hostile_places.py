"""Places that are not what a command needs: one line says which, and what is wrong with it; never a traceback."""

import errno
import json
from pathlib import Path

import pytest

from emotune import ablate, predict, shard
from emotune.config.load import load_study, shipped_study
from emotune.core.errors import UnwritableError, describe_os_error
from emotune.core.storage import Folder
from emotune.report.freshness import FINGERPRINT_FILE, ReportWriter, is_up_to_date

STUDY = """
question: Does it help?
datasets: [{data}]
model: {{width: 0.0625}}
baseline: a
variants: {{a: {{}}, b: {{model.width: 0.125}}}}
"""
PLACES = ("file", "file/below", "empty", "binary", "latin.yaml", "none", "loop", "n" * 300)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what is nothing that any command can use."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "latin.yaml").write_bytes("question: \xfcber".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


def said(capsys, main, *arguments: str) -> str:
    """What a command says that ends with code 2, or 1 where the system has an error of its own."""
    try:
        code = main(list(arguments))
    except SystemExit as ended:
        code = ended.code
    assert code in (1, 2)
    message = capsys.readouterr().err
    assert "Traceback" not in message, message
    return message


@pytest.mark.parametrize("place", [*PLACES, "folder"])
def test_a_study_that_is_none_is_refused_by_every_command(places, capsys, place):
    for command in ([], ["status"], ["rerun"], ["prune"]):
        more = ["--failed"] if command == ["rerun"] else []
        assert place[:9] in said(capsys, ablate.main, *command, place, "--runs", "runs", *more)


@pytest.mark.parametrize("pool", ["file", "empty", "binary", "loop", "n" * 300])
def test_a_pool_that_is_no_folder_is_refused_by_every_command(places, small_shards, capsys, pool):
    (places / "s.yaml").write_text(STUDY.format(data=small_shards))
    for command in ([], ["--plan"], ["--report-only"], ["status"], ["rerun", "--failed"], ["prune"]):
        message = said(capsys, ablate.main, *command, "s.yaml", "--runs", pool)
        assert "--runs" in message and pool[:9] in message


@pytest.mark.parametrize("place", [*PLACES, "folder"])
def test_a_run_that_is_none_is_refused(places, capsys, place):
    assert place[:9] in said(capsys, predict.main, place, "a.jpg")


@pytest.mark.parametrize("place", PLACES)
def test_images_shards_and_tables_that_are_none_are_refused(places, capsys, place):
    commands = [("folder", place, "--out", "out"), ("csv", place, "--out", "out"), ("verify", place)]
    commands += [("scenes", "--out", place)] * (place != "none")
    assert all(place[:9] in said(capsys, shard.main, *command) for command in commands)


def test_what_cannot_be_written_of_a_report_is_told_from_what_cannot_be_read(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with ReportWriter(tmp_path, load_study(shipped_study("quickstart")), cards=False) as files:
        monkeypatch.setattr(Folder, "write", full)
        with pytest.raises(UnwritableError, match=f"^{tmp_path}: .*No space left"):
            files.write("a.svg", b"")
        monkeypatch.undo()


def test_an_error_of_the_pool_is_not_said_to_be_one_of_the_report(places, small_shards, capsys, monkeypatch):
    (places / "s.yaml").write_text(STUDY.format(data=small_shards))

    def unreadable(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "runs/metrics.jsonl")

    monkeypatch.setattr("emotune.report.build.build_report", unreadable)
    assert ablate.main(["s.yaml", "--report-only", "--runs", "runs"]) == 1
    assert capsys.readouterr().err == "emotune.ablate: runs/metrics.jsonl: Input/output error\n"


@pytest.mark.parametrize("name", ["../victim", "/victim", "cards/../../victim", "cards/../x"])
def test_a_seal_from_elsewhere_removes_nothing_outside_the_report(tmp_path, name):
    (tmp_path / "victim").write_bytes(b"precious")
    out = tmp_path / "report"
    out.mkdir()
    known = "7d5f0e8e9a2f2e4d"
    (out / FINGERPRINT_FILE).write_text(json.dumps({"fingerprint": "x", "written": {name: known}}))
    monkey = pytest.MonkeyPatch()
    monkey.setattr("emotune.report.freshness._sha256", lambda path: known)
    with monkey.context(), ReportWriter(out, load_study(shipped_study("quickstart")), cards=False) as files:
        files.write("a.svg", b"")
    monkey.undo()
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not is_up_to_date(out, "x")


def test_an_error_of_the_system_is_told_in_a_line():
    assert describe_os_error(OSError(errno.EIO, "Input/output error", "a\nb")) == "a b: Input/output error"
    assert describe_os_error(OSError("of some library\nwith more")) == "of some library with more"
    assert describe_os_error(OSError()) == "OSError"
