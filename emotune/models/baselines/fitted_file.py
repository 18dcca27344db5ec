"""``fitted.safetensors``: what a support vector machine or a logistic regression has learned, so that it answers again.

It holds arrays in float64 and no code: means and scales of the features, support vectors with their weights for each
pair of classes or the weights of each class, intercepts and the temperature. Its answers are those of scikit-learn,
which need not be installed to read them.
"""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.models.baselines.baseline import one_thread
from emotune.models.baselines.calibration import log_probabilities
from emotune.models.baselines.logistic import Logistic
from emotune.models.baselines.svm import Svm, mean_margins
from emotune.runs.directory import FITTED

__all__ = ["read_fitted", "write_fitted"]

BATCH = 1000
"""The number of images whose distances to all support vectors are in memory at a time."""
Arrays = dict[str, np.ndarray]


def write_fitted(folder: Folder, model: Svm | Logistic) -> str:
    """Writes what a model has learned into a run's folder and returns the file's sha256."""
    data = save({name: np.ascontiguousarray(array) for name, array in model.arrays().items()})
    folder.write(FITTED, data)
    return hashlib.sha256(data).hexdigest()


def read_fitted(folder: Folder, sha256: str, classes: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function that gives the log-probabilities of the classes, (N, F) → float32 (N, K).

    Args:
        folder: The run's folder.
        sha256: The file's sha256 according to the run's record.
        classes: The number of classes, K.

    Raises:
        InputError: the file is missing or damaged.
    """
    data = folder.read(FITTED)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        problem = "missing" if data is None else "damaged"
        raise InputError(f"{folder / FITTED}: {problem}; delete {folder} and train the run again")
    try:
        arrays: Arrays = load(data)
        scores = _of_machine if "vectors" in arrays else _of_regression
        scores(arrays, np.zeros((1, len(arrays["mean"]))))
    except (SafetensorError, LookupError, ValueError) as error:
        raise InputError(f"{folder / FITTED}: not what a run writes ({error}); train the run again") from None

    def answer(features: np.ndarray) -> np.ndarray:
        parts = [features[first : first + BATCH] for first in range(0, len(features), BATCH)]
        with one_thread() if find_spec("threadpoolctl") else nullcontext():  # it comes with scikit-learn
            found = np.concatenate([scores(arrays, part) for part in parts])
        return log_probabilities(found, float(arrays["temperature"][0]), arrays["known"], classes)

    return answer


def _standardised(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    return (features.astype(np.float64) - arrays["mean"]) / arrays["scale"]


def _of_machine(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The scores of the classes with training images, as `emotune.models.baselines.svm` computes them."""
    rows, vectors = _standardised(arrays, features), arrays["vectors"]
    squares = (rows**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1) - 2 * rows @ vectors.T
    margins = np.exp(-arrays["gamma"][0] * np.maximum(squares, 0)) @ arrays["pair_weights"] + arrays["intercepts"]
    return mean_margins(margins, len(arrays["known"]))


def _of_regression(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """The scores of the classes with training images; of two classes, that of the first is zero."""
    scores = _standardised(arrays, features) @ arrays["weights"].T + arrays["intercepts"]
    return np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores
