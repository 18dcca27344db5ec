"""A run's identity follows from what decides about its result, and from nothing else."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from emotune.config.load import load_study, shipped_study
from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config
from emotune.config.run import DatasetRef, RunConfig, WeightsRef, difference_to_defaults
from emotune.config.train import TrainConfig
from emotune.data.datasets.resolve import resolve_datasets

DATASET = DatasetRef(name="photos", location="/data/photos", content_hash="0123")
RUN = RunConfig(variant="plain", dataset=DATASET, seed=0, model=AlexNetConfig(), train=TrainConfig())
STREAMS = ("order", "augment", "init", "dropout")
STREAM_VALUES = [2208911376886579342, 2861510616409025299, 6840176420249542129, 8702891128883888687]

QUICKSTART_IDS = [
    "alexnet-scenes-s0-ed780ed3",
    "attention-scenes-s0-36f16629",
    "dual_branch-scenes-s0-16f308c2",
    "dual_branch-scenes-s0-b072a4ea",
    "mldr-scenes-s0-05df7988",
    "alexnet-scenes-s1-ed780ed3",
    "attention-scenes-s1-36f16629",
    "dual_branch-scenes-s1-16f308c2",
    "dual_branch-scenes-s1-b072a4ea",
    "mldr-scenes-s1-05df7988",
    "alexnet-scenes-s2-ed780ed3",
    "attention-scenes-s2-36f16629",
    "dual_branch-scenes-s2-16f308c2",
    "dual_branch-scenes-s2-b072a4ea",
    "mldr-scenes-s2-05df7988",
]


def digest(run: RunConfig) -> str:
    return run.id.rsplit("-", 1)[1]


def test_the_ids_of_the_shipped_quickstart_are_pinned():
    study = load_study(shipped_study("quickstart"))
    ids = [run.id for run in study.runs(resolve_datasets(study.datasets))]
    assert ids == QUICKSTART_IDS, (
        "The quickstart's runs have other identities than before, so nobody's finished runs count any more. Change "
        "the ids in this test only if results change too: because ablations/quickstart.yaml was changed on purpose, "
        "or FORMAT_VERSION, GENERATOR_VERSION or the embedded set's size, seed or split had to be. A new option must "
        "not change them: give it a default that means what was done before."
    )


def test_identity_ignores_the_location_of_the_data():
    elsewhere = replace(RUN, dataset=replace(DATASET, location="s3://bucket/photos"))
    assert elsewhere.id == RUN.id


def test_identity_depends_on_the_content_of_weights_and_not_on_their_location():
    tuned = replace(
        RUN, train=TrainConfig(init="/here/a.npy"), weights=WeightsRef(location="/here/a.npy", digest="01234567")
    )
    elsewhere = replace(
        RUN, train=TrainConfig(init="s3://b/run"), weights=WeightsRef(location="s3://b/run/w", digest="01234567")
    )
    assert elsewhere.id == tuned.id
    other = replace(tuned, weights=WeightsRef(location="/here/a.npy", digest="01234568"))
    faster = replace(tuned, train=TrainConfig(init="/here/a.npy", head_lr_multiplier=10))
    assert len({digest(run) for run in (RUN, tuned, other, faster)}) == 4
    assert RunConfig.from_json(json.loads(json.dumps(tuned.to_json()))) == tuned


def test_a_run_without_the_weights_that_it_names_or_with_others_is_refused():
    with pytest.raises(ValidationError, match=r'train\.init .*"imagenet".*None'):
        replace(RUN, train=TrainConfig(init="imagenet"))
    with pytest.raises(ValidationError, match=r'train\.init .*"scratch".*/here/a\.npy'):
        replace(RUN, weights=WeightsRef(location="/here/a.npy", digest="01234567"))


def test_a_faster_head_without_pretrained_weights_is_refused():
    with pytest.raises(ValidationError, match=r'"head_lr_multiplier".*init.*"scratch"'):
        TrainConfig(head_lr_multiplier=10)


def test_an_id_contains_model_data_set_and_seed():
    run = replace(RUN, variant="dual-plain", seed=12, model=DualBranchConfig())
    assert run.id == f"dual_branch-photos-s12-{digest(run)}"
    assert len(digest(run)) == 8


@pytest.mark.parametrize(
    "other",
    [
        replace(RUN, dataset=replace(DATASET, content_hash="4567")),
        replace(RUN, model=MldrConfig()),
        replace(RUN, model=AlexNetConfig(width=0.5)),
        replace(RUN, model=AlexNetConfig(lrn="none")),
        replace(RUN, train=TrainConfig(epochs=51)),
        replace(RUN, train=TrainConfig(flip=False)),
        replace(RUN, train=TrainConfig(weight_decay=0)),
        replace(RUN, train=TrainConfig(crop="resized")),
        replace(RUN, train=TrainConfig(test_crops=5)),
        replace(RUN, select="best_val"),
        replace(RUN, test_curve=True),
        replace(RUN, replicate=1),
    ],
    ids=[
        "content",
        "network",
        "width",
        "lrn",
        "epochs",
        "flip",
        "decay",
        "crop",
        "test crops",
        "select",
        "curve",
        "replicate",
    ],
)
def test_identity_depends_on_everything_that_decides_about_the_result(other):
    assert digest(other) != digest(RUN)


def test_the_name_of_a_variant_changes_neither_identity_nor_streams():
    other = replace(RUN, variant="other")
    assert other.id == RUN.id
    assert [other.stream(name) for name in STREAMS] == STREAM_VALUES


def test_runs_that_differ_in_model_seed_or_data_set_only_have_folders_of_their_own():
    others = (
        replace(RUN, model=MldrConfig()), replace(RUN, seed=1), replace(RUN, dataset=replace(DATASET, name="other")),
    )  # fmt: skip
    assert len({run.id for run in (RUN, *others)}) == 4


def test_the_models_do_not_share_identities_at_their_defaults():
    models = (
        AlexNetConfig(), AttentionConfig(), DualBranchConfig(), DualBranchConfig(attention="none"), MldrConfig(),
        MldrV2Config(),
    )  # fmt: skip
    assert len({digest(replace(RUN, model=model)) for model in models}) == len(models)


def test_an_explicit_default_does_not_change_the_identity():
    spoken = replace(
        RUN,
        model=AlexNetConfig(name="alexnet", width=1, dropout=0.5, lrn="sum", backbone="alexnet", weight_init="ksh12"),
        train=TrainConfig(epochs=50, batch_size=50, lr=1e-2, momentum=0.9, weight_decay=0.0005, schedule="cosine",
                          step_epochs=10, warmup_epochs=0, crop="random", min_scale=0.25, flip=True, test_crops=1),
    )  # fmt: skip
    assert spoken == RUN
    assert spoken.id == RUN.id


def test_a_config_without_a_selection_tests_the_last_epoch():
    value = json.loads(json.dumps(RUN.to_json()))
    assert (value.pop("select"), value.pop("test_curve")) == ("last", False)
    assert RunConfig.from_json(value) == RUN
    best = replace(RUN, select="best_val", test_curve=True)
    assert RunConfig.from_json(json.loads(json.dumps(best.to_json()))) == best


def test_the_selection_does_not_change_streams():
    best = replace(RUN, select="best_val")
    assert [best.stream(name) for name in STREAMS] == STREAM_VALUES


def test_a_number_written_in_two_ways_gives_one_identity():
    assert (
        replace(RUN, train=TrainConfig(lr=1, epochs=3.0)).id == replace(RUN, train=TrainConfig(lr="1e0", epochs=3)).id
    )


def test_only_what_differs_from_the_defaults_enters_the_identity():
    assert difference_to_defaults(AttentionConfig()) == {}
    assert difference_to_defaults(AttentionConfig(width=0.25, score="tanh")) == {"width": 0.25, "score": "tanh"}


@pytest.mark.parametrize(
    "model",
    [
        AlexNetConfig(width=0.125), AttentionConfig(temperature=0.3), DualBranchConfig(reach="full"), MldrConfig(),
        MldrConfig(levels=(1, 3), depths=(4, 1)), MldrV2Config(),
    ],
    ids=str,
)  # fmt: skip
def test_a_run_is_read_back_from_json(model):
    run = replace(RUN, model=model, train=TrainConfig(lr=0.1 + 0.2), seed=7)
    again = RunConfig.from_json(json.loads(json.dumps(run.to_json())))
    assert again == run
    assert type(again.model) is type(model)
    assert again.id == run.id


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("model", {"name": "resnet"}), ("model", {"widht": 1.0}), ("model", {"width": 0}), ("model", {"dropout": 1}),
        ("train", {"lr": float("nan")}), ("train", {"lr": float("inf")}), ("train", {"epochs": 0}),
        ("train", {"epochs": 2.5}), ("train", {"schedule": "exponential"}), ("train", {"epoch": 3}),
        ("train", {"crop": "resize"}), ("train", {"min_scale": 0, "crop": "resized"}),
        ("train", {"min_scale": 1.5, "crop": "resized"}), ("train", {"test_crops": 3}), ("train", {"test_crops": True}),
        ("dataset", {"name": "No Such/Name"}), ("dataset", {"hash": "x"}), ("model", {"lrn": True}),
    ],
)  # fmt: skip
def test_json_that_is_not_a_run_is_refused(part, change):
    value = RUN.to_json()
    value[part] |= change
    with pytest.raises(ValidationError) as caught:
        RunConfig.from_json(value)
    assert next(iter(change)) in str(caught.value) or "resnet" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        (DualBranchConfig, {"attention": "none", "temperature": 2.0}, '"temperature".*attention.*"none"'),
        (AlexNetConfig, {"backbone": "alexnet_owt", "lrn": "none"}, '"lrn".*backbone.*"alexnet_owt"'),
        (DualBranchConfig, {"backbone": "alexnet_owt", "lrn": "mean"}, '"lrn".*backbone.*"alexnet_owt"'),
        (MldrConfig, {"levels": [1, 1], "depths": [5, 2], "patches": "resized"}, '"patches"'),
        (MldrConfig, {"levels": [1], "depths": [5], "aggregation": "max"}, '"aggregation"'),
        (MldrConfig, {"levels": [2], "depths": [5], "fusion": "max"}, '"fusion"'),
        (MldrConfig, {"depths": [1, 1, 1], "lrn": "none"}, '"lrn"'),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(kind, options, why):
    with pytest.raises(ValidationError, match=why):
        kind(**options)
    last = list(options)[-1]
    assert kind(**options | {last: getattr(kind, last)}) == kind(**{k: v for k, v in options.items() if k != last})


@pytest.mark.parametrize(
    ("options", "kind", "key"),
    [
        ({"levels": [1, 2]}, "value_error", ()),
        ({"levels": [], "depths": []}, "too_short", ("levels",)),
        ({"levels": [1, 2, 23]}, "less_than_equal", ("levels", 2)),
        ({"depths": [5, 4, 0]}, "greater_than_equal", ("depths", 2)),
        ({"depths": [6, 4, 2]}, "less_than_equal", ("depths", 0)),
        ({"levels": [True, 2, 4]}, "value_error", ("levels", 0)),
        ({"levels": 3}, "tuple_type", ("levels",)),
    ],
)
def test_an_impossible_pyramid_is_refused(options, kind, key):
    with pytest.raises(ValidationError) as caught:
        MldrConfig(**options)
    assert (kind, key) in [(mistake["type"], mistake["loc"]) for mistake in caught.value.errors()]


@pytest.mark.parametrize("crop", ["random", "center"])
def test_a_setting_of_another_crop_is_refused(crop):
    with pytest.raises(ValidationError, match=f'"min_scale".*crop.*"{crop}"'):
        TrainConfig(crop=crop, min_scale=0.5)
    assert TrainConfig(crop=crop, min_scale=0.25) == TrainConfig(crop=crop)
    smaller, resized = (replace(RUN, train=TrainConfig(crop="resized", min_scale=s)) for s in (0.08, 0.25))
    assert digest(smaller) != digest(resized)


def test_streams_follow_from_the_seed_alone():
    """So variants of a seed are paired in all that they have in common."""
    train = TrainConfig(lr=0.5, epochs=3)
    dataset = replace(DATASET, name="other", content_hash="4567")
    other = replace(RUN, variant="other", model=MldrConfig(), train=train, dataset=dataset)
    assert [other.stream(name) for name in STREAMS] == STREAM_VALUES


def test_a_replicate_has_its_own_weights_and_dropout_and_the_same_images():
    other = replace(RUN, replicate=1)
    assert [other.stream(name) == RUN.stream(name) for name in STREAMS] == [True, True, False, False]


def test_streams_differ_from_each_other_and_between_seeds():
    seeds = [replace(RUN, seed=seed).stream(name) for seed in range(50) for name in STREAMS]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_are_pinned():
    """A run that goes on after an update must go on with the same images and weights."""
    assert [RUN.stream(name) for name in STREAMS] == STREAM_VALUES
