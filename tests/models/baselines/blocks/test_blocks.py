"""Blocks find a small patch that tells the class, which a histogram of the whole image hardly shows."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from emotune.config.blocks import BlocksConfig
from emotune.models.baselines.blocks.blocks import Blocks
from emotune.models.handmade.local_descriptors import local_descriptors

CONFIG = BlocksConfig(words=24, topics=12, c_grid=(0.1, 1.0))
IMAGES, CLASSES = 160, 4
TILE, PITCH = 12, 32


def image_with_a_patch(label: int, generator: np.random.Generator) -> np.ndarray:
    """An image of 8×8 striped tiles, sixteen of each of four directions, with four of its class side by side.

    The four fill a block of the finest level; other blocks have at most two of a direction. Tiles are so far apart that
    no descriptor sees two of them: all images have the same words, and only where they are tells the class.
    """
    others = np.delete(np.arange(CLASSES), label)
    blocks = [[label] * 4, *([*others, other] for other in others), *[range(CLASSES)] * 12]
    mixed = generator.permuted([list(block) for block in blocks], axis=1)
    tiles = generator.permutation(mixed).reshape(4, 4, 2, 2).transpose(0, 2, 1, 3).reshape(8, 8)
    rows, columns = np.indices((TILE, TILE))
    kinds = np.stack([rows, columns, rows + columns, rows - columns]) // 3 % 2
    image = np.full((8, PITCH, 8, PITCH), 120, np.uint8)
    inside = slice((PITCH - TILE) // 2, (PITCH + TILE) // 2)
    image[:, inside, :, inside] = (60 + 120 * kinds[tiles]).transpose(0, 2, 1, 3)
    return image.reshape(8 * PITCH, 8 * PITCH, 1).repeat(3, axis=2)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """The descriptors of images and their classes."""
    generator = np.random.default_rng(0)
    targets = np.arange(IMAGES) % CLASSES
    descriptors = [local_descriptors(image_with_a_patch(label, generator), CONFIG.step) for label in targets.tolist()]
    return np.stack(descriptors).reshape(IMAGES, -1), targets


def fitted(config: BlocksConfig, data: tuple[np.ndarray, np.ndarray], seed: int = 0) -> tuple[Blocks, np.ndarray]:
    """A model of the first half of the images, validated with a quarter, and the words of all."""
    descriptors, targets = data
    model = Blocks(config, CLASSES, seed)
    half = IMAGES // 2
    sample = model.described(descriptors[:half])
    model.learn_words(sample.reshape(-1, sample.shape[-1])[::9])
    words, val = model.words(descriptors), slice(half, half + IMAGES // 4)
    model.fit(words[:half], targets[:half], words[val], targets[val])
    return model, words


@pytest.mark.parametrize("aggregation", ["max", "mi_svm", "attention"])
def test_blocks_find_what_a_histogram_of_the_image_does_not_show(
    data: tuple[np.ndarray, np.ndarray], aggregation: Literal["max", "mi_svm", "attention"]
) -> None:
    test = slice(3 * IMAGES // 4, IMAGES)
    accuracies = []
    for config in (replace(CONFIG, levels=(1,)), replace(CONFIG, aggregation=aggregation)):
        model, words = fitted(config, data)
        probabilities = np.exp(model.log_probabilities(words[test]).astype(float))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
        accuracies.append(float((probabilities.argmax(axis=1) == data[1][test]).mean()))
        assert model.parameters > CONFIG.words * (44 + CONFIG.topics)
    assert accuracies[0] < 0.4
    assert accuracies[1] > 0.9


def test_a_prediction_depends_on_its_image_alone(data: tuple[np.ndarray, np.ndarray]) -> None:
    model, words = fitted(replace(CONFIG, aggregation="attention"), data)
    together = model.log_probabilities(words)
    np.testing.assert_allclose(model.log_probabilities(words[70:71]), together[70:71], atol=1e-4)
    changed = words.copy()
    changed[:70] = 0
    np.testing.assert_allclose(model.log_probabilities(changed)[70:], together[70:], atol=1e-4)


def test_a_fit_follows_from_the_seed(data: tuple[np.ndarray, np.ndarray]) -> None:
    one, again, other = (fitted(CONFIG, data, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one[1], again[1])
    np.testing.assert_array_equal(one[0].log_probabilities(one[1]), again[0].log_probabilities(one[1]))
    assert not np.array_equal(one[1], other[1])


def test_the_record_tells_the_choice_and_its_limits(data: tuple[np.ndarray, np.ndarray]) -> None:
    descriptors, targets = data
    model = Blocks(replace(CONFIG, descriptor="gradients", aggregation="mi_svm"), CLASSES, 0)
    model.learn_words(model.described(descriptors[:20]).reshape(-1, 32))
    words = model.words(descriptors)
    told = model.fit(words[:80], targets[:80], words[80:], targets[80:])
    assert set(told["val_accuracy_by_c"]) == {"0.1", "1"}
    assert told["c"] in CONFIG.c_grid
    assert len(told["rounds"]) == CLASSES
    assert any("c_grid" in note for note in told["notes"])  # the best of two is an end


def test_a_model_without_words_says_so() -> None:
    with pytest.raises(ValueError, match="words"):
        Blocks(CONFIG, CLASSES, 0).words(np.zeros((1, 961 * 44), np.float16))
