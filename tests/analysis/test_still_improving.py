"""Which runs had not finished learning."""

import numpy as np
import pandas as pd

from emotune.analysis.still_improving import best_in_the_last, still_improving


def curve(run: str, loss, accuracy) -> pd.DataFrame:
    epochs = range(1, len(accuracy) + 1)
    return pd.DataFrame({"run": run, "epoch": epochs, "train_loss": loss, "val_accuracy": accuracy})


def test_runs_whose_curves_still_rise_are_found_and_others_are_not():
    rng, epochs = np.random.default_rng(0), np.arange(20)
    falling, noise = 2 - epochs / 20, rng.normal(0, 0.4, 20)
    curves = pd.concat([
        curve("rising", falling, 20 + 1.5 * epochs + noise),
        curve("flat", falling, 50 + noise),
        curve("saturated", falling, 60 * (1 - np.exp(-epochs / 2)) + noise),
        curve("little", falling, 50 + 0.05 * epochs),
        curve("overfitted", falling, 50 - 1.5 * epochs + noise),
        curve("lucky", 2 + epochs / 20, 20 + 1.5 * epochs + noise),
        curve("short", [3.0, 2.0, 1.0], [20.0, 30.0, 40.0]),
    ])  # fmt: skip
    assert still_improving(curves) == {"rising"}
    assert still_improving(curves.sample(frac=1, random_state=0)) == {"rising"}
    assert still_improving(curves[:0]) == set()


def test_noise_alone_is_seldom_named():
    rng = np.random.default_rng(1)
    curves = [curve(str(i), np.linspace(2, 1, 12), 50 + rng.normal(0, 2, 12)) for i in range(200)]
    assert len(still_improving(pd.concat(curves))) <= 0.05 * 200 + 3 * (0.05 * 0.95 * 200) ** 0.5


def test_short_runs_are_counted_with_those_whose_last_epoch_is_the_best():
    curves = pd.concat([
        curve("rising", [3, 2, 1], [20.0, 30, 40]),
        curve("ended", [3, 2, 1], [20.0, 40, 30]),
        curve("equal", [3, 2, 1], [20.0, 40, 40]),
        curve("single", [3], [20.0]),
        curve("long", range(6), np.arange(6.0)),
    ])  # fmt: skip
    assert best_in_the_last(curves.sample(frac=1, random_state=0)) == (4, 1)
    assert best_in_the_last(curves[:0]) == (0, 0)
