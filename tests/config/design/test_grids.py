"""Lists in a variant: named variants, and a trend or comparisons with the baseline."""

import pytest
from study_files import DATA, GOOD, is_about, mistakes

from emotune.config.load import load_study


def test_a_list_gives_the_variants_that_one_would_write_by_hand(write):
    made = load_study(write(GOOD + "  rate: {train.lr: [0.1, 0.001], model: {dropout: 0.1}}\n"))
    written = load_study(write(GOOD + "  rate-0.1: {train.lr: 0.1, model.dropout: 0.1}\n"
                                      "  rate-0.001: {train.lr: 0.001, model.dropout: 0.1}\n"))  # fmt: skip
    assert [(run.variant, run.id) for run in made.runs([DATA])] == [
        (run.variant, run.id) for run in written.runs([DATA])
    ]
    assert [str(c) for c in made.contrasts] == ["rate-0.1 - plain", "rate-0.001 - plain"]


def test_numbers_have_a_linear_trend_in_the_order_of_their_size(write):
    study = load_study(write(GOOD + "  rate: {train.lr: [0.1, 0.001, 0.02, 1e-4]}\ncontrasts: [wide - plain]\n"))
    trend, own = study.contrasts
    assert list(study.variants)[2:] == ["rate-0.1", "rate-0.001", "rate-0.02", "rate-1e-4"]
    assert trend.weights == pytest.approx({"rate-0.1": 0.9, "rate-0.02": 0.3, "rate-0.001": -0.3, "rate-1e-4": -0.9})
    steps = {"rate-0.1": 3, "rate-0.02": 2, "rate-0.001": 1, "rate-1e-4": 0}
    assert sum(weight * steps[v] for v, weight in trend.weights.items()) == pytest.approx(3), "the last less the first"
    assert "1e-4 to 0.1" in str(trend) and own.pair == ("wide", "plain")


def test_other_values_and_several_lists_are_compared_with_the_baseline(write):
    text = GOOD + "  kind: {model.name: [alexnet, mldr], model.width: [3, 4, 5]}\n"
    study = load_study(write(text.replace("baseline: plain", "baseline: kind_name-alexnet_width-3")))
    names = [f"kind_name-{kind}_width-{width}" for kind in ("alexnet", "mldr") for width in (3, 4, 5)]
    assert list(study.variants)[2:] == names
    assert [c.pair for c in study.contrasts] == [(name, names[0]) for name in names[1:]]
    heads = load_study(write(GOOD.replace("variants:", "model: {backbone: torchvision:resnet18}\nvariants:").replace(
        "wide: {model.width: 2}", "head: {model: {head: {name: attention, score: [linear, tanh]}}}")))  # fmt: skip
    assert list(heads.variants) == ["plain", "head-linear", "head-tanh"]


def test_an_option_that_is_a_list_is_no_grid(write):
    study = load_study(write(GOOD + "  deep: {model.name: mldr, model.levels: [1, 3], model.depths: [4, 1]}\n"))
    assert study.variants["deep"][0].levels == (1, 3) and not study.contrasts


@pytest.mark.parametrize(
    ("text", "key", "parts"),
    [
        (GOOD + "  rate: {train.lr: [0.1]}\n", "variants.rate", ["train.lr", "two or more"]),
        (GOOD + "  rate: {train.lr: [0.1, 0.1]}\n", "variants.rate", ["train.lr", "different"]),
        (GOOD + "  rate: {train.lr: [0.1, 0.2]}\n  rate-0.1: {}\n", "variants.rate-0.1", ["name"]),
        (GOOD + "  rate: {train.lr: [0.1, x]}\n", "variants.rate-x", ["train.lr"]),
        (GOOD + "train: {lr: [0.1, 0.2]}\n", "train.lr", ["factors: {train.lr: [0.1, 0.2]}"]),
        (GOOD + f"  rate: {{train.epochs: {list(range(1, 102))}}}\n", "variants.rate", ["101"]),
        (GOOD + "factors: {a: {no: {}, yes: {train.lr: [0.1, 0.2]}}}\n", "variants.a", ["train.lr", "combination"]),
    ],
)
def test_a_mistake_in_a_list_is_named(write, text, key, parts):
    found = mistakes(write(text))
    assert any(is_about(line, key, *parts) for line in found), found
