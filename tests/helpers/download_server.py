"""A real HTTP server that answers each link as a test tells it, and what tests ask of `download`."""

import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from emotune.data.build.download import DownloadOptions, download
from emotune.data.manifest import Problem
from emotune.data.sources.base import Entry, Listing, Url

QUICK = {"timeout_s": 10, "attempts": 3, "first_wait_s": 0.01, "allow_private": True}

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
    result = download(listing(link), downloads, DownloadOptions(**QUICK | options))
    assert not result.entries
    assert not list(downloads.rglob("*.image"))
    return lost(result)[link]


def got(downloads: Path, link: str, **options: object) -> bytes:
    """The image of the link, which must have one."""
    (entry,) = download(listing(link), downloads, DownloadOptions(**QUICK | options)).entries
    return entry.image.read_bytes()


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
