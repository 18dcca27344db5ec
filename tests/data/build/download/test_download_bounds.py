"""Connections are limited, and neither links nor images pile up in this process."""

import asyncio
import threading
import time

import pytest
from download_server import QUICK, Answer, Handler, got, jpeg, listing, says

from emotune.core.errors import InputError
from emotune.data.build import download as download_module
from emotune.data.build import http_client
from emotune.data.build.download import DownloadOptions, download


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
        (["127.0.0.1"], {"concurrency": 16, "per_host": 3}, {"127.0.0.1": 3, "all": 3}),
        (["127.0.0.1", "localhost"], {"concurrency": 24, "per_host": 2}, {"127.0.0.1": 2, "localhost": 2, "all": 4}),
        (["127.0.0.1"], {"concurrency": 4, "per_host": 9}, {"127.0.0.1": 4, "all": 4}),
    ],
)
def test_connections_are_bounded_in_all_and_per_host(server, tmp_path, hosts, options, most):
    answer = together(most["all"])
    links = [server.at(f"/{number}", answer).replace("127.0.0.1", host) for host in hosts for number in range(12)]
    assert len(download(listing(*links), tmp_path, DownloadOptions(**QUICK | options)).entries) == len(links)
    assert server.most == most


def test_thousands_of_links_are_never_tasks_at_a_time(server, tmp_path):
    links = [server.at(f"/{number}", says(status=404)) for number in range(200)]
    tasks: list[int] = []
    options = DownloadOptions(**QUICK | {"concurrency": 5})
    download(listing(*links), tmp_path, options, on_result=lambda result: tasks.append(len(asyncio.all_tasks())))
    assert len(tasks) == 200
    assert max(tasks) <= 5 + 1


def test_writing_and_decoding_are_left_to_other_threads(server, tmp_path, monkeypatch):
    threads = []
    for module, name in ((http_client, "decode_image"), (download_module, "_store")):
        real = getattr(module, name)
        spy = lambda *a, real=real, name=name, **k: (threads.append((name, threading.get_ident())), real(*a, **k))[1]  # noqa: E731
        monkeypatch.setattr(module, name, spy)
    got(tmp_path, server.at("/a.jpg", says(jpeg(1))))
    assert {name for name, _ in threads} == {"decode_image", "_store"}
    assert threading.get_ident() not in {thread for _, thread in threads}


@pytest.mark.parametrize("option", ["concurrency", "per_host", "timeout_s", "max_bytes", "attempts"])
def test_options_that_would_download_nothing_are_rejected(option):
    with pytest.raises(InputError, match=f"{option} is 0"):
        DownloadOptions(**{option: 0})
