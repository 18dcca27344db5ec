"""A finished run's network, and what it says of images."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from torch import nn

from emotune.config.model import ModelConfig, NetworkConfig
from emotune.config.normalisation import Normalisation
from emotune.config.types import escape_control_characters
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.image_io import IMAGE_SIDE, UnreadableImageError, decode_square, read_file
from emotune.models.build import build
from emotune.models.networks.attention import record_attention
from emotune.models.weights.weights_file import read_run_weights
from emotune.runs.directory import CONFIG, RECORD
from emotune.training.evaluate import average_logits

__all__ = ["ImageInput", "Predictions", "Predictor", "load_center_crop", "load_predictor"]

ImageInput = str | Path | bytes | Image.Image
"""An image's file, its bytes, or the image."""


@dataclass(frozen=True)
class Predictions:
    """What a network says of N images.

    Attributes:
        classes: K names.
        probabilities: float32 (N, K).
        attention: By the dotted name of each attention layer, its weights of the positions in the centre crop, row by
            row, float32 (N, P), which sum to one; empty for networks without.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    attention: dict[str, np.ndarray]

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]


@dataclass(frozen=True)
class Predictor:
    """A finished run's network.

    Attributes:
        run_id: The run's.
        classes: K names, in the order of the network's outputs.
        network: In float32, whatever it was trained with.
        normalisation: Of the images that it sees.
        crops: Over how many crops of an image answers are averaged.
        device: Where the network is.
    """

    run_id: str
    classes: tuple[str, ...]
    network: nn.Module
    normalisation: Normalisation
    crops: int
    device: torch.device

    def predict(self, images: Iterable[ImageInput], batch_size: int = 50) -> Predictions:
        """What the network says of images, each treated as the run's test images were.

        Raises:
            InputError: one cannot be read; the message names it.
        """
        squares: list[np.ndarray] = []
        for number, image in enumerate(images):
            try:
                squares.append(load_center_crop(image))
            except (UnreadableImageError, OSError) as error:
                name = image if isinstance(image, str | Path) else f"image {number}"
                raise InputError(f"{name}: {error}") from None
        starts = range(0, len(squares), batch_size)
        return self.concat([self.predict_batch(squares[start : start + batch_size]) for start in starts])

    @torch.inference_mode()
    def predict_batch(self, squares: Sequence[np.ndarray]) -> Predictions:
        """What the network says of a batch, uint8 (SIDE, SIDE, 3) each, see `load_center_crop`."""
        images = [torch.from_numpy(image.copy()) for image in squares]
        batch = torch.stack(images).to(self.device) if self.device.type != "cpu" else images
        indices = np.arange(len(squares))
        with record_attention(self.network) as weights:  # of the first view, the centre
            seen = [
                self.network(crop_and_normalise(batch, view, indices, self.normalisation))
                for view in evaluation_crops(len(squares), self.crops)
            ]
        said = average_logits(seen).softmax(1)
        return Predictions(self.classes, said.cpu().numpy(), {name: w.cpu().numpy() for name, w in weights.items()})

    def concat(self, parts: Sequence[Predictions]) -> Predictions:
        """The answers of batches, one after another."""
        if not parts:
            return Predictions(self.classes, np.empty((0, len(self.classes)), np.float32), {})
        attention = {name: np.concatenate([part.attention[name] for part in parts]) for name in parts[0].attention}
        return Predictions(self.classes, np.concatenate([part.probabilities for part in parts]), attention)


def load_center_crop(image: ImageInput) -> np.ndarray:
    """An image as runs keep it: upright RGB, its centre square of 256×256, uint8 (256, 256, 3).

    From an image out of a shard follow the very pixels that a run was tested on. Of a larger one, emotune.shard keeps
    a JPEG that is shrunk to 256 pixels, so its pixels differ from these by that.

    Raises:
        UnreadableImageError: it is none, or damaged.
        OSError: its file cannot be read.
    """
    if isinstance(image, Image.Image):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")  # what is turned, transparent or of other modes is treated alike
        image = buffer.getvalue()
    return decode_square(image if isinstance(image, bytes) else read_file(Path(image)), IMAGE_SIDE)


def load_predictor(run: str, device: str = "auto") -> Predictor:
    """The network of a finished run.

    Args:
        run: Its folder, a path or URL.
        device: ``cpu``, ``cuda``, or ``auto``: the GPU if there is one.

    Raises:
        InputError: the folder has no finished run, or one whose model is no network; there is no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU here; leave it out, or say --device cpu")
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    folder = Folder(run.rstrip("/"))
    try:
        record, config = folder.read_json(RECORD), folder.read_json(CONFIG)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error}); name the folder of a finished run") from None
    if record is None or config is None:
        is_one = "this run is not finished" if config else "no run"
        raise InputError(f"{folder}: {is_one}; name the folder of a finished one, such as runs/alexnet-scenes-s0-…")
    try:
        model = TypeAdapter(ModelConfig).validate_python(config["model"])
        if not isinstance(model, NetworkConfig):
            raise InputError(f'{folder}: its model is "{model.name}", which leaves no network behind; name another run')
        crops = config["train"]["test_crops"]
        if crops not in (1, 5, 10):
            raise TypeError(f"test_crops {crops!r}")
        weights = read_run_weights(folder, record["weights"]["sha256"])
        network = build(model, len(weights.classes))
        network.load_state_dict(weights.tensors)
        run_id = escape_control_characters(record["run"])
    except (KeyError, TypeError, RuntimeError, ValidationError) as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{folder}: not what emotune writes ({why}); train the run again") from None
    network.to(where, memory_format=torch.channels_last).eval().requires_grad_(False)
    return Predictor(run_id, weights.classes, network, weights.normalisation, crops, where)
