"""Input normalisation: channel means and standard deviations."""

from dataclasses import dataclass

__all__ = ["CAFFE", "IMAGENET", "Normalisation"]


@dataclass(frozen=True)
class Normalisation:
    """The mean and the standard deviation of red, green and blue, on a scale from 0 to 1.

    A normalisation belongs to weights: a network is worse with another one than it was trained with.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The values of ImageNet's training images, which torchvision uses, and which are customary for any data set."""

CAFFE = Normalisation((123 / 255, 117 / 255, 104 / 255), (1 / 255, 1 / 255, 1 / 255))
"""The values of Caffe's model zoo: inputs from 0 to 255, minus ImageNet's mean ("mean_value" 104, 117, 123 in BGR)."""
