"""A call that is killed, is interrupted or fills the disk loses nothing; the next one goes on from there."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from download_server import QUICK, got, jpeg, listing, says, stalls

from emotune.core.errors import InputError
from emotune.data.build.download import DownloadOptions, download
from emotune.data.image_io import decode_rgb

COMMAND = """
import signal
import sys
from pathlib import Path
from emotune.data.build.download import DownloadOptions, download
from emotune.data.sources.base import Entry, Listing, Url

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
downloads, limit, *links = sys.argv[1:]
if int(limit):
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
listing = Listing("web", ("awe",), [Entry(link, "awe", {"awe": 1}, Url(link)) for link in links], "", "")
options = DownloadOptions(timeout_s=300, allow_private=True, concurrency=8, per_host=8)
try:
    download(listing, Path(downloads), options)
except KeyboardInterrupt:
    sys.exit(130)
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error.strerror}")
"""


def command(downloads: Path, links: list[str], limit: int = 0) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-W", "error::RuntimeWarning", "-c", COMMAND, str(downloads),
         str(limit), *links], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def settled(downloads: Path) -> dict[str, Path]:
    return {json.loads(path.read_text())["url"]: path for path in downloads.rglob("*.json")}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_call_is_continued_where_it_stopped(server, tmp_path, how):
    quick = [server.at(f"/quick/{number}", says(jpeg(number))) for number in range(20)]
    part = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 900\r\n\r\n" + jpeg(1)[:300]
    slow = [server.at(f"/slow/{number}", stalls(part), says(jpeg(number))) for number in range(5)]
    with command(tmp_path, quick + slow) as process:
        while len(server.requests) < 25 or len(settled(tmp_path)) < 20:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(how)
        assert process.wait(60) == (130 if how == signal.SIGINT else -signal.SIGKILL)
        assert process.stderr.read() == ""
    assert settled(tmp_path).keys() == set(quick)
    result = download(listing(*quick, *slow), tmp_path, DownloadOptions(**QUICK))
    assert not result.left_out
    assert all(decode_rgb(entry.image.read_bytes()) for entry in result.entries)
    assert Counter(path for path, _ in server.requests) == {
        **{f"/quick/{number}": 1 for number in range(20)}, **{f"/slow/{number}": 2 for number in range(5)},
    }  # fmt: skip


def test_a_call_killed_at_any_moment_fetches_nothing_twice(server, tmp_path):
    links = [server.at(f"/{number}", says(jpeg(number))) for number in range(60)]
    with command(tmp_path, links) as process:
        while len(settled(tmp_path)) < 20:
            assert process.poll() is None, process.stderr.read()
        process.kill()
        process.wait(60)
    known = settled(tmp_path).keys()
    assert 20 <= len(known) < 60
    result = download(listing(*links), tmp_path, DownloadOptions(**QUICK))
    assert [entry.image.read_bytes() for entry in result.entries] == [jpeg(number) for number in range(60)]
    asked = {link: server.asked(f"/{number}") for number, link in enumerate(links)}
    assert all(asked[link] == 1 for link in known)
    assert asked.keys() == {link for link in links if asked[link] in (1, 2)}
    assert list(asked.values()).count(2) <= 8  # those that were in work


@pytest.mark.parametrize("missing", ["image", "json"])
def test_an_incomplete_result_does_not_count(server, tmp_path, missing):
    link = server.at("/a.jpg", says(jpeg(1)))
    got(tmp_path, link)
    (path,) = tmp_path.rglob(f"*.{missing}")
    path.write_bytes(path.read_bytes()[:10])
    assert got(tmp_path, link) == jpeg(1)
    path.unlink()
    assert got(tmp_path, link) == jpeg(1)
    assert server.asked("/a.jpg") == 3


def test_a_full_disk_ends_the_call_with_its_error_and_nothing_half_written(server, tmp_path):
    small, large = jpeg(1), jpeg(2) + bytes(3000)
    links = [server.at("/small.jpg", says(small)), server.at("/large.jpg", says(large))]
    with command(tmp_path, links, limit=3000) as process:
        assert process.wait(60) == 1
        assert process.stderr.read() == f"OSError: {os.strerror(errno.EFBIG)}\n"
    assert settled(tmp_path).keys() <= {links[0]}
    assert all(path.read_bytes() == small for path in tmp_path.rglob("*.image"))
    assert not download(listing(*links), tmp_path, DownloadOptions(**QUICK)).left_out


def test_an_unwritable_downloads_folder_is_rejected_before_any_download(server, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"/file: "):
        download(listing(server.at("/a.jpg", says(jpeg(1)))), tmp_path / "file", DownloadOptions(**QUICK))
    assert not server.requests
