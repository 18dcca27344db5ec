"""Report files that show photographs are left out, unless they are allowed or drawn by a program."""

import json
from pathlib import Path

import pytest

from emotune.config.load import load_study
from emotune.exporters.files import study_files
from emotune.report.dataset_info import DatasetInfo

PAGES = {
    "index.html": b'<img src="data:image/jpeg;base64,AAAA">',
    "overlays-photos-attention.png": b"png",
    "contrasts.csv": b"contrast\n",
    "accuracy-photos.svg": b"<svg/>",
}


@pytest.mark.parametrize(("synthetic", "allowed"), [(False, False), (False, True), (True, False)])
def test_photographs_are_left_out_and_named(tmp_path: Path, synthetic: bool, allowed: bool):
    (tmp_path / "a.yaml").write_text("question: Is it?\ndatasets: [scenes]\nbaseline: a\nvariants: {a: {}}\n")
    report = tmp_path / "report"
    report.mkdir()
    for name, data in PAGES.items():
        (report / name).write_bytes(data)
    content = {"fingerprint": "", "written": dict.fromkeys(PAGES, ""), "study": None, "cards": False}
    (report / ".fingerprint.json").write_text(json.dumps(content))
    (report / "private.jpg").write_bytes(b"not of the report")
    data = DatasetInfo("photos", "ab" * 32, "all", synthetic, None)
    found = study_files(load_study(tmp_path / "a.yaml"), report, [data], b"contrast\n", allow_thumbnails=allowed)
    names = {file.name.removeprefix("report/") for file in found.files}
    left = set() if synthetic or allowed else {"index.html", "overlays-photos-attention.png"}
    assert names == {"study.yaml", *PAGES} - left
    assert all(any(name in note for note in found.notes) for name in left) and bool(found.notes) == bool(left)
