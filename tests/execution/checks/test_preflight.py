import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from emotune.config.model import AlexNetConfig, ConstantConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.checks.preflight import preflight
from emotune.runs.store import RunStore


@pytest.fixture
def run(small_shards: Path) -> RunConfig:
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    return RunConfig(variant="small", dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig(batch_size=4))


def test_runs_that_can_be_trained_pass_and_nothing_is_left_behind(run: RunConfig, tmp_path: Path):
    preflight([run], RunStore(tmp_path / "runs"), Resources(), "ray")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("resources", "executor", "message"),
    [
        (Resources(workers=5), "ray", "variants.small: train.batch_size 4 "),
        (
            Resources(workers=2, accumulate=3),
            "ray",
            "2 workers × accumulate 3",
        ),
        (Resources(accumulate=5), "local", "1 worker × accumulate 5"),
        (Resources(workers=2), "local", "torchrun --standalone --nproc-per-node 2"),
        (Resources(workers=2, cpus_per_worker=4000), "ray", "2 × 4000 CPU"),
    ],
)
def test_resources_that_cannot_work_are_refused_with_the_remedy(
    run: RunConfig, tmp_path: Path, resources: Resources, executor: str, message: str
):
    with pytest.raises(InputError) as caught:
        preflight([run], RunStore(tmp_path / "runs"), resources, executor)
    assert message in str(caught.value)


def test_compiling_without_a_compiler_is_refused(run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler -v")
    with pytest.raises(InputError, match=r"^resources.compile: .*no-such-compiler -v"):
        preflight([run], RunStore(tmp_path), Resources(compile=True), "local")
    preflight([run], RunStore(tmp_path), Resources(compile=True, gpus_per_worker=1), "local")  # GPUs use Triton
    monkeypatch.setenv("CXX", f"{sys.executable} -v")
    preflight([run], RunStore(tmp_path), Resources(compile=True), "local")
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    preflight([run], RunStore(tmp_path), Resources(compile=True), "ray")  # its machines may have one


def test_training_images_too_few_for_the_workers_are_refused(run: RunConfig, tmp_path):
    large = replace(run, train=TrainConfig(batch_size=50))  # 72 images: two batches of 36
    preflight([large], RunStore(tmp_path), Resources(workers=2, accumulate=18), "ray")
    with pytest.raises(InputError, match=r"^variants.small: .* 36, .* 2 workers × accumulate 19"):
        preflight([large], RunStore(tmp_path), Resources(workers=2, accumulate=19), "ray")


def test_a_batch_that_is_larger_than_the_data_is_refused(run: RunConfig, tmp_path):
    preflight([replace(run, train=TrainConfig(batch_size=72))], RunStore(tmp_path), Resources(), "ray")
    with pytest.raises(InputError, match=r"^variants.small: train.batch_size 73 .* 72 .* scenes"):
        preflight([replace(run, train=TrainConfig(batch_size=73))], RunStore(tmp_path), Resources(), "ray")
    preflight(
        [replace(run, train=TrainConfig(batch_size=73), model=ConstantConfig())], RunStore(tmp_path), Resources(), "ray"
    )


def test_checking_without_writing_finds_folders_that_cannot_be_written_to_and_leaves_nothing(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    check = partial(preflight, [run], resources=Resources(), executor="local", writing=False)
    check(RunStore(tmp_path / "runs"), report=str(tmp_path / "report"))
    check(RunStore("s3://nobody/asks"))
    for places in (
        {"store": RunStore(tmp_path / "file" / "runs")},
        {"store": RunStore("runs"), "report": str(tmp_path / "file")},
    ):
        with pytest.raises(InputError, match=str(tmp_path / "file")):
            check(**places)
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "file"))
    for writing in (False, True):
        with pytest.raises(InputError, match=str(tmp_path / "file")):
            check(RunStore(tmp_path), writing=writing)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_all_mistakes_in_resources_are_listed_at_once(run: RunConfig):
    with pytest.raises(InputError) as caught:
        preflight([run], RunStore("memory://runs"), Resources(workers=5, cpus_per_worker=4000), "ray")
    assert len(str(caught.value).splitlines()) >= 3


def test_a_pool_that_is_a_file_or_that_ray_cannot_share_is_refused(run: RunConfig, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=str(tmp_path / "file")):
        preflight([run], RunStore(tmp_path / "file"), Resources(), "local")
    with pytest.raises(InputError, match="memory://runs"):
        preflight([run], RunStore("memory://runs"), Resources(), "ray")
