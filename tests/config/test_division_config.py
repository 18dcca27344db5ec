"""A study names how often a data set is divided anew; a run's identity contains its division, and no other run's."""

import json
from dataclasses import replace

import pytest
from study_files import DATA, GOOD, Write, is_about, mistakes

from emotune.config.division import Division
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError

RUN = RunConfig(dataset=DATA, seed=0, model=AlexNetConfig(), train=TrainConfig())


def of(dataset: str) -> str:
    return GOOD.replace("[scenes]", f"[{dataset}]")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", [None]),
        ("folds: 3", ["fold1of3", "fold2of3", "fold3of3"]),
        ("split_seeds: 2", ["split0", "split1"]),
        ("folds: 2, split_seeds: 2", ["fold1of2", "fold2of2", "fold1of2-split1", "fold2of2-split1"]),
    ],
)
def test_a_study_says_how_its_data_are_divided(write: Write, options: str, names: list[str | None]):
    study = load_study(write(of(f"{{data: scenes, {options}}}")))
    assert [division and division.name for division in study.datasets[0].divisions] == names
    again = Study(**{key: getattr(study, key) for key in ("name", "question", "datasets", "baseline", "variants")})
    assert load_study(write(again.source)).datasets == study.datasets


@pytest.mark.parametrize("options", ["folds: 1", "folds: true", "folds: five", "split_seeds: 0", "split_seeds: 1.5"])
def test_numbers_of_divisions_that_cannot_be_are_refused(write: Write, options: str):
    (line,) = mistakes(write(of(f"{{data: scenes, {options}}}")))
    assert is_about(line, f"datasets.0.{options.partition(':')[0]}")


def test_neither_the_order_of_shards_nor_adaptive_seeds_go_with_a_division(write: Write):
    text = of("{data: scenes, folds: 3}").replace("plain: {}", "plain: {train.order: shards}")
    (line,) = mistakes(write(text))
    assert is_about(line, "variants.plain", "train.order", "folds")
    (line,) = mistakes(
        write(of("{data: scenes, folds: 3}") + "contrasts: [wide - plain]\nseeds: {up_to: 6, looks: [3, 6]}\n")
    )
    assert is_about(line, "seeds.looks", "folds", "seeds: 3")
    models = {"plain": (AlexNetConfig(), TrainConfig(order="shards")), "wide": AlexNetConfig(width=2)}
    with pytest.raises(InputError, match="split_seeds"):
        Study("s", "q", Selection(data="scenes", split_seeds=2), "plain", models)


def test_runs_have_an_identity_for_each_division_and_keep_it_without_one():
    divisions = [Division(folds=5, fold=1), Division(folds=5, fold=2), Division(folds=4, fold=1),
                 Division(seed=1, folds=5, fold=1), Division(), Division(seed=1)]  # fmt: skip
    runs = [replace(RUN, dataset=replace(DATA, division=division)) for division in divisions]
    assert len({run.id for run in [RUN, *runs]}) == 7
    for run in [RUN, *runs]:
        assert RunConfig.from_json(json.loads(json.dumps(run.to_json()))) == run
    written = RUN.to_json()
    del written["dataset"]["division"]  # as earlier versions wrote it
    assert RunConfig.from_json(written) == RUN
