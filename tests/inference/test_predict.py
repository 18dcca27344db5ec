"""`python -m emotune.predict`."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.cli.prediction_output import ImagePrediction, note_if_alike
from emotune.inference.predictor import load_predictor
from emotune.predict import TABLE, main


@pytest.fixture
def images(test_images, tmp_path):
    """A folder of four images, two of one name, and a file that is none."""
    names = ("a.jpg", "b.jpg", "sub/a.jpg", "sub/c.jpg")
    for name, path in zip(names, test_images.values(), strict=False):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(path.read_bytes())
    return tmp_path / "in"


def rows(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_has_a_row_per_image(attending, images, capsys):
    long = f"{'long' * 60}/d.jpg"  # wider than any terminal
    (images / long).parent.mkdir()
    (images / long).write_bytes((images / "a.jpg").read_bytes())
    assert main([attending.folder, str(images), "--device", "cpu"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["image", "label", "amusement"]
    assert [line.split()[0] for line in lines] == [
        str(images / n) for n in ("a.jpg", "b.jpg", long, "sub/a.jpg", "sub/c.jpg")
    ]


def test_json_and_csv_have_the_predictions_of_the_python_interface(attending, images, capsys):
    paths = [str(images / "a.jpg"), str(images / "b.jpg")]
    expected = load_predictor(attending.folder, "cpu").predict(paths)
    assert main([attending.folder, *paths, "--device", "cpu", "--json"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main([attending.folder, *paths, "--device", "cpu", "--csv"]) == 0
    table = rows(capsys.readouterr().out)
    for number, label in enumerate(expected.labels):
        assert objects[number]["image"] == table[number]["image"] == paths[number]
        assert objects[number]["label"] == table[number]["label"] == label
        for k, name in enumerate(expected.classes):
            probability = pytest.approx(expected.probabilities[number, k], abs=1e-5)
            assert objects[number]["probabilities"][name] == probability
            assert float(table[number][f"p_{name}"]) == probability


def test_a_broken_image_is_reported_and_the_rest_goes_on(attending, images, capsys):
    (images / "aa.jpg").write_bytes((images / "a.jpg").read_bytes()[:500])
    gone = str(images / "gone.jpg")
    assert main([attending.folder, str(images), gone, "--csv", "--batch-size", "1"]) == 1
    captured = capsys.readouterr()
    assert len(rows(captured.out)) == 4
    broken, missing = captured.err.splitlines()
    assert "aa.jpg: " in broken
    assert f"{gone}: " in missing


def test_names_that_are_not_utf_8_are_printed_and_a_closed_output_ends_the_command_quietly(attending, images, tmp_path):
    odd = os.fsdecode(os.fsencode(images) + b"/\xff.jpg")
    (images / "a.jpg").rename(odd)
    names = os.fsencode(odd) + b"\na\0b.jpg\n" + os.fsencode(images / "sub") + b"\n"
    command = [sys.executable, "-m", "emotune.predict", attending.folder, "-", "--device", "cpu"]
    out = ["--csv", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, *out], input=names, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert b"Traceback" not in done.stderr and b"a\0b.jpg: " in done.stderr
    assert [Path(row["image"]).name for row in rows(done.stdout.decode())] == [r"\udcff.jpg", "a.jpg", "c.jpg"]
    assert os.fsencode(odd) in (tmp_path / "out" / TABLE).read_bytes()
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*command, "--json"], **pipes) as one:
        one.stdout.close()  # as `| head` does
        _, errors = one.communicate(names)
    assert (one.returncode, b"roken pipe" in errors, b"Traceback" in errors) == (141, False, False)


def test_out_gets_a_figure_of_each_image_with_its_attention_and_a_table(attending, images, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([attending.folder, str(images), "--out", str(out), "--csv"]) == 0
    assert {path.name for path in out.iterdir()} == {"a.png", "a-2.png", "b.png", "c.png", "predictions.csv"}
    assert (out / "predictions.csv").read_text() == capsys.readouterr().out
    drawn = np.asarray(Image.open(out / "a.png").convert("RGB")).astype(float)
    crop = Image.open(images / "a.jpg").crop((14, 14, 241, 241)).resize((300, 300))
    at = next(  # the image, 2 inches wide at 150 dots an inch, a little from the left
        (top for top in range(40, 120) if abs(drawn[top : top + 300, 9:309] - np.asarray(crop)).mean() < 6), None
    )
    assert at is not None
    beside = drawn[at : at + 300, 333:633]
    assert beside.std() > 5
    assert abs(beside - np.asarray(crop)).mean() > 20


@pytest.mark.usefixtures("heard")
def test_an_interrupted_command_keeps_its_predictions(attending, images, tmp_path):
    for number in range(100):
        (images / f"{number:03d}.jpg").write_bytes((images / "a.jpg").read_bytes())
    table = tmp_path / "out" / TABLE
    command = [sys.executable, "-m", "emotune.predict", attending.folder, str(images), "--out", str(table.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (table.exists() and len(rows(table.read_text())) > 2) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    kept = [row["image"] for row in rows(table.read_text())]
    assert 2 < len(kept) < 104
    assert [line.split()[0] for line in out.splitlines()[1:]] == kept
    assert {path.stem for path in table.parent.glob("*.png")} >= {Path(image).stem for image in kept}


def test_a_network_without_attention_is_drawn_without_a_map(finished_run, images, tmp_path, attending):
    from emotune.config.model import AlexNetConfig

    plain = finished_run(AlexNetConfig(width=0.0625, weight_init="he"))
    for name, run in (("plain", plain), ("attending", attending)):
        assert main([run.folder, str(images / "b.jpg"), "--out", str(tmp_path / name)]) == 0
    drawn = [(tmp_path / name / "b.png").read_bytes() for name in ("plain", "attending")]
    widths = [Image.open(io.BytesIO(png)).width for png in drawn]
    assert widths[1] - widths[0] == pytest.approx(324, abs=2)  # one more image, and the gap before it


def test_predictions_that_are_the_same_for_all_of_three_images_are_remarked_on(attending, images, tmp_path, capsys):
    image = images / "a.jpg"
    copies = [str(shutil.copy(image, tmp_path / f"{k}{image.suffix}")) for k in range(3)]
    for number, remarks in ((2, 0), (3, 1)):
        assert main([attending.folder, *copies[:number], "--csv"]) == 0
        out, err = capsys.readouterr()
        assert (len(out.splitlines()), len(err.splitlines())) == (number + 1, remarks)
    predictor = load_predictor(attending.folder)
    first, *others = predictor.classes
    shares = [{first: share} | dict.fromkeys(others, (1 - share) / len(others)) for share in (0.2, 0.2, 0.22)]
    assert len(list(note_if_alike([ImagePrediction(image, one, {}) for one in shares], predictor))) == 3
    assert capsys.readouterr().err == ""


def test_names_come_from_stdin(attending, images, monkeypatch, capsys):
    given = f"{images / 'b.jpg'}\n{images / 'sub'}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert main([attending.folder, "-", "--csv"]) == 0
    assert [Path(row["image"]).name for row in rows(capsys.readouterr().out)] == ["b.jpg", "a.jpg", "c.jpg"]


def test_help_answers_without_torch():
    code = "import sys, emotune.predict\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_network_is_exported_without_images(attending, tmp_path, capsys):
    assert main([attending.folder, "--onnx", str(tmp_path / "n.onnx"), "--device", "cpu"]) == 0
    assert f"{tmp_path / 'n.onnx'}: " in capsys.readouterr().err
    assert (tmp_path / "n.onnx").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("run", "arguments", "code", "key"),
    [
        ("{run}", [], 2, "--onnx"), ("{run}", ["{images}/none/*.jpg"], 1, "none/*.jpg"), ("{run}", ["-"], 2, "-: "),
        ("{images}", ["{images}"], 2, "{images}: "),
    ],
)  # fmt: skip
def test_unusable_input_ends_with_2_and_its_name(attending, images, run, arguments, code, key, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    given = [text.format(run=attending.folder, images=images) for text in (run, *arguments)]
    assert main(given) == code
    assert key.format(images=images) in capsys.readouterr().err
