"""What a study declared before its results, and what it changed afterwards."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from study_files import DATA, GOOD

from emotune import Study
from emotune.config.load import load_study
from emotune.core.errors import InputError
from emotune.runs.declarations import (
    Declaration,
    LateDeclaration,
    current_declaration,
    declare,
    dropped_contrasts,
    late_declarations,
    read_declarations,
)
from emotune.runs.store import RunStates, RunStore

TEXT = GOOD + "  tall: {model.width: 3}\nseeds: 2\ncontrasts: [wide - plain]\nmetric: {min_effect: 2}\n"


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path: Path) -> RunStore:
    return RunStore(str(tmp_path / "runs") if request.param == "disk" else f"memory://{tmp_path.name}")


@pytest.fixture
def study(write) -> Study:
    return load_study(write(TEXT))


def states(study: Study, store: RunStore, ended: int) -> RunStates:
    """Of its runs the first ones have a result."""
    runs = study.runs([DATA])
    for run in runs[:ended]:
        store.directory(run).finish({"run": run.id})
    return store.states(runs)


def late(study: Study, store: RunStore, ended: int, contrast: int = 0) -> list[LateDeclaration]:
    """What is late about a contrast of a study that a command has worked on, with so many results before."""
    now = states(study, store, ended)
    declare(study, now)
    one = current_declaration(study, now)
    written = read_declarations(store, study.name)
    found = late_declarations(written, one, one.contrasts[contrast], equivalent=True)
    assert found == late_declarations(written, replace(one, ended=99), one.contrasts[contrast], equivalent=True)
    return list(found)


def summary(found: list[LateDeclaration]) -> list[tuple[str, str, str, int, int]]:
    return [(one.what, one.before, one.now, one.ended, one.runs) for one in found]


def test_what_is_declared_before_the_first_result_stays_so(study: Study, store: RunStore):
    assert late(study, store, 0) == [] == late(study, store, 5)
    assert len(read_declarations(store, study.name)) == 1
    assert late(replace(study, question="Another one?", source=""), store, 5) == []


def test_what_is_changed_after_a_result_is_late(study: Study, store: RunStore):
    late(study, store, 0)
    more = replace(study, contrasts=[*study.contrasts, "tall - plain"], source="")
    assert late(more, store, 4) == []
    assert summary(late(more, store, 5, contrast=1)) == [("contrast", "", "tall - plain", 4, 6)]
    smaller = replace(study, metric=replace(study.metric, min_effect=1.0), source="")
    assert summary(late(smaller, store, 5)) == [("min_effect", "2", "1", 5, 6)]
    other = replace(study, metric=replace(study.metric, name="macro_f1"), source="")
    assert summary(late(other, store, 5)) == [("metric", "accuracy", "macro_f1", 5, 6)]
    longer = replace(study, seeds=4, source="")
    assert summary(late(longer, store, 6)) == [("seeds", "2", "4", 6, 12)]
    looks = replace(study, seeds=4, looks=(2, 4), source="")
    assert [one.now for one in late(looks, store, 6)] == ["up to 4 (looks at 2, 4)"]


def test_contrasts_are_known_by_their_runs_not_by_the_names_of_variants(write, store: RunStore):
    study = load_study(write(TEXT))
    late(study, store, 0)
    swapped = load_study(write(TEXT.replace("wide", "x").replace("tall", "wide").replace("x", "tall")))
    assert [one.what for one in late(replace(swapped, contrasts=["wide - plain"]), store, 3)] == ["contrast"]
    assert late(replace(swapped, contrasts=["tall - plain"]), store, 3) == []


def test_contrasts_that_are_left_out_after_a_result_are_named(study: Study, store: RunStore):
    more = replace(study, contrasts=["wide - plain", "tall - plain"], source="")
    late(more, store, 0)

    def dropped(ended: int) -> list[str]:
        now = current_declaration(study, states(study, store, ended))
        return [one.name for one in dropped_contrasts(read_declarations(store, study.name), now)]

    assert (dropped(0), dropped(1)) == ([], ["tall - plain"])
    late(study, store, 1)
    assert dropped(6) == ["tall - plain"]


def test_of_studies_older_than_declarations_nothing_is_said(study: Study, store: RunStore):
    now = states(study, store, 6)
    one = current_declaration(study, now)
    assert late_declarations((), one, one.contrasts[0], equivalent=True) == ()
    declare(study, now, is_old=True)
    assert late(study, store, 6) == []


def test_of_several_commands_at_once_one_declares(study: Study, tmp_path: Path):
    store = RunStore(str(tmp_path / "pool"))
    now = states(study, store, 0)
    threads = [threading.Thread(target=declare, args=(study, now)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (one,) = read_declarations(store, study.name)
    assert isinstance(one, Declaration) and (one.ended, one.runs) == (0, 6)
    assert store.run_ids() == [], "the folder is no run"


def test_a_damaged_file_is_named(study: Study, store: RunStore):
    (store.folder / "declared" / study.name).write("0123.json", b"{}")
    with pytest.raises(InputError, match=r"0123\.json"):
        read_declarations(store, study.name)
