"""The user's own code in a study: found, read and checked without being run, and identified by what it does."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from study_files import DATA, HEAD, Write, is_about, mistakes

from emotune.config.input_spec import InputOptions, InputSpec
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, CodeConfig
from emotune.config.python_source import parameters_of, source_digest
from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.config.train import LossCode, TrainConfig

NETS = '''
"""Networks."""
raise RuntimeError("reading a study runs no code")

class Base:
    """A base."""

    def __init__(self, classes, channels=8, kernel=(3, 3), *, bias=True):
        """Builds it."""
        self.bias = bias  # a comment

class Tiny(Base):
    pass

def make(classes, depth):
    return Base(classes)

def any_options(classes, **options):
    return Base(classes, **options)
'''
LOSSES = "def focal(logits, target_probs, weights, gamma=2.0):\n    return logits.sum(1) * gamma\n"


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "losses.py").write_text(LOSSES)
    return tmp_path / "nets.py"


def study_of(write: Write, variant: str, shared: str = "") -> Path:
    return write(f"{HEAD}{shared}variants:\n  plain: {{}}\n  own: {{{variant}}}\n")


def own(path: Path) -> RunConfig:
    return load_study(path).runs([DATA])[1]


def test_the_text_of_a_file_beside_the_study_is_in_the_run_and_in_its_json(nets: Path, write: Write):
    run = own(study_of(write, "model.code: nets.py:Tiny, model.options.channels: 16, train.loss: losses.py:focal"))
    assert isinstance(run.model, CodeConfig) and isinstance(run.train.loss, LossCode)
    assert (run.model.source, run.model.options) == (NETS, {"channels": 16})
    assert run.train.loss.source == LOSSES
    assert run.id.startswith("tiny-scenes-s0-")
    assert set(run.user_code) == {"model", "loss"}
    nets.unlink()
    again = RunConfig.from_json(json.loads(json.dumps(run.to_json())))
    assert again == run and again.id == run.id and hash(again.model) == hash(run.model)


def test_only_an_edit_that_may_change_a_result_makes_a_run_new(nets: Path, write: Write):
    path = study_of(write, "model.code: nets.py:Tiny")
    before = own(path).id
    nets.write_text(
        NETS.replace("  # a comment", "").replace('"""A base."""\n', "").replace("channels=8,", "channels = 8,")
    )
    assert own(path).id == before
    nets.write_text(NETS.replace("channels=8", "channels=9"))
    assert own(path).id != before
    nets.write_text(NETS)
    assert own(path).id == before
    assert own(study_of(write, "model.code: nets.py:Tiny, model.options: {channels: 8, kernel: [3, 3]}")).id == before
    assert own(study_of(write, "model.code: nets.py:Tiny, model.options: {channels: 9}")).id != before
    nets.rename(nets.with_name("other.py"))
    assert own(study_of(write, "model.code: other.py:Tiny")).id == before


@pytest.mark.parametrize("change", ["return 1.0", "return 1", "return True", "return '1'", "return -1", "yield 1"])
def test_digests_of_different_code_differ(change: str):
    digests = {source_digest(f"def f():\n    {body}\n") for body in ("return 2", change, "return None", "pass")}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [("True", "'True'"), ("0.5", "'0.5'"), ("b'a'", "\"b'a'\""), ("1", "1.0"), ("f(a, b)", "f([a, b])")],
)
def test_constants_of_different_types_have_different_digests(one: str, other: str):
    assert source_digest(f"x = {one}") != source_digest(f"x = {other}")


def test_long_chains_and_large_numbers_have_a_digest():
    text = "if a:\n    x = 1\n" + "".join(f"elif a == {n}:\n    x = {n}\n" for n in range(600))
    assert source_digest(text) != source_digest(text.replace("x = 599", "x = 598"))
    assert source_digest(f"x = 0x{'f' * 5000}") != source_digest(f"x = 0x{'e' * 5000}")


def test_a_text_whose_classes_inherit_from_each_other_ends():
    text = "from x import B\nclass A(B): pass\nclass B(A): pass\n"
    assert CodeConfig(code="a.py:A", source=text).identity["entry"] == "A"


def test_the_text_comes_with_a_run_and_never_from_this_machine(nets: Path, write: Write):
    value = own(study_of(write, f"model.code: {nets}:Tiny")).to_json()
    del value["model"]["source"]
    with pytest.raises(ValidationError):
        RunConfig.from_json(value)


def test_a_mapping_that_is_given_is_not_changed_and_the_file_is_read_each_time(
    nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    loss = {"code": "losses.py:focal"}
    first = TrainConfig(loss=loss)
    (tmp_path / "losses.py").write_text(LOSSES.replace("2.0", "3.0"))
    assert loss == {"code": "losses.py:focal"} and TrainConfig(loss=loss) != first


@pytest.mark.parametrize(
    ("shared", "key"),
    [
        ("{code: nets.py:Tiny, chanels: 16}", "model.chanels"),
        ("{name: attention, code: nets.py:Tiny}", "model"),
        ("{options: {channels: 2}}", "model.options"),
        ("{widht: 0.5}", "model.widht"),
    ],
)
def test_shared_options_that_no_variant_uses_are_mistakes(nets: Path, write: Write, shared: str, key: str):
    lines = mistakes(write(f"{HEAD}model: {shared}\nvariants: {{plain: {{}}, other: {{train.lr: 0.5}}}}\n"))
    assert any(is_about(line, key) for line in lines), lines


def test_the_digest_is_the_same_under_every_version_of_python():
    assert source_digest(NETS)[:16] == "c3499d39e24d0518"


def test_shared_options_of_networks_are_not_those_of_the_users_code(nets: Path, write: Write):
    plain, run = load_study(study_of(write, "model.code: nets.py:Tiny", "model: {width: 0.5}\n")).runs([DATA])[:2]
    assert plain.model == AlexNetConfig(width=0.5) and run.model.options == {}
    shared = "model: {code: nets.py:Tiny, options: {channels: 4, bias: false}}\n"
    path = write(
        f"{HEAD}{shared}variants: {{plain: {{}}, own: {{model.options.channels: 2}}, net: {{model.name: alexnet}}}}\n"
    )
    models = [run.model for run in load_study(path).runs([DATA])[:3]]
    assert [model.options for model in models[:2]] == [{"channels": 4, "bias": False}, {"channels": 2, "bias": False}]
    assert models[2] == AlexNetConfig()


@pytest.mark.parametrize(
    ("variant", "parts"),
    [
        ("model.code: net.py:Tiny", ["net.py", "nets.py"]),
        ("model.code: nets.py:Tinny", ["Tinny", "Tiny"]),
        ("model.code: nets.py", ["nets.py", "NAME"]),
        ("model.code: no_such_package.nets:Tiny", ["no_such_package.nets"]),
        ("model.code: broken.py:Tiny", ["broken.py", "line 2"]),
        ("model.code: nets.py:Tiny, model.options.chanels: 3", ["options.chanels", "channels"]),
        ("model.code: nets.py:Tiny, model.options.classes: 3", ["options.classes", "kernel"]),
        ("model.code: nets.py:make", ["options.depth", "make"]),
        ("model.code: nets.py:Tiny, model.width: 3", ["width"]),
        ("train.loss: losses.py:focal_loss", ["losses.py", "focal"]),
        ("train.loss: {code: losses.py:focal, options: {gama: 1}}", ["options.gama", "gamma"]),
        ("train.loss: focal", ["cross_entropy"]),
    ],
)
def test_mistakes_are_found_when_the_study_is_read(nets: Path, write: Write, variant: str, parts: list[str]):
    nets.with_name("broken.py").write_text("import os\ndef f(:\n")
    lines = mistakes(study_of(write, variant))
    assert any(is_about(line, "variants.own", *parts) for line in lines), lines


def test_options_that_the_text_does_not_say_are_left_to_the_code(nets: Path, write: Write):
    assert parameters_of(NETS, "any_options", 1) is None
    assert own(study_of(write, "model.code: nets.py:any_options, model.options.x: 1")).model.options == {"x": 1}


def test_an_installed_module_is_found_without_being_imported(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "lib" / "some_nets_of_ours"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "small.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    run = own(study_of(write, "model.code: some_nets_of_ours.small:Tiny"))
    assert run.model.source == NETS and "some_nets_of_ours" not in sys.modules


def test_a_study_in_python_has_its_code_in_the_text_of_its_file(
    nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    train = TrainConfig(loss={"code": "losses.py:focal", "options": {"gamma": 1.0}})
    own_network = CodeConfig(code="nets.py:Tiny", options={"channels": 2})
    large = replace(own_network, input=InputOptions(side=320, mean=(0.5, 0.5, 0.5)))
    variants = {"plain": AlexNetConfig(), "own": (own_network, train), "large": (large, train)}
    study = Study("mine", "Does it help?", "scenes", "plain", variants)
    nets.unlink()
    (tmp_path / "mine.yaml").write_text(study.source)
    again = load_study(tmp_path / "mine.yaml")
    inputs = {"large": large.input.applied_to(InputSpec())}
    assert [run.id for run in again.runs([DATA], inputs=inputs)] == [
        run.id for run in study.runs([DATA], inputs=inputs)
    ]
    assert replace(study, source=again.source, file="") == replace(again, file="")
    with pytest.raises(ValidationError, match=r"nets\.py"):
        CodeConfig(code="nets.py:Tiny")
