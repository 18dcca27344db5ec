"""`record.json` of a finished run: its fields, reading it, and checking the files that it lists."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

from emotune.core.errors import InputError
from emotune.core.storage import Folder

__all__ = ["ATTENTION", "METRICS", "OVER_FRAMES", "PREDICTIONS", "RECORD", "RESULTS", "CodeOrigin", "EpochMetrics",
           "GitState", "Hardware", "InitialisationRecord", "Numerics", "RunRecord", "WeightsFile", "missing_or_torn",
           "read_record"]  # fmt: skip

RECORD = "record.json"
METRICS = "metrics.jsonl"
PREDICTIONS = "predictions.parquet"
ATTENTION = "attention.parquet"
RESULTS = (METRICS, PREDICTIONS, ATTENTION)
OVER_FRAMES = "over_frames"
"""The layer in `ATTENTION` whose weights are those of a clip's frames, in the order of time."""
"""The files that a report reads; the record lists the size of each."""


class EpochMetrics(TypedDict):
    """A finished epoch: one line of ``metrics.jsonl``.

    Attributes:
        epoch: The epoch's number, from 1.
        lr: The learning rate of the epoch's first step; None for a model that is not trained in steps.
        train_loss: The mean loss over the training images.
        train_accuracy: The training accuracy, per cent; of mixed images, that of the label with the greater share.
        val_loss: The mean cross-entropy over the validation images; of predicted dimensions, the mean squared error on
            scales from -1 to 1.
        val_accuracy: The validation accuracy, per cent.
        val_ccc: If dimensions are predicted, in the place of accuracies: the mean concordance correlation of the
            validation images.
        val_score: The value for the validation images of the metric that tells the best epoch, where that is neither
            the accuracy nor the CCC; missing if it is undefined.
        test_accuracy: The test accuracy, per cent; only where the metric's ``test_curve`` asks for it.
        attention_entropy: The mean entropy of the attention weights; only for networks with attention.
        train_s_so_far: The seconds that the run has spent in training steps.
    """

    epoch: int
    lr: float | None
    train_loss: float
    train_accuracy: NotRequired[float]
    val_loss: float
    val_accuracy: NotRequired[float]
    val_ccc: NotRequired[float]
    val_score: NotRequired[float]
    test_accuracy: NotRequired[float]
    attention_entropy: NotRequired[float]
    train_s_so_far: float


class Numerics(TypedDict):
    """The numerical settings of a run.

    Attributes:
        precision: The ``train.precision`` of the study.
        tf32: Whether matrix products and convolutions are in TF32.
        autocast: The type that operations are cast to, or None.
        deterministic: Whether only operations that repeat their results to the bit are used.
        compiled: Whether training steps are compiled.
        accumulate: The number of pieces in which a worker computes its share of a batch.
        channels_last: Whether images are in memory with their channels last.
        fused: Whether the optimizer updates all weights in one kernel.
    """

    precision: str
    tf32: bool
    autocast: str | None
    deterministic: bool
    compiled: bool
    accumulate: int
    channels_last: bool
    fused: bool


class GitState(TypedDict):
    """The state of the checkout that the code was run from.

    Attributes:
        commit: The commit that is checked out; None if it cannot be read.
        dirty: Whether files differ from the commit; None if git could not be asked.
        diff: The sha256 of the difference, which is in the file ``origin-<first 8 digits>.diff``.
        unknown: The reason why git could not be asked.
    """

    commit: str | None
    dirty: bool | None
    diff: NotRequired[str]
    unknown: NotRequired[str]


class CodeOrigin(TypedDict):
    """The code that trained a run: the checkout (None if emotune is installed), and the version of each package."""

    git: GitState | None
    versions: dict[str, str]


class Hardware(TypedDict):
    """The machine of rank 0: its architecture, its CPUs, the threads that torch used, and the GPU's name or None."""

    machine: str
    cpus: int | None
    threads: int
    gpu: str | None


class InitialisationRecord(TypedDict, total=False):
    """The origin of the initial weights; a run from scratch has only ``normalisation``.

    Attributes:
        location: The path or URL of the weights.
        digest: The first hexadecimal digits of the file's sha256.
        normalisation: The mean and the standard deviation of the channels, as ``mean`` and ``std``.
        layout: The format of the file.
        loaded: The names of the parameters that were loaded.
        new: The names of the parameters that were initialised at random.
        note: A warning about this file for this network.
    """

    location: str
    digest: str
    normalisation: dict[str, list[float]]
    layout: str
    loaded: list[str]
    new: list[str]
    note: str


class WeightsFile(TypedDict):
    """The digest of ``weights.safetensors``, or of another file with what a model has learned."""

    sha256: str


class RunRecord(TypedDict):
    """The record of a finished run: its result, and everything about how it was computed.

    Attributes:
        run: The run's id.
        model: The model's name.
        dataset: The data set's name.
        seed: The run's seed.
        selection: The rule that chose the tested epoch, in words.
        selected_epoch: The number of the tested epoch, from 1.
        last_epoch: The metrics of the last epoch.
        validation: The metrics of the epoch that the selection rule chose; only of tuning runs.
        parameters: The number of trained parameters.
        forward_flops: The floating-point operations of one image's forward pass; None if they are not counted.
        train_images: The number of training images.
        train_by_class: The number of training images of each class, in the order of the classes; old records lack it.
        train_shares: The mean share of each class in the votes on the training images; for the task *distributions*.
        train_means: The mean rating of the training images in each dimension, on its own scale; only if dimensions are
            predicted.
        test_images: The number of test images; tuning runs have none.
        accuracy: The test accuracy, per cent; not for tuning runs, nor if dimensions are predicted.
        ccc: The mean concordance correlation of the test images; only if dimensions are predicted.
        durations_s: Seconds by phase: ``reading`` before the first step since the process last began, ``train`` in
            all, ``test``, 0 for tuning runs, and ``this_start``, all since it last began. Models that are fitted read
            while they train.
        images_per_s: The training speed in images per second.
        workers: The number of ranks.
        reading: The way in which training images were read; a list if a continued run changed it.
        numerics: The numerical settings; a list if a continued run changed them.
        initialisation: The origin of the initial weights.
        interruptions: The number of times that the run was continued.
        hardware: The machine of rank 0.
        origins: The versions of the code that trained the run: several if a continued run had another one.
        notes: Warnings about problems during the run.
        weights: The digest of the trained weights; only for networks that are tested.
        fitted: The outcome of fitting; only for models that are not trained in steps.
        fitted_file: The digest of ``fitted.safetensors``, what was fitted; only for ``svm`` and ``logistic``.
        files: The bytes of each file of results, added when the record is written.
    """

    run: str
    model: str
    dataset: str
    seed: int
    selection: str
    selected_epoch: int
    last_epoch: EpochMetrics
    validation: NotRequired[EpochMetrics]
    parameters: int
    forward_flops: float | None
    train_images: int
    train_by_class: NotRequired[dict[str, int]]
    train_shares: NotRequired[dict[str, float]]
    train_means: NotRequired[dict[str, float]]
    test_images: NotRequired[int]
    accuracy: NotRequired[float]
    ccc: NotRequired[float]
    durations_s: dict[str, float]
    images_per_s: float
    workers: int
    reading: str | list[str]
    numerics: Numerics | list[Numerics]
    initialisation: InitialisationRecord
    interruptions: int
    hardware: Hardware
    origins: list[CodeOrigin]
    notes: NotRequired[list[str]]
    weights: NotRequired[WeightsFile]
    fitted: NotRequired[dict[str, Any]]
    fitted_file: NotRequired[WeightsFile]
    files: NotRequired[dict[str, int]]


def read_record(folder: Folder, run_id: str) -> RunRecord | None:
    """The record in a run's folder; None if the run is not finished.

    Only its type and its run are checked here: whoever needs a field reports the lack of it.

    Raises:
        InputError: the file is damaged.
    """
    record = folder.read_json(RECORD)
    if record is None:
        return None
    if not (isinstance(record, dict) and record.get("run") == run_id):
        raise InputError(f"{folder / RECORD}: not this run's record; delete {folder} to train it again")
    return cast(RunRecord, record)  # as it was written by emotune.training.record


def missing_or_torn(record: RunRecord, sizes: Mapping[str, int]) -> str:
    """The problem with a finished run's files, as in ``predictions.parquet is missing``; empty if they are complete.

    Args:
        record: The run's record. An old one that lists no files must have curves and predictions, of any size.
        sizes: The bytes of each file in the run's directory, by name.
    """
    listed: dict[str, int | None] = dict(record["files"]) if "files" in record else {METRICS: None, PREDICTIONS: None}
    for name, size in listed.items():
        if name not in sizes:
            return f"{name} is missing"
        if size is not None and sizes[name] != size:
            return f"{name} has {sizes[name]:,} bytes instead of {size:,}"
    return ""
