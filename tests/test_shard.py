"""The command writes shards, or explains in one message what is wrong and writes nothing."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.config.labels import MIKELS
from emotune.core.storage import Folder
from emotune.data.manifest import HEALTH, MANIFEST, Problem, read_manifest
from emotune.shard import main

HERE = ["--workers", "1"]
"""Images are read in this process, which takes less than starting others."""
SCENES = ["scenes", "--images", "80", "--seed", "1", "--split", "0.5/0.25/0.25", *HERE]


def files(folder: Path) -> dict[str, bytes]:
    """The contents of all files but the lock, which may stay."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def rejection(capsys, tmp_path: Path, *arguments: str) -> str:
    """The message on stderr of a command that ends with code 2 and changes no file."""
    before = files(tmp_path)
    code = main(arguments)
    message = capsys.readouterr().err
    assert code == 2
    assert "emotune.shard: " in message
    assert "Traceback" not in message
    assert files(tmp_path) == before
    return message


def test_class_folders_become_shards_with_a_summary(image_folder, tmp_path, capsys):
    (image_folder / "awe" / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "shards"
    assert main(["folder", str(image_folder), "--out", str(out), "--name", "My Photos", "--size", "20"]) == 0
    manifest = read_manifest(Folder(str(out)))
    assert manifest.name == "my-photos"
    assert manifest.counts["train"] == dict.fromkeys(MIKELS, 4)
    summary = capsys.readouterr().err
    assert all(label in summary for label in MIKELS)
    assert "left out" in summary
    assert "undecodable" in summary
    assert HEALTH in summary.replace("\n", "")
    assert manifest.left_out == {"undecodable": 1}


def test_the_command_makes_the_same_scenes_in_a_process_of_its_own(tmp_path):
    assert main([*SCENES, "--out", str(tmp_path / "here")]) == 0
    command = [sys.executable, "-m", "emotune.shard", *SCENES, "--out", "there", "--workers", "2"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "there") == files(tmp_path / "here")


def draw_photos(folder: Path, of_a_class: int, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    for label in ("city", "sea"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(of_a_class):
            pixels = generator.integers(0, 256, (70, 70, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.bmp")


def test_other_classes_are_accepted_with_an_option(tmp_path):
    draw_photos(tmp_path / "photos", 20)
    arguments = ["folder", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--split", "0.34/0.33/0.33"]
    assert main([*arguments, "--labels", "any"]) == 0
    manifest = read_manifest(Folder(str(tmp_path / "out")))
    assert (manifest.classes, manifest.name) == (("city", "sea"), "photos")


def test_unknown_and_missing_classes_are_rejected(image_folder, tmp_path, capsys):
    (image_folder / "awe").rename(image_folder / "aww")
    message = rejection(capsys, tmp_path, "folder", str(image_folder), "--out", str(tmp_path / "out"))
    for part in ('"aww"', '"awe"', "--labels any"):
        assert part in message
    assert not (tmp_path / "out").exists()


def test_a_missing_and_an_empty_folder_are_rejected(tmp_path, capsys):
    missing = rejection(capsys, tmp_path, "folder", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert f"{tmp_path / 'none'}: " in missing
    (tmp_path / "empty").mkdir()
    empty = rejection(capsys, tmp_path, "folder", str(tmp_path / "empty"), "--out", str(tmp_path / "out"))
    assert f"{tmp_path / 'empty'}: " in empty
    assert not (tmp_path / "out").exists()


def test_a_class_with_too_few_images_is_rejected(image_folder, tmp_path, capsys):
    for path in sorted((image_folder / "awe").iterdir())[1:]:
        path.unlink()
    message = rejection(capsys, tmp_path, "folder", str(image_folder), "--out", str(tmp_path / "out"))
    assert re.search(r'"awe"\D* 1 ', message)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_rejected_and_left_as_it_is(image_folder, tmp_path, capsys):
    message = rejection(capsys, tmp_path, "folder", str(image_folder), "--out", str(image_folder))
    assert f"{image_folder}: " in message
    inside = image_folder / "out"
    assert f"{inside}: " in rejection(capsys, tmp_path, "folder", str(image_folder), "--out", str(inside))
    table = tmp_path / "tables" / "photos.csv"
    table.parent.mkdir()
    rows = [f"{path},{path.parent.name}" for path in sorted(image_folder.glob("*/*"))]
    table.write_text("\n".join(["path,label", *rows]))
    assert f"{image_folder}: " in rejection(capsys, tmp_path, "csv", str(table), "--out", str(image_folder))


def test_a_file_where_the_folder_should_be_is_rejected(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert str(tmp_path / "file") in rejection(capsys, tmp_path, *SCENES, "--out", str(out)).replace("\n", "")


@pytest.mark.parametrize(
    "split", ["0.7/0.3", "0.7/0.2/0.2", "1/0/0", "a/b/c", "", "-0.2/0.6/0.6", "70/10/20", "0.5/nan/0.5"]
)
def test_a_bad_split_is_rejected_with_an_example(tmp_path, capsys, split):
    message = rejection(capsys, tmp_path, *SCENES, f"--split={split}", "--out", str(tmp_path / "out"))
    assert f"--split {split}: " in message
    assert "0.7/0.1/0.2" in message


@pytest.mark.parametrize(("option", "value"), [("--images", "0"), ("--seed", "-1")])
def test_a_bad_number_is_rejected(tmp_path, capsys, option, value):
    assert option in rejection(capsys, tmp_path, *SCENES, option, value, "--out", str(tmp_path / "out"))


def test_a_size_of_no_pixels_is_rejected(image_folder, tmp_path, capsys):
    arguments = ["folder", str(image_folder), "--out", str(tmp_path / "out"), "--size", "0"]
    assert "--size 0" in rejection(capsys, tmp_path, *arguments)


@pytest.mark.usefixtures("heard")
def test_an_interrupted_command_goes_on_when_it_is_run_again(tmp_path):
    draw_photos(tmp_path / "photos", 250)
    command = [sys.executable, "-m", "emotune.shard", "folder", str(tmp_path / "photos"), "--labels", "any",
               "--workers", "1", "--out", str(tmp_path / "out")]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("out/.spool/*.json")) and time.monotonic() < until:
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        message = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Interrupted" in message
    assert "Traceback" not in message
    assert set(files(tmp_path / "out")) == {f".spool/{path.name}" for path in tmp_path.glob("out/.spool/*")}
    assert 1 <= len(list(tmp_path.glob("out/.spool/*.json"))) < 8
    assert main(command[3:]) == 0
    assert sum(shard.samples for shard in read_manifest(Folder(str(tmp_path / "out"))).shards) == 500
    assert {path.name for path in tmp_path.glob("out/.*")} <= {".lock"}


@pytest.mark.parametrize(
    ("option", "value"), [("--min-side", "-1"), ("--max-aspect", "0.5"), ("--max-aspect", "nan"),
                          ("--shard-images", "0"), ("--size", "-5"), ("--size", "big")],
)  # fmt: skip
def test_an_impossible_limit_is_rejected(tmp_path, capsys, option, value):
    assert option in rejection(capsys, tmp_path, *SCENES, f"{option}={value}", "--out", str(tmp_path / "out"))


def test_small_and_long_images_are_left_out_unless_asked_otherwise(image_folder, tmp_path):
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 300, 3), np.uint8)).save(
        image_folder / "awe" / "strip.png"
    )
    for options, left_out in (
        ([], {"tiny": 1}),
        (["--keep", "tiny"], {"extreme aspect ratio": 1}),
        (["--keep", "tiny", "aspect"], {}),
        (["--min-side", "40", "--max-aspect", "7.5"], {}),
    ):
        assert main(["folder", str(image_folder), "--out", str(tmp_path / "out"), *options, *HERE]) == 0
        assert read_manifest(Folder(str(tmp_path / "out"))).left_out == left_out


def test_shards_of_another_source_are_only_replaced_with_an_option(tmp_path, capsys):
    out, split = tmp_path / "out", ["--split", "0.34/0.33/0.33"]
    for number, parent in enumerate(("one", "two")):
        draw_photos(tmp_path / parent / "photos", 12, seed=number)
    command = ["folder", str(tmp_path / "one" / "photos"), "--out", str(out), *split, "--labels", "any", *HERE]
    assert main(command) == 0
    capsys.readouterr()
    same_names = ["folder", str(tmp_path / "two" / "photos"), *command[2:]]
    for other in ([*SCENES, "--out", str(out)], same_names):
        message = rejection(capsys, tmp_path, *other)
        for part in (str(out), '"photos"', "city, sea", "--replace"):
            assert part in message
        assert "train " in message
    before = files(out)
    assert main(command) == 0
    assert files(out) == before
    for changed in ([*command, "--allow-thumbnails"], [*command, "--size", "64"], [*command, "--name", "sights"]):
        assert main(changed) == 0
    draw_photos(tmp_path / "one" / "photos", 14, seed=0)
    assert main(command) == 0
    assert main([*same_names, "--replace"]) == 0
    assert main([*SCENES, "--out", str(out), "--replace"]) == 0
    assert read_manifest(Folder(str(out))).name == "scenes"
    assert {path.suffix for path in out.glob("[!.]*")} == {".tar", ".csv", ".json"}


@pytest.mark.parametrize("left", [b"", b"[]", b'{"format": 1}', b"not JSON"])
def test_shards_that_no_study_can_use_are_replaced(tmp_path, left):
    (tmp_path / MANIFEST).write_bytes(left)
    (tmp_path / "train-000000-01234567.tar").write_bytes(b"old")
    assert main([*SCENES, "--out", str(tmp_path)]) == 0


def test_a_table_becomes_shards_with_its_splits_and_its_name(image_folder, tmp_path, capsys):
    rows = ["path,label,split"]
    for label in MIKELS:
        files = sorted((image_folder / label).iterdir())
        rows += [f"{label}/{file.name},{label},{('train', 'val', 'test')[i % 3]}" for i, file in enumerate(files)]
    table = image_folder / "Photos.csv"
    table.write_text("\n".join(rows))
    assert main(["csv", str(table), "--out", f"file://{tmp_path}/out", "--shard-images", "9"]) == 0
    manifest = read_manifest(Folder(str(tmp_path / "out")))
    assert (manifest.name, manifest.source.split()[-1]) == ("photos", "Photos.csv")
    assert manifest.counts == {
        "train": dict.fromkeys(MIKELS, 3), "val": dict.fromkeys(MIKELS, 3), "test": dict.fromkeys(MIKELS, 2),
    }  # fmt: skip
    table.write_text("\n".join([*rows, "x.jpg,joy,train"]))
    capsys.readouterr()
    assert f'{table}:66: "joy" ' in rejection(capsys, tmp_path, "csv", str(table), "--out", str(tmp_path))


def shown(capsys) -> str:
    """The text on stderr without frames and line breaks."""
    return " ".join(re.sub("[│┃]", " ", capsys.readouterr().err).split())


def test_failed_downloads_are_counted_by_class(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = tmp_path / "links.csv"
    rows = [f"http://127.0.0.1:9/{number}.jpg,{label}" for number, label in enumerate(3 * MIKELS)]
    table.write_text("\n".join(["url,label", *rows]))
    assert main(["csv", str(table), "--out", str(tmp_path / "out"), "--downloads", str(tmp_path / "downloads")]) == 2
    text = shown(capsys)
    assert "--allow-private" in text
    assert "awe 3" in text
    assert re.search(rf'"awe"\D* 0 .*\b3 {Problem.LOST}', text)


def test_the_table_of_excluded_images_fits_a_narrow_terminal(image_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for label in MIKELS:
        (image_folder / label / "broken.jpg").write_bytes(label.encode())
    images = [path.relative_to(image_folder) for path in sorted(image_folder.rglob("*.*g"))]
    rows = [f"{path},{path.parent},," for path in images] + ["tie.jpg,,1,1"]
    table = image_folder / "photos.csv"
    table.write_text("\n".join(["path,label,awe,fear", *rows]))
    assert main(["csv", str(table), "--out", str(tmp_path / "out")]) == 0
    text = shown(capsys)
    assert re.search(f"undecodable 8 {r'[^a-z]*'.join(f'{label} 1' for label in MIKELS)}".replace(" ", r"\s"), text)
    assert re.search(rf"{Problem.VOTES} 1 \D+ 1\b", text)


def test_shards_are_verified_by_command(small_shards, tmp_path, capsys):
    out = Path(shutil.copytree(small_shards, tmp_path / "out"))
    for name in ("README.md", ".gitattributes", "licence.txt"):
        (out / name).write_text("not of the shards")
    assert main(["verify", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{out}: ") and "160" in line for line in lines)
    shard = next(out.glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    (out / "more.tar").write_bytes(b"")
    assert main(["verify", str(out)]) == 1
    text = capsys.readouterr().out
    assert f"{out}: {shard.name}: changed" in text
    assert f"{out}: more.tar: " in text
    assert f"{out}: damaged" in text
    assert MANIFEST in rejection(capsys, tmp_path, "verify", str(tmp_path))


def test_a_killed_reading_process_ends_the_command_and_costs_nothing_that_was_read(tmp_path):
    command = [sys.executable, "-m", "emotune.shard", *SCENES, "--images", "400", "--workers", "2", "--out", "out"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("out/.spool/*.json")) and time.monotonic() < until:
            time.sleep(0.005)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        reader = next(c for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text())
        os.kill(int(reader), signal.SIGKILL)
        message = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "killed" in message and "--workers" in message
    assert "Traceback" not in message
    whole = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/.spool/*.json")}
    assert whole
