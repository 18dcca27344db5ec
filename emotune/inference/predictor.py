"""Predicting the classes or ratings of images with the network of a finished run."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from torch import nn

from emotune.config.input_spec import InputSpec
from emotune.config.losses import CnnrLoss
from emotune.config.model import ModelConfig, own_code
from emotune.config.network import NetworkConfig
from emotune.config.normalisation import Normalisation
from emotune.config.resources import EVALUATION_BATCH_SIZE
from emotune.config.target import Dimension
from emotune.config.types import escape_control_characters
from emotune.config.user_code import UserCode
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.build.decode_clip import decode_clip
from emotune.data.file_type import file_kind_of
from emotune.data.image_io import UnreadableImageError, encode_jpeg, read_file
from emotune.data.shard_reader import decode_input
from emotune.data.sources.video import require_av
from emotune.models.build import build
from emotune.models.networks.attention import record_attention
from emotune.models.networks.clips import FRAMES_LAYER, of_samples
from emotune.models.weights.weights_file import read_run_weights
from emotune.runs.directory import CODE, CONFIG, RECORD
from emotune.training.distribution_losses import Readout, clipped_log_shares
from emotune.training.evaluate import average_logits

__all__ = ["FRAMES", "ImageInput", "Predictions", "Predictor", "load_center_crop", "load_predictor"]

FRAMES = f"{FRAMES_LAYER}.map"
"""The name of attention over the frames of a clip in `Predictions.attention`."""

ImageInput = str | Path | bytes | Image.Image
"""An image as the path of its file, as the bytes of its file, or opened by Pillow."""


@dataclass(frozen=True)
class Predictions:
    """A network's predictions for N images.

    Attributes:
        classes: The K class names; or the names of D dimensions.
        probabilities: The classes' probabilities, float32 (N, K); of dimensions, (N, 0).
        attention: The attention weights of each layer by its dotted name, float32 (N, P): for the positions of the
            centre crop, row by row; of clips the means over their frames. They sum to one. It is empty for networks
            without attention. Those of clips' frames, (N, T), are under `FRAMES`.
        ratings: The predicted ratings of dimensions on their own scales, which predictions may leave, float32 (N, D);
            of classes, (N, 0).
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    attention: dict[str, np.ndarray]
    ratings: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image; empty for dimensions."""
        if not self.probabilities.shape[1]:
            return []
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]


@dataclass(frozen=True)
class Predictor:
    """The network of a finished run and the way in which it sees images.

    Attributes:
        run_id: The run's id.
        classes: The K class names, in the order of the network's outputs.
        network: The network in float32, whatever precision it was trained in.
        normalisation: The normalisation of the images that the network sees.
        crops: The number of crops of an image over which predictions are averaged.
        device: The device of the network.
        input_spec: The network's input, which gives the sides of images and of their crops.
        readout: What makes logits of the network's outputs, if they are none: see
            `emotune.config.losses.CnnrLoss`.
        dimensions: The dimensions that are predicted, if classes are not.
    """

    run_id: str
    classes: tuple[str, ...]
    network: nn.Module
    normalisation: Normalisation
    crops: int
    device: torch.device
    input_spec: InputSpec = InputSpec()
    readout: Readout | None = None
    dimensions: tuple[Dimension, ...] = ()

    def predict(self, images: Iterable[ImageInput], batch_size: int = EVALUATION_BATCH_SIZE) -> Predictions:
        """The network's predictions for images, which are processed as the run's test images were.

        Args:
            images: Paths, bytes of files, or Pillow's images.
            batch_size: The number of images in a forward pass.

        Raises:
            InputError: an image cannot be read; the message names it.
        """
        squares: list[np.ndarray] = []
        for number, image in enumerate(images):
            try:
                squares.append(load_center_crop(image, self.input_spec))
            except (UnreadableImageError, OSError) as error:
                name = image if isinstance(image, str | Path) else f"image {number}"
                raise InputError(f"{name}: {error}") from None
        starts = range(0, len(squares), batch_size)
        return self._concat([self.predict_batch(squares[start : start + batch_size]) for start in starts])

    @torch.inference_mode()
    def predict_batch(self, squares: Sequence[np.ndarray]) -> Predictions:
        """The network's predictions for a batch of images, each uint8 (resize, resize, 3), or of clips.

        `load_center_crop` gives them for the predictor's ``input_spec``.
        """
        images = [torch.from_numpy(image.copy()) for image in squares]
        batch = torch.stack(images).to(self.device) if self.device.type != "cpu" else images
        indices = np.arange(len(squares))
        with record_attention(self.network) as weights:  # those of the first view, the centre crop
            outputs = [
                self.network(crop_and_normalise(batch, view, indices, self.normalisation))
                for view in evaluation_crops(len(squares), self.crops, self.input_spec)
            ]
        attention = {name: of_samples(w, len(squares)).cpu().numpy() for name, w in weights.items()}
        if self.dimensions:
            values = torch.stack(outputs).mean(0).cpu().numpy()
            ratings = np.stack([one.from_unit(values[:, i]) for i, one in enumerate(self.dimensions)], axis=1)
            return Predictions(self.classes, np.empty((len(squares), 0), np.float32), attention, ratings)
        logits = outputs if self.readout is None else [self.readout(one) for one in outputs]
        probabilities = average_logits(logits).softmax(1).cpu().numpy()
        return Predictions(self.classes, probabilities, attention)

    def _concat(self, parts: Sequence[Predictions]) -> Predictions:
        """The predictions of several batches as one."""
        if not parts:
            empty = np.empty((0, len(self.classes)), np.float32)
            none = np.empty((0, 0), np.float32)
            return Predictions(self.classes, none if self.dimensions else empty, {}, empty if self.dimensions else none)
        attention = {name: np.concatenate([part.attention[name] for part in parts]) for name in parts[0].attention}
        return Predictions(self.classes, np.concatenate([part.probabilities for part in parts]), attention,
                           np.concatenate([part.ratings for part in parts]))  # fmt: skip


def load_center_crop(image: ImageInput, input_spec: InputSpec = InputSpec()) -> np.ndarray:
    """The centre square of an image as runs see it: upright, RGB, resized, uint8 (resize, resize, 3).

    An image from a shard gives exactly the pixels that a run was tested on. For a larger original they can differ,
    because emotune.shard stores a JPEG that was shrunk to 256 pixels. For a run on videos, the image is the path of a
    video, or the JPEG of a clip from a shard, and the result has its frames, (frames, resize, resize, 3).

    Args:
        image: The image.
        input_spec: The input of the run's network: `Predictor.input_spec`.

    Raises:
        UnreadableImageError: the data is not an image, or is damaged.
        OSError: the file cannot be read.
        InputError: PyAV, which decodes videos, is not installed.
    """
    if isinstance(image, Image.Image):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")  # so that rotation, transparency and colour modes are treated alike
        image = buffer.getvalue()
    if isinstance(image, bytes):
        return decode_input(image, input_spec)
    read = read_file if input_spec.frames == 1 else partial(_read_clip, input_spec.frames)
    return decode_input(read(Path(image)), input_spec)


def _read_clip(frames: int, path: Path) -> bytes:
    """The frames of a video as a shard holds them, or of a JPEG from a shard."""
    if file_kind_of(path) == "jpeg":
        return read_file(path)
    require_av()
    return encode_jpeg(decode_clip(path, frames).strip)


def load_predictor(run: str, device: str = "auto", *, trust_code: bool = False) -> Predictor:
    """The network of a finished run.

    Args:
        run: The path or URL of the run's folder.
        device: ``cpu``, ``cuda``, or ``auto`` for the GPU if there is one.
        trust_code: Whether the code of a network that emotune does not have may be executed; it comes with the run.

    Raises:
        InputError: the folder has no finished run, the run's model is not a network, its code is not trusted, or there
            is no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no GPU on this machine; omit the option, or use --device cpu")
    target = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    folder = Folder(run.rstrip("/"))
    try:
        record, config = folder.read_json(RECORD), folder.read_json(CONFIG)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error}); name the folder of a finished run") from None
    if record is None or config is None:
        problem = "this run is not finished" if config else "not a run"
        raise InputError(f"{folder}: {problem}; name the folder of a finished run, such as runs/alexnet-scenes-s0-…")
    if config.get("tuning"):
        raise InputError(f"{folder}: a tuning run, which keeps no weights; name a run of the study that it tuned")
    try:
        model = TypeAdapter(ModelConfig).validate_python(config["model"], context={"folder": None})
        if not isinstance(model, NetworkConfig):
            raise InputError(f'{folder}: its model "{model.name}" is not a network; name another run')
        if own := own_code(model):
            _require_trust(folder, own, trust_code=trust_code)
        crops = config["train"]["test_crops"]
        if crops not in (1, 5, 10):
            raise TypeError(f"test_crops {crops!r}")
        input_spec = TypeAdapter(InputSpec).validate_python(config.get("input", {}))  # earlier runs have none
        loss = config["train"].get("loss")
        dimensions = TypeAdapter(tuple[Dimension, ...]).validate_python(config["dataset"].get("dimensions", ()))
        cnnr = isinstance(loss, dict) and loss.get("name") == CnnrLoss.name
        weights = read_run_weights(folder, record["weights"]["sha256"])
        network = build(model, len(weights.classes), input_spec=input_spec)
        network.load_state_dict(weights.tensors)
        run_id = escape_control_characters(record["run"])
    except (KeyError, TypeError, RuntimeError, ValidationError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{folder}: not the files of a run ({reason}); train the run again") from None
    network.to(target).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return Predictor(
        run_id,
        weights.classes,
        network,
        weights.normalisation,
        crops,
        target,
        input_spec,
        clipped_log_shares if cnnr else None,
        dimensions,
    )


def _require_trust(folder: Folder, code: UserCode, *, trust_code: bool) -> None:
    """Raises an InputError unless the user trusts the code that comes with the run, and ``code.py`` shows that code."""
    source = code.source.encode()
    if folder.read(CODE) != source:
        raise InputError(f"{folder / CODE}: is not the code in {CONFIG} that the run was trained with; train it again")
    if not trust_code:
        raise InputError(
            f"{folder}: its network has code that comes with the run, {escape_control_characters(code.code)}; read "
            f"{folder / CODE} (sha256 {hashlib.sha256(source).hexdigest()}), and if you trust it, repeat the command "
            "with --trust-code"
        )
