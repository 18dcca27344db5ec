"""Runs that begin with the weights of other runs and of files, from end to end, with narrow networks."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from running import ALONE
from safetensors.torch import load, load_file

from emotune.config.model import AlexNetConfig, DualBranchConfig
from emotune.config.normalisation import CAFFE, IMAGENET, Normalisation
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.augment import crop_and_normalise, draw_crops
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import open_split
from emotune.models.build import build
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.directory import PREDICTIONS, WEIGHTS, RunDirectory
from emotune.runs.progress import RunProgress
from emotune.training.evaluate import evaluate
from emotune.training.loop import InterruptedRunError, train


@pytest.fixture
def first(small_shards: Path) -> RunConfig:
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.0)
    return RunConfig(
        variant="a", dataset=dataset, seed=0, model=model, train=TrainConfig(epochs=1, batch_size=24, lr=0.005)
    )


def trained(run: RunConfig, pool: Path, **options) -> tuple[dict, Path]:
    return train(run, RunDirectory(str(pool), run), ALONE, **options), pool / run.id


def following(run: RunConfig, init: Path | str, variant: str = "b", **changes) -> RunConfig:
    """A run that begins with the weights at ``init``."""
    settings = replace(run.train, init=str(init), **changes)
    weights = resolve_weights({variant: (run.model, settings)})[variant]
    return replace(run, variant=variant, train=settings, weights=weights)


def write_caffe(path: Path, run: RunConfig) -> Path:
    """Weights for the run's network in Caffe's layout."""
    torch.manual_seed(99)
    trunk = build(run.model, 8).trunk
    layers = [m for m in trunk.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    names = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    parts = {}
    for name, layer in zip(names, layers, strict=True):
        weight = layer.weight.detach().numpy() / (64 if name == "conv1" else 1)
        parts |= {f"{name}.0": weight, f"{name}.1": layer.bias.detach().numpy()}
    np.savez(path, **parts)
    return path


def loss_of_first_batch(run: RunConfig, network: torch.nn.Module, normalisation: Normalisation) -> float:
    split = open_split(run.dataset, "train")
    batch = next(split.training_batches(run.train.batch_size, run.stream("order"), 0))
    seen = crop_and_normalise(
        batch.images, draw_crops(len(split), run.stream("augment"), 0), batch.indices, normalisation
    )
    targets = torch.from_numpy(split.targets[batch.indices])
    with torch.inference_mode():
        return F.cross_entropy(network.train()(seen), targets).item()


def first_loss(run: RunConfig, pool: Path) -> float:
    losses: list[float] = []

    def on_progress(progress: RunProgress) -> None:
        losses.append(progress.loss)

    with pytest.raises(InterruptedRunError):
        trained(run, pool, on_progress=on_progress, stop=lambda: True)
    return losses[0]


def test_a_run_goes_on_where_another_ended(first: RunConfig, tmp_path: Path):
    record, folder = trained(first, tmp_path)
    network = build(first.model, 8)
    network.load_state_dict(load_file(folder / WEIGHTS))
    run = following(first, folder)
    expected = loss_of_first_batch(run, network, IMAGENET)
    assert first_loss(run, tmp_path) == pytest.approx(expected, rel=1e-5)
    assert first_loss(replace(first, replicate=1), tmp_path) != pytest.approx(expected, rel=0.01)
    after, _ = trained(run, tmp_path)
    assert after["initialisation"]["digest"] == record["weights"]["sha256"]
    assert after["initialisation"]["layout"] == "run"
    assert "new" not in after["initialisation"]


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.8, "precision": "bf16"}], ids=["plain", "average in bf16"])
def test_the_weights_of_a_finished_run_give_its_predictions(first: RunConfig, settings: dict[str, Any], tmp_path: Path):
    first = replace(first, train=replace(first.train, **settings))
    _, folder = trained(first, tmp_path)
    assert {tensor.dtype for tensor in load_file(folder / WEIGHTS).values()} == {torch.float32}
    network = build(first.model, 8)
    network.load_state_dict(load_file(folder / WEIGHTS))
    tuned, its_folder = trained(following(first, write_caffe(tmp_path / "bvlc.npz", first)), tmp_path)
    its_network = build(first.model, 8)
    its_network.load_state_dict(load_file(its_folder / WEIGHTS))
    test, val = (open_split(first.dataset, split) for split in ("test", "val"))
    for place, ours, normalisation in ((folder, network, IMAGENET), (its_folder, its_network, CAFFE)):
        frame = pd.read_parquet(place / PREDICTIONS)
        expected = frame[[f"logit_{label}" for label in test.classes]].to_numpy()
        actual = evaluate(ours, test, ALONE, normalisation=normalisation, precision=first.train.precision).logits
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    logits = evaluate(its_network, val, ALONE, normalisation=CAFFE, precision=first.train.precision).logits
    right = logits.argmax(1) == val.targets
    assert tuned["last_epoch"]["val_accuracy"] == pytest.approx(100 * right.mean())


def test_a_run_that_was_stopped_goes_on_to_the_same_bits_without_the_weights_that_it_began_with(
    first: RunConfig, tmp_path: Path
):
    file = write_caffe(tmp_path / "bvlc.npz", first)
    run = following(first, file, head_lr_multiplier=5.0, ema_decay=0.8, precision="bf16")
    undisturbed, whole = trained(run, tmp_path / "whole")
    steps = (1, 2, 3)
    for stop in steps:
        asked = iter([False] * (stop - 1) + [True])
        with pytest.raises(InterruptedRunError):
            trained(run, tmp_path / f"parted {stop}", stop=lambda asked=asked: next(asked))
    file.unlink()
    for stop in steps:
        record, parted = trained(run, tmp_path / f"parted {stop}")
        assert record["interruptions"] == 1
        assert record["initialisation"] == undisturbed["initialisation"]
        assert (parted / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
        pd.testing.assert_frame_equal(
            pd.read_parquet(parted / PREDICTIONS), pd.read_parquet(whole / PREDICTIONS), check_exact=True
        )


def test_images_are_normalised_as_the_weights_want_it_from_first_to_last_run(first: RunConfig, tmp_path: Path):
    run = following(first, write_caffe(tmp_path / "bvlc.npz", first))
    assert first_loss(run, tmp_path / "x") != pytest.approx(first_loss(first, tmp_path / "x"))
    record, folder = trained(run, tmp_path)
    assert record["initialisation"]["normalisation"] == {"mean": CAFFE.mean, "std": CAFFE.std}
    assert record["initialisation"]["new"] == ("output.weight", "output.bias")
    assert "lrn caffe" in record["initialisation"]["note"]
    network = build(first.model, 8)
    network.load_state_dict(load_file(folder / WEIGHTS))
    heir = following(first, folder, variant="c")
    assert first_loss(heir, tmp_path) == pytest.approx(loss_of_first_batch(heir, network, CAFFE), rel=1e-5)
    plain, _ = trained(first, tmp_path)
    assert plain["initialisation"] == {"normalisation": {"mean": IMAGENET.mean, "std": IMAGENET.std}}
    assert json.loads((folder / "record.json").read_text())["weights"]["sha256"] == record["weights"]["sha256"]


def test_a_pool_behind_a_url_hands_weights_and_their_normalisation_down_from_run_to_run(
    first: RunConfig, tmp_path: Path
):
    pool = f"memory://{uuid.uuid4().hex}/runs"
    run = following(first, write_caffe(tmp_path / "bvlc.npz", first))
    sums = []
    for heir in ("c", "d"):
        record = train(run, RunDirectory(pool, run), ALONE)
        assert record["initialisation"]["normalisation"] == {"mean": CAFFE.mean, "std": CAFFE.std}
        sums.append(record["weights"]["sha256"])
        run = following(first, f"{pool}/{run.id}", variant=heir)
        assert run.weights.digest == sums[-1]
        assert run.weights.location.startswith(pool)
    assert sums[0] != sums[1]
    network = build(first.model, 8)
    network.load_state_dict(load(Folder(run.weights.location.rpartition("/")[0]).read(WEIGHTS)))
    assert first_loss(run, tmp_path) == pytest.approx(loss_of_first_batch(run, network, CAFFE), rel=1e-5)


def test_branches_that_share_convolutions_are_fine_tuned_from_an_alexnets_run(first: RunConfig, tmp_path: Path):
    _, folder = trained(first, tmp_path)
    model = DualBranchConfig(width=0.0625, weight_init="he", dropout=0.0, convolutions="shared")
    run = following(replace(first, model=model), folder, head_lr_multiplier=5.0, ema_decay=0.8)
    undisturbed, whole = trained(run, tmp_path / "whole")
    asked = iter([False, True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "parted", stop=lambda: next(asked))
    _, parted = trained(run, tmp_path / "parted")
    assert (parted / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert {name.split(".")[0] for name in undisturbed["initialisation"]["new"]} == {"trunk", "output"}
    tensors = load_file(whole / WEIGHTS)
    assert torch.equal(tensors["trunk.convolutions.0.weight"], tensors["second.convolutions.0.weight"])


def test_a_step_changes_the_new_head_as_many_times_more_as_its_rate_is_multiplied(first: RunConfig, tmp_path: Path):
    file = write_caffe(tmp_path / "bvlc.npz", first)
    ends = {}
    for multiplier in (1.0, 10.0):
        run = following(first, file, batch_size=72, schedule="constant", lr=0.001, head_lr_multiplier=multiplier)
        _, folder = trained(run, tmp_path)
        ends[multiplier] = load_file(folder / WEIGHTS)
    begin = build(run.model, 8, run.stream("init")).state_dict()
    for name, tensor in ends[1.0].items():
        if name.startswith("output."):
            slow, fast = (ends[m][name] - begin[name] for m in (1.0, 10.0))
            torch.testing.assert_close(fast, 10 * slow, rtol=1e-3, atol=1e-6)
            assert slow.abs().max() > 1e-5
        else:
            assert torch.equal(tensor, ends[10.0][name]), name


def test_weights_that_are_gone_end_the_run_before_its_first_step(first: RunConfig, tmp_path: Path):
    file = write_caffe(tmp_path / "bvlc.npz", first)
    run = following(first, file)
    file.unlink()
    with pytest.raises(InputError, match=r"bvlc\.npz: "):
        trained(run, tmp_path)
