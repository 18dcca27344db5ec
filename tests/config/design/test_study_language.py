"""The examples of `docs/study_language.md` are valid, and give the variants and contrasts that the text names."""

import re
from pathlib import Path

import pytest
import yaml

from emotune.config.load import load_study

TEXT = (Path(__file__).parents[3] / "docs" / "study_language.md").read_text()
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)]
THESIS = {
    "alexnet": {}, "attention": {"model.name": "attention"}, "dual": {"model.name": "dual_branch"},
    "dual-plain": {"model.name": "dual_branch", "model.attention": "none"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("example", "rest", "variants", "contrasts"),
    [
        ("contrasts", {"baseline": "alexnet", "variants": THESIS}, set(THESIS), 2),
        ("factors", {"baseline": "alexnet"}, {"alexnet", "dual", "dual-plain", "attention_one"}, 3),
        ("parts", {}, {"full", "plain", "only-attention", "only-wide"}, 4),
        ("seeds", {"baseline": "alexnet", "variants": THESIS, "contrasts": ["dual - alexnet"]}, set(THESIS), 1),
    ],
)  # fmt: skip
def test_examples_are_valid_studies(example: str, rest: dict, variants: set[str], contrasts: int, tmp_path: Path):
    (given,) = (one for one in EXAMPLES if example in one)
    path = tmp_path / "documented.yaml"
    path.write_text(yaml.safe_dump({"question": "Which?", "datasets": ["scenes"]} | rest | given, sort_keys=False))
    study = load_study(path)
    assert set(study.variants) == variants
    assert len(study.contrasts) == contrasts
