"""Links become files: each is fetched once, politely, and what is no picture is left out with its reason.

All against real HTTP servers on this machine.
"""

import asyncio
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.data import fetch as module
from emotune.data.fetch import FetchOptions, Outcome, fetch
from emotune.data.manifest import LeftOut, Problem
from emotune.data.pictures import decode
from emotune.data.sources import Entry, Listing, Url
from emotune.errors import InputError

QUICK = {"timeout_s": 10, "attempts": 3, "first_wait_s": 0.01, "allow_private": True}
HTML = b"<!DOCTYPE html><html><body>This photo is gone.</body></html>"

Answer = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Answers each path as told, and knows what it was asked for."""

    daemon_threads = False  # so that closing it waits for its answers

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, float]] = []
        self.released = threading.Event()
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.lock = threading.Lock()

    def at(self, path: str, *answers: Answer) -> str:
        """Sets the answers to requests for a path, the last for all further ones; returns the link."""
        self.answers[path] = list(answers)
        return f"http://{self.server_address[0]}:{self.server_port}{path}"

    def times(self, path: str) -> list[float]:
        return [when for asked, when in self.requests if asked == path]

    def asked(self, path: str) -> int:
        return len(self.times(path))

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the client may hang up
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        with self.server.lock:
            answers = self.server.answers[self.path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.server.requests.append((self.path, time.monotonic()))
        answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def head(handler: Handler, status: int = 200, **headers: object) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def says(body: bytes = b"", status: int = 200, content_type: str | None = "image/jpeg", **headers: object) -> Answer:
    headers = {"Content_Length": len(body)} | ({"Content_Type": content_type} if content_type else {}) | headers

    def answer(handler: Handler) -> None:
        head(handler, status, **headers)
        handler.wfile.write(body)
        handler.close_connection = handler.close_connection or headers["Content_Length"] != len(body)

    return answer


def to_the_end_of_the_connection(body: bytes) -> Answer:
    def answer(handler: Handler) -> None:
        head(handler, Content_Type="image/jpeg", Connection="close")
        handler.wfile.write(body)

    return answer


def redirects(to: str) -> Answer:
    return says(status=302, Location=to)


def stalls(after: bytes) -> Answer:
    def answer(handler: Handler) -> None:
        handler.wfile.write(after)
        handler.server.released.wait(60)
        handler.close_connection = True

    return answer


def late(handler: Handler) -> None:
    handler.server.released.wait(1)
    says(jpeg(1))(handler)


def hangs_up(handler: Handler) -> None:
    handler.close_connection = True


def endless(handler: Handler) -> None:
    head(handler, Content_Type="image/jpeg", Transfer_Encoding="chunked")
    while not handler.server.released.is_set():
        handler.wfile.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")


def broken_chunks(handler: Handler) -> None:
    head(handler, Content_Type="image/jpeg", Transfer_Encoding="chunked")
    handler.wfile.write(b"1000\r\n" + jpeg(0)[:500])
    handler.close_connection = True


def jpeg(seed: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def listing(*links: str) -> Listing:
    entries = [Entry(link, "awe", {"awe": 1}, Url(link)) for link in links]
    return Listing("web", ("awe", "fear"), entries, "a test", "none")


def lost(result: Listing) -> dict[str, str]:
    assert all(loss.problem == Problem.LOST and loss.label == "awe" for loss in result.left_out)
    return {loss.source: loss.detail for loss in result.left_out}


def reason(downloads: Path, link: str, **options: object) -> str:
    """Why the link is lost, which it must be."""
    result = fetch(listing(link), downloads, FetchOptions(**QUICK | options))
    assert not result.entries
    assert not list(downloads.rglob("*.picture"))
    return lost(result)[link]


def got(downloads: Path, link: str, **options: object) -> bytes:
    """The picture of the link, which must have one."""
    (entry,) = fetch(listing(link), downloads, FetchOptions(**QUICK | options)).entries
    return entry.picture.read_bytes()


@contextmanager
def running(address: str) -> Iterator[Server]:
    server = Server(address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with running("127.0.0.1") as started:
        yield started


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


# What comes back


def test_links_become_files_in_the_listings_order_and_other_entries_stay(server, tmp_path):
    links = [server.at(f"/{number}.jpg", says(jpeg(number))) for number in range(6)]
    lost_link = server.at("/lost.jpg", says(status=404))
    own = Entry("mine", "fear", {"fear": 1}, tmp_path / "mine.jpg", group="me")
    before = listing(*links[:3], lost_link, *links[3:])
    earlier = LeftOut("row 7", "", Problem.VOTES, "no majority")
    before = Listing("web", before.classes, [*before.entries, own], "a test", "none", [earlier])
    after = fetch(before, tmp_path / "downloads", FetchOptions(**QUICK))
    assert [entry.source for entry in after.entries] == [*links, "mine"]
    assert [entry.picture.read_bytes() for entry in after.entries[:6]] == [jpeg(number) for number in range(6)]
    assert after.entries[-1] is own
    assert list(after.left_out) == [earlier, LeftOut(lost_link, "awe", Problem.LOST, "HTTP 404")]
    assert (after.name, after.classes, after.source, after.licence) == ("web", ("awe", "fear"), "a test", "none")


def test_a_listing_without_links_needs_no_downloads_folder(tmp_path):
    own = Listing("mine", ("awe",), [Entry("mine", "awe", {"awe": 1}, tmp_path / "mine.jpg")], "", "")
    assert fetch(own, tmp_path / "downloads") is own
    assert not (tmp_path / "downloads").exists()


def test_the_bytes_decide_what_a_picture_is(server, tmp_path):
    links = [
        server.at("/a", says(jpeg(1, "PNG"), content_type="image/jpeg")),
        server.at("/b", says(jpeg(1, "GIF"), content_type="application/octet-stream")),
        server.at("/c", says(jpeg(1, "WEBP"), content_type="IMAGE/png; charset=binary")),
        server.at("/d", says(jpeg(1), content_type=None)),
        server.at("/e", to_the_end_of_the_connection(jpeg(1))),
    ]
    result = fetch(listing(*links), tmp_path, FetchOptions(**QUICK))
    kinds = [Image.open(io.BytesIO(entry.picture.read_bytes())).format for entry in result.entries]
    assert kinds == ["PNG", "GIF", "WEBP", "JPEG", "JPEG"]


def test_redirects_are_followed(server, tmp_path):
    server.at("/c.jpg", says(jpeg(1)))
    server.at("/b.jpg", redirects("/c.jpg"))
    assert got(tmp_path, server.at("/a.jpg", redirects("/b.jpg"))) == jpeg(1)
    (known,) = tmp_path.rglob("*.json")
    assert json.loads(known.read_text())["final_url"].endswith("/c.jpg")


def test_what_is_known_of_a_link_is_written_beside_its_picture(server, tmp_path):
    link = server.at("/a.jpg", says(jpeg(1)))
    got(tmp_path, link)
    name = hashlib.sha256(link.encode()).hexdigest()
    assert (tmp_path / name[:2] / f"{name}.picture").read_bytes() == jpeg(1)
    assert json.loads((tmp_path / name[:2] / f"{name}.json").read_text()) == {
        "url": link, "final_url": link, "status": 200, "content_type": "image/jpeg", "bytes": len(jpeg(1)),
        "sha256": hashlib.sha256(jpeg(1)).hexdigest(), "reason": "", "again_s": None, "earlier": True,
    }  # fmt: skip


# Losses that stay


def check_losses(server: Server, downloads: Path, cases: list[tuple[Answer, str]], **options: object) -> list[str]:
    """Fetches links with such answers; their losses must begin as expected. The links' paths."""
    expected = {server.at(f"/{number}", answer): told for number, (answer, told) in enumerate(cases)}
    result = fetch(listing(*expected), downloads, FetchOptions(**QUICK | options))
    told = lost(result)
    assert {link: told.get(link, "")[: len(begin)] for link, begin in expected.items()} == expected
    assert not result.entries and not list(downloads.rglob("*.picture"))
    return [f"/{number}" for number in range(len(cases))]


def test_what_is_no_picture_is_lost_for_good(server, tmp_path):
    gone = [
        server.at(path, says(jpeg(1))) for path in ("/photo_unavailable.gif", "/removed.png", "/image-not-found.jpg")
    ]
    cases = [
        *((says(status=status), f"HTTP {status}") for status in (204, 400, 403, 404, 410, 451)),
        (says(jpeg(1), status=302), "HTTP 302"),  # to nowhere
        (says(HTML, content_type="text/html; charset=utf-8"), "text/html instead of a picture"),
        (says(b"{}", content_type="application/json"), "application/json instead of a picture"),
        (says(HTML), "not a picture, or of an unknown format (sent as image/jpeg)"),
        (to_the_end_of_the_connection(HTML), "not a picture, or of an unknown format (sent as image/jpeg)"),
        (says(b"<svg/>", content_type="image/svg+xml"), "not a picture, or of an unknown format"),
        (says(b""), "empty file"),
        (says(jpeg(1)[:800]), "damaged: image file is truncated"),
        *((redirects(to), "leads to no http or https link: ") for to in ("file:///etc/passwd", "ftp://127.0.0.1/a.jpg",
                                                                         "ws://127.0.0.1/", "http://[/")),
        *((redirects(to), f"placeholder: {to}") for to in gone),
    ]  # fmt: skip
    for _ in range(2):
        paths = check_losses(server, tmp_path, cases)
    assert [server.asked(path) for path in paths] == [1] * len(cases)


def test_a_loop_of_redirects_ends(server, tmp_path):
    server.at("/b.jpg", redirects("/a.jpg"))
    assert reason(tmp_path, server.at("/a.jpg", redirects("/b.jpg"))) == "more than 10 redirects"
    assert len(server.requests) == 11


def test_what_is_no_link_is_lost(tmp_path):
    links = ["", "a.jpg", "http://", "http://[", "http://127.0.0.1:99999/a.jpg", "file:///etc/passwd", "ws://127.0.0.1/",
             f"http://{'a' * 70}.invalid/a.jpg", "http://127.1/a.jpg", "http://127.0.0.1\ud800/"]  # fmt: skip
    told = lost(fetch(listing(*links), tmp_path, FetchOptions(**QUICK | {"allow_private": False})))
    assert {link: told[link].partition(":")[0] for link in links} == dict.fromkeys(
        links, "leads to no http or https link"
    )


def test_five_links_that_lead_to_one_picture_lead_to_a_placeholder(server, tmp_path):
    four = [server.at(f"/four/{number}", redirects("/4.jpg")) for number in range(4)]
    five = [server.at(f"/five/{number}", redirects("/5.jpg")) for number in range(5)]
    target = server.at("/5.jpg", says(jpeg(5)))
    server.at("/4.jpg", says(jpeg(4)))
    for _ in range(2):
        result = fetch(listing(*four, *five, target), tmp_path, FetchOptions(**QUICK))
        assert [entry.source for entry in result.entries] == [*four, target]
        assert lost(result) == {link: f"placeholder: 5 links were redirected to {target}" for link in five}
    assert all(server.asked(f"/five/{number}") == 1 for number in range(5))


def test_a_file_that_is_too_large_is_not_downloaded_until_the_limit_is_raised(server, tmp_path):
    def claims(handler: Handler) -> None:
        head(handler, Content_Type="image/jpeg", Content_Length=len(jpeg(1)))
        handler.server.released.wait(60)  # the body never comes: nobody may wait for it

    link = server.at("/a.jpg", claims, says(jpeg(1)))
    assert reason(tmp_path, link, max_bytes=500) == "larger than 500 bytes"
    assert server.asked("/a.jpg") == 1
    assert got(tmp_path, link) == jpeg(1)


def test_a_body_without_end_is_cut_at_the_limit(server, tmp_path):
    assert reason(tmp_path, server.at("/a.jpg", endless), max_bytes=100_000) == "larger than 100000 bytes"
    assert server.asked("/a.jpg") == 1


# Losses that may pass


def test_a_server_that_is_overloaded_is_asked_again(server, tmp_path):
    fails = {status: says(status=status) for status in (408, 425, 429, 500, 503)}
    links = [server.at(f"/{status}", fail, fail, says(jpeg(status))) for status, fail in fails.items()]
    result = fetch(listing(*links), tmp_path, FetchOptions(**QUICK))
    assert [entry.picture.read_bytes() for entry in result.entries] == [jpeg(status) for status in fails]
    assert [server.asked(f"/{status}") for status in fails] == [3] * 5


HALF = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 900\r\n\r\n\xff\xd8"


@pytest.mark.parametrize(
    ("timeout_s", "cases"),
    [
        (
            10,
            [
                (says(status=503), "HTTP 503"),
                (says(jpeg(1)[:500], Content_Length=len(jpeg(1))), "the body was cut off"),
                (broken_chunks, "the body was cut off"),
                (to_the_end_of_the_connection(jpeg(1)[:800]), "damaged: image file is truncated"),
                (to_the_end_of_the_connection(jpeg(1, "WEBP")[:200]), "damaged: "),
                (hangs_up, "Server disconnected"),
            ],
        ),
        (0.2, [(late, "timeout: nothing came for 0.2 s"), (stalls(HALF), "timeout: nothing came for 0.2 s")]),
    ],
    ids=["cut", "silent"],
)
def test_faults_that_may_pass_are_retried_and_tried_again_by_the_next_call(server, tmp_path, timeout_s, cases):
    paths = check_losses(server, tmp_path, cases, attempts=2, timeout_s=timeout_s)
    before = [server.asked(path) for path in paths]
    assert min(before) >= 2
    links = [server.at(path, says(jpeg(1))) for path in paths]
    assert len(fetch(listing(*links), tmp_path, FetchOptions(**QUICK)).entries) == len(cases)
    assert [server.asked(path) for path in paths] == [asked + 1 for asked in before]


def test_a_host_that_drips_bytes_holds_nobody_for_ever(server, tmp_path):
    def drips(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nServer: ")
        while not handler.server.released.wait(0.02):
            handler.wfile.write(b"a")

    assert reason(tmp_path, server.at("/a.jpg", drips), timeout_s=0.05, attempts=1).startswith("timeout: ")


def test_a_host_that_stays_silent_is_left_alone_after_a_while(server, tmp_path):
    to = redirects(server.at("/silent.jpg", stalls(b"")))
    links = [server.at(f"/{number}", to).replace("127.0.0.1", "localhost") for number in range(30)]
    other = server.at("/a.jpg", says(jpeg(1))).replace("127.0.0.1", "localhost")
    result = fetch(listing(*links, other), tmp_path, FetchOptions(**QUICK | {"timeout_s": 0.2}))
    assert [entry.source for entry in result.entries] == [other]
    assert "127.0.0.1 has not answered for some time" in lost(result).values()
    assert module.SILENCES <= server.asked("/silent.jpg") < module.SILENCES + 4


def test_a_refused_connection_is_said_and_tried_again(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert reason(tmp_path, f"http://127.0.0.1:{port}/a.jpg").startswith(f"no connection to 127.0.0.1:{port}: ")
    (known,) = tmp_path.rglob("*.json")
    assert json.loads(known.read_text())["again_s"] is not None


def test_an_unknown_host_is_said(tmp_path):
    link = "http://no-such-host.invalid/a.jpg"
    assert reason(tmp_path, link, attempts=1) == "no such host: no-such-host.invalid"


def test_waits_grow(server, tmp_path):
    link = server.at("/a.jpg", says(status=503))
    reason(tmp_path, link, first_wait_s=0.1, attempts=3)
    first, second, third = server.times("/a.jpg")
    assert second - first > 0.09
    assert third - second > 0.19


def test_a_server_is_given_the_time_that_it_asks_for(server, tmp_path):
    link = server.at("/a.jpg", says(status=429, Retry_After=1), says(jpeg(1)))
    assert got(tmp_path, link) == jpeg(1)
    first, second = server.times("/a.jpg")
    assert second - first > 0.99


@pytest.mark.parametrize("asked", [3600, "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_server_that_asks_for_too_much_time_is_left_to_a_later_call(server, tmp_path, asked):
    link = server.at("/a.jpg", says(status=429, Retry_After=asked), says(jpeg(1)))
    assert reason(tmp_path, link) == "HTTP 429"
    assert server.asked("/a.jpg") == 1
    assert got(tmp_path, link) == jpeg(1)


# Politeness and bounds


def test_requests_name_emotune(server, tmp_path):
    agents = []

    def answer(handler: Handler) -> None:
        agents.append(handler.headers["User-Agent"])
        says(jpeg(1))(handler)

    got(tmp_path, server.at("/a.jpg", answer))
    assert agents[0].startswith("emotune/")


def together(parties: int) -> Answer:
    """Answers when so many requests are in work, and counts the most, by host."""
    barrier = threading.Barrier(parties)

    def answer(handler: Handler) -> None:
        server, host = handler.server, handler.headers["Host"].partition(":")[0]
        with server.lock:
            server.inside[host] += 1
            server.most[host] = max(server.most[host], server.inside[host])
            server.most["all"] = max(server.most["all"], server.inside.total())
        barrier.wait(20)
        time.sleep(0.02)  # for those that would be too many
        with server.lock:
            server.inside[host] -= 1
        says(jpeg(1))(handler)

    return answer


@pytest.mark.parametrize(
    ("hosts", "options", "most"),
    [
        (["127.0.0.1"], {"at_a_time": 16, "per_host": 3}, {"127.0.0.1": 3, "all": 3}),
        (["127.0.0.1", "localhost"], {"at_a_time": 24, "per_host": 2}, {"127.0.0.1": 2, "localhost": 2, "all": 4}),
        (["127.0.0.1"], {"at_a_time": 4, "per_host": 9}, {"127.0.0.1": 4, "all": 4}),
    ],
)
def test_connections_are_bounded_in_all_and_per_host(server, tmp_path, hosts, options, most):
    answer = together(most["all"])
    links = [server.at(f"/{number}", answer).replace("127.0.0.1", host) for host in hosts for number in range(12)]
    assert len(fetch(listing(*links), tmp_path, FetchOptions(**QUICK | options)).entries) == len(links)
    assert server.most == most


def test_a_link_of_several_entries_is_fetched_once(server, tmp_path):
    link = server.at("/a.jpg", says(jpeg(1)))
    seen: list[Outcome] = []
    result = fetch(listing(link, link, link), tmp_path, FetchOptions(**QUICK), advance=seen.append)
    assert len({entry.picture for entry in result.entries}) == 1 and len(result.entries) == 3
    assert server.asked("/a.jpg") == len(seen) == 1


def test_each_link_is_told_once_as_got_lost_or_known_from_before(server, tmp_path):
    a, b = server.at("/a.jpg", says(jpeg(1))), server.at("/b.jpg", says(status=404))
    for earlier in (False, True):
        seen: list[Outcome] = []
        fetch(listing(a, b), tmp_path, FetchOptions(**QUICK), advance=seen.append)
        told = {outcome.url: (outcome.reason, outcome.bytes, outcome.earlier) for outcome in seen}
        assert len(seen) == 2
        assert told == {a: ("", len(jpeg(1)), earlier), b: ("HTTP 404", 0, earlier)}


def test_thousands_of_links_are_never_tasks_at_a_time(server, tmp_path):
    links = [server.at(f"/{number}", says(status=404)) for number in range(200)]
    tasks: list[int] = []
    options = FetchOptions(**QUICK | {"at_a_time": 5})
    fetch(listing(*links), tmp_path, options, advance=lambda outcome: tasks.append(len(asyncio.all_tasks())))
    assert len(tasks) == 200
    assert max(tasks) <= 5 + 1


def test_writing_and_decoding_are_left_to_other_threads(server, tmp_path, monkeypatch):
    threads = []
    for name in ("load", "_store"):
        real = getattr(module, name)
        spy = lambda *a, real=real, name=name, **k: (threads.append((name, threading.get_ident())), real(*a, **k))[1]  # noqa: E731
        monkeypatch.setattr(module, name, spy)
    got(tmp_path, server.at("/a.jpg", says(jpeg(1))))
    assert {name for name, _ in threads} == {"load", "_store"}
    assert threading.get_ident() not in {thread for _, thread in threads}


@pytest.mark.parametrize("option", ["at_a_time", "per_host", "timeout_s", "max_bytes", "attempts"])
def test_options_that_would_fetch_nothing_are_refused(option):
    with pytest.raises(InputError, match=f"{option} is 0"):
        FetchOptions(**{option: 0})


# Private addresses


def test_a_private_address_is_refused_unless_allowed(server, tmp_path):
    hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "0.0.0.0"]
    links = [server.at("/a.jpg", says(jpeg(1))).replace("127.0.0.1", host) for host in hosts]
    told = lost(fetch(listing(*links), tmp_path, FetchOptions(**QUICK | {"allow_private": False})))
    assert told[links[0]] == "private address 127.0.0.1 (use --allow-private to allow it)"
    assert [told[link].startswith("private address ") for link in links] == [True] * len(hosts)
    assert not server.requests
    assert [got(tmp_path, link) for link in links[:2]] == [jpeg(1), jpeg(1)]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.255.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
     "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
     "2001::1"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet_are_known(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(module._PrivateAddressError):
        module._public_socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize("address", ["8.8.8.8", "151.101.1.140", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"])
def test_addresses_of_the_public_internet_are_allowed(address):
    assert module._is_public(address)


def test_a_redirect_to_a_private_address_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_is_public", lambda address: address == "127.0.0.1")
    with running("127.0.0.2") as inner:
        secret = inner.at("/secret.jpg", says(jpeg(1)))
        link = server.at("/a.jpg", redirects(secret))
        told = reason(tmp_path / "first", link, allow_private=False)
        assert told == "private address 127.0.0.2 (use --allow-private to allow it)"
        assert server.asked("/a.jpg") == 1  # not retried
        assert not inner.requests
        assert got(tmp_path / "second", link) == jpeg(1)


@pytest.mark.parametrize("public", ["", "127.0.0.3"])
def test_a_name_cannot_hide_a_private_address_among_others(server, tmp_path, monkeypatch, public):
    real = socket.getaddrinfo

    def resolve(host: str, *args: object, **options: object) -> list:
        if host != "pictures.example":
            return real(host, *args, **options)
        found = [real(address, *args, **options)[0] for address in ("127.0.0.3", "127.0.0.2", "127.0.0.1")]
        return found if public else found[1:]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    if public:  # but nothing listens there
        monkeypatch.setattr(module, "_is_public", lambda address: address == public)
    link = server.at("/a.jpg", says(jpeg(1))).replace("127.0.0.1", "pictures.example")
    told = reason(tmp_path, link, allow_private=False, attempts=1)
    assert "private address" in told if public else told.startswith("private address 127.0.0.")
    assert not server.requests
    assert got(tmp_path, link) == jpeg(1)


def test_proxies_of_the_environment_are_used_only_where_private_addresses_are_allowed(server, tmp_path, monkeypatch):
    link = "http://10.0.0.1/a.jpg"
    server.at(link, says(jpeg(1)))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    assert reason(tmp_path, link, allow_private=False).startswith("private address 10.0.0.1")
    assert not server.requests
    assert got(tmp_path, link) == jpeg(1)
    assert server.asked(link) == 1


# Interruptions

COMMAND = """
import signal
import sys
from pathlib import Path
from emotune.data.fetch import FetchOptions, fetch
from emotune.data.sources import Entry, Listing, Url

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
downloads, limit, *links = sys.argv[1:]
if int(limit):
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
listing = Listing("web", ("awe",), [Entry(link, "awe", {"awe": 1}, Url(link)) for link in links], "", "")
options = FetchOptions(timeout_s=300, allow_private=True, at_a_time=8, per_host=8)
try:
    fetch(listing, Path(downloads), options)
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
    result = fetch(listing(*quick, *slow), tmp_path, FetchOptions(**QUICK))
    assert not result.left_out
    assert all(decode(entry.picture.read_bytes()) for entry in result.entries)
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
    result = fetch(listing(*links), tmp_path, FetchOptions(**QUICK))
    assert [entry.picture.read_bytes() for entry in result.entries] == [jpeg(number) for number in range(60)]
    asked = {link: server.asked(f"/{number}") for number, link in enumerate(links)}
    assert all(asked[link] == 1 for link in known)
    assert asked.keys() == {link for link in links if asked[link] in (1, 2)}
    assert list(asked.values()).count(2) <= 8  # those that were in work


@pytest.mark.parametrize("missing", ["picture", "json"])
def test_half_of_what_is_known_of_a_link_does_not_count(server, tmp_path, missing):
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
        assert process.stderr.read() == "OSError: File too large\n"
    assert settled(tmp_path).keys() <= {links[0]}
    assert all(path.read_bytes() == small for path in tmp_path.rglob("*.picture"))
    assert not fetch(listing(*links), tmp_path, FetchOptions(**QUICK)).left_out


def test_a_downloads_folder_that_cannot_be_written_to_is_refused_before_anything_is_fetched(server, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="file: cannot be written to"):
        fetch(listing(server.at("/a.jpg", says(jpeg(1)))), tmp_path / "file", FetchOptions(**QUICK))
    assert not server.requests
