"""The sets of hand-made features, by name; a set is imported when it is needed, because its libraries are an extra."""

from importlib import import_module

from emotune.config.blocks import DESCRIPTORS
from emotune.config.feature_sets import FEATURE_SETS
from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.local_descriptors import descriptor_set

__all__ = ["feature_set"]


def feature_set(name: str) -> FeatureSet:
    """The set of this name, which is ``FEATURES`` in the module `emotune.models.handmade` of the same name.

    Args:
        name: One of `emotune.config.feature_sets.FEATURE_SETS`, or that of local descriptors
            (`emotune.config.blocks.BlocksConfig`).
    """
    if name.startswith(DESCRIPTORS):
        return descriptor_set(int(name.removeprefix(DESCRIPTORS)))
    if name not in FEATURE_SETS:
        raise ValueError(f"{name} is not a set of hand-made features")
    return import_module(f"emotune.models.handmade.{name}").FEATURES
