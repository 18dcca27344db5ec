"""Small images of single samples, for reports; only of data that may be shown."""

from collections.abc import Collection

from PIL import Image

from emotune.config.run import DatasetRef
from emotune.data.datasets.location import is_ready, manifest_of, shards_folder
from emotune.data.image_io import CROP_SIDE, IMAGE_SIDE, encode_jpeg
from emotune.data.shard_reader import checked_samples, decode_sample

__all__ = ["thumbnails"]

QUALITY = 80
EDGE = (IMAGE_SIDE - CROP_SIDE) // 2


def thumbnails(ref: DatasetRef, ids: Collection[str], side: int = 96) -> dict[str, bytes]:
    """JPEGs of what networks see of test images, the centre crop, by sample id, in the order of ``ids``.

    Empty where the manifest does not say that the images may be shown; without those of shards that are not there.

    Args:
        ref: The data set.
        ids: Of samples; those that its test split does not have are left out.
        side: Pixels.

    Raises:
        InputError: a shard is damaged.
    """
    if not ids or not is_ready(ref) or not (manifest := manifest_of(ref)).may_show_images:
        return {}
    folder, found = shards_folder(ref), {}
    there = set(folder.names())
    for shard in manifest.shards_of("test"):
        if len(found) == len(set(ids)):
            break
        if shard.file not in there:
            continue
        for sample in checked_samples(folder, shard):
            if sample.key in ids:
                image = Image.fromarray(decode_sample(sample, str(folder / shard.file)))
                seen = image.crop((EDGE, EDGE, EDGE + CROP_SIDE, EDGE + CROP_SIDE))
                found[sample.key] = encode_jpeg(seen.resize((side, side), Image.Resampling.LANCZOS), QUALITY)
    return {sample_id: found[sample_id] for sample_id in dict.fromkeys(ids) if sample_id in found}
