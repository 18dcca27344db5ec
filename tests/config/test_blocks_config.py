"""Options of blocks, and what is wrong with some of them."""

import pytest
from study_files import DATA, HEAD, Write, is_about, mistakes

from emotune.config.baselines import handmade_sets
from emotune.config.head_training import gets_features
from emotune.config.load import load_study
from emotune.config.model import BlocksConfig
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig


def test_options_are_read_from_a_study(write: Write) -> None:
    text = f"{HEAD}variants:\n  plain: {{}}\n  one: {{model: {{name: blocks, levels: [1, 3], aggregation: mi_svm}}}}\n"
    model, train = load_study(write(text)).variants["one"]
    assert model == BlocksConfig(levels=(1, 3), aggregation="mi_svm")
    assert train == TrainConfig()
    assert handmade_sets(model) == ("local_descriptors_8",)
    assert gets_features(model)


@pytest.mark.parametrize(
    ("options", "key", "parts"),
    [
        ("levels: [1, 1]", "levels", ["twice"]),
        ("levels: []", "levels", []),
        ("levels: [0]", "levels", []),
        ("levels: [1, 8], step: 32", "levels", ["7", "step 32"]),
        ("step: 12", "step", ["8", "16", "32"]),
        ("words: 1", "words", []),
        ("words: 20, topics: 21", "topics", ["21", "20"]),
        ("aggregation: median", "aggregation", ["mi_svm"]),
        ("levels: [1], aggregation: max", "aggregation", ["single block"]),
        ("c_grid: [0]", "c_grid", []),
        ("descriptor: sift", "descriptor", ["gradients"]),
        ("agregation: max", "agregation", ["aggregation"]),
    ],
)
def test_a_mistake_is_reported_with_its_key(write: Write, options: str, key: str, parts: list[str]) -> None:
    text = f"{HEAD}variants:\n  plain: {{}}\n  one: {{model: {{name: blocks, {options}}}}}\n"
    found = mistakes(write(text))
    assert any(
        line.startswith("variants.one: model") and key in line and all(p in line for p in parts) for line in found
    ), found


def test_options_of_training_are_refused(write: Write) -> None:
    text = f"{HEAD}variants:\n  plain: {{}}\n  one: {{model.name: blocks, train.epochs: 3}}\n"
    (line,) = mistakes(write(text))
    assert is_about(line, "variants.one: train.epochs", "blocks")


def test_a_run_is_told_by_all_that_changes_its_result_and_has_a_stream_of_its_own() -> None:
    models = [BlocksConfig(), BlocksConfig(step=16), BlocksConfig(words=200), BlocksConfig(aggregation="max")]
    runs = [RunConfig(dataset=DATA, seed=0, model=model, train=TrainConfig()) for model in models]
    assert len({run.id for run in runs}) == len(runs)
    assert all(run.id.startswith("blocks-scenes-s0-") for run in runs)
    assert RunConfig.from_json(runs[1].to_json()) == runs[1]
    streams = {runs[0].stream(name) for name in ("order", "augment", "init", "dropout", "blocks")}
    assert len(streams) == 5
