"""The seeds of a study: a fixed number, or looks."""

from argparse import Namespace
from dataclasses import replace

import pytest
import yaml
from study_files import GOOD, Write, is_about, mistakes

from emotune.cli.ablate_options import override
from emotune.config.load import load_study
from emotune.core.errors import InputError

STUDY = GOOD + "contrasts: [wide - plain]\nseeds: "


def test_looks_are_read_and_written_and_change_no_run(write: Write):
    study = load_study(write(f"{STUDY}{{up_to: 20, looks: [5, 10, 20]}}\n"))
    assert (study.seeds, study.looks) == (20, (5, 10, 20))
    assert yaml.safe_load(replace(study, source="").source)["seeds"] == {"up_to": 20, "looks": [5, 10, 20]}
    fixed = replace(study, looks=())
    assert fixed.looks == () and yaml.safe_load(replace(fixed, source="").source)["seeds"] == 20
    assert fixed.runs([]) == study.runs([])


@pytest.mark.parametrize(
    ("seeds", "about"),
    [
        ("{up_to: 20, look: [5, 20]}", ("seeds.look", '"looks"')),
        ("{up_to: 20}", ("seeds", '"looks"')),
        ("{looks: [5, 10]}", ("seeds.up_to",)),
        ("{up_to: x, looks: [5, 10]}", ("seeds.up_to", '"x"')),
        ("{up_to: 20, looks: 5}", ("seeds.looks", "5")),
        ("{up_to: 20, looks: [10, 5, 20]}", ("seeds.looks", "[10, 5, 20]")),
        ("{up_to: 20, looks: [5, 10]}", ("seeds.looks", "[5, 10]", "20")),
        ("{up_to: 20, looks: [1, 20]}", ("seeds.looks", "[1, 20]")),
        ("{up_to: 20, looks: [20]}", ("seeds.looks", "seeds: 20")),
        ("[5, 10]", ("seeds", "[5, 10]")),
        ("true", ("seeds", "true")),
    ],
)
def test_a_mistake_in_the_seeds_is_named(write: Write, seeds: str, about: tuple[str, ...]):
    (line,) = mistakes(write(f"{STUDY}{seeds}\n"))
    assert is_about(line, *about), line


def test_looks_without_contrasts_or_beside_the_option_are_mistakes(write: Write):
    (line,) = mistakes(write(f"{GOOD}seeds: {{up_to: 20, looks: [5, 20]}}\n"))
    assert is_about(line, "seeds.looks", "contrasts")
    study = load_study(write(f"{STUDY}{{up_to: 20, looks: [5, 20]}}\n"))
    assert override(study, Namespace(seeds=20)).looks == (5, 20)
    with pytest.raises(InputError, match=r"--seeds 10: .*5, 20"):
        override(study, Namespace(seeds=10))
    with pytest.raises(InputError, match="seeds"):
        replace(study, looks=(5, 10))
