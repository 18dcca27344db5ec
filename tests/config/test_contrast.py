"""Contrasts: what a study file may declare, and which mistakes it names."""

import pytest
import yaml
from study_files import GOOD, is_about, mistakes

from emotune.config.contrast import Contrast
from emotune.config.load import load_study
from emotune.core.errors import InputError

THREE = GOOD + "  deep: {model.name: mldr}\n"


def test_a_text_is_a_difference_and_a_mapping_has_any_weights(write):
    study = load_study(write(THREE + "contrasts:\n- wide - plain\n- {name: other two, weights: {wide: 1/2, deep: 0.5, "
                             "plain: -1}}\n- {weights: {wide: 1/3, deep: 1/3, plain: -2/3}}\n"))  # fmt: skip
    first, second, third = study.contrasts
    assert (first, first.pair) == (Contrast.difference("wide", "plain"), ("wide", "plain"))
    assert (str(second), second.weights) == ("other two", {"wide": 0.5, "deep": 0.5, "plain": -1.0})
    assert (second.pair, second.compares_means, second.size) == (None, True, 1.0)
    assert str(third) == "1/3 wide + 1/3 deep - 2/3 plain" and not third.compares_means
    assert len({first, second, third}) == 3, "they can be keys"


def test_a_study_is_written_with_contrasts_that_are_read_back(write):
    declared = [Contrast.difference("wide", "plain"), Contrast("named", {"plain": 2, "wide": -1, "deep": -1})]
    written = yaml.safe_load(yaml.safe_dump([one.to_yaml() for one in declared]))
    assert written[0] == "wide - plain"
    assert [Contrast.parse(one) for one in written] == declared


@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        ("{weights: {wide: 1, plain: -0.5}}", ["0.5", "zero"]),
        ("{name: x, weights: {wde: 1, plain: -1}}", ['"x"', '"wde"', '"wide"']),
        ("{name: x, weigths: {wide: 1, plain: -1}}", ['"weigths"', '"weights"']),
        ("{name: x}", ["weights"]),
        ("{weights: {wide: yes, plain: -1}}", ["True"]),
        ("{weights: {wide: 1/0, plain: -1}}", ["1/0"]),
        ("{weights: {wide: .inf, plain: -.inf}}", ["finite"]),
        ("{weights: {wide: 0, plain: 0}}", ["zero"]),
        ("{name: 5, weights: {wide: 1, plain: -1}}", ["name"]),
        ("0.5 wide + 0.5 deep - plain - plain", ["weights: {variant: weight"]),
        ("deep - wide, {name: again, weights: {deep: 1, wide: -1}}", ['"again"', "duplicate"]),
        ("{name: x, weights: {deep: 1, wide: -1}}, {name: x, weights: {plain: 1, wide: -1}}", ['"x"', "two contrasts"]),
    ],
)
def test_a_mistake_in_a_contrast_is_named(write, declared, parts):
    (mistake,) = mistakes(write(THREE + f"contrasts: [{declared}]\n"))
    assert is_about(mistake, "contrasts", *parts), mistake


def test_weights_are_given_by_variant():
    with pytest.raises(InputError, match="difference"):
        Contrast("wide", "plain")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what is tested
