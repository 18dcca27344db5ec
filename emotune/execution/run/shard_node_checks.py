"""Checks of a cluster before it makes shards: all its nodes have the same code, and see the images and the shards.

Its functions are called while this process is connected to the cluster
(`emotune.execution.run.ray_session.ray_connection`).
"""

from collections.abc import Sequence
from pathlib import Path

from emotune.config.resources import Resources
from emotune.core.storage import Folder
from emotune.data.build.decode_clip import VERSION as CLIP_VERSION
from emotune.data.build.ingest import source_stamp
from emotune.data.build.ingest_image import VERSION as IMAGE_VERSION
from emotune.data.sources.base import Clip, Entry
from emotune.execution.run.node_checks import alive_nodes, capacity, require_alike

__all__ = ["check_shard_nodes"]

IMAGES_LOOKED_AT = 64
"""Images that each node looks at before anything is read; all others are checked where they are read."""


def check_shard_nodes(out: Folder, entries: Sequence[Entry]) -> None:
    """Checks that every node of the cluster can read the images and write the shards.

    Versions, also of what decodes, must be the same as here, the folder of shards must be the same place and writable,
    and nodes with CPUs must see the same files of some images, spread over the listing.

    Args:
        out: The folder of the shards.
        entries: The listed images.

    Raises:
        InputError: A node differs; the message says for each node what is wrong and what to do.
    """
    nodes = {node["NodeID"]: node for node in alive_nodes()}
    listed = [entry for entry in entries if isinstance(entry.image, Path | Clip)]
    step = max(1, len(listed) // IMAGES_LOOKED_AT)
    stamped = [(entry, source_stamp(entry)) for entry in [*listed[::step], *listed[-1:]]]
    inputs = {
        id_: (stamped if capacity(node, Resources()) else [], (IMAGE_VERSION, CLIP_VERSION))
        for id_, node in nodes.items()
    }
    require_alike(nodes, out, "--out", _source_problems, inputs)


def _source_problems(stamped: Sequence[tuple[Entry, str]], versions_there: tuple[str, str]) -> list[str]:
    """The problems on this node with the images that it must read.

    Args:
        stamped: Some images, each with the `source_stamp` that it must have.
        versions_there: The versions of how images and clips are ingested where the command was started.
    """
    if versions_there != (IMAGE_VERSION, CLIP_VERSION):
        there, here = " and ".join(versions_there), f"{IMAGE_VERSION} and {CLIP_VERSION}"
        return [f"reads images with {here}, this process with {there}; install the same packages on all nodes"]
    differing = [entry for entry, stamp in stamped if source_stamp(entry) != stamp]
    if not differing:
        return []
    image = differing[0].image
    path = image.path if isinstance(image, Clip) else image
    return [
        f"{path}: {len(differing)} of {len(stamped)} images looked at are missing on this node, or have another size "
        "or time, this is the first; mount the folder of images at the same path on all nodes"
    ]
