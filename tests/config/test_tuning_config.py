"""The ``tune`` of a study file: the space, which is the same for every variant, and its mistakes."""

from dataclasses import replace

import pytest
from study_files import DATA, HEAD, Write, is_about, mistakes

from emotune import Study
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.rungs import rungs_of
from emotune.config.train import TrainConfig
from emotune.config.tuned_options import with_setting
from emotune.config.tuning import Range, Tuning
from emotune.config.tuning_runs import tuning_runs
from emotune.core.errors import InputError

STUDY = (
    HEAD
    + """
train: {epochs: 3}
variants:
  plain: {}
  wide: {model.width: 2}
  slow: {train.momentum: 0.0}
tune: """
)
RANGES = "{over: {train.lr: {low: 0.001, high: 0.1, log: true}, train.flip: [true, false]}, search: {random: %d}}"


@pytest.mark.parametrize(
    "tune",
    [
        "{over: {train.lr: [0.003, 0.01], train.weight_decay: [0, 0.1, 0.2]}, epochs: 2, by: val_loss, seeds: 3}",
        "{over: {train.lr: [0.003, 0.01]}, nested: true, untuned: [slow]}",
        RANGES % 8,
        RANGES.replace("search", "halving: true, search") % 8,
    ],
)
def test_tuning_is_read_and_written_and_changes_no_run(write: Write, tune: str):
    study = load_study(write(STUDY + tune))
    assert study.tune and study.tune.higher_is_better == (study.tune.by == "val_accuracy")
    assert load_study(write(replace(study, source="").source)).tune == study.tune
    assert study.runs([]) == replace(study, tune=None).runs([])


def test_a_grid_has_all_combinations_in_the_order_of_the_lists():
    tune = Tuning(over={"train.lr": [0.1, 0.01], "train.momentum": [0, 0.5, 0.9]})
    assert [tuple(value for _, value in one) for one in tune.settings] == [
        (0.1, 0), (0.1, 0.5), (0.1, 0.9), (0.01, 0), (0.01, 0.5), (0.01, 0.9),
    ]  # fmt: skip


def test_a_longer_random_search_has_the_settings_of_a_shorter_one_and_stays_in_its_ranges(write: Write):
    few, many = (load_study(write(STUDY + RANGES % number)).tune for number in (5, 200))
    assert few and many and many.settings[:5] == few.settings and len(set(many.settings)) == 200
    rates = [dict(one)["train.lr"] for one in many.settings]
    assert min(rates) >= 0.001 and max(rates) <= 0.1
    assert 70 < sum(rate < 0.01 for rate in rates) < 130, "half of them below the middle of the logarithms"
    assert all(rate == float(f"{rate:.3g}") for rate in rates), "they can be written by hand"
    assert Range(0.0, 2.0).at(0.5) == 1.0


def test_numbers_that_yaml_reads_as_text_are_numbers(write: Write):
    tune = load_study(write(STUDY + "{over: {train.lr: [1e-3, 1e-2], train.flip: [true, false]}}")).tune
    assert tune and tune.over["train.lr"] == (0.001, 0.01)
    (line,) = mistakes(write(STUDY + "{over: {train.lr: [1e-3, 0.001]}}"))
    assert is_about(line, "tune.over.train.lr", "0.001")
    drawn = "{over: {train.lr: {low: 1e-3, high: 1e-1, log: true}}, search: {random: 4}}"
    tune = load_study(write(STUDY + drawn)).tune
    assert tune and tune.over["train.lr"] == Range(0.001, 0.1, log=True)


def test_a_setting_gives_the_variant_that_is_written_by_hand():
    tuned = with_setting(AttentionConfig(), TrainConfig(), (("train.lr", 1), ("model.score", "tanh")))
    assert tuned == (AttentionConfig(score="tanh"), TrainConfig(lr=1.0))


@pytest.mark.parametrize(
    ("tune", "key", "about"),
    [
        ("{}", "tune.over", ()),
        ("{over: {}}", "tune.over", ("{}",)),
        ("3", "tune", ("3",)),
        ("{over: {train.lr: []}}", "tune.over.train.lr", ("empty",)),
        ("{over: {train.lr: [0.1]}}", "tune.over.train.lr", ("0.1",)),
        ("{over: {train.lr: [0.1, 0.2, 0.1]}}", "tune.over.train.lr", ("0.1",)),
        ("{over: {train.lr: {low: 0, high: 1, log: true}}}", "tune.over.train.lr", ("low", "log")),
        ("{over: {train.lr: {low: 1, high: 1}}}", "tune.over.train.lr", ("low", "high")),
        ("{over: {train.lr: {low: 0.1, high: 1}}}", "tune.over.train.lr", ("random",)),
        ("{over: {train.lr: [0.1, 0.2]}, halving: true}", "tune.halving", ("2", "three")),
        ("{over: {train.lr: [0.1, 0.2, 0.3]}, epochs: 1, halving: true}", "tune.halving", ("tune.epochs",)),
        ("{over: {train.lr: [0.1, 0.2, 0.3]}, halving: 2}", "tune.halving", ("2",)),
        (RANGES.replace("search", "halving: true, search") % 2, "tune.halving", ("2",)),
        (
            "{over: {train.warmup_epochs: [0, 1], train.flip: [true, false]}, halving: true}",
            "tune.over",
            ("rung of 1",),
        ),
        ("{over: {train.lr: [0.1, 0.2]}, search: {random: 7}}", "tune.search", ("7", "2")),
        ("{over: {train.lr: [0.1, 0.2]}, search: best}", "tune.search", ("best",)),
        ("{over: {train.lr: [0.1, 0.2]}, untuned: [slwo]}", "tune.untuned", ("slwo", "slow")),
        ("{over: {train.lr: [0.1, 0.2]}, untuned: [plain, wide, slow]}", "tune.untuned", ()),
        ("{over: {lr: [0.1, 0.2]}}", "tune.over.lr", ("train.OPTION",)),
        ("{over: {train.epochs: [1, 2]}}", "tune.over.train.epochs", ("tune.epochs",)),
        ("{over: {train.lr: [0, 0.2]}}", "tune.over", ("train.lr", "0")),
        ("{over: {train.lrr: [0.1, 0.2]}}", "tune.over", ("train.lrr", '"lr"')),
        ("{over: {model.score: [tanh, linear]}}", "tune.over", ("model.score",)),
        ("{over: {train.warmup_epochs: [0, 2]}, epochs: 2}", "tune.over", ("warmup_epochs",)),
        ("{over: {train.momentum: [0.0, 0.9]}}", "variants.slow", ("train.momentum",)),
        ("{over: {model.width: [1, 3]}}", "variants.wide", ("model.width",)),
        ("{seeds: 2}", "tune.over", ("train.lr: [",)),
    ],
)
def test_a_mistake_in_the_tuning_is_named(write: Write, tune: str, key: str, about: tuple[str, ...]):
    (line,) = mistakes(write(STUDY + tune))
    assert is_about(line, key, *about), line


def test_leaving_a_variant_untuned_is_advised_only_where_others_can_be_tuned(write: Write):
    (line,) = mistakes(write(STUDY + "{over: {train.lrr: [0.1, 0.2]}}"))
    assert "untuned" not in line, "a mistake of the key is one of all variants"
    attention = STUDY.replace("  slow:", "  focus: {model.name: attention}\n  slow:")
    (line,) = mistakes(write(attention + "{over: {model.score: [tanh, linear]}}"))
    assert is_about(line, "tune.over", "variants.plain", "tune.untuned")


def test_halving_is_refused_for_variants_that_are_not_trained_in_epochs(write: Write):
    of_svm = STUDY.replace("  slow:", "  colours: {model.name: svm}\n  slow:")
    tune = "{over: {train.lr: [0.1, 0.2, 0.3]}, halving: true, untuned: [%s]}"
    (line,) = mistakes(write(of_svm + tune % "slow"))
    assert is_about(line, "tune.halving", "tune: {untuned: [slow, colours]}")
    assert load_study(write(of_svm + tune % "slow, colours")).tune


@pytest.mark.parametrize(
    ("settings", "epochs", "rungs"),
    [
        (8, 8, [(8, 2), (4, 4), (2, 8)]),
        (9, 20, [(9, 2), (5, 5), (3, 10), (2, 20)]),
        (3, 9, [(3, 4), (2, 9)]),
        (16, 4, [(16, 1), (8, 2), (4, 4)]),
        (3, 2, [(3, 1), (2, 2)]),
    ],
)
def test_a_rung_has_half_of_the_settings_and_twice_the_epochs_of_the_one_before(
    settings: int, epochs: int, rungs: list[tuple[int, int]]
):
    rates = [0.001 * (1 + place) for place in range(settings)]
    for given, of_study in ((epochs, 50), (None, epochs)):
        found = rungs_of(Tuning(over={"train.lr": rates}, halving=True, epochs=given), of_study)
        assert [(rung.settings, rung.epochs) for rung in found] == rungs


def test_what_does_not_fit_the_study_is_a_mistake(write: Write):
    of_svm = STUDY.replace("  slow:", "  colours: {model.name: svm}\n  slow:")
    (line,) = mistakes(write(of_svm + "{over: {train.lr: [0.1, 0.2]}}"))
    assert is_about(line, "tune.over.train.lr", "svm", "tune: {untuned: [colours]}")
    assert load_study(write(of_svm + "{over: {train.lr: [0.1, 0.2]}, untuned: [colours]}")).tune
    (line,) = mistakes(write(STUDY.replace("momentum: 0.0", "epochs: 9") + "{over: {train.lr: [0.1, 0.2]}}"))
    assert is_about(line, "tune.epochs", "slow 9", "plain 3")
    looks = "contrasts: [wide - plain]\nseeds: {up_to: 9, looks: [3, 9]}\n"
    (line,) = mistakes(write(looks + STUDY + "{over: {train.lr: [0.1, 0.2]}, nested: true}"))
    assert is_about(line, "tune.nested", "looks")
    (line,) = mistakes(write("metric: {test_curve: true}\n" + STUDY + "{over: {train.lr: [0.1, 0.2]}}"))
    assert is_about(line, "metric.test_curve", "tune")


def test_a_study_built_in_python_is_checked_alike():
    variants = {"a": AlexNetConfig(), "b": (AlexNetConfig(), TrainConfig(lr=0.3))}
    with pytest.raises(InputError, match=r"variants\.b: .*train\.lr"):
        Study("s", "Q?", "scenes", "a", variants, tune=Tuning(over={"train.lr": [0.1, 0.2]}))


def test_patience_needs_the_best_epoch_and_fewer_epochs_than_the_run_and_tuning_runs_have_none(write: Write):
    patient = STUDY.replace("epochs: 3", "epochs: 3, patience: 2").removesuffix("tune: ")
    lines = mistakes(write(patient))
    assert all(is_about(line, f"variants.{name}", "train.patience", "best_val")
               for line, name in zip(lines, ("plain", "wide", "slow"), strict=True)), lines  # fmt: skip
    best = "metric: {select: best_val}\n"
    (line,) = mistakes(write(best + patient.replace("patience: 2", "patience: 3")))
    assert is_about(line, "train", "patience", "3")
    study = load_study(write(f"{best}{patient}tune: {{over: {{train.lr: [0.1, 0.2]}}, epochs: 1}}"))
    runs = tuning_runs(study, study.runs([DATA]))
    assert runs and all(one.run.train.patience is None and one.run.train.epochs == 1 for one in runs)
    assert all(run.train.patience == 2 for run in study.runs([DATA]))


def test_a_setting_must_fit_the_studys_runs_and_the_tuning_runs(write: Write):
    shorter = STUDY + "{over: {train.warmup_epochs: [0, 2]}, epochs: 2}"
    longer = STUDY + "{over: {train.warmup_epochs: [0, 3]}, epochs: 9}"
    for text in (shorter, longer):
        (line,) = mistakes(write(text))
        assert is_about(line, "tune.over", "warmup_epochs")
