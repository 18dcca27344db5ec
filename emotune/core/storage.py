"""Folders on disk or behind a URL, with atomic file writes."""

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from emotune.core.errors import InputError
from emotune.core.location import reject_credentials
from emotune.core.new_folders import absent_folders, make_temporary, remove_empty

__all__ = ["TEMPORARY", "Folder", "to_json_bytes"]

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of files that are being written, see `Folder.opened`."""
NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
CREATE_EXCLUSIVELY = {"s3", "gs", "abfs", "memory"}
"""File systems whose ``pipe_file(mode="create")`` is atomic; fsspec's default implementation is not."""
SINGLE_REQUEST_OPTIONS = {"s3": {"max_concurrency": 1}}
"""Options that make a file system read a file in one request.

By default it asks for the size first, in listings that may be outdated, and then for parts, which may belong to several
versions of the file.
"""
ATTEMPTS = 3
RETRY_DELAY_S = 1.0
"""Delay between attempts, and on stores without exclusive creation, before a file is read back."""


def to_json_bytes(value: Any) -> bytes:
    """The bytes that `Folder.write_json` writes."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Folder:
    """A folder at a local path or any fsspec URL (``s3://bucket/runs``).

    Writes are atomic: object stores write a complete object or none, and on a local disk a temporary file in the same
    folder is flushed and renamed.

    Raises:
        InputError: the URL contains credentials, see `reject_credentials`.
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
        """The folder's path if it is on this machine's file system, else None."""
        if "://" not in self.url:
            return Path(self.url).absolute()
        fs, path = self._filesystem()
        return Path(path) if isinstance(fs, LocalFileSystem) else None

    def write(self, name: str, data: bytes, *, flush: bool = True) -> None:
        """Writes (or replaces) the file ``name`` atomically; without ``flush`` a power failure may leave it empty."""
        if self.local is None:
            fs, path = self._filesystem()
            fs.pipe_file(f"{path}/{name}", data)
            return
        with self.opened(name, flush=flush) as file:
            file.write(data)

    @contextlib.contextmanager
    def opened(self, name: str, *, flush: bool = True, exclusive: bool = False) -> Iterator[BinaryIO]:
        """Opens a new file on a local disk; it appears as ``name`` if the context ends without an error.

        Args:
            name: The path of the file in this folder.
            flush: Whether the file is on the disk when it appears.
            exclusive: Whether an existing file is an error instead of being replaced.

        Raises:
            FileExistsError: the file exists and ``exclusive`` is set.
        """
        target = self._path(name)
        descriptor, temporary = make_temporary(target)
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
        """Creates the file ``name`` exclusively: of several simultaneous calls only one succeeds.

        A request that is repeated because its response was lost finds its own file. Therefore an existing file with the
        same content counts as created by this call, and ``data`` should identify its writer.

        Local disks, S3, Google Cloud Storage and Azure create files exclusively. On other stores the file is looked
        for, written, and read back after a second: the last writer wins unless a write takes longer than that. A disk
        without hard links may show the file before it is complete; ``memory://`` is for one thread.

        Returns:
            Whether the file was created by this call.
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
            if error.errno not in NO_HARD_LINKS:
                raise
            with self._path(name).open("xb") as file:
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
            except (OSError, InputError) as error:  # every store has its own error for an existing file
                if self.read(name) is not None:
                    return
                if isinstance(error, OSError) and error.errno == errno.ENOSYS:
                    break  # "NotImplemented": the store does not support conditional writes
                if attempt + 1 == ATTEMPTS:
                    raise
            time.sleep(RETRY_DELAY_S)  # the file is being created or deleted at this moment
        if self.read(name) is None:
            self.write(name, data)
            time.sleep(RETRY_DELAY_S)

    def upload(self, name: str, file: BinaryIO) -> None:
        """Writes (or replaces) the file ``name`` behind a URL with the content of an open file on this machine."""
        fs, path = self._filesystem()
        file.flush()
        file.seek(0)
        with self._reached():
            fs.put_file(f"/dev/fd/{file.fileno()}", f"{path}/{name}")

    def read(self, name: str) -> bytes | None:
        """The content of the file ``name``; None if it does not exist."""
        try:
            if (local := self.local) is not None:
                return (local / name).read_bytes()
            fs, path = self._filesystem()
            options: dict[str, Any] = {}
            for protocol in _protocols(fs):
                options |= SINGLE_REQUEST_OPTIONS.get(protocol, {})
            with self._reached():
                data = fs.cat_file(f"{path}/{name}", **options)
                return data if isinstance(data, bytes) else data.encode()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def read_part(self, name: str, start: int, size: int) -> bytes:
        """The bytes of the file ``name`` from a position on; fewer if it is shorter.

        Raises:
            FileNotFoundError: there is no such file.
        """
        fs, path = self._filesystem()
        with self._reached():
            return cast(bytes, fs.cat_file(f"{path}/{name}", start=start, end=start + size))

    def names(self) -> list[str]:
        """The names of the files and folders in this folder, sorted; empty if it does not exist.

        Raises:
            OSError: it is not a folder, or it cannot be read.
        """
        if self.local is not None:
            return sorted(path.name for path in self.local.iterdir()) if self.local.exists() else []
        fs, path = self._filesystem()
        fs.invalidate_cache(path)  # other processes write there too
        try:
            with self._reached():
                return sorted(entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=False))
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        """Removes the file ``name`` if it exists."""
        fs, path = self._filesystem()
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(f"{path}/{name}")

    def files(self) -> dict[str, tuple[int, float]]:
        """The size in bytes, and the modification time, of each file in this folder and its subfolders, by path.

        Times are in seconds since 1970; 0 means unknown. The folder is listed only once; the result is empty if it does
        not exist.
        """
        fs, path = self._filesystem()
        fs.invalidate_cache(path)
        try:
            with self._reached():
                listing = cast(dict[str, dict[str, Any]], fs.find(path, detail=True))  # a list without detail
        except FileNotFoundError:
            return {}
        return {name[len(path) :].lstrip("/"): (info["size"] or 0, _mtime(info)) for name, info in listing.items()}

    def remove(self) -> None:
        """Removes the folder with its content, if it exists."""
        fs, path = self._filesystem()
        with contextlib.suppress(FileNotFoundError), self._reached():
            fs.rm(path, recursive=True)

    def require_writable(self) -> None:
        """Checks that files can be written here, by writing and removing one; folders made for it do not stay.

        Raises:
            InputError: the file cannot be written or removed.
        """
        made = list[Path]()
        try:
            made = absent_folders(self.local)
            self.write(".probe", b"")
            self.delete(".probe")
        except Exception as error:  # every kind of storage has its own
            remove_empty(made)
            raise InputError(f"{self}: cannot be written to ({error}); choose another folder") from None
        remove_empty(made)

    def write_json(self, name: str, value: Any) -> None:
        """Writes ``value`` as readable JSON."""
        self.write(name, to_json_bytes(value))

    def read_json(self, name: str) -> Any | None:
        """The value in the JSON file ``name``; None if the file does not exist.

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
        """Turns the own errors of each kind of storage, such as missing credentials, into an InputError."""
        try:
            yield
        except (OSError, InputError):
            raise
        except Exception as error:
            raise InputError(f"{self}: cannot be reached: {error}") from None

    def _path(self, name: str) -> Path:
        """The path of a file in a folder that is known to be local."""
        assert self.local is not None
        return self.local / name

    def _filesystem(self) -> tuple[fsspec.AbstractFileSystem, str]:
        if "://" not in self.url:  # a "::" in a path would be read as a chain of file systems
            return fsspec.filesystem("file"), str(Path(self.url).absolute())
        try:
            return fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise InputError(f"{self.url}: cannot be reached: {error}") from None


def _protocols(fs: fsspec.AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def _mtime(info: dict[str, Any]) -> float:
    """The modification time in seconds since 1970; every kind of storage has its own name and type for it."""
    when = info.get("mtime") or info.get("LastModified") or info.get("created") or 0.0
    return when.timestamp() if isinstance(when, datetime) else float(when)
