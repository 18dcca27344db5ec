"""What is said about a contrast over several data sets follows from intervals."""

import re
from dataclasses import replace

from emotune.analysis.across_datasets import AcrossDatasets, BetweenDatasets
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.report.across_sentences import across_sentences

ACROSS = AcrossDatasets(Contrast.difference("new", "old"), ("photos", "art"), 2.0, 0.5, 3.5, 1.0, 3.0, 1.4, 0.7, 2)


def sentences(low: float, high: float) -> str:
    between = BetweenDatasets("photos", "art", 2.0, low, high)
    return across_sentences(replace(ACROSS, between=(between,)), Metric(min_effect=1.0))[-1]


def test_the_mean_has_its_interval_and_the_spread_that_of_seeds_beside_it():
    mean, spread = across_sentences(ACROSS, Metric())
    assert re.findall(r"[+−-]?\d\.\d", mean) == ["+2.0", "+0.5", "+3.5"]
    assert re.findall(r"[+−-]?\d\.\d", spread) == ["+1.0", "+3.0", "1.4", "0.7"]


def test_its_signs_are_not_called_verdicts_and_data_sets_that_are_not_assessed_are_named():
    assert not re.search("better|worse", " ".join(across_sentences(ACROSS, Metric())))
    *_, text = across_sentences(replace(ACROSS, not_assessed=("art",)), Metric())
    assert "art" in text and "photos" not in text


def test_a_mean_over_data_sets_names_those_with_a_single_seed():
    single = replace(ACROSS, one_seed=("photos",), low=None, high=None, seed_sd=None)
    assert "photos" in across_sentences(single, Metric())[0]
    assert "photos" not in " ".join(across_sentences(ACROSS, Metric()))


def test_a_difference_between_data_sets_is_said_if_its_interval_excludes_zero_and_their_sameness_if_it_is_small():
    said = [sentences(0.5, 3.5), sentences(-0.8, 0.9), sentences(-1.5, 5.5)]
    assert len({text.split(":")[0] for text in said}) == 3
    assert "photos" in said[0] and "photos" not in said[1] and "photos" in said[2]
