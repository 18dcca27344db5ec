"""Shared by all tests: a cache folder of their own, small shards, and generated images in class folders."""

import hashlib
import io
import os
import secrets
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from emotune.config.labels import MIKELS
from emotune.core.host import available_cpus
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.sources.scenes import Scenes
from emotune.data.split import split_of

if TYPE_CHECKING:
    from disturbed import Disturbed
    from xdist.scheduler import LoadScopeScheduling

MOST_WORKERS = 4
"""Each holds torch, and the processes of a Ray now and then: about 2 GB."""
TOGETHER = ("inference", "report/figures", "report")
"""Folders whose tests share what their `conftest.py` makes once per session; elsewhere a file's tests do."""
APART = ("execution", "test_ablate.py")
"""Where every test stands alone, and many take long."""
SHARING = ("execution/faults/test_fault_", "execution/run/test_ray_executor.py")
"""Files there whose tests share a study."""
FIRST = (
    "test_readme.py",
    "execution/faults/test_fault_workers.py",
    "execution/faults",
    "test_ablate_on_s3.py",
    "cluster",
)
"""The longest of all in the order in which they begin: begun last, they would leave the other workers idle."""
IMAGES_OF_A_CLASS = {"train": 4, "val": 2, "test": 2}


def pytest_configure() -> None:
    """Ray reads whether to ask for a token when it is imported, and the token once per process.

    By default its workers have the lowest priority but four, and would wait for the tests that run beside them.
    """
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_worker_niceness": "0"}
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:  # before torch is imported, else every worker would start a thread per CPU
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cpus() // workers)))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker per CPU for a whole suite; none for tests that were named, in which one may want to debug.

    Slow tests often wait, for a Ray that starts or a fault that is noticed: for them, one worker more.
    """
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    workers = min(available_cpus() + (config.getoption("markexpr") == "slow"), MOST_WORKERS)
    return workers if workers > 1 and not named else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin."""

    def rank(item: pytest.Item) -> int:
        place = _place(item.nodeid)
        return next((rank for rank, long in enumerate(FIRST) if place.startswith(long)), len(FIRST))

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "LoadScopeScheduling | None":
    """Tests that share what is made for them run in one worker.

    xdist has groups for that (``--dist loadgroup``), which its version 3.8 does not keep together with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByPlace(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            place = _place(nodeid)
            if place.startswith(APART) and not place.startswith(SHARING):
                return nodeid
            return next((folder for folder in TOGETHER if place.startswith(f"{folder}/")), place)

    return ByPlace(config, log) if config.getoption("dist") == "loadscope" else None


def _place(nodeid: str) -> str:
    """The file of a test below `tests/`; of an example in the library, below the checkout."""
    return nodeid.partition("::")[0].removeprefix("tests/")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Has a folder made by the first worker that asks for it, and used by all; nobody may change it afterwards."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.getbasetemp()

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = base / f"once-{name}", base / f"once-{name}.made"
        with FileLock(base / f"once-{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                made.touch()
        return folder

    return once


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests never touch the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("EMOTUNE_CACHE", str(cache))
        yield cache


@pytest.fixture
def shared_cache(once: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that tests of all workers share, so that the embedded images are drawn and decoded once."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(once("cache", Path.mkdir)))


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a bucket on loopback; the environment has what other processes need to reach it."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        fsspec.filesystem("s3").mkdir("pool")
        yield "s3://pool"
    server.stop()


@pytest.fixture(scope="session")
def small_shards(once: Callable[..., Path]) -> Path:
    """A folder of real shards, not to be changed: 160 scenes (72 train, 49 val, 39 test), each split in two or more."""

    def write(folder: Path) -> None:
        out, shares = Folder(str(folder)), (0.5, 0.25, 0.25)
        write_shards(Scenes(160, seed=1).listing(), out, shares=shares, samples_per_shard=30, workers=2)

    return once("small", write)


@pytest.fixture(scope="session")
def undisturbed(once: Callable[..., Path], small_shards: Path) -> "Disturbed":
    """The runs of a study in which faults strike, without faults, for comparison; not to be changed."""
    from disturbed import LONGER, SHORTER, Disturbed, alike

    numbered = (f"other-{number}" for number in range(1, 11))
    others = alike(*numbered) | SHORTER | {"longer": f"train.epochs: {LONGER}"}
    without_report = "from emotune import run_study; run_study('few.yaml', report=None)"

    def train(folder: Path) -> None:
        with closing(Disturbed(folder, small_shards, others)) as study:
            ended = study.begin([sys.executable, "-c", without_report]).end()
            assert ended.code == 0, ended
            assert study.interruptions() == dict.fromkeys(study.run_ids, 0)

    return Disturbed(once("undisturbed", train), small_shards, others)


@pytest.fixture
def shards(small_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards to be damaged, and a cache that has not seen them."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(small_shards, tmp_path / "shards"))


@pytest.fixture(scope="session")
def _images(once: Callable[..., Path]) -> Path:
    return once("images", _write_images)


def _write_images(folder: Path) -> None:
    """Class folders in which every split has its images, whatever bytes this Pillow's encoders write."""
    folder.mkdir()
    generator = np.random.default_rng(7)
    for label in MIKELS:
        (folder / label).mkdir()
        have: Counter[str] = Counter()
        number = 0
        while have.total() < sum(IMAGES_OF_A_CLASS.values()):
            number += 1
            kind, suffix = ("JPEG", "jpg") if number % 2 else ("PNG", "png")
            buffer = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (72, 96, 3), np.uint8)).save(buffer, kind)
            split = split_of(hashlib.sha256(buffer.getvalue()).hexdigest())
            if have[split] < IMAGES_OF_A_CLASS[split]:
                have[split] += 1
                (folder / label / f"{number:03d}.{suffix}").write_bytes(buffer.getvalue())


@pytest.fixture
def image_folder(_images: Path, tmp_path: Path) -> Path:
    """Eight class folders of JPEG and PNG images (96×72), each with 4 for train, 2 for val, 2 for test; to be changed
    at will.
    """
    return Path(shutil.copytree(_images, tmp_path / "images"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study file."""

    def write(text: str | bytes, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C reaches the commands that are started, though a shell that runs tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
