"""Parts, left out or added one at a time: named variants and the contrasts between them."""

import pytest
from study_files import DATA, is_about, mistakes

from emotune.config.load import load_study

HEAD = "question: Which part helps?\ndatasets: [scenes]\nbaseline: plain\n"
PARTS = "parts: {attention: {model.name: attention}, wide: {model: {width: 2}}, long: {train.epochs: 60}}\n"


def pairs(text: str, write) -> list[tuple[str, str] | None]:
    return [contrast.pair for contrast in load_study(write(text)).contrasts]


def test_parts_are_left_out_and_added_one_at_a_time(write):
    study = load_study(write(HEAD + PARTS + "ablate: [leave_one_out, add_one_in]\n"))
    assert {v: (model.name, model.width, train.epochs) for v, (model, train) in study.variants.items()} == {
        "full": ("attention", 2, 60), "without-attention": ("alexnet", 2, 60), "without-wide": ("attention", 1, 60),
        "without-long": ("attention", 2, 50), "only-attention": ("attention", 1, 50), "only-wide": ("alexnet", 2, 50),
        "only-long": ("alexnet", 1, 60), "plain": ("alexnet", 1, 50),
    }  # fmt: skip
    assert [contrast.pair for contrast in study.contrasts] == [
        ("full", "without-attention"), ("full", "without-wide"), ("full", "without-long"),
        ("only-attention", "plain"), ("only-wide", "plain"), ("only-long", "plain"),
    ]  # fmt: skip


def test_generated_variants_have_the_runs_of_those_written_by_hand(write):
    made = load_study(write(HEAD + PARTS + "ablate: add_one_in\nvariants: {mldr: {model.name: mldr}}\n"))
    by_hand = """variants:
  mldr: {model.name: mldr}
  only-attention: {model.name: attention}
  plain: {}
  only-wide: {model.width: 2}
  only-long: {train.epochs: 60}
"""
    written = load_study(write(HEAD + by_hand))
    assert made.runs([DATA]) == written.runs([DATA])


def test_a_combination_can_have_a_name_and_options_of_its_own(write):
    named = "variants:\n  alexnet: {parts: []}\n  best: {parts: [long, attention, wide], train.lr: 0.02}\n"
    study = load_study(write(HEAD.replace("plain", "alexnet") + PARTS + "ablate: [leave_one_out]\n" + named))
    assert list(study.variants) == ["alexnet", "best", "without-attention", "without-wide", "without-long"]
    assert study.variants["best"][1].lr == 0.02
    assert study.contrasts[0].pair == ("best", "without-attention")


def test_two_parts_share_the_variants_of_both_ways(write):
    two = "parts: {attention: {model.name: attention}, wide: {model.width: 2}}\nablate: [leave_one_out, add_one_in]\n"
    assert pairs(HEAD + two + "contrasts: [full - plain]\n", write) == [
        ("full", "only-wide"), ("full", "only-attention"), ("only-attention", "plain"), ("only-wide", "plain"),
        ("full", "plain"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "parts"),
    [
        (PARTS + "variants: {plain: {}}\n", "ablate", ["leave_one_out", "add_one_in"]),
        (PARTS + "ablate: [leave_two_out]\n", "ablate", ["leave_two_out"]),
        ("ablate: [leave_one_out]\nvariants: {plain: {}}\n", "parts", ["two or more"]),
        ("parts: {a: {}, b: {model.width: 2}}\nablate: [add_one_in]\n", "parts.a", ["options"]),
        (PARTS + "ablate: [add_one_in]\nvariants: {x: {parts: [wdie]}}\n", "variants.x", ['"wdie"', '"wide"']),
        (PARTS + "ablate: [add_one_in]\nvariants: {x: {parts: wide}}\n", "variants.x", ["parts", "[attention"]),
        (PARTS + "ablate: [add_one_in]\nvariants: {plain: {}}\n", "variants.plain", ["name"]),
        (PARTS.replace("wide:", "dual: {model.name: dual_branch}, wide:") + "ablate: [leave_one_out]\n", "parts.dual",
         ["parts.attention", "model.name", "variants: full: {parts: [attention, dual, wide, long], model.name"]),
        ("parts: 5\nvariants: {plain: {}}\n", "parts", []),
        (PARTS.replace("width: 2", "width: [2, 3]") + "ablate: [leave_one_out]\n", "variants.full", ["model.width"]),
    ],
)  # fmt: skip
def test_a_mistake_in_parts_is_named(write, text, key, parts):
    found = mistakes(write(HEAD + text))
    assert any(is_about(line, key, *parts) for line in found), found
