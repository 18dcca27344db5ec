import json
from dataclasses import replace
from pathlib import Path

import pytest
from study_files import DATA

from emotune.config.backbone import BackboneCode, BackboneConfig, LastStages
from emotune.config.division import Division
from emotune.config.heads import AttentionHeadConfig
from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, AttentionConfig, CodeConfig, MldrConfig
from emotune.config.run import FORMAT_VERSION, RunConfig, WeightsRef
from emotune.config.train import LossCode, TrainConfig
from emotune.execution.plan.config_diff import NEW, NEW_SEED, changes, nearest_changes, reasons
from emotune.execution.plan.plan import make_plan
from emotune.runs.directory import RunDirectory
from emotune.runs.store import RunStore

RUN = RunConfig(variant="tanh", dataset=DATA, seed=0, model=AttentionConfig(), train=TrainConfig())
TRAINED = replace(RUN, train=TrainConfig(init="/a.npy"), weights=WeightsRef(location="/a.npy", digest="0" * 8))


def config(run: RunConfig, **more) -> dict:
    """The content of the run's ``config.json``."""
    values = {key: value for key, value in run.to_json().items() if key != "variant"}
    return json.loads(json.dumps({"id": run.id, "format": FORMAT_VERSION, "time": 1.0, **values, **more}))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (replace(RUN, train=TrainConfig(lr=0.02)), ["train.lr 0.01 → 0.02"]),
        (replace(RUN, model=AttentionConfig(score="tanh")), ["model.score linear → tanh"]),
        (replace(RUN, train=TrainConfig(clip_norm=1.0, flip=False)),
         ["train.clip_norm none → 1", "train.flip true → false"]),
        (replace(RUN, train=TrainConfig(optimizer="adamw", optimizer_options={"betas": [0.9, 0.95], "amsgrad": True})),
         ["train.optimizer sgd → adamw", "train.optimizer_options {} → {amsgrad: true, betas: [0.9, 0.95]}"]),
        (replace(RUN, dataset=replace(DATA, content_hash="cd" * 32)), ["data: content changed"]),
        (replace(RUN, dataset=replace(DATA, name="scenes-noisy", part="noisy")), ["part all → noisy"]),
        (replace(RUN, dataset=replace(DATA, name="scenes-fold1of5", division=Division(folds=5, fold=1))),
         ["split of the shards → fold1of5"]),
        (replace(RUN, model=AlexNetConfig()), ["model.name attention → alexnet"]),
        (replace(RUN, model=MldrConfig(levels=(1, 2), depths=(5, 4))),
         ["model.name attention → mldr", "model.levels [1, 2, 4] → [1, 2]", "model.depths [5, 4, 2] → [5, 4]"]),
        (TRAINED, ["train.init scratch → /a.npy"]),
        (replace(RUN, select="best_val", test_curve=True),
         ["metric.select last → best_val", "metric.test_curve false → true"]),
    ],
)  # fmt: skip
def test_changes_are_named_as_a_study_writes_them(now: RunConfig, expected: list[str]):
    assert changes(now, config(RUN)) == expected


def test_other_weights_are_a_change_and_another_location_of_the_same_weights_is_none():
    moved = replace(
        TRAINED, train=TrainConfig(init="/b.npy", lr=0.1), weights=replace(TRAINED.weights, location="/b.npy")
    )
    assert changes(moved, config(TRAINED)) == ["train.lr 0.01 → 0.1"]
    others = replace(TRAINED, weights=replace(TRAINED.weights, digest="1" * 8))
    assert changes(others, config(TRAINED)) == ["weights changed"]


def test_options_of_a_head_and_of_the_input_are_named_one_by_one():
    before = replace(RUN, model=BackboneConfig(backbone="timm:resnet18", head=AttentionHeadConfig()))
    head = AttentionHeadConfig(score="tanh")
    now = replace(before, model=replace(before.model, head=head, tune=LastStages(last=2)), input=InputSpec(side=160))
    assert changes(now, config(before)) == [
        "model.head.score linear → tanh", "model.tune all → {last: 2}", "input.side 227 → 160",
    ]  # fmt: skip
    earlier = config(before)
    del earlier["input"], earlier["model"]["head"]["heads"]  # written by a version without these options
    assert changes(before, earlier) == []


def test_a_change_of_the_users_backbone_is_shown_as_a_diff():
    now, before = (
        replace(RUN, model=BackboneConfig(backbone=BackboneCode(code="n.py:f", source=f"def f():\n    return {n}\n")))
        for n in (2, 1)
    )
    (line,) = changes(now, config(before))
    assert "+    return 2" in line and "-    return 1" in line


def test_a_change_of_the_users_code_is_shown_as_a_diff():
    now, before = (
        replace(RUN, model=CodeConfig(code="nets.py:make", source=f"def make(classes, depth=1):\n    return {n}\n"))
        for n in (2, 1)
    )
    (line,) = changes(now, config(before))
    assert {"    -    return 1", "    +    return 2"} <= set(line.splitlines())
    deeper = replace(before, model=replace(before.model, options={"depth": 3}))
    assert changes(deeper, config(before)) == ["model.options.depth none → 3"]
    odd = config(before)
    odd["model"] |= {"source": "\x1b[2J def make[T](): (", "options": None}
    assert "\x1b" not in changes(before, odd)[0]
    trained = replace(before, train=TrainConfig(loss=LossCode(code="l.py:f", source="def f(a, b, c): return a\n")))
    assert changes(trained, config(before)) == ["train.loss cross_entropy → l.py:f"]


def test_another_format_of_results_is_named():
    assert changes(RUN, config(RUN, format=1)) == [f"results format 1 → {FORMAT_VERSION}"]


def test_an_option_that_is_missing_in_the_earlier_run_had_its_default():
    old = config(RUN)
    del old["train"]["ema_decay"]
    assert changes(replace(RUN, train=TrainConfig(lr=0.02)), old) == ["train.lr 0.01 → 0.02"]
    assert changes(replace(RUN, train=TrainConfig(ema_decay=0.5)), old) == ["train.ema_decay 0 → 0.5"]
    del old["select"], old["test_curve"]
    assert changes(replace(RUN, select="best_val"), old) == ["metric.select last → best_val"]


def test_the_most_similar_earlier_run_counts_and_among_equally_similar_ones_the_newest():
    now = replace(RUN, train=TrainConfig(lr=0.02, epochs=9))
    far = config(replace(RUN, train=TrainConfig(lr=0.5)), time=9.0)
    near = [
        config(replace(now, train=TrainConfig(lr=lr, epochs=9)), time=when) for lr, when in ((0.3, 1.0), (0.4, 2.0))
    ]
    assert nearest_changes(now, [far, *near]) == ["train.lr 0.4 → 0.02"]
    assert nearest_changes(now, [config(replace(RUN, seed=1)), config(replace(RUN, model=AlexNetConfig())), {}]) == []


def begun(pool: Path, *runs: RunConfig) -> None:
    for run in runs:
        directory = RunDirectory(str(pool), run)
        directory.begin().release()


def reasons_of(pool: Path, *runs: RunConfig) -> list[str | None]:
    by_run = reasons(make_plan(runs, RunStore(pool)))
    return [by_run.get(run.id) for run in runs]


def test_a_new_seed_a_new_variant_and_a_changed_one_are_told_apart(tmp_path: Path):
    begun(tmp_path, replace(RUN, variant="wide", model=AttentionConfig(width=2)), RUN)
    seed, new = replace(RUN, seed=1), replace(RUN, variant="none", model=AlexNetConfig())
    changed = replace(RUN, variant="slow", train=TrainConfig(lr=0.001))
    wider = replace(RUN, variant="wider", model=AttentionConfig(width=4))
    assert reasons_of(tmp_path, RUN, seed, new) == [None, NEW_SEED, NEW], "the first is interrupted, not missing"
    assert reasons_of(tmp_path, changed, wider) == ["train.lr 0.01 → 0.001", "model.width 1 → 4"]


def test_a_renamed_variant_has_the_runs_that_it_had_under_its_other_name(tmp_path: Path):
    begun(tmp_path, RUN)
    assert reasons_of(tmp_path, replace(RUN, variant="hyperbolic")) == [None]


def test_a_run_of_the_same_study_does_not_count_as_an_earlier_one(tmp_path: Path):
    """A part of the data beside all of it is not a change of part."""
    begun(tmp_path, RUN)
    noisy = replace(RUN, dataset=replace(DATA, name="scenes-noisy", part="noisy"))
    assert reasons_of(tmp_path, RUN, noisy) == [None, NEW]
    assert reasons_of(tmp_path, noisy) == ["part all → noisy"]
