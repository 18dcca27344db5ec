"""Which epoch's network is tested, and that nothing that happens to a run on the way alters it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import ALL_STATE, Undisturbed, changed, history, trained, without_times
from safetensors.numpy import load_file

from emotune.analysis.distribution_metrics import distribution_metrics
from emotune.config.run import RunConfig
from emotune.data.read.batches import open_split
from emotune.runs.directory import ATTENTION, WEIGHTS
from emotune.runs.progress import RunProgress
from emotune.training import loop, setup
from emotune.training.loop import InterruptedRunError
from emotune.training.selection import is_over, selected_epoch
from emotune.training.validation_score import validation_score

STEPS = 5
"""Of an epoch."""


@pytest.fixture
def best(run: RunConfig) -> RunConfig:
    """A run whose first epoch is its best: its rate is so low that no later one alters an image's answer."""
    slow = changed(run, epochs=3, lr=1e-7, schedule="constant", **ALL_STATE)
    return replace(slow, select="best_val")


def shortened(run: RunConfig, epochs: int) -> RunConfig:
    """The run up to an epoch, whose network is tested."""
    return replace(changed(run, epochs=epochs), select="last")


@pytest.mark.parametrize(
    ("accuracies", "best", "last"), [([10.0], 1, 1), ([10.0, 30.0, 20.0], 2, 3), ([10.0, 30.0, 30.0, 30.0], 2, 4)]
)
def test_of_equally_accurate_epochs_the_earliest_is_selected(
    run: RunConfig, accuracies: list[float], best: int, last: int
):
    entries = [{"epoch": epoch, "val_accuracy": accuracy} for epoch, accuracy in enumerate(accuracies, 1)]
    assert selected_epoch(replace(run, select="best_val"), entries) == best
    assert selected_epoch(run, entries) == last


@pytest.mark.parametrize(("metric", "values", "best"), [
    ("kl", [0.5, 0.3, 0.4, 0.3], 2), ("cosine", [0.5, 0.3, 0.9, 0.9], 3), ("rmse", [0.4, 0.2, 0.3, 0.1], 4),
    ("pearson", [None, -0.2, None, 0.1], 4), ("pearson", [None, None, -0.5, None], 3), ("pearson", [None] * 4, 1),
])  # fmt: skip
def test_the_best_epoch_by_a_metric_is_the_lowest_where_lower_is_better_and_never_an_undefined_one(
    run: RunConfig, metric: str, values: list[float | None], best: int
):
    """Accuracies speak for the first epoch."""
    scores: list[dict] = [{} if value is None else {"val_score": value} for value in values]
    entries = [{"epoch": i, "val_accuracy": 90.0 - i, "val_ccc": -i} | one for i, one in enumerate(scores, 1)]
    chosen = replace(changed(run, epochs=9, patience=2), select="best_val", select_by=metric)
    assert selected_epoch(chosen, entries) == best
    assert is_over(chosen, entries) == (len(values) - best >= 2)
    assert selected_epoch(replace(chosen, select_by=None), entries) == 1


@pytest.mark.parametrize("metric", ["kl", "intersection"])
def test_distributions_are_tested_at_the_epoch_whose_validation_is_best_by_the_metric(
    run: RunConfig, metric: str, tmp_path: Path
):
    dataset, lower = replace(run.dataset, task="distributions"), metric == "kl"
    settings = {"epochs": 6, "lr": 0.02, "schedule": "constant", "targets": "soft"}
    by_metric = replace(changed(run, **settings), dataset=dataset, select="best_val", select_by=metric)
    record, predictions = trained(by_metric, tmp_path)
    lines = history(tmp_path, by_metric)
    scores, accuracies = ([line[key] for line in lines] for key in ("val_score", "val_accuracy"))
    epoch = 1 + scores.index((min if lower else max)(scores))
    assert record["selected_epoch"] == epoch != 1 + accuracies.index(max(accuracies)), "else nothing is told apart"
    assert metric == "intersection" or "Kullback-Leibler" in record["selection"]
    test = open_split(dataset, "test")
    logits = predictions[[f"logit_{name}" for name in test.classes]].to_numpy()
    known = distribution_metrics(predictions)
    assert {name: validation_score(name, test, logits) for name in known} == pytest.approx(known, abs=1e-6)
    there = replace(changed(by_metric, epochs=epoch), select="last", select_by=None)
    pd.testing.assert_frame_equal(predictions, trained(there, tmp_path)[1], check_exact=True)
    patient = changed(by_metric, patience=1)
    trained(patient, tmp_path)
    until = next((n for n in range(2, 7) if (min if lower else max)(scores[:n]) != scores[n - 1]), 6)
    assert len(history(tmp_path, patient)) == until


@pytest.mark.parametrize("settings", [{"lr": 1e-7}, {"lr": 0.01}, {"lr": 0.01, "ema_decay": 0.8}], ids=str)
def test_what_is_tested_and_kept_is_the_network_of_the_epoch_that_validated_best(
    run: RunConfig, settings: dict, tmp_path: Path
):
    best = replace(changed(run, epochs=4, schedule="constant", **settings), select="best_val")
    record, predictions = trained(best, tmp_path)
    accuracies = [entry["val_accuracy"] for entry in history(tmp_path, best)]
    epoch = 1 + accuracies.index(max(accuracies))
    assert (record["selection"], record["selected_epoch"]) == ("best validation accuracy", epoch)
    assert epoch == 1 or settings["lr"] > 1e-7
    there = shortened(best, epoch)
    expected, its_predictions = trained(there, tmp_path)
    assert (expected["selection"], expected["selected_epoch"]) == ("last epoch", epoch)
    pd.testing.assert_frame_equal(predictions, its_predictions, check_exact=True)
    kept, its_weights = (load_file(tmp_path / one.id / WEIGHTS) for one in (best, there))
    assert all(np.array_equal(kept[name], its_weights[name]) for name in its_weights)
    assert record["last_epoch"]["epoch"] == 4
    if epoch < 4:
        _, last = trained(shortened(best, 4), tmp_path)
        assert not predictions.equals(last), "the last epoch's network is another"


@pytest.mark.parametrize("steps", [STEPS - 1, STEPS, STEPS + 2, 3 * STEPS])
def test_a_run_that_was_stopped_tests_the_epoch_that_it_would_have_tested(
    best: RunConfig, steps: int, undisturbed: Undisturbed, tmp_path: Path
):
    whole, expected = undisturbed(best)
    assert whole["selected_epoch"] == 1, "before most of the stops"
    asked = iter([False] * (steps - 1) + [True])
    with pytest.raises(InterruptedRunError):
        trained(best, tmp_path / "b", stop=lambda: next(asked))
    record, predictions = trained(best, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert without_times(record) == without_times(whole)


@pytest.mark.parametrize("at", ["testing", "write_predictions", "save_weights"])
def test_a_run_that_fails_while_it_is_tested_is_tested_again(
    best: RunConfig, at: str, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, expected = undisturbed(best)

    def fail(*_: object) -> None:
        raise OSError(at)

    def on_progress(progress: RunProgress) -> None:
        if progress.phase == at:
            fail()

    with monkeypatch.context() as patch, pytest.raises(OSError, match=at):
        if at != "testing":
            patch.setattr(loop, at, fail)
        trained(best, tmp_path / "b", on_progress=on_progress)
    record, predictions = trained(best, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert without_times(record) == without_times(whole)


def test_a_test_curve_adds_an_accuracy_to_every_epoch_and_changes_nothing_else(run: RunConfig, tmp_path: Path):
    run = changed(run, dropout=0.5, test_crops=5, **ALL_STATE)
    curved = replace(run, test_curve=True)
    (plain, expected), (record, predictions) = (trained(one, tmp_path) for one in (run, curved))
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    lines = history(tmp_path, curved)
    assert lines[-1]["test_accuracy"] == record["accuracy"] == plain["accuracy"]
    for one, other in zip(lines, history(tmp_path, run), strict=True):
        assert one.keys() - other.keys() == {"test_accuracy"}
        kept = other.keys() - {"train_s_so_far"}
        assert {key: one[key] for key in kept} == {key: other[key] for key in kept}


def test_the_test_images_are_opened_once_and_after_the_last_epoch_unless_a_curve_is_asked_for(
    best: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events: list[str] = []

    def opened(ref: object, split: str, **options: object) -> object:
        events.append(split)
        return open_split(ref, split, **options)

    monkeypatch.setattr(setup, "open_split", opened)
    trained(best, tmp_path, on_progress=lambda progress: events.append(f"{progress.phase} {progress.epoch}"))
    assert events.count("test") == 1
    before = events[: events.index("test")]
    assert "validating 3" in before
    assert not any(event.startswith("testing") for event in before)


def test_predictions_name_the_group_of_near_duplicates_and_networks_without_attention_leave_no_file_of_it(
    run: RunConfig, tmp_path: Path
):
    _, predictions = trained(changed(run, epochs=1), tmp_path)
    test = open_split(run.dataset, "test")
    assert list(predictions)[:3] == ["sample_id", "target", "group"]
    assert predictions["group"].tolist() == list(test.groups)
    assert all(test.groups)
    assert not (tmp_path / changed(run, epochs=1).id / ATTENTION).exists()
    assert "attention_entropy" not in history(tmp_path, changed(run, epochs=1))[0]


@pytest.mark.parametrize(
    ("accuracies", "ends_at"),
    [([10.0, 30.0, 20.0, 30.0, 40.0], 4), ([10.0, 20.0, 30.0, 40.0, 50.0], 5), ([9.0] * 5, 3)],
)
def test_training_ends_once_no_better_epoch_came_for_as_long_as_it_is_patient(
    run: RunConfig, accuracies: list[float], ends_at: int
):
    patient = replace(changed(run, epochs=5, patience=2), select="best_val")
    history = [{"epoch": epoch, "val_accuracy": accuracy} for epoch, accuracy in enumerate(accuracies, 1)]
    over = [is_over(patient, history[:epochs]) for epochs in range(6)]
    assert over == [False] * ends_at + [True] * (6 - ends_at)
    assert not is_over(changed(run, epochs=5), history[:4])


def test_a_run_that_ends_early_tests_the_best_epoch_and_is_its_own_interrupted_or_not(best: RunConfig, tmp_path: Path):
    patient = changed(best, epochs=9, patience=2)
    assert patient.id != changed(best, epochs=9).id
    record, predictions = trained(patient, tmp_path / "whole")
    assert len(history(tmp_path / "whole", patient)) == 3 and record["last_epoch"]["epoch"] == 3
    assert record["selected_epoch"] == 1 and "2 epochs" in record["selection"]
    steps = iter(range(STEPS + 2))
    with pytest.raises(InterruptedRunError):
        trained(patient, tmp_path / "stopped", stop=lambda: next(steps, None) is None)
    again, same = trained(patient, tmp_path / "stopped")
    assert without_times(again) == without_times(record)
    pd.testing.assert_frame_equal(predictions, same, check_exact=True)
