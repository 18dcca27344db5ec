"""Thumbnails of test images for reports, only of data sets that allow them."""

from collections.abc import Collection

import numpy as np
from PIL import Image

from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef
from emotune.data.datasets.location import is_ready, manifest_of, shards_folder
from emotune.data.image_io import center_crop, encode_jpeg
from emotune.data.read.split_rows import shards_of
from emotune.data.shard_reader import checked_samples, decode_sample

__all__ = ["thumbnails"]

JPEG_QUALITY = 80


def thumbnails(
    ref: DatasetRef, ids: Collection[str], side: int = 96, input_spec: InputSpec = InputSpec(), *, strips: bool = False
) -> dict[str, bytes]:
    """JPEGs of the centre crops of test images, which is what networks see, by sample id in the order of ``ids``.

    The result is empty if the manifest does not allow the images to be shown. Samples whose shards do not exist are
    left out.

    Args:
        ref: The data set.
        ids: The ids of the samples; ids that are not in the shards of test images are ignored.
        side: The height and width of a thumbnail, in pixels.
        input_spec: The input of the network whose centre crops are shown.
        strips: Whether clips are shown by all their frames, one beside another, instead of by the middle one.

    Raises:
        InputError: a shard is damaged.
    """
    if not ids or not is_ready(ref) or not manifest_of(ref).may_show_images:
        return {}
    folder, seen = shards_folder(ref), input_spec.of(manifest_of(ref).frames)
    jpegs: dict[str, bytes] = {}
    existing = set(folder.names())
    for shard in shards_of(ref, ["test"]):
        if len(jpegs) == len(set(ids)):
            break
        if shard.file not in existing:
            continue
        for sample in checked_samples(folder, shard):
            if sample.key in ids:
                pixels = center_crop(decode_sample(sample, str(folder / shard.file), seen), seen.side)
                frames = [pixels] if seen.frames == 1 else pixels if strips else [pixels[seen.frames // 2]]
                small = [Image.fromarray(one).resize((side, side), Image.Resampling.LANCZOS) for one in frames]
                strip = Image.fromarray(np.concatenate([np.asarray(one) for one in small], axis=1))
                jpegs[sample.key] = encode_jpeg(strip, JPEG_QUALITY)
    return {sample_id: jpegs[sample_id] for sample_id in dict.fromkeys(ids) if sample_id in jpegs}
