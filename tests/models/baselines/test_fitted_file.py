"""A file with what was fitted answers as scikit-learn does, for any number of classes, and holds nothing else."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from threadpoolctl import threadpool_info, threadpool_limits

from emotune.config.model import LogisticConfig, SvmConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.models.baselines import fitted_file
from emotune.models.baselines.fitted_file import read_fitted, write_fitted
from emotune.models.baselines.logistic import Logistic
from emotune.models.baselines.svm import Svm, mean_margins
from emotune.runs.directory import FITTED


def fitted(kind: str, known: list[int], classes: int) -> tuple[Svm | Logistic, np.ndarray]:
    """A model that was fitted to images of some classes, and features of others."""
    lot = np.random.default_rng(len(known))
    centres = lot.normal(size=(classes, 7))
    targets = np.array(known * 20)
    rows = (centres[targets] + lot.normal(size=(len(targets), 7))).astype(np.float32) * 5 + 3
    model = Svm(SvmConfig(c_grid=(1.0,)), classes) if kind == "svm" else Logistic(
        LogisticConfig(features="colours"), classes
    )  # fmt: skip
    model.fit(rows, targets, rows[::2], targets[::2])
    return model, lot.normal(size=(2345, 7)).astype(np.float32) * 5 + 3


@pytest.mark.parametrize("kind", ["svm", "logistic"])
@pytest.mark.parametrize(("known", "classes"), [([0, 1], 2), ([0, 2], 3), ([0, 1, 2], 3), ([0, 1, 3, 4, 6], 8)])
def test_it_answers_as_the_fitted_model_does(tmp_path: Path, kind: str, known: list[int], classes: int):
    model, rows = fitted(kind, known, classes)
    digest = write_fitted(Folder(str(tmp_path)), model)
    answered = read_fitted(Folder(str(tmp_path)), digest, classes)(rows)
    np.testing.assert_allclose(answered, model.log_probabilities(rows), atol=1e-4)  # libsvm rounds otherwise
    assert answered.dtype == np.float32 and answered.shape == (2345, classes)
    assert all(array.dtype.kind in "fi" for array in load_file(tmp_path / FITTED).values())


def test_answers_are_computed_by_one_thread_as_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digest = write_fitted(Folder(str(tmp_path)), fitted("svm", [0, 1, 2], 3)[0])
    answer, threads = read_fitted(Folder(str(tmp_path)), digest, 3), []

    def noting(margins: np.ndarray, classes: int) -> np.ndarray:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return mean_margins(margins, classes)

    monkeypatch.setattr(fitted_file, "mean_margins", noting)
    with threadpool_limits(2):
        answer(np.zeros((3, 7), np.float32))
    assert set(threads) == {1}


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path):
    folder = Folder(str(tmp_path))
    with pytest.raises(InputError, match=f"{FITTED}: missing"):
        read_fitted(folder, "0" * 64, 2)
    digest = write_fitted(folder, fitted("svm", [0, 1], 2)[0])
    (tmp_path / FITTED).write_bytes((tmp_path / FITTED).read_bytes()[:-1])
    with pytest.raises(InputError, match=f"{FITTED}: damaged"):
        read_fitted(folder, digest, 2)
