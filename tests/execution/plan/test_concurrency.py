import pytest

from emotune.config.resources import Resources
from emotune.execution.plan import concurrency
from emotune.execution.plan.concurrency import concurrent_runs, uses_cluster


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(concurrency, "available_cpus", lambda: 8)


@pytest.mark.parametrize(
    ("resources", "executor", "gpus", "runs"),
    [
        (Resources(), "local", None, 1),
        (Resources(workers=2), "ray", None, 4),
        (Resources(workers=2, cpus_per_worker=9), "ray", None, 1),
        (Resources(gpus_per_worker=0.5), "ray", None, None),
        (Resources(gpus_per_worker=0.5), "ray", 2, 4),
        (Resources(gpus_per_worker=1), "ray", 2, 2),
    ],
)
def test_cpus_and_gpus_decide_how_many_runs_are_trained_at_a_time(resources, executor, gpus, runs):
    assert concurrent_runs(resources, executor, gpus) == runs


def test_what_a_cluster_holds_is_not_known(monkeypatch: pytest.MonkeyPatch):
    assert not uses_cluster("ray")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert uses_cluster("ray") and not uses_cluster("local")
    assert concurrent_runs(Resources(), "ray") is None
    assert concurrent_runs(Resources(), "local") == 1
