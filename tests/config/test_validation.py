"""Reading a study finds all its mistakes at once."""

import re

import pytest
from study_files import GOOD, HEAD, is_about, mistakes

from emotune.config.load import load_study, shipped_study
from emotune.config.model import ConstantConfig, SvmConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError


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
  form:    {width: 2, model: mldr}
contrasts: [wide - plain, plain - plain, plain-option, option - plain, option - plain]
""")
    )
    expected = [
        ("question",),
        ("datasets", "1"),
        ("baselin", '"baseline"'),
        ("baseline", '"plane"', '"plain"'),
        ("seeds", "1", "0"),
        ("model.lnr", '"lrn"'),
        ("train.epochs", '"five"'),
        ("train.shedule", '"schedule"'),
        ("metric.min_efect", '"min_effect"'),
        ("resources.worker", '"workers"'),
        ("resources.cpus_per_worker", "1", "0"),
        ("variants.Wide",),
        ("variants.network: model.name", '"alexnett"', '"alexnet"'),
        ("variants.option: train.lrr", '"lr"'),
        ("variants.kind: train.momentum", "1.5"),
        ("variants.form", '"width"', "model.OPTION", "train.OPTION"),
        ("variants.form", '"model"', "model.OPTION"),
        ("contrasts", '"wide - plain"', '"wide"', '"Wide"'),
        ("contrasts", '"plain - plain"'),
        ("contrasts", '"plain-option"', '"variant - variant"'),
        ("contrasts", '"option - plain"'),
    ]
    for one in expected:
        assert any(is_about(line, *one) for line in lines), f"{one!r} is not among:\n" + "\n".join(lines)
    assert len(lines) == len(expected), "\n".join(lines)


def test_wrong_types_are_described_in_the_words_of_yaml(write):
    train, levels = mistakes(write(GOOD + "train:\nmodel: {name: mldr, levels: 4}\n"))
    assert is_about(train, "train", "nothing") and "dict" not in train, "Python's words"
    assert is_about(levels, "model.levels", "4") and "tuple" not in levels


def test_a_mistake_in_the_shared_options_is_reported_once(write):
    (line,) = mistakes(write(GOOD + "train: {epochs: five}\n"))
    assert is_about(line, "train.epochs", '"five"')
    absent = mistakes(write(GOOD + "model: {name: dual_branch, attention: none, reach: full}\n"))
    assert len(absent) == 1
    assert absent[0].startswith("model")


def test_a_mistake_of_a_variant_names_the_variant(write):
    text = GOOD + "  slow: {train.lr: -1}\n  long: {train.lr: -2}\ntrain: {lr: 0.1}\n"
    slow, long = mistakes(write(text))
    assert slow.startswith("variants.slow: train.lr: ")
    assert long.startswith("variants.long: train.lr: ")


def test_a_mistake_in_the_shared_options_is_found_without_variants(write):
    lines = mistakes(write(HEAD + "train: {lrr: 1}\nvariants: {}\n"))
    assert any(line.startswith("variants: ") for line in lines)
    assert any(is_about(line, "train.lrr", '"lr"') for line in lines)


@pytest.mark.parametrize("key", ["question: Another?", "  plain: {train.lr: 1}"])
def test_a_duplicate_key_is_a_mistake_with_its_line(write, key):
    path = write(GOOD + key + "\n")
    with pytest.raises(InputError) as caught:
        load_study(path)
    message = str(caught.value)
    assert str(path) in message
    assert f'"{key.strip().partition(":")[0]}"' in message
    assert "line 7" in message


def test_missing_keys_are_named(write):
    keys = [line.partition(": ")[0] for line in mistakes(write("seeds: 3"))]
    assert keys == ["question", "datasets", "baseline", "variants"]


@pytest.mark.parametrize(
    "twin", ["{}", "{model.width: 1}", "{model.name: alexnet, train.epochs: 50}", ""], ids=["empty", "w", "nm", "null"]
)
def test_a_variant_that_changes_nothing_is_a_mistake(write, twin):
    (line,) = mistakes(write(GOOD + f"  twin: {twin}\n"))
    assert is_about(line, "variants.twin", '"plain"')


@pytest.mark.parametrize("option", ["reach: full", "score: tanh", "output: sum", "scale: raw", "temperature: 2"])
def test_a_setting_of_an_absent_attention_layer_is_a_mistake(write, option):
    (line,) = mistakes(write(GOOD + f"  dual: {{model.name: dual_branch, model.attention: none, model.{option}}}\n"))
    assert line.startswith("variants.dual: model")
    assert f'"{option.partition(":")[0]}"' in line and '"none"' in line
    assert "Value error" not in line, "pydantic's words, not ours"


def test_a_pyramid_is_written_as_lists_and_a_mistake_in_one_names_the_variant_and_the_place(write):
    text = GOOD + "  deep: {model.name: mldr, model.levels: [1, 3], model.depths: [4, 1]}\n"
    model, _ = load_study(write(text)).variants["deep"]
    assert (model.levels, model.depths) == ((1, 3), (4, 1))
    (line,) = mistakes(write(text.replace("[1, 3]", "[1, 30]")))
    assert is_about(line, "variants.deep: model.levels.1", 22, 30)
    (line,) = mistakes(write(text.replace("[1, 3]", "[1, 3, 4]")))
    assert is_about(line, "variants.deep: model", '"levels"', 3, '"depths"', 2)


def test_an_option_of_another_network_is_a_mistake(write):
    (line,) = mistakes(write(GOOD + "  other: {model.name: mldr, model.temperature: 2}\n"))
    assert line.startswith("variants.other: model.temperature: ")


def test_an_unknown_option_with_the_name_of_its_network_is_a_mistake(write):
    (line,) = mistakes(write(GOOD + "  other: {model.name: attention, model.attention: none}\n"))
    assert line.startswith("variants.other: model.attention: ")


def test_a_file_whose_name_cannot_name_a_study_is_a_mistake(write):
    (line,) = mistakes(write(GOOD, "My Study.yaml"))
    assert '"My Study"' in line


def test_a_variants_name_does_not_end_in_a_line_break(write):
    (line, *_) = mistakes(write(GOOD + '  "tall\\n": {model.width: 3}\n'))
    assert line.startswith("variants.tall")


@pytest.mark.parametrize(("field", "key"), [("seeds: true", "seeds"), ("train: {epochs: true}", "train.epochs")])
def test_true_is_not_a_number(write, field, key):
    (line,) = mistakes(write(f"{GOOD}{field}\n"))
    assert line.startswith(f"{key}: ")


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
def test_junk_gives_an_input_error_that_names_the_file(write, text):
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
        with pytest.raises(InputError) as caught:
            load_study(path)
        assert str(path) in str(caught.value)
        assert ".yaml" in str(caught.value) and "YAML" not in str(caught.value), "there is no text to be wrong"


@pytest.mark.parametrize(
    ("resources", "parts"),
    [
        ("{gpus_per_worker: 2}", ("gpus_per_worker 2",)),
        ("{workers: 2, gpus_per_worker: 0.5}", ("gpus_per_worker 0.5", "2 workers")),
    ],
)
def test_gpus_that_would_be_idle_or_that_ranks_cannot_share_are_refused(write, resources: str, parts: tuple[str, ...]):
    (line,) = mistakes(write(f"{GOOD}resources: {resources}\n"))
    assert is_about(line, "resources", *parts)
    load_study(write(f"{GOOD}resources: {{gpus_per_worker: 0.25}}\n", "small.yaml"))


def test_a_model_that_is_not_a_network_ignores_the_shared_options_and_has_no_training(write):
    study = load_study(
        write(
            GOOD + "  least: {model.name: constant}\n  hues: {model.name: svm, model.c_grid: [2]}\n"
            "model: {width: 0.5, dropout: 0.0}\ntrain: {epochs: 7}\n"
        )
    )
    assert study.variants["least"] == (ConstantConfig(), TrainConfig())
    assert study.variants["hues"] == (SvmConfig(c_grid=(2.0,)), TrainConfig())
    assert list(study.networks) == ["plain", "wide"]
    (line,) = mistakes(write(GOOD + "  least: {model.name: constant, train.lr: 0.1}\n"))
    assert is_about(line, "variants.least: train.lr", '"constant"')
    width, feature = mistakes(write(GOOD + "  hues: {model.name: svm, model.width: 2, model.feature: colours}\n"))
    assert is_about(width, "variants.hues: model.width", "name", "features", "c_grid")
    assert is_about(feature, "variants.hues: model.feature", '"features"')


def test_a_baseline_must_be_a_network(write):
    text = GOOD.replace("baseline: plain", "baseline: least") + "  least: {model.name: constant}\n"
    (line,) = mistakes(write(text))
    assert is_about(line, "baseline", '"least"', "baseline: plain"), "the first network of the study is offered"
    alone = "question: q\ndatasets: [scenes]\nbaseline: a\nvariants: {a: {model.name: svm}}\n"
    (line,) = mistakes(write(alone))
    assert is_about(line, "baseline", '"a"', "model.name: alexnet"), "a study without a network is told to add one"


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "googlenet"])
def test_an_unknown_network_is_refused_without_a_misleading_suggestion(write, name):
    lines = mistakes(
        write(f"question: q\ndatasets: [scenes]\nmodel: {{name: {name}}}\nbaseline: a\nvariants: {{a: {{}}}}\n")
    )
    line = next(line for line in lines if line.startswith("model.name: "))
    assert re.findall(r'"(.*?)"', line) == [name], "a suggestion is in quotation marks, too"
    assert "alexnet" in line and "mldr_v2" in line, "these are valid"


@pytest.mark.parametrize(
    ("changes", "hint"),
    [("lr: 0.1", "train.lr"), ("model.lr: 0.1", "model.lr: "), ("train.width: 0.5", "train.width: "),
     ("width: 0.5", "model.width"), ("nonsense: 1", "OPTION")],
)  # fmt: skip
def test_a_misplaced_key_is_one_mistake(write, changes, hint):
    (line,) = mistakes(write(GOOD + f"  twin: {{{changes}}}\n"))
    assert line.startswith("variants.twin: ")
    assert hint in line and '"plain"' not in line, "the variant without the key is not compared with others"


def test_the_name_of_a_study_has_a_maximum_length(write, tmp_path):
    path = write(GOOD)
    (line,) = mistakes(path.rename(tmp_path / f"{'s' * 100}.yaml"))
    assert "100" in line and "64" in line
