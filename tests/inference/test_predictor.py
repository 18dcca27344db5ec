import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.special import softmax

from emotune.config.backbone import BackboneCode, BackboneConfig
from emotune.config.model import CodeConfig, ConstantConfig, LogisticConfig, SvmConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.inference.predictor import load_center_crop, load_predictor
from emotune.runs.directory import CONFIG, RECORD, WEIGHTS


def test_a_run_predicts_for_its_test_images_what_it_predicted_when_it_was_tested(any_run, test_images):
    predictions = load_predictor(any_run.folder, "cpu").predict(
        [test_images[key] for key in any_run.predictions["sample_id"]]
    )
    expected = softmax(any_run.predictions.filter(like="logit_").to_numpy(), axis=1)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-5)
    assert predictions.labels == [predictions.classes[index] for index in expected.argmax(1)]
    if any_run.attention is None:
        assert predictions.attention == {}
    else:
        for layer, rows in any_run.attention.groupby("layer"):
            np.testing.assert_allclose(predictions.attention[layer], np.stack(rows["weights"]), atol=1e-5)


def test_the_number_of_images_at_a_time_changes_nothing(attending, test_images):
    predictor, paths = load_predictor(attending.folder, "cpu"), list(test_images.values())[:7]
    once, by_two = predictor.predict(paths), predictor.predict(paths, batch_size=2)
    np.testing.assert_allclose(once.probabilities, by_two.probabilities, atol=1e-6)
    assert {name: w.shape for name, w in by_two.attention.items()} == {"trunk.attention": (7, 36)}
    assert predictor.predict([]).probabilities.shape == (0, len(predictor.classes))


def test_files_bytes_and_opened_images_give_the_same_prediction(attending, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 280, 3), dtype=np.uint8))
    path = tmp_path / "a.png"
    image.save(path)
    predictions = load_predictor(attending.folder, "cpu").predict([path, str(path), path.read_bytes(), image])
    assert (predictions.probabilities == predictions.probabilities[0]).all()


def test_an_image_of_any_kind_is_seen_upright_on_white_and_square():
    image = Image.new("RGBA", (400, 200), (255, 0, 0, 0))
    assert (load_center_crop(image) == 255).all()
    turned = Image.new("RGB", (200, 400))
    turned.paste("white", (0, 200, 200, 400))
    exif = turned.getexif()
    exif[0x0112] = 3  # upside down
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    square = load_center_crop(buffer.getvalue())
    assert square.shape == (256, 256, 3)
    assert square[0].mean() > 200
    assert square[-1].mean() < 50


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_broken_image_is_named(attending, tmp_path, content):
    (tmp_path / "b.jpg").write_bytes(content)
    predictor = load_predictor(attending.folder, "cpu")
    with pytest.raises(InputError, match=r"b\.jpg: "):
        predictor.predict([tmp_path / "b.jpg"])
    with pytest.raises(InputError, match="image 0"):
        predictor.predict([content])


def test_a_folder_without_a_finished_run_is_refused_with_the_reason(attending, tmp_path):
    with pytest.raises(InputError, match="not a run"):
        load_predictor(str(tmp_path))
    copy = tmp_path / Path(attending.folder).name
    shutil.copytree(attending.folder, copy)
    weights = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(weights[:-4] + b"\0\0\0\1")
    with pytest.raises(InputError, match="damaged"):
        load_predictor(str(copy))
    (copy / WEIGHTS).unlink()
    with pytest.raises(InputError, match="missing"):
        load_predictor(str(copy))
    (copy / RECORD).unlink()
    with pytest.raises(InputError, match="not finished"):
        load_predictor(str(copy))


@pytest.mark.parametrize(
    ("file", "change"),
    [(RECORD, {"weights": {"sha256": "../x"}}), (RECORD, {"weights": None}), (CONFIG, {"model": None}),
     (CONFIG, {"model": {"name": "alexnet", "x": 1}}), (CONFIG, {"model": {"name": "../x"}}), (CONFIG, {"train": {}}),
     (CONFIG, {"train": {"test_crops": 10**9}})],
)  # fmt: skip
def test_a_run_with_files_that_emotune_does_not_write_is_refused(attending, tmp_path, file, change):
    copy = tmp_path / Path(attending.folder).name
    shutil.copytree(attending.folder, copy)
    (copy / file).write_text(json.dumps(json.loads((copy / file).read_text()) | change))
    with pytest.raises(InputError, match=f"{re.escape(str(copy))}"):
        load_predictor(str(copy))


@pytest.mark.parametrize("label", ["", "a\nb", "\x1b[2J", 7])
def test_weights_whose_classes_cannot_be_printed_are_refused(attending, tmp_path, label):
    copy = tmp_path / Path(attending.folder).name
    shutil.copytree(attending.folder, copy)
    with safe_open(copy / WEIGHTS, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    about = json.loads(metadata["emotune"])
    about["classes"][0] = label
    save_file(tensors, copy / WEIGHTS, {"emotune": json.dumps(about)})
    record = json.loads((copy / RECORD).read_text())
    record["weights"]["sha256"] = hashlib.sha256((copy / WEIGHTS).read_bytes()).hexdigest()
    (copy / RECORD).write_text(json.dumps(record))
    with pytest.raises(InputError, match=WEIGHTS):
        load_predictor(str(copy))


@pytest.mark.parametrize(
    "model",
    [ConstantConfig(), SvmConfig(c_grid=(1.0,)), LogisticConfig(features="colours")],
    ids=["constant", "svm", "logistic"],
)
def test_a_run_without_a_network_is_refused(finished_run, model):
    settings = {"epochs": TrainConfig.epochs, "batch_size": TrainConfig.batch_size, "lr": TrainConfig.lr}
    with pytest.raises(InputError, match=f'"{model.name}"'):
        load_predictor(finished_run(model, **settings).folder)


def test_a_run_behind_a_url_is_loaded_like_one_on_disk(attending, test_images):
    from fsspec import filesystem

    memory, name = filesystem("memory"), Path(attending.folder).name
    for path in Path(attending.folder).iterdir():
        memory.pipe(f"/pool/{name}/{path.name}", path.read_bytes())
    paths = list(test_images.values())[:3]
    there, here = (load_predictor(f, "cpu").predict(paths) for f in (f"memory://pool/{name}", attending.folder))
    np.testing.assert_array_equal(there.probabilities, here.probabilities)


NET = """
from torch import nn

class Pooled(nn.Sequential):
    def __init__(self, classes):
        pooled = [nn.Conv2d(3, 4, 9, stride=9), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*pooled, nn.Dropout(0.5), nn.Linear(4, classes))

def trunk():
    return nn.Sequential(nn.Conv2d(3, 4, 9, stride=9), nn.BatchNorm2d(4))
"""
OWN_CODE = {
    "network": CodeConfig(code="gone.py:Pooled", source=NET),
    "backbone": BackboneConfig(backbone=BackboneCode(code="gone.py:trunk", source=NET)),
}


@pytest.mark.parametrize("part", OWN_CODE)
def test_the_code_of_a_run_is_executed_only_if_it_is_trusted_and_shown(
    part: str, finished_run, test_images, tmp_path: Path
):
    finished = finished_run(OWN_CODE[part])
    with pytest.raises(InputError) as caught:
        load_predictor(finished.folder)
    assert hashlib.sha256(Path(finished.folder, "code.py").read_bytes()).hexdigest() in str(caught.value)
    predictor = load_predictor(finished.folder, trust_code=True)
    logits = finished.predictions.set_index("sample_id").filter(like="logit_")
    predictions = predictor.predict([test_images[key] for key in logits.index])
    np.testing.assert_allclose(predictions.probabilities, softmax(logits.to_numpy(), axis=1), atol=1e-5)
    other = shutil.copytree(finished.folder, tmp_path / "other")
    (other / "code.py").write_text("# harmless\n")
    with pytest.raises(InputError, match=r"code\.py"):
        load_predictor(str(other), trust_code=True)
