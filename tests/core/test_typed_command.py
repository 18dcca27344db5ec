"""Messages name the command as the user started it; what is kept names the module."""

import sys

import pytest

from emotune.config.ablate_command import AblateCommand
from emotune.core.typed_command import error_prefix, typed_command


@pytest.mark.parametrize(
    ("started", "typed", "prefix"),
    [
        ("/home/ann/.venv/bin/emotune", "emotune ablate", "emotune ablate"),
        ("C:/Scripts/emotune.exe", "emotune ablate", "emotune ablate"),
        ("/site-packages/emotune/__main__.py", "python -m emotune ablate", "emotune ablate"),
        ("/site-packages/emotune/ablate.py", "python -m emotune.ablate", "emotune.ablate"),
        ("/home/ann/emotune.py", "python -m emotune.ablate", "emotune.ablate"),
        ("/home/ann/other/__main__.py", "python -m emotune.ablate", "emotune.ablate"),
        ("", "python -m emotune.ablate", "emotune.ablate"),
    ],
)
def test_a_command_is_spelled_as_the_user_started_it_but_not_in_texts_that_are_kept(
    started, typed, prefix, monkeypatch
):
    monkeypatch.setattr(sys, "argv", [started, "ablate"])
    assert (typed_command("ablate"), error_prefix("ablate")) == (typed, prefix)
    assert str(AblateCommand("my.yaml")) == "python -m emotune.ablate my.yaml"
