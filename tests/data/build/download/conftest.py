"""Fixtures for tests of `download`, which use real HTTP servers on this machine and no proxies."""

import os
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("download_server")

from download_server import Server, running  # noqa: E402 - only what is imported later tells why an assertion failed


@pytest.fixture
def server() -> Iterator[Server]:
    with running("127.0.0.1") as started:
        yield started


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
