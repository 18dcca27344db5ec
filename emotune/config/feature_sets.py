"""The names of the sets of hand-made features; each is a module of `emotune.models.handmade`."""

__all__ = ["FEATURE_SETS"]

FEATURE_SETS = (
    "colours",
    "textures",
    "machajdik",
    "wiccest",
    "gabor",
    "shapes",
    "principles",
    "bags_of_emotions",
    "emotion_histogram",
)
"""The names in a study. A new one does not change what ``all`` means for a run that is there: runs keep the names."""
