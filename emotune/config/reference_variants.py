"""The problems with the variants that others are compared with: the baseline, and a study's further references."""

from collections.abc import Collection, Mapping, Sequence

from emotune.config.model import ModelConfig
from emotune.config.network import NetworkConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import suggest

__all__ = ["baseline_problems", "reference_problems"]


def baseline_problems(baseline: object, variants: Mapping[str, tuple[ModelConfig, TrainConfig] | None]) -> list[str]:
    """The problems with the baseline; empty if it is valid.

    Args:
        baseline: The name of the baseline.
        variants: The variants by name; None stands for a variant with mistakes of its own.
    """
    if baseline not in variants:
        return [f'baseline: "{baseline}" is not a variant{suggest(baseline, variants)}']
    pair = variants[str(baseline)]
    if pair is not None and not isinstance(pair[0], NetworkConfig):
        network = next(
            (name for name, other in variants.items() if other and isinstance(other[0], NetworkConfig)), None
        )
        remedy = (
            f"set baseline: {network}" if network
            else "add a variant with a network, such as a: {model.name: alexnet}, and set baseline: a"
        )  # fmt: skip
        return [
            f'baseline: "{baseline}" is not a network. Every study needs one: {remedy}. Contrasts may still compare '
            "any two variants"
        ]
    return []


def reference_problems(references: Sequence[str], baseline: object, variants: Collection[str]) -> list[str]:
    """The problems with the references; empty if they are valid.

    Args:
        references: The names of the references besides the baseline.
        baseline: The name of the baseline.
        variants: The names of the study's variants.
    """
    problems = [
        f'references: "{one}" is not a variant{suggest(one, variants)}' for one in references if one not in variants
    ]
    if baseline in references:
        problems.append(f'references: "{baseline}" is the baseline, which all others are compared with; leave it out')
    twice = {one for one in references if references.count(one) > 1}
    return problems + [f'references: "{one}" is listed twice; leave one out' for one in sorted(twice)]
