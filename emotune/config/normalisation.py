"""What is subtracted from images, and what they are divided by, before a network sees them."""

from dataclasses import dataclass

__all__ = ["CAFFE", "IMAGENET", "Normalisation"]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of red, green and blue, in parts of the brightest value.

    They belong to weights: a network that was trained with one normalisation is a worse one with another.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Of ImageNet's training images: torchvision's, and the field's custom, whatever the data set."""

CAFFE = Normalisation((123 / 255, 117 / 255, 104 / 255), (1 / 255, 1 / 255, 1 / 255))
"""Of Caffe's model zoo: values from 0 to 255, less ImageNet's mean ("mean_value" 104, 117, 123 in its order, BGR)."""
