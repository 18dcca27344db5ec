"""Report folders: which study owns one, and which files belong to it."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from study_files import GOOD

from emotune.config.load import load_study
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.report.freshness import FINGERPRINT_FILE, ReportWriter, check_owner, claim_folder, has_model_cards

OTHER = GOOD.replace("  wide:", "  wider:")


def study_in(folder: Path, text: str = GOOD, name: str = "ablation") -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    return load_study(folder / f"{name}.yaml")


def written(out: Path, study: Study, *, cards: bool = False) -> dict[str, bytes]:
    """The files of a report that is written."""
    claim_folder(out, study)
    with ReportWriter(out, study, cards=cards) as files:
        files.write("index.html", study.source.encode())
        if cards:
            files.write("cards/plain.md", b"a card")
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_another_study_of_the_same_name_is_rejected(tmp_path):
    out = tmp_path / "reports" / "ablation"
    before = written(out, study_in(tmp_path / "a"))
    other = study_in(tmp_path / "b", OTHER)
    with pytest.raises(InputError) as caught:
        claim_folder(out, other)
    assert str(tmp_path / "a" / "ablation.yaml") in str(caught.value)
    assert f"--report {out}-b" in str(caught.value)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    written(Path(f"{out}-b"), other)
    written(out, study_in(tmp_path / "a", GOOD.replace("2", "3")))


def test_edited_moved_and_copied_studies_keep_their_report(tmp_path):
    home = tmp_path / "home"
    out = home / "reports" / "ablation"
    study = study_in(home)
    written(out, study)
    edited = study_in(home, OTHER)
    written(out, edited)
    written(out, replace(edited, seeds=7))
    written(out, study_in(tmp_path / "clone", OTHER))
    written(out, study_in(home, OTHER))
    shutil.copytree(home, tmp_path / "copy")
    written(tmp_path / "copy" / "reports" / "ablation", study_in(tmp_path / "copy", GOOD))


def test_only_one_of_concurrent_studies_gets_the_folder(tmp_path):
    out, refused = tmp_path / "out", []
    studies = [study_in(tmp_path / str(k), GOOD.replace("wide", f"wide-{k}")) for k in range(8)]

    def claim(study: Study) -> None:
        try:
            claim_folder(out, study)
        except InputError:
            refused.append(study)

    threads = [threading.Thread(target=claim, args=(study,)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7


def test_a_fingerprint_file_without_a_study_is_taken_over(tmp_path):
    out = tmp_path / "out"
    written(out, study_in(tmp_path / "a"), cards=True)
    content = json.loads((out / FINGERPRINT_FILE).read_text())
    (out / FINGERPRINT_FILE).write_text(json.dumps({"fingerprint": "", "written": content["written"]}))
    written(out, study_in(tmp_path / "b", OTHER))
    with pytest.raises(InputError):
        claim_folder(out, study_in(tmp_path / "a"))


def test_model_cards_are_kept_until_removed(tmp_path):
    out, study = tmp_path / "out", study_in(tmp_path)
    assert not has_model_cards(out)
    written(out, study)
    assert not has_model_cards(out)
    with ReportWriter(out, study, cards=True) as files:
        files.write("index.html", b"no variant has a finished run")
    assert has_model_cards(out)
    written(out, study, cards=True)
    assert has_model_cards(out)
    (out / "cards" / "plain.md").unlink()
    assert not has_model_cards(out)
    written(out, study, cards=True)
    assert "plain.md" not in written(out, study)
    assert not has_model_cards(out)


def test_figures_of_a_report_without_its_fingerprint_file_are_removed_and_other_files_are_not(tmp_path):
    out, study = tmp_path / "out", study_in(tmp_path)
    claim_folder(out, study)
    with ReportWriter(out, study, cards=False) as files:
        files.write("index.html", b'<figure id="figure-overlays-a"></figure><figure id="figure-kept"></figure>')
        for name in ("overlays-a.png", "overlays-a.svg", "kept.svg"):
            files.write(name, b"a figure")
    (out / FINGERPRINT_FILE).unlink()
    (out / "mine.svg").write_bytes(b"a figure")
    claim_folder(out, study)
    with ReportWriter(out, study, cards=False) as files:
        files.write("index.html", b'<figure id="figure-kept"></figure>')
        files.write("kept.svg", b"another figure")
    assert {path.name for path in out.iterdir()} == {"index.html", "kept.svg", "mine.svg", FINGERPRINT_FILE}


def test_checking_the_owner_of_a_folder_writes_nothing(tmp_path):
    study = study_in(tmp_path / "a")
    check_owner(tmp_path / "out", study)
    assert not (tmp_path / "out").exists()
    claim_folder(tmp_path / "out", study)
    with pytest.raises(InputError):
        check_owner(tmp_path / "out", study_in(tmp_path / "b", OTHER))
