"""A file appears whole or not at all, on a disk and behind a URL."""

import errno
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from emotune.core import storage
from emotune.core.errors import InputError
from emotune.core.location import split_location
from emotune.core.storage import Folder


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path) -> Folder:
    return Folder(str(tmp_path / "pool") if request.param == "disk" else f"memory://{uuid.uuid4().hex}/pool")


def test_a_written_file_is_read_back(folder):
    folder.write("checkpoint/last.pt", b"\x00one")
    assert folder.read("checkpoint/last.pt") == b"\x00one"
    assert (folder / "checkpoint").read("last.pt") == b"\x00one"
    folder.write("checkpoint/last.pt", b"two")
    assert folder.read("checkpoint/last.pt") == b"two"


def test_a_missing_file_is_none(folder):
    assert folder.read("record.json") is None
    assert folder.read_json("record.json") is None
    folder.write("record.json", b"1")
    assert folder.read("record.json/deeper") is None


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_error(folder):
    folder.write("heartbeat.json", b"{}")
    folder.write("record.json", b"{}")
    folder.delete("heartbeat.json")
    folder.delete("heartbeat.json")
    assert folder.read("heartbeat.json") is None
    assert folder.read("record.json") == b"{}"


def test_names_are_sorted_and_empty_for_a_missing_folder(folder):
    assert folder.names() == []
    for name in ("b.json", "a.tar", ".hidden", "deeper/c.txt"):
        folder.write(name, b"x")
    assert folder.names() == [".hidden", "a.tar", "b.json", "deeper"]
    assert (folder / "deeper").names() == ["c.txt"]
    folder.delete("a.tar")
    assert folder.names() == [".hidden", "b.json", "deeper"]


def test_a_folder_behind_a_file_url_is_on_this_machine_and_one_behind_another_is_not(tmp_path):
    assert Folder(f"file://{tmp_path}").local == Folder(str(tmp_path)).local == tmp_path
    assert Folder("memory://pool").local is None
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(NotADirectoryError):
        Folder(str(tmp_path / "file")).names()


def test_json_is_read_back_and_is_indented(folder):
    value = {"question": "Does it help? – Größe", "loss": [0.1, None, True]}
    folder.write_json("record.json", value)
    assert folder.read_json("record.json") == value
    text = folder.read("record.json").decode()
    assert "Größe" in text
    assert text.count("\n") > 3


@pytest.mark.parametrize("data", [b"{", b"", b"\xff\xfe\x00", b"{'a': 1}"])
def test_broken_json_is_an_input_error_that_names_the_file(folder, data):
    folder.write("record.json", data)
    with pytest.raises(InputError) as caught:
        folder.read_json("record.json")
    assert str(folder / "record.json") in str(caught.value)
    assert "delete it" in str(caught.value)


def test_a_folder_on_disk_knows_its_path_and_one_behind_a_url_has_none(tmp_path):
    assert Folder(str(tmp_path)).local == tmp_path
    assert Folder(f"file://{tmp_path}").local == tmp_path
    assert Folder("memory://somewhere").local is None


@pytest.mark.parametrize("name", ["with space", "a[1]*?", "100%#é", "a::b", "a:b"])
def test_a_path_with_odd_characters_is_that_path(tmp_path, name):
    Folder(str(tmp_path / name)).write("file", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "file").read_bytes() == b"whole"
    assert Folder(str(tmp_path / name)).read("file") == b"whole"


def test_a_written_file_is_readable_by_others_and_nothing_else_is_left(tmp_path):
    Folder(str(tmp_path)).write("file", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    program = (
        "import sys; from emotune.core.storage import Folder; folder = Folder(sys.argv[1])\n"
        "while True:\n"
        "    for letter in (b'a', b'b'): folder.write('file', letter * 3_000_000)"
    )
    folder, seen = Folder(str(tmp_path)), set()
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as writer:
        try:
            until = time.monotonic() + 120  # the writer starts late where all CPUs are busy
            while seen != {b"a", b"b"} and time.monotonic() < until:
                data = folder.read("file")
                if data is not None:
                    assert data in (b"a" * 3_000_000, b"b" * 3_000_000), "a mixed or partial file was read"
                    seen.add(data[:1])
            for _ in range(30):
                assert folder.read("file") in (b"a" * 3_000_000, b"b" * 3_000_000)
        finally:
            writer.kill()
    assert seen == {b"a", b"b"}, "the writer was not seen to replace the file"


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path):
    Folder(str(tmp_path)).write("file", b"old")
    program = (  # a limit on file sizes stands for a disk that is full
        "import resource, sys; from emotune.core.storage import Folder\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Folder(sys.argv[1]).write('file', b'n' * 100_000)\n"
        "except OSError as error: sys.exit(77)"
    )
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert result.returncode == 77, "the write should have failed"
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_relative_folder_is_the_one_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Folder("runs/").write("file", b"x")
    assert Path("runs/file").read_bytes() == b"x"


def test_a_file_is_created_once(folder):
    assert folder.create("deeper/lease.json", b"first")
    assert not folder.create("deeper/lease.json", b"second")
    assert folder.read("deeper/lease.json") == b"first"
    assert (folder / "deeper").names() == ["lease.json"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the server
def test_a_file_on_s3_is_created_once(s3):
    folder = Folder(f"{s3}/created")
    assert folder.create("lease.json", b"first")
    assert not folder.create("lease.json", b"second")
    assert folder.read("lease.json") == b"first"


def test_a_repeated_creation_with_the_same_content_succeeds(folder):
    assert folder.create("lease.json", b"mine")
    assert folder.create("lease.json", b"mine")


def test_a_disk_without_hard_links_creates_a_file_once(tmp_path, monkeypatch):
    def link(*paths: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    folder = Folder(str(tmp_path))
    assert folder.create("lease.json", b"first")
    assert not folder.create("lease.json", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["lease.json"]


def test_a_store_without_exclusive_creation_reads_the_file_back(monkeypatch):
    monkeypatch.setattr(storage, "CREATE_EXCLUSIVELY", set())
    slept: list[float] = []
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    monkeypatch.setattr(storage.time, "sleep", slept.append)
    assert folder.create("lease.json", b"first")
    assert not folder.create("lease.json", b"second")
    monkeypatch.setattr(storage.time, "sleep", lambda s: folder.write("other.json", b"quicker"))
    assert not folder.create("other.json", b"slower"), "another was written at the same time"


@pytest.mark.parametrize("kind", ["memory", "s3"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_all_files_are_listed_with_size_and_time(kind, request):
    url = request.getfixturevalue("s3") if kind == "s3" else "memory:/"
    folder = Folder(f"{url}/{uuid.uuid4().hex}")
    assert folder.files() == {}
    for name in ("a/record.json", "a/checkpoint/1-0.pt", "studies/x/runs.json"):
        folder.write(name, b"x")
        assert name in folder.files()
    assert len(folder.files()) == 3


def test_a_file_on_s3_that_came_or_grew_after_its_folder_was_listed_is_read_whole(s3):
    folder = Folder(f"{s3}/listed")
    folder.write("old", b"1")
    other = f"import fsspec; fsspec.filesystem('s3').pipe({{'{s3}/listed/old': b'12', '{s3}/listed/new': b'3'}})"
    folder._filesystem()[0].ls(f"{s3}/listed")  # remembered by s3fs
    subprocess.run([sys.executable, "-c", other], check=True)
    assert (folder.read("old"), folder.read("new"), folder.read("none")) == (b"12", b"3", None)


def test_an_open_file_is_uploaded_whole(s3):
    folder = Folder(f"{s3}/uploaded")
    with tempfile.TemporaryFile() as file:
        file.write(b"weights" * 1000)
        folder.upload("last.pt", file)
        folder.upload("again.pt", file)
    assert folder.read("last.pt") == folder.read("again.pt") == b"weights" * 1000


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:se/cret@bucket/runs",
        "sftp://me:se/cret@host/runs",
        "https://me:123@host:80/shards",
        "https://bucket/weights.pth?X-Amz-Credential=me&X-Amz-Signature=se/cret",
        "https://bucket/weights.pth?sv=2024&sig=se/cret",
    ],
)
def test_credentials_in_a_url_are_rejected_and_masked(url: str):
    for reads in (Folder, split_location):
        with pytest.raises(InputError, match=r"\*\*\*") as caught:
            reads(url)
        assert "cret" not in str(caught.value)
        assert "123" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/a@b:c/d", "sftp://me@host:22/a@b", "https://host:80/a@b", "/home/a:b@c"])
def test_urls_that_only_look_like_credentials_are_accepted(url: str):
    assert str(Folder(url)) == url
