"""What names files after a network's input does not change when inputs get something that images do not have."""

from emotune.config.input_spec import InputSpec


def test_features_of_images_are_named_as_before_there_were_clips():
    values = {
        "side": 227, "resize": 256, "interpolation": "bicubic", "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }  # fmt: skip
    assert InputSpec().identity == values
    assert InputSpec(frames=8).identity == values | {"frames": 8}
