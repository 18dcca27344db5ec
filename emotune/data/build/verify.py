"""Verifies shards against their manifest: every byte, every sample, every count."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from emotune.core.errors import InputError
from emotune.core.storage import Folder, to_json_bytes
from emotune.data.manifest import HEALTH, MANIFEST, Manifest, Shard, content_digest, content_line, read_manifest
from emotune.data.shard_reader import read_samples

__all__ = ["describe_damage", "verify"]


def describe_damage(data: bytes | None, shard: Shard) -> str:
    """A description of how the file of a shard differs from what was written; empty if it does not.

    Args:
        data: The content of the file; None if there is no file.
        shard: The entry of the shard in the manifest.
    """
    if data is None:
        return "missing"
    if hashlib.sha256(data).hexdigest() == shard.sha256:
        return ""
    try:
        samples = list(read_samples(data, shard.file))
    except InputError:
        return f"damaged: its {len(data)} bytes are not the {shard.bytes} bytes that were written"
    if len(samples) != shard.samples:
        return f"{len(samples)} samples, but the manifest lists {shard.samples}"
    changed = [s.key for s in samples if hashlib.sha256(s.jpg).hexdigest() != s.sha256]
    return f"changed: {', '.join(changed[:5])}" if changed else "changed, though not in its images"


def verify(folder: Folder, advance: Callable[[int], None] = lambda images: None) -> tuple[Manifest, list[str]]:
    """The manifest of a folder of shards, and a description of each difference from it; none if all is sound.

    Args:
        folder: A folder with shards and their manifest.
        advance: A function that is called with the number of samples of each shard that has been checked.

    Raises:
        InputError: there is no manifest, or it is damaged.
    """
    manifest = read_manifest(folder)
    listed = {shard.file for shard in manifest.shards}
    # Other files beside the shards, such as a README.md, do not matter.
    tars = [name for name in folder.names() if name.endswith(".tar") and name[0] != "."]
    problems = [f"{name}: not in the manifest" for name in tars if name not in listed]
    health = folder.read(HEALTH)
    if health is None or hashlib.sha256(health).hexdigest() != manifest.health_sha256:
        problems.append(f"{HEALTH}: {'missing' if health is None else 'changed'}")
    content = _Content()
    for shard in manifest.shards:
        data = folder.read(shard.file)
        if problem := describe_damage(data, shard) or content.add(data or b"", shard):
            problems.append(f"{shard.file}: {problem}")
        advance(shard.samples)
    if not problems:
        problems += content.contradictions(manifest)
    if folder.read(MANIFEST) != to_json_bytes(folder.read_json(MANIFEST)):
        problems.append(f"{MANIFEST}: its bytes have changed, though not its content")
    return manifest, problems


@dataclass
class _Content:
    """The samples of the shards that have been read so far.

    Attributes:
        lines: The lines of the content hash, see `emotune.data.manifest.content_line`.
        counts: The number of samples by label and split.
    """

    lines: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, data: bytes, shard: Shard) -> str:
        """Adds the samples of a shard; returns a description of the first problem, empty if there is none."""
        before = len(self.lines)
        try:
            for sample in read_samples(data, shard.file):
                sha256 = hashlib.sha256(sample.jpg).hexdigest()
                if sha256 != sample.sha256:
                    return f"changed: {sample.key}"
                line = content_line(sample.key, sample.label, sample.votes, shard.split, sha256, sample.ratings)
                self.lines.append(line)
                self.counts[sample.label, shard.split] += 1
        except InputError as error:
            return str(error).removeprefix(f"{shard.file}: ")
        added = len(self.lines) - before
        return "" if added == shard.samples else f"{added} samples, but the manifest lists {shard.samples}"

    def contradictions(self, manifest: Manifest) -> list[str]:
        """Descriptions of what the manifest states wrongly about samples that are all sound."""
        problems = []
        if len({line.split()[0] for line in self.lines}) != len(self.lines):
            problems.append("an image is in the shards twice")
        listed = {(label, split): n for split, by_class in manifest.counts.items() for label, n in by_class.items()}
        if self.counts != Counter(listed):
            problems.append(f"{MANIFEST}: its counts are not those of the samples")
        if not manifest.synthetic and content_digest(self.lines, manifest.dimensions) != manifest.content_hash:
            problems.append(f"{MANIFEST}: its content hash is not that of the samples")
        return problems
