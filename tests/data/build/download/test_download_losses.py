"""A link without an image fails with a reason, permanently or until another attempt."""

import json
import socket
from pathlib import Path

import pytest
from download_server import (
    QUICK,
    Answer,
    Handler,
    Server,
    broken_chunks,
    endless,
    got,
    hangs_up,
    head,
    jpeg,
    late,
    listing,
    lost,
    reason,
    redirects,
    says,
    stalls,
    to_the_end_of_the_connection,
)

from emotune.data.build.download import DownloadOptions, download
from emotune.data.build.http_client import MAX_SILENCES

HTML = b"<!DOCTYPE html><html><body>This photo is gone.</body></html>"


# Permanent failures


def check_failures(server: Server, downloads: Path, cases: list[tuple[Answer, str]], **options: object) -> list[str]:
    """Downloads links with such answers, and checks what the reasons for their failures name; returns their paths."""
    expected = {server.at(f"/{number}", answer): part for number, (answer, part) in enumerate(cases)}
    result = download(listing(*expected), downloads, DownloadOptions(**QUICK | options))
    told = lost(result)
    assert told.keys() == expected.keys()
    assert [link for link, part in expected.items() if part not in told[link]] == [], told
    assert not result.entries and not list(downloads.rglob("*.image"))
    return [f"/{number}" for number in range(len(cases))]


def test_a_response_without_an_image_is_a_permanent_failure(server, tmp_path):
    gone = [
        server.at(path, says(jpeg(1)))
        for path in ("/photo_unavailable.gif", "/picture-unavailable.png", "/removed.png", "/image-not-found.jpg")
    ]
    cases = [
        *((says(status=status), f"HTTP {status}") for status in (204, 400, 403, 404, 410, 451)),
        (says(jpeg(1), status=302), "HTTP 302"),  # to nowhere
        (says(HTML, content_type="text/html; charset=utf-8"), "text/html"),
        (says(b"{}", content_type="application/json"), "application/json"),
        (says(HTML), "HTML"),
        (to_the_end_of_the_connection(HTML), "HTML"),
        (says(b"<svg/>", content_type="image/svg+xml"), "SVG"),
        (says(b""), "empty"),
        (says(jpeg(1)[:800]), "truncated"),
        *((redirects(to), "https") for to in ("file:///etc/passwd", "ftp://127.0.0.1/a.jpg",
                                                                         "ws://127.0.0.1/", "http://[/")),
        *((redirects(to), f"placeholder: {to}") for to in gone),
    ]  # fmt: skip
    for _ in range(2):
        paths = check_failures(server, tmp_path, cases)
    assert [server.asked(path) for path in paths] == [1] * len(cases)


def test_a_loop_of_redirects_ends(server, tmp_path):
    server.at("/b.jpg", redirects("/a.jpg"))
    assert "10 redirects" in reason(tmp_path, server.at("/a.jpg", redirects("/b.jpg")))
    assert len(server.requests) == 11


def test_an_invalid_link_is_a_permanent_failure(tmp_path):
    links = ["", "a.jpg", "http://", "http://[", "http://127.0.0.1:99999/a.jpg", "file:///etc/passwd", "ws://127.0.0.1/",
             f"http://{'a' * 70}.invalid/a.jpg", "http://127.1/a.jpg", "http://127.0.0.1\ud800/"]  # fmt: skip
    told = lost(download(listing(*links), tmp_path, DownloadOptions(**QUICK | {"allow_private": False})))
    assert [link for link in links if "https" not in told[link]] == [], told


def test_an_image_to_which_five_links_are_redirected_is_a_placeholder(server, tmp_path):
    four = [server.at(f"/four/{number}", redirects("/4.jpg")) for number in range(4)]
    five = [server.at(f"/five/{number}", redirects("/5.jpg")) for number in range(5)]
    target = server.at("/5.jpg", says(jpeg(5)))
    server.at("/4.jpg", says(jpeg(4)))
    for _ in range(2):
        result = download(listing(*four, *five, target), tmp_path, DownloadOptions(**QUICK))
        assert [entry.source for entry in result.entries] == [*four, target]
        assert lost(result).keys() == set(five)
        assert all("placeholder" in why and " 5 " in why and target in why for why in lost(result).values())
    assert all(server.asked(f"/five/{number}") == 1 for number in range(5))


def test_a_file_that_is_too_large_is_not_downloaded_until_the_limit_is_raised(server, tmp_path):
    def claims(handler: Handler) -> None:
        head(handler, Content_Type="image/jpeg", Content_Length=len(jpeg(1)))
        handler.server.released.wait(60)  # the body never comes: nobody may wait for it

    link = server.at("/a.jpg", claims, says(jpeg(1)))
    assert "500 bytes" in reason(tmp_path, link, max_bytes=500)
    assert server.asked("/a.jpg") == 1
    assert got(tmp_path, link) == jpeg(1)


def test_a_body_without_end_is_cut_at_the_limit(server, tmp_path):
    assert "100000 bytes" in reason(tmp_path, server.at("/a.jpg", endless), max_bytes=100_000)
    assert server.asked("/a.jpg") == 1


# Temporary failures


def test_a_server_that_is_overloaded_is_asked_again(server, tmp_path):
    fails = {status: says(status=status) for status in (408, 425, 429, 500, 503)}
    links = [server.at(f"/{status}", fail, fail, says(jpeg(status))) for status, fail in fails.items()]
    result = download(listing(*links), tmp_path, DownloadOptions(**QUICK))
    assert [entry.image.read_bytes() for entry in result.entries] == [jpeg(status) for status in fails]
    assert [server.asked(f"/{status}") for status in fails] == [3] * 5


HALF = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 900\r\n\r\n\xff\xd8"


@pytest.mark.parametrize(
    ("timeout_s", "cases"),
    [
        (
            10,
            [
                (says(status=503), "HTTP 503"),
                (says(jpeg(1)[:500], Content_Length=len(jpeg(1))), "cut off"),
                (broken_chunks, "cut off"),
                (to_the_end_of_the_connection(jpeg(1)[:800]), "truncated"),
                (to_the_end_of_the_connection(jpeg(1, "WEBP")[:200]), "damaged: "),
                (hangs_up, "Server disconnected"),
            ],
        ),
        (0.2, [(late, "0.2 s"), (stalls(HALF), "0.2 s")]),
    ],
    ids=["cut", "silent"],
)
def test_faults_that_may_pass_are_retried_and_tried_again_by_the_next_call(server, tmp_path, timeout_s, cases):
    paths = check_failures(server, tmp_path, cases, attempts=2, timeout_s=timeout_s)
    before = [server.asked(path) for path in paths]
    assert min(before) >= 2
    links = [server.at(path, says(jpeg(1))) for path in paths]
    assert len(download(listing(*links), tmp_path, DownloadOptions(**QUICK)).entries) == len(cases)
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
    result = download(listing(*links, other), tmp_path, DownloadOptions(**QUICK | {"timeout_s": 0.2}))
    assert [entry.source for entry in result.entries] == [other]
    assert any("127.0.0.1" in why for why in lost(result).values()), "not each of them waited for it"
    assert MAX_SILENCES <= server.asked("/silent.jpg") < MAX_SILENCES + 4


def test_a_refused_connection_is_named_and_tried_again(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert f" 127.0.0.1:{port}" in reason(tmp_path, f"http://127.0.0.1:{port}/a.jpg")
    (known,) = tmp_path.rglob("*.json")
    assert json.loads(known.read_text())["retry_after_s"] is not None


def test_an_unknown_host_is_named(tmp_path):
    link = "http://no-such-host.invalid/a.jpg"
    assert " no-such-host.invalid" in reason(tmp_path, link, attempts=1)


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
