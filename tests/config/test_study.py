"""A study says what its file says, and its runs come in an order that keeps it balanced."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from study_files import GOOD, HEAD, Write, is_about, mistakes

from emotune.config.contrast import Contrast
from emotune.config.load import load_study
from emotune.config.metric import Metric
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, Selection, WeightsRef
from emotune.config.study import Study
from emotune.core.errors import InputError


def test_variants_may_share_lines_by_yamls_merge_key(write):
    study = load_study(write(GOOD + "  a: &a {train.epochs: 3}\n  b: {<<: *a, train.lr: 0.1}\n"))
    assert (study.variants["b"][1].epochs, study.variants["b"][1].lr) == (3, 0.1)


def test_a_variant_is_the_shared_options_changed_by_its_keys(write):
    study = load_study(
        write(
            HEAD + "model: {width: 0.5, dropout: 0.1}\ntrain: {epochs: 3, lr: 1e-3}\n"
            "variants:\n  plain:\n  deep: {model.name: mldr, model.dropout: 0.2, train.epochs: 4}\n"
        )
    )
    (plain, plain_train), (deep, deep_train) = study.variants["plain"], study.variants["deep"]
    assert (plain.name, plain.width, plain.dropout) == ("alexnet", 0.5, 0.1)
    assert (deep.name, deep.width, deep.dropout) == ("mldr", 0.5, 0.2)
    assert (plain_train.epochs, plain_train.lr) == (3, 0.001)
    assert (deep_train.epochs, deep_train.lr) == (4, 0.001)


def test_a_study_has_the_values_of_its_file(write):
    path = write(
        GOOD + "contrasts: [wide - plain]\nseeds: 7\nmetric: {min_effect: 2}\nresources: {workers: 2}\n",
        "my-study.yaml",
    )
    study = load_study(path)
    assert (study.name, study.question, study.baseline) == ("my-study", "Does it help?", "plain")
    assert study.datasets == (Selection(data="scenes"),)
    assert (study.seeds, study.contrasts) == (7, (Contrast.difference("wide", "plain"),))
    assert (study.metric, study.resources) == (Metric(min_effect=2.0), Resources(workers=2))
    assert study.source == path.read_text()


PHOTOS, SCENES = (DatasetRef(name=name, location="/data", content_hash=name) for name in ("photos", "scenes"))


def load(write: Write, seeds: int, extra: str = "") -> Study:
    return load_study(write(f"{GOOD}seeds: {seeds}\n{extra}"))


def test_runs_come_seed_by_seed_over_all_data_sets_and_variants(write):
    runs = load(write, 2).runs([PHOTOS, SCENES])
    assert [(run.seed, run.dataset.name, run.variant) for run in runs] == [
        (seed, dataset, variant)
        for seed in (0, 1) for dataset in ("photos", "scenes") for variant in ("plain", "wide")
    ]  # fmt: skip
    assert len({run.id for run in runs}) == 8


def test_more_seeds_and_more_variants_keep_the_earlier_runs(write):
    few = [run.id for run in load(write, 2).runs([PHOTOS])]
    many = [run.id for run in load(write, 5).runs([PHOTOS])]
    assert many[: len(few)] == few
    wider = [run.id for run in load_study(write(f"{GOOD}  other: {{model.width: 3}}\nseeds: 2\n")).runs([PHOTOS])]
    assert set(few) < set(wider)


def test_resources_question_metric_and_contrasts_do_not_change_the_runs(write):
    extra = (
        "resources: {workers: 4, gpus_per_worker: 1, cache_gb: 2.5}\n"
        "metric: {name: nll, min_effect: 5}\ncontrasts: [wide - plain]\n"
    )
    assert load(write, 2, extra).runs([PHOTOS]) == load(write, 2).runs([PHOTOS])


@pytest.mark.parametrize("module", ["emotune.config.study", "emotune.config.load", "emotune.ablate"])
def test_reading_a_study_needs_no_heavy_library(module):
    program = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'torchvision', 'ray', 'pandas', 'webdataset', 'matplotlib', 'seaborn'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.strip()) == (0, "")


def test_help_is_printed():
    result = subprocess.run(
        [sys.executable, "-m", "emotune.ablate", "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "--report-only" in result.stdout


def test_a_part_of_a_data_set_can_be_selected(write):
    text = GOOD.replace("[scenes]", "[scenes, {data: shards, part: noisy}]")
    study = load_study(write(text))
    assert study.datasets == (Selection(data="scenes"), Selection(data="shards", part="noisy"))


def test_a_data_set_that_cannot_be_one_is_named_with_its_place(write):
    text = GOOD.replace("[scenes]", "[{dat: a}, {data: a, part: nosy}, 5, '']")
    lines = mistakes(write(text))
    for key, *parts in (("0.dat", '"data"'), ("1.part", '"nosy"', '"noisy"', "all, well, noisy"), ("2",), ("3.data",)):
        assert any(is_about(line, f"datasets.{key}", *parts) for line in lines), lines


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("workers: 1, gpus_per_worker: 2", r"workers: 2\b.*\bgpus_per_worker: 1"),
        ("workers: 2, gpus_per_worker: 0.5", r"gpus_per_worker: 1\b.*\bworkers: 1"),
    ],
)
def test_gpus_that_the_ranks_of_a_run_cannot_share_are_refused_with_the_remedy(write: Write, asked: str, message: str):
    (mistake,) = mistakes(write(GOOD + f"resources: {{{asked}}}\n"))
    assert mistake.startswith("resources: gpus_per_worker")
    assert re.search(message, mistake)
    assert load_study(write(GOOD + "resources: {gpus_per_worker: 0.25}\n")).resources.gpus_per_worker == 0.25


def test_aa_runs_differ_from_the_baseline_only_in_the_init_and_dropout_streams(write):
    without = load(write, 2).runs([PHOTOS])
    study = load(write, 2, "aa: true\n")
    runs = study.runs([PHOTOS])
    assert list(study.variants) == ["plain", "wide"], "it is none of the study's questions"
    assert [run for run in runs if run.variant != "plain-aa"] == list(without)
    assert [(run.variant, run.seed) for run in runs if run not in without] == [("plain-aa", 0), ("plain-aa", 1)]
    first, again = (next(run for run in runs if run.variant == name) for name in ("plain", "plain-aa"))
    assert (again.model, again.train) == (first.model, first.train)
    assert [first.stream(name) == again.stream(name) for name in ("order", "augment", "init", "dropout")] == [
        True, True, False, False
    ]  # fmt: skip


def test_aa_runs_of_pretrained_networks_begin_with_the_weights_of_the_baseline(write):
    study = load(write, 1, "train: {init: imagenet}\naa: true\n")
    weights = {name: WeightsRef(location=f"/{name}", digest="0" * 8) for name in study.variants}
    assert {run.variant: run.weights.location for run in study.runs([PHOTOS], weights)} == {
        "plain": "/plain", "wide": "/wide", "plain-aa": "/plain"
    }  # fmt: skip


def test_a_variant_with_the_name_of_the_aa_variant_is_refused_only_with_aa(write):
    named = GOOD + "  plain-aa: {train.epochs: 2}\n"
    load_study(write(named))
    found = mistakes(write(named + "aa: true\nseeds: 0\n"))
    assert any(line.startswith("variants.plain-aa: ") for line in found)
    assert len(found) == 2, "with all others"
    with pytest.raises(InputError, match="plain-aa"):
        load_study(write(named), aa=True)


def test_aa_can_be_given_as_an_option_or_in_the_file(write):
    asked, written = load_study(write(GOOD), aa=True), load_study(write(GOOD + "aa: true\n"))
    assert replace(asked, source="") == replace(written, source="")
    assert load_study(write(GOOD + "aa: false\n")).aa is None
    assert mistakes(write(GOOD + "aa: 1\n")), "neither true nor false"


def test_a_variants_name_has_a_length_for_tables(write: Write):
    longest = "a" * 64
    study = load_study(write(GOOD + f"  {longest}: {{train.epochs: 2}}\n"))
    assert longest in study.variants
    (mistake,) = mistakes(write(GOOD + f"  {longest}a: {{train.epochs: 2}}\n"))
    assert mistake.startswith("variants.aaaaaaaaaaaaaaaaaaaa…: ") and "65" in mistake


def test_variants_with_the_same_weights_file_are_duplicates(write: Write):
    variants = "  here: {train.init: /here/a.npy}\n  there: {train.init: /there/a.npy}\n"
    study = load_study(write(GOOD + variants + "aa: true\n"))
    same = {name: WeightsRef(location=f"/{name}/a.npy", digest="0" * 8) for name in ("here", "there")}
    with pytest.raises(InputError, match=r'^variants\.there: .*"here"'):
        study.runs([PHOTOS], same)


def test_others_are_compared_with_further_references_too(write: Write):
    text = GOOD + "  deep: {model.name: mldr}\ncontrasts: [deep - wide]\nreferences: [wide]\n"
    study = load_study(write(text))
    assert study.references == ("wide",)
    assert load(write, 3).runs([PHOTOS]) == load(write, 3, "references: [wide]\n").runs([PHOTOS])
    lines = mistakes(write(text.replace("[wide]", "[wdie, plain, wide, wide]")))
    for part in ('"wide"?', '"plain"', "twice"):
        assert any(is_about(line, "references", part) for line in lines), lines
