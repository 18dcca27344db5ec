"""Any number of ranks trains the same network, and evaluates every image once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from ranks import start_ranks
from running import ALL_STATE, ALONE, AUGMENTED, changed, first, gradient, history, start, trained
from trunks import config

from emotune.config.model import DualBranchConfig, MldrConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.read.batches import open_split
from emotune.models.build import build
from emotune.runs.directory import ATTENTION, PREDICTIONS, RunDirectory
from emotune.training.distributed import World, connect, open_rendezvous
from emotune.training.evaluate import evaluate
from emotune.training.loop import DivergedError, train
from emotune.training.step import backward, take_step

SIZES = (1, 2, 3, 4, 7, 37, 49)
"""Numbers of images to be evaluated: fewer than ranks, a multiple, one more than a multiple …"""


def cases(run: RunConfig) -> dict[str, tuple[RunConfig, Resources, int]]:
    """Runs whose global batches have 7 or 6 images, with what they get and the number of training images."""
    small = changed(run, batch_size=7, dropout=0.5, lr=0.001)
    mldr = replace(small, model=MldrConfig(width=0.0625, weight_init="he"))
    heads = replace(small, model=config({"name": "wscnet", "dropout": 0.5}, {"dropout": 0.2}))
    return {
        "two outputs": (heads, Resources(accumulate=2), 72),
        "no dropout": (changed(small, dropout=0.0), Resources(), 72),
        "dropout": (small, Resources(), 72),
        "dropout of patches": (mldr, Resources(accumulate=2), 72),
        "accumulated": (small, Resources(accumulate=3), 72),
        "augmented": (changed(small, **AUGMENTED), Resources(accumulate=2), 72),
        "balanced": (changed(small, class_weights="balanced"), Resources(), 72),
        "everything": (changed(small, crop="resized", **ALL_STATE), Resources(accumulate=4), 72),
        "a rank without images": (changed(small, batch_size=2, **AUGMENTED, **ALL_STATE), Resources(accumulate=2), 3),
        "bf16": (changed(small, precision="bf16"), Resources(accumulate=2), 72),
        "adamw": (changed(small, optimizer="adamw", layer_decay=0.75, **ALL_STATE), Resources(accumulate=2), 72),
        "RMSprop": (changed(small, optimizer="RMSprop", momentum=0.5), Resources(), 72),
    }


def steps(run: RunConfig, world: World, resources: Resources, count: int) -> dict[str, Any]:
    """The gradient of a batch, then the losses and norms of three steps, and the logits after them."""
    begun = start(run, world, resources, first(open_split(run.dataset, "train"), count))
    batches = list(begun.batches)
    size = min(len(batches), 3)
    loss, correct = backward(begun.state, batches[size - 1], begun.randomness).tolist()
    measured: dict[str, Any] = {"loss": loss, "correct": correct, "gradient": gradient(begun.state).clone()}
    results = [take_step(begun.state, batch, begun.randomness, run.train.lr) for batch in batches[:size]]
    measured["losses"], measured["norms"] = [r.loss for r in results], [r.norm or 0.0 for r in results]
    val = first(open_split(run.dataset, "val"), 9)
    measured["logits"] = evaluate(begun.state.result, val, world, precision=run.train.precision).logits
    return measured


def whole(run: RunConfig) -> tuple[RunConfig, Resources]:
    """A run from beginning to end. Few small steps: rounding errors grow with every one."""
    return changed(run, epochs=1, lr=0.001, test_crops=5, dropout=0.5, **ALL_STATE), Resources(accumulate=2)


def selecting(run: RunConfig) -> RunConfig:
    """A run with attention that tests its first epoch, and the test images after each epoch."""
    model = DualBranchConfig(width=0.0625, weight_init="he", attention="both")
    slow = changed(run, lr=1e-7, schedule="constant")
    return replace(slow, model=model, select="best_val", test_curve=True)


def wild(run: RunConfig, kind: str) -> tuple[RunConfig, Resources]:
    """A run that diverges."""
    settings: dict[str, Any] = {"plain": {}, "all": {"precision": "bf16", **ALL_STATE, "clip_norm": 1e30}}[kind]
    return changed(run, lr=1e30, schedule="constant", **settings), Resources(accumulate=3 if settings else 1)


def evaluated(run: RunConfig, world: World) -> list[tuple[int, np.ndarray]]:
    """For each size, the number of images that this rank computed, and the logits."""
    torch.manual_seed(0)
    network, batch_sizes, measured = build(run.model, 8), [], []
    network.register_forward_pre_hook(lambda module, inputs: batch_sizes.append(len(inputs[0])))
    val = open_split(run.dataset, "val")
    for size in SIZES:
        logits = evaluate(network, first(val, size), world).logits
        measured.append((sum(batch_sizes), logits))
        batch_sizes.clear()
    return measured


def _rank(rank: int, ports: list[int], run_json: dict[str, Any], out: str) -> None:
    torch.set_num_threads(1)
    run = RunConfig.from_json(run_json)
    measured: dict[str, Any] = {}
    with connect(rank, 3, gpu=False, store=open_rendezvous("127.0.0.1", ports[0])) as world:
        measured["evaluated", 3] = evaluated(run, world)
    if rank < 2:
        with connect(rank, 2, gpu=False, store=open_rendezvous("127.0.0.1", ports[1])) as world:
            measured["evaluated", 2] = evaluated(run, world)
            for name, case in cases(run).items():
                measured["case", name] = steps(case[0], world, *case[1:])
            complete, resources = whole(run)
            train(complete, RunDirectory(f"{out}/whole", complete), world, resources=resources)
            chosen = selecting(run)
            train(chosen, RunDirectory(f"{out}/whole", chosen), world)
            for kind in ("plain", "all"):
                mad, resources = wild(run, kind)
                with pytest.raises(DivergedError) as caught:
                    train(mad, RunDirectory(f"{out}/wild", mad), world, resources=resources)
                measured["diverged", kind] = str(caught.value)
    torch.save(measured, f"{out}/{rank}.pt")


class Ranks:
    """The measurements of ranks, which are started once for all tests."""

    def __init__(self, run: RunConfig, out: Path) -> None:
        stores = [open_rendezvous("127.0.0.1") for _ in range(2)]
        start_ranks(_rank, ([store.port for store in stores], run.to_json(), str(out)), 3)
        self.out, self.measured = out, [torch.load(out / f"{rank}.pt", weights_only=False) for rank in range(3)]


@pytest.fixture(scope="module")
def started() -> dict[str, Ranks]:
    return {}


@pytest.fixture
def ranks(run: RunConfig, started: dict[str, Ranks], tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    if not started:
        started["ranks"] = Ranks(run, tmp_path_factory.mktemp("ranks"))
    return started["ranks"]


@pytest.mark.parametrize("name", [
    "two outputs", "no dropout", "dropout", "dropout of patches", "accumulated", "augmented", "balanced", "everything",
    "a rank without images", "bf16", "adamw", "RMSprop",
])  # fmt: skip
def test_two_ranks_compute_the_gradient_losses_and_outputs_of_one(run: RunConfig, ranks: Ranks, name: str):
    case = cases(run)[name]
    alone = steps(case[0], ALONE, *case[1:])
    close = 3e-2 if name == "bf16" else 2e-4  # of the largest value; bfloat16 has 8 bits
    for rank in range(2):
        measured = ranks.measured[rank]["case", name]
        for key, expected in alone.items():
            value, scale = np.asarray(measured[key]), np.abs(np.asarray(expected)).max()
            np.testing.assert_allclose(value, expected, rtol=0, atol=close * scale + 1e-9, err_msg=key)
        assert np.abs(np.asarray(measured["gradient"])).max() > 0


def test_ranks_that_accumulate_agree_to_the_bit_with_each_other(run: RunConfig, ranks: Ranks):
    one, other = (ranks.measured[rank]["case", "everything"] for rank in range(2))
    assert torch.equal(one["gradient"], other["gradient"])
    assert (one["losses"], one["norms"]) == (other["losses"], other["norms"])


def test_two_ranks_train_the_network_that_one_trains(run: RunConfig, ranks: Ranks, tmp_path: Path):
    complete, resources = whole(run)
    record, expected = trained(complete, tmp_path, resources=resources)
    together = pd.read_parquet(ranks.out / "whole" / complete.id / PREDICTIONS)
    assert together["sample_id"].tolist() == expected["sample_id"].tolist()
    columns = [c for c in expected if c.startswith("logit_")]
    np.testing.assert_allclose(together[columns], expected[columns], rtol=1e-3, atol=1e-4)
    shared = RunDirectory(str(ranks.out / "whole"), complete).folder.read_json("record.json")
    assert shared["workers"] == 2
    assert shared["last_epoch"]["train_loss"] == pytest.approx(record["last_epoch"]["train_loss"], rel=1e-4)


def test_two_ranks_test_the_epoch_that_one_tests_and_record_the_attention_of_all_images(
    run: RunConfig, ranks: Ranks, tmp_path: Path
):
    chosen = selecting(run)
    record, expected = trained(chosen, tmp_path)
    pools = tmp_path, ranks.out / "whole"
    shared = RunDirectory(str(pools[1]), chosen).folder.read_json("record.json")
    assert (shared["workers"], shared["selected_epoch"], record["selected_epoch"]) == (2, 1, 1)
    together = pd.read_parquet(pools[1] / chosen.id / PREDICTIONS)
    assert together[["sample_id", "target", "group"]].equals(expected[["sample_id", "target", "group"]])
    columns = [c for c in expected if c.startswith("logit_")]
    np.testing.assert_allclose(together[columns], expected[columns], rtol=1e-3, atol=1e-4)
    alone, noted = (pd.read_parquet(pool / chosen.id / ATTENTION) for pool in pools)
    assert noted[["sample_id", "layer"]].equals(alone[["sample_id", "layer"]])
    np.testing.assert_allclose(np.stack(noted["weights"]), np.stack(alone["weights"]), atol=1e-6)
    for name in ("attention_entropy", "test_accuracy"):
        one, two = ([entry[name] for entry in history(pool, chosen)] for pool in pools)
        assert two == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("kind", ["plain", "all"])
def test_all_ranks_end_a_diverged_run_at_the_same_step(run: RunConfig, ranks: Ranks, kind: str):
    first_rank, second_rank = (ranks.measured[rank]["diverged", kind] for rank in range(2))
    assert first_rank == second_rank
    assert "epoch 1, step" in first_rank
    assert "lr 1e+30" in first_rank


@pytest.mark.parametrize("size", [2, 3])
def test_every_image_is_evaluated_once_whatever_the_number_of_ranks(run: RunConfig, ranks: Ranks, size: int):
    for index, (count, (batch_sizes, logits)) in enumerate(zip(SIZES, evaluated(run, ALONE), strict=True)):
        measured = [ranks.measured[rank]["evaluated", size][index] for rank in range(size)]
        assert batch_sizes == sum(rank_seen for rank_seen, _ in measured) == count
        for _, rank_logits in measured:
            np.testing.assert_allclose(rank_logits, logits, rtol=1e-4, atol=1e-5)
