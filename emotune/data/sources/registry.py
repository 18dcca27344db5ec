"""All sources of images by the name of their command."""

from collections.abc import Mapping
from types import MappingProxyType

from emotune.data.sources.base import Source
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.csv_source import Csv
from emotune.data.sources.fi import FiArchive, FiLinks
from emotune.data.sources.public_datasets import Abstract, ArtPhoto, EmoSet, Emotion6, Twitter1
from emotune.data.sources.rated_datasets import FindingEmo, Gaped, Naps, Oasis
from emotune.data.sources.scenes import Scenes
from emotune.data.sources.video import Video
from emotune.data.sources.vote_counts import FlickrLdl, TwitterLdl

__all__ = ["SOURCES"]

SOURCES: Mapping[str, type[Source]] = MappingProxyType({
    "folder": ClassFolders, "csv": Csv, "video": Video, "fi-links": FiLinks, "fi-archive": FiArchive, "emoset": EmoSet,
    "emotion6": Emotion6, "abstract": Abstract, "artphoto": ArtPhoto, "twitter1": Twitter1,
    "flickr-ldl": FlickrLdl, "twitter-ldl": TwitterLdl, "oasis": Oasis, "gaped": Gaped, "naps": Naps,
    "findingemo": FindingEmo, "scenes": Scenes,
})  # fmt: skip
"""The sources that `emotune.shard` reads, by the name of the command."""
