"""Factors: the variants and contrasts that follow from them are those that one would write by hand."""

import numpy as np
import pytest
from study_files import DATA, is_about, mistakes

from emotune.analysis.metric_table import contrast_weights
from emotune.config.design.factors import cells, factor_contrasts
from emotune.config.load import load_study, shipped_study
from emotune.config.study import Study

HEAD = "question: Does it help?\ndatasets: [scenes]\nmodel: {width: 0.125}\nbaseline: alexnet\n"
FACTORS = "attention: {no: {}, yes: {model.name: attention}}, branches: {one: , two: {model: {name: dual_branch}}}"
LEVELS = """
  dual: {attention: yes, branches: two, model.name: dual_branch, train.epochs: 3}
  alexnet: {attention: no, branches: one}
  dual-plain: {attention: no, branches: two, model.attention: none}
"""
THESIS = f"{HEAD}factors: {{{FACTORS}}}\nvariants:{LEVELS}  mldr: {{model.name: mldr}}\n"
BY_HAND = (
    HEAD
    + """variants:
  dual: {model.name: dual_branch, train.epochs: 3}
  alexnet: {}
  dual-plain: {model.name: dual_branch, model.attention: none}
  mldr: {model.name: mldr}
  attention_one: {model.name: attention}
factors:
  attention: {no: [alexnet, dual-plain], yes: [dual, attention_one]}
  branches: {one: [alexnet, attention_one], two: [dual-plain, dual]}
"""
)


def test_generated_variants_have_the_runs_of_those_written_by_hand(write):
    made, written = load_study(write(THESIS)), load_study(write(BY_HAND))
    assert [(run.variant, run.id) for run in made.runs([DATA])] == [
        (run.variant, run.id) for run in written.runs([DATA])
    ]
    assert {f: {level: set(v) for level, v in levels.items()} for f, levels in made.factors.items()} == {
        f: {level: set(v) for level, v in levels.items()} for f, levels in written.factors.items()
    }
    assert [(c.name, c.weights) for c in made.contrasts] == [(c.name, c.weights) for c in written.contrasts]


def test_main_effects_and_the_interaction_are_declared_before_contrasts_of_ones_own(write):
    study = load_study(write(THESIS + "contrasts: [mldr - alexnet]\n"))
    attention, branches, interaction, own = study.contrasts
    half = {"alexnet": -0.5, "attention_one": 0.5, "dual-plain": -0.5, "dual": 0.5}
    assert attention.weights == half and attention.compares_means
    assert branches.weights == half | {"attention_one": -0.5, "dual-plain": 0.5}
    assert interaction.weights == {"dual": 1, "alexnet": 1, "dual-plain": -1, "attention_one": -1}
    assert (attention.effect.compared, attention.effect.averaged_over) == ({"attention": ("yes", "no")}, ("branches",))
    assert interaction.effect.is_interaction and not attention.effect.is_interaction
    assert own.pair == ("mldr", "alexnet") and own.effect is None


def test_a_contrast_of_the_same_weights_is_declared_once(write):
    same = "{name: mine, weights: {dual: 1, alexnet: 1, dual-plain: -1, attention_one: -1}}"
    study = load_study(write(THESIS + f"contrasts: [{same}]\n"))
    assert [str(c) for c in study.contrasts] == ["attention (yes - no)", "branches (two - one)", "mine"]
    (interaction,) = (c for c in load_study(write(THESIS)).contrasts if c.effect and c.effect.is_interaction)
    assert study.contrasts[-1].effect == interaction.effect, "it is told as the interaction"
    again = load_study(write(Study("built", "Does it help?", "scenes", "alexnet", study.variants, factors=study.factors,
                                   contrasts=study.contrasts).source, "built.yaml"))  # fmt: skip
    assert [(str(c), c.effect) for c in again.contrasts] == [(str(c), c.effect) for c in study.contrasts]


def test_three_factors_of_two_and_three_levels_have_orthogonal_effects():
    levels = {"a": ("no", "yes"), "b": ("0", "1", "2"), "c": ("x", "y")}
    names = {f"{i}{j}{k}": (i, j, k) for i in levels["a"] for j in levels["b"] for k in levels["c"]}
    layout = {f: {one: [v for v, at in names.items() if at[i] == one] for one in all_of}
              for i, (f, all_of) in enumerate(levels.items())}  # fmt: skip
    contrasts = factor_contrasts(layout)
    assert len(contrasts) == (1 + 2 + 1) + (2 + 1 + 2)
    weights = dict(zip(map(str, contrasts), contrast_weights(contrasts, list(names)), strict=True))
    assert weights["a (yes - no)"] @ np.array([1.0] * 6 + [3.0] * 6) == pytest.approx(2.0), "one difference of means"
    added = np.array([(i == "yes") + 2 * int(j) + 3 * (k == "y") for i, j, k in names.values()])
    assert all(abs(row @ added) < 1e-9 for name, row in weights.items() if "×" in name), "effects that add up"
    interaction = np.array([(i == "yes") * (j == "2") for i, j, k in names.values()], float)
    assert weights["a (yes - no) × b (2 - 0)"] @ interaction == pytest.approx(1.0)
    assert {key: len(v) for key, v in cells(layout, ["a", "c"]).items()} == dict.fromkeys(
        [("no", "x"), ("no", "y"), ("yes", "x"), ("yes", "y")], 3
    )


def test_an_option_with_a_list_is_a_factor_and_unnamed_combinations_are_named_by_their_levels(write):
    factors = "factors: {attention: {no: {}, yes: {model.name: attention}}, train.lr: [0.1, 0.01]}\n"
    study = load_study(write(HEAD.replace("alexnet", "no-attention_lr-0.1") + factors))
    assert {v: (model.name, train.lr) for v, (model, train) in study.variants.items()} == {
        "no-attention_lr-0.1": ("alexnet", 0.1), "no-attention_lr-0.01": ("alexnet", 0.01),
        "attention_lr-0.1": ("attention", 0.1), "attention_lr-0.01": ("attention", 0.01),
    }  # fmt: skip


def test_a_study_with_factors_made_in_python_is_the_one_of_its_source(write):
    study = load_study(write(THESIS))
    variants, factors = dict(study.variants), study.factors
    built = Study("built", "Does it help?", "scenes", "alexnet", variants, factors=factors)
    again = load_study(write(built.source, "built.yaml"))
    assert (again.variants, again.contrasts, again.factors) == (built.variants, built.contrasts, built.factors)
    assert built.contrasts == study.contrasts


@pytest.mark.parametrize(
    ("text", "key", "parts"),
    [
        (THESIS.replace("branches: two, model.name: dual_branch,", "branches: two,"), "factors.branches.two",
         ["factors.attention.yes", "model.name", "variants: dual: {attention: yes, branches: two, model.name"]),
        (THESIS.replace("attention: no, branches: one", "attention: no"), "variants.alexnet", ["branches"]),
        (THESIS.replace("attention: no, branches", "attention: nay, branches"), "variants.alexnet", ['"nay"']),
        (THESIS + "  twin: {attention: no, branches: one}\n", "variants.twin", ['"alexnet"']),
        (THESIS + "  attention_one: {}\n", "variants.attention_one", ["name"]),
        (HEAD + "factors: {a: {yes: {}}}\nvariants: {alexnet: {}}\n", "factors.a", ["two or more"]),
        (HEAD + "factors: {model.dropout: [0.5]}\nvariants: {alexnet: {}}\n", "factors.model.dropout", ["two or more"]),
        (HEAD + "factors: {a: {no: 5, yes: {}}}\nvariants: {alexnet: {}}\n", "factors.a.no", ["5"]),
        (HEAD + "factors: {a: {no: [alexnet], yes: {}}}\nvariants: {alexnet: {}}\n", "factors", ["form"]),
        (HEAD + "factors: {train.lr: [" + ", ".join(f"0.{i}1" for i in range(101)) + "]}\n", "factors", ["101"]),
        (BY_HAND.replace("[dual-plain, dual]", "[dual-plain]"), "factors", ["attention yes, branches two"]),
        (BY_HAND.replace("[dual-plain, dual]", "[dual-plain, daul]"), "factors.branches.two", ['"daul"', '"dual"']),
        (BY_HAND.replace("[dual-plain, dual]", "[dual-plain, dual, mldr]"), "factors", ['"mldr"']),
    ],
)  # fmt: skip
def test_a_mistake_in_factors_is_named(write, text, key, parts):
    assert any(is_about(line, key, *parts) for line in mistakes(write(text))), mistakes(write(text))


@pytest.mark.parametrize("junk", ["5", "[a]", "{a: 5}", "{a: [1]}", "{5: {1: {}, 2: {}}}", "{a: {b: , c: }, a.b: {}}"])
def test_junk_is_no_crash(write, junk):
    assert mistakes(write(f"{HEAD}factors: {junk}\nvariants: {{alexnet: , plain: 5}}\n"))


def test_the_study_of_the_thesis_factors_shares_its_runs_with_the_quickstart():
    quickstart, crossed = (
        {run.id: run.variant for run in load_study(shipped_study(name)).runs([DATA]) if run.variant != "mldr"}
        for name in ("quickstart", "attention_by_branches")
    )
    assert quickstart.items() < crossed.items()
