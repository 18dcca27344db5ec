"""emotune: ablation studies of image-emotion classifiers, with honest statistics."""

__version__ = "0.1.0"
__all__ = ["__version__"]
