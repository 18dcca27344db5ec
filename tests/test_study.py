"""Reading a study finds all its mistakes at once, and its runs come in an order that keeps it balanced."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emotune.emotions import EKMAN, MIKELS, POLARITY
from emotune.errors import InputError
from emotune.run import DatasetRef, Selection
from emotune.study import Contrast, Metric, Resources, Study, load_study, shipped_study

HEAD = "question: Does it help?\ndatasets: [scenes]\nbaseline: plain\n"
GOOD = HEAD + "variants:\n  plain: {}\n  wide: {model.width: 2}\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path) -> Write:
    def write(text: str | bytes, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def mistakes(path: Path) -> list[str]:
    """The lines of the error, without the file's name that each of them must begin with."""
    with pytest.raises(InputError) as caught:
        load_study(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines), lines
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_every_mistake_of_a_file_is_reported_at_once_with_its_key_and_the_nearest_valid_one(write):
    lines = mistakes(
        write("""
datasets: []
baselin: plain
baseline: plane
seeds: 0
model: {width: 0.125, lnr: false}
train: {epochs: five, shedule: step}
metric: {min_efect: 1}
resources: {worker: 2, cpus_per_worker: 0}
variants:
  plain:   {}
  Wide:    {model.width: 2}
  network: {model.name: alexnett}
  option:  {train.lrr: 0.1}
  kind:    {train.momentum: 1.5}
  form:    {width: 2, model: {name: mldr}}
contrasts: [wide - plain, plain - plain, plain-option, option - plain, option - plain]
""")
    )
    expected = [
        "question: missing",
        "datasets: List should have at least 1 item",
        'baselin: unknown key; did you mean "baseline"?',
        'baseline: "plane" is not a variant; did you mean "plain"?',
        "seeds: Input should be greater than or equal to 1 (found 0)",
        'model.lnr: unknown key; did you mean "lrn"?',
        "train.epochs: Input should be a valid integer",
        'train.shedule: unknown key; did you mean "schedule"?',
        'metric.min_efect: unknown key; did you mean "min_effect"?',
        'resources.worker: unknown key; did you mean "workers"?',
        "resources.cpus_per_worker: Input should be greater than or equal to 1",
        "variants.Wide: use lower-case letters",
        'variants.network: model.name: no model "alexnett"; did you mean "alexnet"?',
        'variants.option: train.lrr: unknown key; did you mean "lr"?',
        "variants.kind: train.momentum: Input should be less than 1 (found 1.5)",
        'variants.form: "width" is not of the form model.OPTION or train.OPTION',
        'variants.form: "model" is not of the form',
        'contrasts: "wide - plain": no variant "wide"; did you mean "Wide"?',
        'contrasts: "plain - plain" compares a variant with itself',
        'contrasts: "plain-option" is not of the form "variant - variant"',
        'contrasts: "option - plain" compares a variant with itself, or stands twice',
    ]
    for start in expected:
        assert any(line.startswith(start) for line in lines), f"{start!r} is not among:\n" + "\n".join(lines)
    assert len(lines) == len(expected), "\n".join(lines)


def test_a_mistake_in_what_all_variants_share_is_one_mistake(write):
    assert mistakes(write(GOOD + "train: {epochs: five}\n")) == [
        "train.epochs: Input should be a valid integer, unable to parse string as an integer (found 'five')"
    ]
    absent = mistakes(write(GOOD + "model: {name: dual_branch, attention: none, reach: full}\n"))
    assert len(absent) == 1
    assert absent[0].startswith("model")


def test_a_variants_own_mistake_names_the_variant_even_where_it_overrides_what_all_share(write):
    text = GOOD + "  slow: {train.lr: -1}\n  long: {train.lr: -2}\ntrain: {lr: 0.1}\n"
    slow, long = mistakes(write(text))
    assert slow.startswith("variants.slow: train.lr: ")
    assert long.startswith("variants.long: train.lr: ")


def test_a_mistake_in_what_all_share_is_found_even_without_variants(write):
    lines = mistakes(write(HEAD + "train: {lrr: 1}\nvariants: {}\n"))
    assert any(line.startswith("variants: ") for line in lines)
    assert 'train.lrr: unknown key; did you mean "lr"?' in lines


@pytest.mark.parametrize("key", ["question: Another?", "  plain: {train.lr: 1}"])
def test_a_key_that_stands_twice_is_a_mistake_with_its_line(write, key):
    path = write(GOOD + key + "\n")
    with pytest.raises(InputError) as caught:
        load_study(path)
    message = str(caught.value)
    assert str(path) in message
    assert f'"{key.strip().partition(":")[0]}" stands twice' in message
    assert "line 7" in message


def test_missing_keys_are_named(write):
    assert mistakes(write("seeds: 3")) == [
        f"{key}: missing" for key in ("question", "datasets", "baseline", "variants")
    ]


@pytest.mark.parametrize(
    "twin", ["{}", "{model.width: 1}", "{model.name: alexnet, train.epochs: 50}", ""], ids=["empty", "w", "nm", "null"]
)
def test_a_variant_that_changes_nothing_is_a_mistake(write, twin):
    (line,) = mistakes(write(GOOD + f"  twin: {twin}\n"))
    assert line.startswith('variants.twin: the same as "plain"')


@pytest.mark.parametrize("option", ["reach: full", "score: tanh", "output: sum", "scale: raw", "temperature: 2"])
def test_a_setting_of_an_absent_attention_layer_is_a_mistake(write, option):
    (line,) = mistakes(write(GOOD + f"  dual: {{model.name: dual_branch, model.attention: none, model.{option}}}\n"))
    assert line.startswith("variants.dual: model")
    assert f'"{option.partition(":")[0]}" is set, but attention is "none"' in line
    assert "Value error" not in line, "pydantic's words, not ours"


def test_a_pyramid_is_written_as_lists_and_a_mistake_in_one_names_the_variant_and_the_place(write):
    text = GOOD + "  deep: {model.name: mldr, model.levels: [1, 3], model.depths: [4, 1]}\n"
    model, _ = load_study(write(text)).variants["deep"]
    assert (model.levels, model.depths) == ((1, 3), (4, 1))
    assert mistakes(write(text.replace("[1, 3]", "[1, 30]"))) == [
        "variants.deep: model.levels.1: Input should be less than or equal to 22 (found 30)"
    ]
    (line,) = mistakes(write(text.replace("[1, 3]", "[1, 3, 4]")))
    assert line.startswith('variants.deep: model: "levels" has 3 entries and "depths" 2')


def test_an_option_of_another_network_is_a_mistake(write):
    (line,) = mistakes(write(GOOD + "  other: {model.name: mldr, model.temperature: 2}\n"))
    assert line.startswith("variants.other: model.temperature: unknown key")


def test_an_option_that_is_called_like_its_network_is_a_mistake_like_others(write):
    (line,) = mistakes(write(GOOD + "  other: {model.name: attention, model.attention: none}\n"))
    assert line.startswith("variants.other: model.attention: unknown key")


def test_a_file_whose_name_cannot_name_a_study_is_a_mistake(write):
    (line,) = mistakes(write(GOOD, "My Study.yaml"))
    assert line.startswith('file name "My Study"')


def test_a_variants_name_does_not_end_in_a_line_break(write):
    (line, *_) = mistakes(write(GOOD + '  "tall\\n": {model.width: 3}\n'))
    assert line.startswith("variants.tall")


@pytest.mark.parametrize("field", ["seeds: true", "train: {epochs: true}"])
def test_yes_is_not_a_number(write, field):
    (line,) = mistakes(write(f"{GOOD}{field}\n"))
    assert "a number is needed" in line


JUNK = {
    "nothing": "", "null": "null", "list": "- a\n- b\n", "number": "5", "empty mapping": "{}", "text": "hello",
    "numbers as keys": "1: 2\n3: 4\n", "null as key": "null: 3\n", "list as key": GOOD + "? [1, 2]\n: 3\n",
    "mapping as key": GOOD + "? {a: 1}\n: 3\n", "binary": bytes(range(256)), "zeros": b"\0" * 100,
    "latin-1": "question: Größe\n".encode("latin-1"), "open bracket": "a: [", "tab": "a:\n\t- b", "two documents":
    f"{GOOD}---\n{GOOD}", "unknown alias": "a: *b\n", "python object": GOOD + "x: !!python/object:os.system {}\n",
    "no such date": GOOD.replace("Does it help?", "2024-13-45"), "bad number": GOOD + "seeds: 0x_\n",
    "a number too long": GOOD + "seeds: " + "9" * 5000, "deep": GOOD + "model: " + "[" * 5000 + "]" * 5000,
    "contains itself": "&r\nquestion: *r\ndatasets: *r\n", "variants within themselves":
    HEAD + "variants: &v\n  plain: *v\n", "contrasts a number": GOOD + "contrasts: 5\n",
    "contrasts true": GOOD + "contrasts: true\n", "contrasts a text": GOOD + "contrasts: wide - plain\n",
    "contrasts a mapping": GOOD + "contrasts: {wide: plain}\n",
    "contrasts mixed": GOOD + "contrasts: [[a], {b: c}, 5]\n",
    "baseline a list": GOOD.replace("baseline: plain", "baseline: [plain]"),
    "baseline a mapping": GOOD.replace("baseline: plain", "baseline: {plain: wide}"),
    "baseline null": GOOD.replace("baseline: plain", "baseline:"),
    "datasets a text": GOOD.replace("[scenes]", "scenes"),
    "datasets of numbers": GOOD.replace("[scenes]", "[1, null]"), "variants a list": HEAD + "variants: [plain, wide]\n",
    "variants null": HEAD + "variants:\n", "variant a list": GOOD + "  other: [1]\n",
    "variant a number": GOOD + "  other: 5\n", "variant called yes": GOOD + "  yes: {model.width: 3}\n",
    "variant called 1": GOOD + "  1: {model.width: 3}\n", "variant with numbers": GOOD + "  other: {1: 2, null: 3}\n",
    "model a list": GOOD + "model: [1]\n", "model null": GOOD + "model:\n",
    "model with numbers": GOOD + "model: {1: 2}\n",
    "model's name a list": GOOD + "  other: {model.name: [1]}\n", "model's name null": GOOD + "model: {name: null}\n",
    "model's name a mapping": GOOD + "  other: {model.name: {a: b}}\n", "train a text": GOOD + "train: quickly\n",
    "metric a number": GOOD + "metric: 5\n", "resources a list": GOOD + "resources: [1]\n",
    "not a number": GOOD + "train: {lr: .nan, weight_decay: .inf}\n", "bad int tag": GOOD + "seeds: !!int foo\n",
    "bad timestamp tag": GOOD + "seeds: !!timestamp foo\n", "bad bool tag": GOOD + "seeds: !!bool maybe\n",
}  # fmt: skip


@pytest.mark.parametrize("text", JUNK.values(), ids=JUNK)
def test_nothing_but_an_input_error_that_names_the_file_comes_of_junk(write, text):
    path = write(text)
    with pytest.raises(InputError) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_any_damage_to_a_good_file_gives_a_study_or_an_input_error(write):
    text = shipped_study("quickstart").read_text()
    crashes = {}
    for position in range(0, len(text), 7):
        for damaged in (
            text[:position],
            text[:position] + text[position + 5 :],
            f"{text[:position]}: [{text[position:]}",
        ):
            try:
                load_study(write(damaged))
            except InputError:
                pass
            except Exception as error:
                crashes[repr(error)] = damaged[max(0, position - 40) : position + 20]
    assert not crashes


def test_a_file_that_cannot_be_read_is_an_input_error_that_names_it(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError, match="cannot be read") as caught:
            load_study(path)
        assert str(path) in str(caught.value)
        assert ".yaml" in str(caught.value)


def test_variants_may_share_lines_by_yamls_merge_key(write):
    study = load_study(write(GOOD + "  a: &a {train.epochs: 3}\n  b: {<<: *a, train.lr: 0.1}\n"))
    assert (study.variants["b"][1].epochs, study.variants["b"][1].lr) == (3, 0.1)


def test_a_variant_is_what_all_share_changed_by_its_own_keys(write):
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


def test_a_study_says_what_its_file_says(write):
    path = write(
        GOOD + "contrasts: [wide - plain]\nseeds: 7\nmetric: {min_effect: 2}\nresources: {workers: 2}\n",
        "my-study.yaml",
    )
    study = load_study(path)
    assert (study.name, study.question, study.baseline) == ("my-study", "Does it help?", "plain")
    assert study.datasets == (Selection(data="scenes"),)
    assert (study.seeds, study.contrasts) == (7, (Contrast("wide", "plain"),))
    assert (study.metric, study.resources) == (Metric(min_effect=2.0), Resources(workers=2))
    assert study.source == path.read_text()


def test_a_metric_has_its_own_unit_in_which_the_smallest_effect_is_said(write):
    assert load_study(write(GOOD)).metric == Metric(name="accuracy", min_effect=1.0)
    assert load_study(write(GOOD + "metric: {name: macro_f1}\n")).metric == Metric(name="macro_f1", min_effect=1.0)
    assert load_study(write(GOOD + "metric: {name: nll, min_effect: 0.1}\n")).metric.min_effect == 0.1
    for name in ("nll", "brier"):
        assert mistakes(write(f"{GOOD}metric: {{name: {name}}}\n")) == [
            f"metric.min_effect: {name} is not in per cent: say which difference would matter, "
            "for example min_effect: 0.05"
        ]


def test_a_metric_that_there_is_not_is_refused_with_those_that_there_are(write):
    (line,) = mistakes(write(GOOD + "metric: {name: acuracy}\n"))
    assert line.startswith("metric.name: Input should be 'accuracy', 'balanced_accuracy'")
    assert line.endswith("'brier' or 'ece' (found 'acuracy')")
    assert mistakes(write(GOOD + "metric: {name: nll, min_effect: 0}\n")) == [
        "metric.min_effect: Input should be greater than 0 (found 0)"
    ]


def test_a_metric_that_says_nothing_about_a_data_sets_classes_is_refused():
    polarity, top2 = Metric(name="polarity_accuracy"), Metric(name="top2_accuracy")
    for metric in (polarity, top2, Metric()):
        metric.require_sense("photos", MIKELS)
    polarity.require_sense("tweets", POLARITY)
    with pytest.raises(InputError, match="polarity_accuracy on faces: neither positive nor negative: surprise;"):
        polarity.require_sense("faces", EKMAN)
    with pytest.raises(InputError, match="polarity_accuracy on few: all classes are of one polarity;"):
        polarity.require_sense("few", ("awe", "contentment"))
    with pytest.raises(InputError, match="top2_accuracy on tweets: always 100 % with 2 classes"):
        top2.require_sense("tweets", POLARITY)


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


@pytest.mark.parametrize("module", ["emotune.study", "emotune.ablate"])
def test_a_plan_needs_no_heavy_library(module):
    program = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'torchvision', 'ray', 'pandas', 'webdataset', 'matplotlib', 'seaborn'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.strip()) == (0, "")


def test_the_command_line_explains_itself():
    result = subprocess.run(
        [sys.executable, "-m", "emotune.ablate", "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "--report-only" in result.stdout


def test_a_part_of_a_data_set_is_named_beside_it(write):
    text = GOOD.replace("[scenes]", "[scenes, {data: shards, part: noisy}]")
    study = load_study(write(text))
    assert study.datasets == (Selection(data="scenes"), Selection(data="shards", part="noisy"))


def test_a_data_set_that_cannot_be_one_is_named_with_its_place(write):
    text = GOOD.replace("[scenes]", "[{dat: a}, {data: a, part: nosy}, 5, '']")
    lines = mistakes(write(text))
    assert 'datasets.0.dat: unknown key; did you mean "data"?' in lines
    assert "datasets.1.part: Input should be 'all', 'well' or 'noisy' (found 'nosy')" in lines
    assert "datasets.2: a folder or URL of shards is needed, or scenes, or {data: …, part: …}" in lines
    assert any(line.startswith("datasets.3.data: ") for line in lines)
