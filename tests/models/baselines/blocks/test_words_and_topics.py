"""Words, blocks and topics of data whose answer is known."""

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import NMF

from emotune.core.errors import InputError
from emotune.models.baselines.blocks.counts import block_counts, number_of_blocks
from emotune.models.baselines.blocks.topics import Topics, learn_topics
from emotune.models.baselines.blocks.vocabulary import Vocabulary, learn_vocabulary
from emotune.models.handmade.local_descriptors import positions


def test_clusters_become_words_and_the_nearest_word_is_found() -> None:
    generator = np.random.default_rng(0)
    centres = np.array([[0, 0], [5, 0], [0, 5], [5, 5]], np.float32)
    sample = (centres[generator.integers(0, 4, 2000)] + generator.normal(scale=0.1, size=(2000, 2))).astype(np.float16)
    vocabulary = learn_vocabulary(sample, 4, seed=3)
    nearest = np.linalg.norm(vocabulary.prototypes[:, None] - centres, axis=2)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2, 3]
    assert nearest.min(axis=1).max() < 0.1
    words = vocabulary.words(sample.reshape(20, 100, 2))
    distances = np.linalg.norm(sample.astype(float)[:, None] - vocabulary.prototypes, axis=2)
    np.testing.assert_array_equal(words.ravel(), distances.argmin(axis=1))
    np.testing.assert_array_equal(words[7], vocabulary.words(sample.reshape(20, 100, 2)[7]))
    assert vocabulary.notes == ()


def test_too_few_different_descriptors_are_an_error_with_a_remedy() -> None:
    with pytest.raises(InputError, match=r"words: 5.* 2 different"):
        learn_vocabulary(np.repeat(np.eye(2), 50, axis=0), 5, seed=0)


def test_each_patch_counts_in_one_block_of_each_level() -> None:
    places = positions(32)  # 7 × 7 patches
    words = np.zeros((2, 49), int)
    words[1, 0], words[1, 48] = 2, 1  # the first patch of the image and its last one
    counts = block_counts(words, places, (1, 2, 4), 3)
    assert counts.shape == (2, number_of_blocks((1, 2, 4)), 3) == (2, 21, 3)
    assert counts[0, 0].tolist() == [49, 0, 0]
    assert counts[1, 0].tolist() == [47, 1, 1]
    for level, blocks in ((2, counts[1, 1:5]), (4, counts[1, 5:])):
        assert blocks.sum(axis=0).tolist() == [47, 1, 1]
        assert blocks[0, 2] == blocks[-1, 1] == 1
        assert blocks.sum(axis=1).min() > 0, level


def likelihood(counts: np.ndarray, shares: np.ndarray, words: np.ndarray) -> float:
    return float((counts * np.log(shares @ words + 1e-12)).sum())


def test_topics_are_those_that_made_the_words() -> None:
    generator = np.random.default_rng(0)
    made = np.zeros((3, 30))
    for topic in range(3):
        made[topic, 10 * topic : 10 * topic + 10] = 0.1
    shares = generator.dirichlet([0.3] * 3, 400)
    counts = np.array([generator.multinomial(200, row) for row in shares @ made]).astype(np.float32)
    topics = learn_topics(counts, 3, seed=1)
    np.testing.assert_allclose(topics.words.sum(axis=1), 1, rtol=1e-5)
    order = [int(topics.words[:, 10 * topic : 10 * topic + 10].sum(axis=1).argmax()) for topic in range(3)]
    assert sorted(order) == [0, 1, 2]
    found = topics.shares(counts)[:, order]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-4)
    assert np.abs(found - shares).max() < 0.15


def test_shares_are_as_likely_as_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    words = generator.dirichlet([0.2] * 40, 5)
    counts = generator.multinomial(300, generator.dirichlet([0.5] * 5, 50) @ words).astype(np.float32)
    found = Topics(words.astype(np.float32)).shares(counts)
    make: Any = NMF
    factors = make(5, solver="mu", beta_loss="kullback-leibler", max_iter=300, tol=1e-4, init="random", random_state=0)
    factors.fit(counts)
    factors.components_ = words.astype(np.float32)
    best = factors.transform(counts)
    best /= best.sum(axis=1, keepdims=True)
    lost = likelihood(counts, best, words) - likelihood(counts, found, words)
    assert abs(lost) < 1e-4 * abs(likelihood(counts, best, words))


def test_a_block_has_the_same_topics_alone_and_none_has_equal_shares() -> None:
    generator = np.random.default_rng(0)
    topics = Topics(generator.dirichlet([0.2] * 20, 4).astype(np.float32))
    counts = generator.integers(0, 5, (30, 20)).astype(np.float32)
    np.testing.assert_allclose(topics.shares(counts)[11], topics.shares(counts[11]), atol=1e-6)
    np.testing.assert_allclose(topics.shares(np.zeros((2, 20), np.float32)), 0.25)


def test_words_and_topics_follow_from_the_seed() -> None:
    generator = np.random.default_rng(0)
    sample, counts = generator.random((3000, 8)), generator.integers(0, 5, (200, 30)).astype(np.float32)
    one, again, other = (learn_vocabulary(sample, 20, seed).prototypes for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    one, again, other = (learn_topics(counts, 4, seed).words for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_words_fit_into_their_type() -> None:
    vocabulary = Vocabulary(np.arange(300, dtype=np.float32)[:, None])
    assert vocabulary.words(np.array([[299.2]], np.float16)).tolist() == [299]
