from pathlib import Path

from emotune.analysis.architecture import contrast_options, setting_differences
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


def test_an_effect_has_the_options_of_its_own_factor_from_level_to_level(write):
    study = load_study(write(
        "question: q\ndatasets: [scenes]\nseeds: 2\nbaseline: plain_low\n"
        "factors: {attention: {plain: {}, map: {model.name: attention}},"
        " rate: {low: {}, middle: {train.lr: 0.1}, high: {train.lr: 0.2}}}\n"
        "variants: {}\n"
    ))  # fmt: skip
    options = contrast_options(study)
    attention, middle, high = list(study.contrasts)[:3]
    assert options[str(attention)][0] == "model.name alexnet → attention"
    assert not any("train.lr" in text for text in options[str(attention)])
    first = study.variants["plain_low"][1].lr
    assert options[str(middle)] == (f"train.lr {first} → 0.1",)
    assert options[str(high)] == (f"train.lr {first} → 0.2",)
    interaction = next(c for c in study.contrasts if c.effect and c.effect.is_interaction)
    assert options[str(interaction)] == (*options[str(attention)], *options[str(middle)])


def test_options_of_training_differ_only_where_they_have_an_effect(write):
    study = load_study(write(
        "question: a?\ndatasets: [x]\nseeds: 3\nbaseline: net\nmodel: {name: alexnet}\ntrain: {epochs: 2, lr: 0.1}\n"
        "variants: {net: {}, fast: {train.lr: 0.2}, svm: {model.name: svm},"
        " blend: {train.loss: jcdl, train.targets: soft}}"
    ))  # fmt: skip
    assert setting_differences(study, "fast") == {"train.lr": (0.1, 0.2)}
    assert not [key for key in setting_differences(study, "svm") if key.startswith("train.")]
    assert setting_differences(study, "blend")["train.loss.weight"][0] is None


def test_two_kinds_of_model_are_named_with_what_the_study_gave(write):
    study = load_study(write(
        "question: a?\ndatasets: [x]\nseeds: 3\nbaseline: net\nmodel: {name: alexnet}\ntrain: {epochs: 2, lr: 0.1}\n"
        "variants: {net: {}, narrow: {model.width: 0.5}, svm: {model.name: svm, model.features: shapes},"
        " logistic: {model.name: logistic, model.features: colours}, blocks: {model.name: blocks},"
        " frozen: {model: {name: backbone, backbone: timm:resnet18, head: max, tune: head}}}\n"
        "contrasts: [net - svm, narrow - svm, logistic - svm, svm - net, blocks - svm, frozen - net, net - frozen,"
        " {name: both, weights: {svm: 1, net: -0.5, narrow: -0.5}}]\n"
    ))  # fmt: skip
    options = contrast_options(study)
    (only,) = options["net - svm"]
    assert only.startswith("model.name svm → alexnet, ")
    assert options["narrow - svm"] == (only, "model.width 0.5")
    assert options["logistic - svm"][1:] == ("model.features shapes → colours",)
    assert options["svm - net"][1:] == ("model.features shapes",)
    assert len(options["blocks - svm"]) == 1
    assert {"model.backbone timm:resnet18", "model.head max", "model.tune head"} <= {*options["frozen - net"]}
    assert len(options["net - frozen"]) == 1
    assert options["both"] == ("model.features", "model.name", "model.width")
    assert not any("frames" in text for texts in options.values() for text in texts)


def test_options_of_an_absent_layer_are_not_told(write):
    study = load_study(write(
        "question: a?\ndatasets: [x]\nseeds: 3\nbaseline: net\nmodel: {name: alexnet}\n"
        "variants: {net: {}, control: {model.name: dual_branch, model.attention: none}}\ncontrasts: [control - net]\n"
    ))  # fmt: skip
    assert contrast_options(study) == {
        "control - net": (
            "model.name alexnet → dual_branch", "model.attention none", "model.convolutions separate",
            "model.fusion concat",
        )
    }  # fmt: skip
