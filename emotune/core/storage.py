"""Folders on disk or behind a URL, in which a file appears whole or not at all."""

import contextlib
import errno
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from emotune.core.errors import InputError

__all__ = ["Folder", "reject_credentials", "split_location", "to_json_bytes"]

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of files that are being written, see `Folder.opened`."""
PASSWORD = re.compile(r"(?<=://)[^/@]*:(?!\d+(?:/|$))[^@]*(?=@)")
"""``user:password`` in a URL; what stands before ``@`` in a path, after a port, is none."""
SIGNED = re.compile(r"(?<=[?&])(?:x-(?:amz|goog)-[\w-]+|awsaccesskeyid|signature|sig|\w*token|\w*key)=[^&]*", re.I)
"""What lets whoever has the URL in."""
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
CREATE_EXCLUSIVELY = {"s3", "gs", "abfs", "memory"}
"""File systems whose ``pipe_file(mode="create")`` is atomic; fsspec's own only looks first."""
IN_ONE_REQUEST = {"s3": {"max_concurrency": 1}}
"""How file systems read that otherwise ask for the size first, in listings that may be old, and then for parts, which
may be of several versions.
"""
ATTEMPTS = 3
RETRY_DELAY_S = 1.0
"""Between attempts; and where nothing is exclusive, until what another has just written shows."""


def to_json_bytes(value: Any) -> bytes:
    """The file that `Folder.write_json` writes."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Folder:
    """A folder at a local path or any fsspec URL (``s3://bucket/runs``).

    Object stores write an object whole or not at all; on a local disk a temporary file in the same folder is flushed
    and renamed.

    Raises:
        InputError: the URL has credentials in it, see `reject_credentials`.
    """

    url: str

    def __post_init__(self) -> None:
        reject_credentials(self.url)

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def local(self) -> Path | None:
        """The path, where the folder is on this machine's file system."""
        fs, path = self._filesystem()
        return Path(path) if isinstance(fs, LocalFileSystem) else None

    def write(self, name: str, data: bytes, *, flush: bool = True) -> None:
        """Writes (or replaces) the file ``name`` atomically; without ``flush`` a power cut may leave it empty."""
        fs, path = self._filesystem()
        if self.local is None:
            fs.pipe_file(f"{path}/{name}", data)
            return
        with self.opened(name, flush=flush) as file:
            file.write(data)

    @contextlib.contextmanager
    def opened(self, name: str, *, flush: bool = True, exclusive: bool = False) -> Iterator[BinaryIO]:
        """On disk: a file to write and read, that appears as ``name`` once it is left without an error.

        Raises:
            FileExistsError: it was to be ``exclusive``, and there is one already.
        """
        target = self.local / name
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                if flush:
                    os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            if exclusive:
                os.link(temporary, target)
                Path(temporary).unlink()
            else:
                Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def create(self, name: str, data: bytes) -> bool:
        """Writes the file ``name`` if there is none; whether it has. Of several at once, one does.

        A request that is repeated because its answer was lost finds its own file: so ``data`` should tell its writer
        from others, and what is there counts as written by this call if it is ``data``.

        Disks and the stores of S3, Google and Azure create exclusively. Elsewhere, the file is looked for, written, and
        read back after a second: the last one to write has it, unless it takes longer than that. A disk without links
        may show a file before it is whole; ``memory://`` is for one thread.
        """
        with contextlib.suppress(FileExistsError):
            if self.local is None:
                self._create_behind_url(name, data)
            else:
                self._create_on_disk(name, data)
        return self.read(name) == data

    def _create_on_disk(self, name: str, data: bytes) -> None:
        try:
            with self.opened(name, exclusive=True) as file:
                file.write(data)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with (self.local / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def _create_behind_url(self, name: str, data: bytes) -> None:
        fs, path = self._filesystem()
        for attempt in range(ATTEMPTS if _protocols(fs) & CREATE_EXCLUSIVELY else 0):
            try:
                with self._reached():
                    fs.pipe_file(f"{path}/{name}", data, mode="create")
                return
            except (FileExistsError, FileNotFoundError, PermissionError):
                raise
            except (OSError, InputError) as error:  # stores say in many ways that there is one already
                if self.read(name) is not None:
                    return
                if isinstance(error, OSError) and error.errno == errno.ENOSYS:
                    break  # "NotImplemented": a store that does not know conditions
                if attempt + 1 == ATTEMPTS:
                    raise
            time.sleep(RETRY_DELAY_S)  # another is being created or deleted at this moment
        if self.read(name) is None:
            self.write(name, data)
            time.sleep(RETRY_DELAY_S)

    def upload(self, name: str, file: BinaryIO) -> None:
        """Writes (or replaces) the file ``name`` behind a URL with what is in an open file of this machine's disk."""
        fs, path = self._filesystem()
        file.flush()
        file.seek(0)
        with self._reached():
            fs.put_file(f"/dev/fd/{file.fileno()}", f"{path}/{name}")

    def read(self, name: str) -> bytes | None:
        """The bytes of the file ``name``, or None where there is none."""
        fs, path = self._filesystem()
        options = next((IN_ONE_REQUEST[name] for name in _protocols(fs) if name in IN_ONE_REQUEST), {})
        try:
            with self._reached():
                return fs.cat_file(f"{path}/{name}", **options)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def names(self) -> list[str]:
        """What is in the folder, sorted; nothing where there is no folder.

        Raises:
            OSError: it is no folder, or it cannot be read.
        """
        if self.local is not None:
            return sorted(path.name for path in self.local.iterdir()) if self.local.exists() else []
        fs, path = self._filesystem()
        fs.invalidate_cache(path)  # others write there too
        try:
            with self._reached():
                return sorted(found.rstrip("/").rpartition("/")[2] for found in fs.ls(path, detail=False))
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        """Removes the file ``name`` if it is there."""
        fs, path = self._filesystem()
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(f"{path}/{name}")

    def files(self) -> dict[str, tuple[int, float]]:
        """Bytes, and time of the last change (seconds since 1970; 0: not known), of each file beneath, by its path.

        In one listing; nothing where there is no folder.
        """
        fs, path = self._filesystem()
        fs.invalidate_cache(path)
        try:
            with self._reached():
                found = fs.find(path, detail=True)
        except FileNotFoundError:
            return {}
        return {name[len(path) :].lstrip("/"): (info["size"] or 0, _changed(info)) for name, info in found.items()}

    def remove(self) -> None:
        """Removes the folder and all that is in it, if it is there."""
        fs, path = self._filesystem()
        with contextlib.suppress(FileNotFoundError), self._reached():
            fs.rm(path, recursive=True)

    def require_writable(self) -> None:
        """Writes a file and removes it again.

        Raises:
            InputError: that cannot be done here.
        """
        try:
            self.write(".probe", b"")
            self.delete(".probe")
        except Exception as error:  # every kind of storage has its own
            raise InputError(f"{self}: cannot be written to ({error}); name another place") from None

    def write_json(self, name: str, value: Any) -> None:
        """Writes ``value`` as readable JSON."""
        self.write(name, to_json_bytes(value))

    def read_json(self, name: str) -> Any | None:
        """The value in the JSON file ``name``, or None where there is none.

        Raises:
            InputError: the file is not JSON.
        """
        data = self.read(name)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError as error:
            raise InputError(f"{self / name}: not readable as JSON ({error}); delete it to start again") from None

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Every kind of storage has errors of its own: for lack of credentials, say."""
        try:
            yield
        except (OSError, InputError):
            raise
        except Exception as error:
            raise InputError(f"{self}: cannot be reached: {error}") from None

    def _filesystem(self) -> tuple[fsspec.AbstractFileSystem, str]:
        if "://" not in self.url:  # else "::" in a path would be read as a chain of file systems
            return fsspec.filesystem("file"), str(Path(self.url).absolute())
        try:
            return fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise InputError(f"{self.url}: cannot be reached: {error}") from None


def reject_credentials(location: str) -> None:
    """Locations stand in configs, records and reports, which are shown to others.

    Raises:
        InputError: it is a URL with a password, a key or a signature; without telling them.
    """
    shown = SIGNED.sub("***", PASSWORD.sub("***", location)) if "://" in location else location
    if shown != location:
        raise InputError(
            f"{shown}: has credentials in it, which reports and records would show; leave them out, and give them in "
            "the environment (AWS_ACCESS_KEY_ID, …), in your own configuration (~/.aws), or to the machine (its role)"
        )


def split_location(location: str) -> tuple[str, str]:
    """The folder of a file at a path or URL, and the file's name in it.

    >>> split_location("/weights/a.npz"), split_location("s3://weights/a.npz")
    (('/weights', 'a.npz'), ('s3://weights', 'a.npz'))
    >>> split_location("/a.npz"), split_location("memory://a.npz")
    (('/', 'a.npz'), ('memory:///', 'a.npz'))
    """
    reject_credentials(location)
    scheme, mark, path = location.rpartition("://")
    folder, _, name = path.rpartition("/")
    return f"{scheme}{mark}{folder or '/'}", name


def _protocols(fs: fsspec.AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def _changed(info: dict[str, Any]) -> float:
    """Every kind of storage says it in its own way."""
    when = info.get("mtime") or info.get("LastModified") or info.get("created") or 0.0
    return when.timestamp() if isinstance(when, datetime) else float(when)
