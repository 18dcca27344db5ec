"""Weights over HTTP from a server on loopback, into a cache of torch's that is the test's own."""

import hashlib
import io
import multiprocessing
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models import AlexNet_Weights, WeightsEnum
from torchvision.models._api import Weights

from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig, WeightsRef
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.models.weights.initial_weights import check_weights
from emotune.models.weights.resolve import TORCHVISION
from emotune.models.weights.torchvision_file import torchvision_file


def at(url: str) -> WeightsEnum:
    return WeightsEnum("Narrow", {"IMAGENET1K_V1": Weights(url=url, transforms=dict, meta={})}).IMAGENET1K_V1


@pytest.fixture
def content() -> bytes:
    """A state dict with torchvision's names, narrow."""
    shapes = {
        "features.0": (4, 3, 11, 11), "features.3": (12, 4, 5, 5), "features.6": (24, 12, 3, 3),
        "features.8": (16, 24, 3, 3), "features.10": (16, 16, 3, 3), "classifier.1": (256, 576),
        "classifier.4": (256, 256), "classifier.6": (10, 256),
    }  # fmt: skip
    state = {f"{name}.weight": torch.rand(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.rand(shape[0]) for name, shape in shapes.items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


class Server:
    """A server with a changeable response that counts its responses."""

    def __init__(self, content: bytes) -> None:
        self.content, self.status, self.part, self.answered = content, 200, len(content), 0
        self.delay_s, outer = 0.0, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answered += 1
                time.sleep(outer.delay_s)
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content[: outer.part])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        name = f"alexnet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        self.url = f"http://127.0.0.1:{self.http.server_port}/models/{name}"


@pytest.fixture
def server(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    server = Server(content)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def files(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "torch/hub/checkpoints").iterdir() if p.suffix != ".lock")


def test_torchvisions_weights_have_the_digest_that_is_in_identities():
    name = Path(AlexNet_Weights.IMAGENET1K_V1.url).name
    assert name == f"alexnet-owt-{TORCHVISION.digest}.pth"


def test_weights_are_downloaded_once_with_their_progress_and_then_need_no_server(
    server: Server, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture
):
    path = torchvision_file(at(server.url))
    assert path.read_bytes() == content
    assert re.search(r"100(\.0)?%", capfd.readouterr().err)  # tqdm's words, or torch's own where it is not installed
    server.status = 500
    assert torchvision_file(at(server.url)) == path
    assert server.answered == 1


def missing(server: Server) -> None:
    server.status = 404


def halved(server: Server) -> None:
    server.part //= 2


def changed(server: Server) -> None:
    server.content = server.content[:-1] + b"!"


@pytest.mark.parametrize(
    ("spoil", "says"), [(missing, "HTTP Error 404"), (halved, "invalid hash value"), (changed, "invalid hash value")]
)
def test_a_failed_download_is_refused_with_url_and_path_and_leaves_nothing(
    server: Server, spoil: Callable[[Server], None], says: str, tmp_path: Path
):
    spoil(server)
    with pytest.raises(InputError) as caught:
        torchvision_file(at(server.url))
    assert says in str(caught.value)
    assert server.url in str(caught.value)
    assert str(tmp_path / "torch/hub/checkpoints" / Path(server.url).name) in str(caught.value)
    assert files(tmp_path) == []


def test_without_a_network_the_error_has_the_url(server: Server):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    url = server.url.replace(str(server.http.server_port), str(port))
    with pytest.raises(InputError, match=re.escape(url)):
        torchvision_file(at(url))


def _fetch(url: str, ready: Barrier, path_of: multiprocessing.Queue) -> None:
    ready.wait(60)
    path_of.put(str(torchvision_file(at(url))))


@pytest.mark.slow
def test_processes_that_need_the_weights_at_once_download_them_once(server: Server, content: bytes, tmp_path: Path):
    server.delay_s = 0.3
    context = multiprocessing.get_context("spawn")
    queue, ready = context.Queue(), context.Barrier(2)
    processes = [context.Process(target=_fetch, args=(server.url, ready, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    paths = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    (path,) = paths
    assert Path(path).read_bytes() == content
    assert server.answered == 1
    assert files(tmp_path) == [Path(path).name]


def test_a_run_begins_with_downloaded_weights_and_refuses_an_incomplete_file(
    server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
):
    local = at(server.url)
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: {"DEFAULT": local})  # another address
    weights = WeightsRef(location="torchvision", digest=hashlib.sha256(content).hexdigest()[:8])
    run = RunConfig(
        variant="tuned", dataset=DatasetRef(name="photos", location="/photos", content_hash="01"), seed=0,
        model=AlexNetConfig(width=0.0625, backbone="alexnet_owt"), train=TrainConfig(init="imagenet"), weights=weights,
    )  # fmt: skip
    initialisation = check_weights(run, ("a", "b"))
    assert (initialisation.layout, initialisation.note) == ("torchvision", "")
    torchvision_file(local).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=re.escape(server.url)):
        check_weights(run, ("a", "b"))
