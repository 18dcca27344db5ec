"""Folders on disk or behind a URL, in which a file appears whole or not at all."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from emotune.errors import InputError

__all__ = ["Folder", "as_json"]


def as_json(value: Any) -> bytes:
    """The file that `Folder.write_json` writes."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Folder:
    """A folder at a local path or any fsspec URL (``s3://bucket/runs``).

    Object stores write an object whole or not at all; on a local disk a temporary file in the same folder is flushed
    and renamed.
    """

    url: str

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
        target = self.local / name
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if flush:
                    os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def read(self, name: str) -> bytes | None:
        """The bytes of the file ``name``, or None where there is none."""
        fs, path = self._filesystem()
        try:
            with self._reached():
                return fs.cat_file(f"{path}/{name}")
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
        """Bytes, and time of the last change (seconds since 1970; 0: not known), of each file beneath, by its path."""
        fs, path = self._filesystem()
        fs.invalidate_cache(path)
        with self._reached():
            found = fs.find(path, detail=True)
        return {name.removeprefix(f"{path}/"): (info["size"] or 0, _changed(info)) for name, info in found.items()}

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
        self.write(name, as_json(value))

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


def _changed(info: dict[str, Any]) -> float:
    """Every kind of storage says it in its own way."""
    when = info.get("mtime") or info.get("LastModified") or info.get("created") or 0.0
    return when.timestamp() if isinstance(when, datetime) else float(when)
