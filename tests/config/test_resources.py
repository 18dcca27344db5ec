"""How much of what runs ask for fits on a machine."""

import pytest

from emotune.config.resources import Resources


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "workers", "runs"),
    [
        ({}, 4, 0, 4, 4),
        ({"workers": 2, "cpus_per_worker": 2}, 7, 0, 3, 1),
        ({"cpus_per_worker": 8}, 4, 0, 0, 1),  # it is asked before it is refused
        ({"gpus_per_worker": 1}, 16, 4, 4, 4),
        ({"gpus_per_worker": 1, "workers": 2}, 16, 4, 4, 2),
        ({"gpus_per_worker": 1}, 2, 4, 2, 2),
        ({"gpus_per_worker": 0.25}, 16, 1, 4, 4),
        ({"gpus_per_worker": 0.3}, 16, 2, 6, 6),  # the rest of a GPU and of another are none
        ({"gpus_per_worker": 1}, 16, 0, 0, 1),
    ],
)
def test_the_number_of_simultaneous_runs_follows_from_cpus_and_gpus(asked, cpus, gpus, workers, runs):
    resources = Resources(**asked)
    assert resources.workers_on(cpus, gpus) == workers
    assert resources.runs_on(cpus, gpus) == runs
