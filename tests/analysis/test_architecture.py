from pathlib import Path

from emotune.analysis.architecture import contrast_options
from emotune.config.load import load_study, shipped_study

OWN = Path(__file__).parents[2] / "examples" / "own_network" / "study.yaml"


def test_each_contrast_has_the_options_in_which_its_own_variants_differ():
    options = contrast_options(load_study(shipped_study("quickstart")))
    assert options["dual - dual-plain"] == ("model.attention none → spatial",), "not in those of the baseline"
    assert "model.levels [1, 2, 4]" in options["mldr - alexnet"]


def test_code_of_the_users_is_named_by_file_and_class_without_digests():
    options = contrast_options(load_study(OWN))
    assert options == {
        "tiny - alexnet": ("model.name alexnet → code", "model.code nets.py:Tiny"),
        "tiny-max - tiny": ("model.options.pooling max",),
        "tiny-focal - tiny": ("train.loss cross_entropy → losses.py:focal",),
    }


def test_a_contrast_of_several_variants_has_the_names_of_the_options(write):
    study = load_study(write(
        "question: q\ndatasets: [scenes]\nbaseline: a\nseeds: 2\n"
        "variants: {a: {}, b: {train.lr: 0.1}, c: {train.lr: 0.2, train.epochs: 3}}\n"
        "contrasts: [{name: both, weights: {b: 0.5, c: 0.5, a: -1}}]\n"
    ))  # fmt: skip
    assert contrast_options(study) == {"both": ("train.epochs", "train.lr")}
