"""Pruning never removes a run that a registered study refers to."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from study_files import DATA, GOOD

from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig
from emotune.config.run import RunConfig, WeightsRef
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.execution.prune import Prunable, find_prunable, prune, summary
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore


@pytest.fixture
def become(monkeypatch) -> Callable[..., None]:
    """A function that makes this process one of another user, or on another machine."""

    def become(user: str, host: str = "here") -> None:
        monkeypatch.setenv("LOGNAME", user)
        monkeypatch.setattr("socket.gethostname", lambda: host)

    return become


def begin(store: RunStore, *runs: RunConfig) -> None:
    for run in runs:
        directory = store.directory(run)
        lease = directory.begin()
        directory.folder.write("checkpoint/last.pt", b"x" * 1000)
        lease.release()


def trained(store: RunStore, study: Study) -> tuple[Study, tuple[RunConfig, ...]]:
    """A registered study whose runs are in the store."""
    runs = study.runs([DATA])
    begin(store, *runs)
    Registry(store).register(study, runs)
    return study, runs


def ids(prunable: Prunable) -> set[str]:
    return {one.id for one in prunable.runs}


def numbers(question: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", question)]


def test_runs_that_a_study_refers_to_are_kept_and_the_others_are_listed_with_size_and_age(study, store):
    _, runs = trained(store, study)
    begin(store, other := replace(runs[0], seed=99))
    (Path(store.url) / "notes").mkdir()
    prunable = find_prunable(store)
    (orphan,) = prunable.runs
    assert (orphan.id, orphan.size > 1000) == (other.id, True)
    lines = summary(prunable, now=orphan.changed + 3 * 86400)
    assert other.id in lines[-2] and "3 days" in lines[-2]
    assert lines[-1].startswith("1 run ")
    assert prune(store, prunable) == ([other.id], [])
    assert sorted(path.name for path in Path(store.url).iterdir()) == sorted(
        [*(r.id for r in runs), "notes", "studies"]
    )


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_two_users_studies_of_one_name_in_one_pool_keep_their_runs(store, tmp_path, become, where):
    store = store if where == "disk" else RunStore(f"memory://{tmp_path.name}")
    for user in ("ann", "bob"):
        (tmp_path / user).mkdir()
        (tmp_path / user / "ablation.yaml").write_text(GOOD.replace("wide", user))
    become("ann")
    anns, runs_of_ann = trained(store, load_study(tmp_path / "ann" / "ablation.yaml"))
    become("bob")
    bobs, runs_of_bob = trained(store, load_study(tmp_path / "bob" / "ablation.yaml"))
    assert ids(find_prunable(store)) == set()
    assert ids(find_prunable(store, [(bobs, runs_of_bob)])) == set()
    shorter = replace(bobs, seeds=1)
    prunable = find_prunable(store, [(shorter, shorter.runs([DATA]))])
    assert ids(prunable) == {run.id for run in runs_of_bob[2:]} - {run.id for run in runs_of_ann}
    lines = "\n".join(summary(prunable))
    assert f"ann@here:{anns.file}" in lines
    assert f"bob@here:{bobs.file}" in lines
    assert lines.count("superseded") == 1
    prune(store, prunable, [(shorter, shorter.runs([DATA]))])
    assert {run.id for run in runs_of_ann} <= set(store.folder.names())
    assert [one.origin.user for one in Registry(store).studies()] == ["ann"]


@pytest.mark.parametrize(("user", "host"), [("bob", "here"), ("ann", "node2")])
def test_a_version_of_another_user_or_machine_is_not_superseded(study, store, become, user, host):
    become(user, host)
    trained(store, study)
    become("ann")
    now = replace(study, seeds=1)
    prunable = find_prunable(store, [(now, now.runs([DATA]))])
    assert (prunable.runs, prunable.superseded, len(prunable.kept)) == ((), {}, 1)


def test_a_study_counts_as_its_file_has_it_now_and_its_earlier_versions_are_forgotten(study, store):
    _, runs = trained(store, study)
    now = (replace(study, seeds=1), runs[:2])
    prunable = find_prunable(store, [now])
    assert ids(prunable) == {run.id for run in runs[2:]}
    assert numbers(prunable.question) == [len(runs) - 2, len(prunable.superseded)] == [len(runs) - 2, 1]
    removed, forgotten = prune(store, prunable, [now])
    assert (set(removed), forgotten) == (ids(prunable), list(prunable.superseded))
    assert Registry(store).studies() == []


def test_two_versions_that_are_both_named_both_count(study, store):
    versions = [trained(store, study), trained(store, replace(study, seeds=1))]
    prunable = find_prunable(store, versions)
    assert (prunable.runs, prunable.superseded, prunable.question) == ((), {}, "")


def test_an_earlier_version_is_kept_while_a_command_works_on_it(study, store, tmp_path):
    _, runs = trained(store, study)
    now = [(replace(study, seeds=1), runs[:2])]
    with Registry(store).in_use(study, runs):
        assert find_prunable(store, now).runs == ()
        with pytest.raises(InputError, match=r"^--forget own-"):
            find_prunable(store, forget=Registry(store).names())
    with store.directory(runs[0]).leased():
        assert find_prunable(store, now).runs == ()
    assert ids(find_prunable(store, now)) == {run.id for run in runs[2:]}
    code = (
        "import os, sys; from pathlib import Path; from emotune.runs.registry import Registry\n"
        "from test_prune import *\n"
        "study = load_study(Path(sys.argv[1]))\n"
        "with Registry(sys.argv[2]).in_use(study, study.runs([DATA])): os._exit(9)"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    killed = subprocess.run([sys.executable, "-c", code, study.file, store.url], env=os.environ | {"PYTHONPATH": path},
                            check=False)  # fmt: skip
    assert killed.returncode == 9
    assert list(Path(store.url).glob("studies/*/command-*.json"))
    assert ids(find_prunable(store, now)) == {run.id for run in runs[2:]}, "it was killed"


def test_runs_of_a_study_that_is_registered_while_the_user_considers_the_question_are_kept(study, store, become):
    become("ann")
    _, runs = trained(store, study)
    now = [(replace(study, seeds=1), runs[:2])]
    prunable = find_prunable(store, now)
    assert len(prunable.runs) > 1
    become("bob")
    Registry(store).register(study, runs[:3])
    become("ann")
    removed, _ = prune(store, prunable, now)
    assert runs[2].id not in removed
    assert set(removed) == ids(prunable) - {runs[2].id}


def test_a_study_is_forgotten_by_its_entrys_name_whoever_registered_it(study, store, become):
    become("bob", "node2")
    trained(store, study)
    become("ann")
    (entry,) = Registry(store).names()
    with pytest.raises(InputError, match=f"--forget x: .*{entry}"):
        find_prunable(store, forget=["x"])
    prunable = find_prunable(store, forget=[entry])
    assert numbers(prunable.question) == [len(prunable.runs), 1]
    assert (prunable.forget, prunable.kept) == ((entry,), ())
    assert any(entry in line for line in summary(prunable))
    assert prune(store, prunable)[1] == [entry]
    assert Registry(store).names() == []


def test_an_entry_that_cannot_be_read_removes_nothing_until_it_is_forgotten(study, store):
    trained(store, study)
    (entry,) = Registry(store).names()
    (Path(store.url) / "studies" / entry / "runs.json").write_text("{")
    with pytest.raises(InputError, match=f"--forget {entry}"):
        find_prunable(store)
    assert find_prunable(store, forget=[entry]).forget == (entry,)


def test_runs_whose_weights_others_begin_with_stay(study, store):
    first = study.runs([DATA])[0]
    begin(store, first)
    weights = WeightsRef(location=f"/mounted/elsewhere/{first.id}/weights.safetensors", digest="0" * 8)
    train = TrainConfig(init=f"{store}/{first.id}")
    tuned = RunConfig(variant="x", dataset=DATA, seed=0, model=AlexNetConfig(), train=train, weights=weights)
    assert ids(find_prunable(store, [(study, [])])) == {first.id}
    assert ids(find_prunable(store, [(study, [tuned])])) == set()
    Registry(store).register(study, [tuned])
    assert ids(find_prunable(store)) == set()


def test_nothing_is_removed_where_no_study_is_registered(study, store):
    begin(store, study.runs([DATA])[0])
    with pytest.raises(InputError, match=store.url):
        find_prunable(store)


def test_a_run_that_is_trained_or_just_begun_is_neither_listed_nor_removed(study, store):
    run, begun, *_ = study.runs([DATA])
    Registry(store).register(study, [])
    with store.directory(run).leased():
        assert find_prunable(store).runs == ()
    prunable = find_prunable(store)
    assert ids(prunable) == {run.id}
    with store.directory(run).leased():
        assert prune(store, prunable) == ([], [])
    folder = Path(store.url) / begun.id
    folder.mkdir()
    assert ids(find_prunable(store)) == {run.id}
    os.utime(folder, (0, 0))
    assert ids(find_prunable(store)) == {run.id, begun.id}


def test_pools_behind_a_url_are_pruned_too(study):
    runs = study.runs([DATA])
    store = RunStore("memory://store-of-test-prune")
    begin(store, runs[0], runs[1])
    Registry(store).register(study, [runs[0]])
    prunable = find_prunable(store)
    (orphan,) = prunable.runs
    assert (orphan.id, orphan.size > 1000, orphan.changed > 0) == (runs[1].id, True, True)
    prune(store, prunable)
    assert find_prunable(store).runs == ()
