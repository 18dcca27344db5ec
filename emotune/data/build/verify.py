"""Whether shards are what their manifest says."""

import hashlib
from collections import Counter
from collections.abc import Callable

from emotune.core.errors import InputError
from emotune.core.storage import Folder, to_json_bytes
from emotune.data.manifest import HEALTH, MANIFEST, Manifest, Shard, content_line, digest, read_manifest
from emotune.data.shard_reader import read_samples

__all__ = ["describe_damage", "verify"]


def describe_damage(data: bytes | None, shard: Shard) -> str:
    """What is wrong with a shard's file: ``missing``, or other bytes than were written; empty if it is sound."""
    if data is None:
        return "missing"
    if hashlib.sha256(data).hexdigest() == shard.sha256:
        return ""
    try:
        samples = list(read_samples(data, shard.file))
    except InputError:
        return f"damaged: {len(data)} bytes that are not those that were written, {shard.bytes} of them"
    if len(samples) != shard.samples:
        return f"{len(samples)} samples, the manifest says {shard.samples}"
    changed = [s.key for s in samples if hashlib.sha256(s.jpg).hexdigest() != s.sha256]
    return f"changed: {', '.join(changed[:5])}" if changed else "changed, though not in its images"


def verify(folder: Folder, advance: Callable[[int], None] = lambda images: None) -> tuple[Manifest, list[str]]:
    """Reads everything in a folder of shards, and says what is not as it was written; nothing, if all is sound.

    Args:
        folder: With shards and their manifest.
        advance: Called with the number of samples of each shard that is through.

    Raises:
        InputError: there is no manifest, or it is damaged.
    """
    manifest = read_manifest(folder)
    expected = {shard.file for shard in manifest.shards}
    # Other files beside them, such as a README.md, are no matter of the manifest's.
    tars = [name for name in folder.names() if name.endswith(".tar") and name[0] != "."]
    problems = [f"{name}: not in the manifest" for name in tars if name not in expected]
    health = folder.read(HEALTH)
    if health is None or hashlib.sha256(health).hexdigest() != manifest.health_sha256:
        problems.append(f"{HEALTH}: {'missing' if health is None else 'changed'}")
    lines: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    for shard in manifest.shards:
        data = folder.read(shard.file)
        if found := describe_damage(data, shard) or _read(data or b"", shard, lines, counts):
            problems.append(f"{shard.file}: {found}")
        advance(shard.samples)
    if not problems:
        problems += _contradictions(manifest, lines, counts)
    if folder.read(MANIFEST) != to_json_bytes(folder.read_json(MANIFEST)):
        problems.append(f"{MANIFEST}: changed, though not in what it says")
    return manifest, problems


def _read(data: bytes, shard: Shard, lines: list[str], counts: Counter[tuple[str, str]]) -> str:
    """Adds a shard's samples to ``lines`` and ``counts``; what is wrong with it, though it is the manifest's file."""
    before = len(lines)
    try:
        for sample in read_samples(data, shard.file):
            sha256 = hashlib.sha256(sample.jpg).hexdigest()
            if sha256 != sample.sha256:
                return f"changed: {sample.key}"
            lines.append(content_line(sample.key, sample.label, sample.votes, shard.split, sha256))
            counts[sample.label, shard.split] += 1
    except InputError as error:
        return str(error).removeprefix(f"{shard.file}: ")
    read = len(lines) - before
    return "" if read == shard.samples else f"{read} samples, the manifest says {shard.samples}"


def _contradictions(manifest: Manifest, lines: list[str], counts: Counter[tuple[str, str]]) -> list[str]:
    """What the manifest says of samples that are all sound, and is not so."""
    found = []
    if len({line.split()[0] for line in lines}) != len(lines):
        found.append("an image is in the shards twice")
    said = {(label, split): n for split, by_class in manifest.counts.items() for label, n in by_class.items() if n}
    if counts != said:
        found.append(f"{MANIFEST}: its counts are not those of the samples")
    if not manifest.synthetic and digest(sorted(lines)) != manifest.content_hash:
        found.append(f"{MANIFEST}: its content hash is not that of the samples")
    return found
