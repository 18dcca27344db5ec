"""Which studies a pool has: nobody's entry is another's."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from study_files import DATA, GOOD

from emotune.config.load import load_study
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.runs.registered_study import Origin
from emotune.runs.registry import Registry


@pytest.fixture(params=["disk", "memory"])
def pool(request, tmp_path: Path) -> str:
    return str(tmp_path / "runs") if request.param == "disk" else f"memory://{tmp_path.name}"


def study_in(folder: Path, text: str = GOOD, name: str = "ablation") -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    return load_study(folder / f"{name}.yaml")


def register(pool: str, study: Study) -> str:
    """The name of its entry."""
    runs = study.runs([DATA])
    Registry(pool).register(study, runs)
    return Registry(pool).entry(study, runs)


def test_studies_of_one_name_from_two_folders_two_users_or_two_machines_have_an_entry_each(pool, tmp_path, monkeypatch):
    other = study_in(tmp_path / "b", GOOD.replace("  wide:", "  wider:"))
    study = study_in(tmp_path / "a")
    entries = {register(pool, study), register(pool, other)}
    monkeypatch.setenv("LOGNAME", "bob")
    entries.add(register(pool, study))
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    entries.add(register(pool, study))
    assert len(entries) == 4
    known = Registry(pool).studies()
    assert {one.entry for one in known} == entries
    assert {one.name for one in known} == {"ablation"}
    by_entry = {one.entry: one for one in known}
    assert by_entry[Registry(pool).entry(study, study.runs([DATA]))].origin == Origin(
        str(tmp_path / "a" / "ablation.yaml"), "bob", "elsewhere"
    )
    for one in known:
        its = other if one.origin.path == other.file else study
        assert (one.source, one.refers_to) == (its.source, {run.id for run in its.runs([DATA])})


def test_every_version_of_a_file_is_kept_and_the_last_one_run_is_the_latest(pool, tmp_path):
    first = study_in(tmp_path)
    longer = replace(first, seeds=5)
    edited = study_in(tmp_path, GOOD.replace("model.width: 2", "model.width: 3"))
    entries = [register(pool, one) for one in (first, longer, edited)]
    assert [one.entry for one in Registry(pool).same_name_as(first)] == entries[::-1]
    register(pool, first)
    assert Registry(pool).same_name_as(edited)[0].entry == entries[0]
    assert len(Registry(pool).studies()) == 3


def test_the_latest_version_is_not_written_again(tmp_path):
    pool, study = str(tmp_path / "runs"), study_in(tmp_path)
    file = tmp_path / "runs" / "studies" / register(pool, study) / "runs.json"
    before = file.stat().st_mtime_ns
    assert not Registry(pool).register(study, study.runs([DATA]))
    assert file.stat().st_mtime_ns == before


def test_a_study_is_found_by_its_file_its_text_its_name_or_its_entry(tmp_path, monkeypatch):
    pool = str(tmp_path / "runs")
    mine, other = study_in(tmp_path / "a"), study_in(tmp_path / "b", GOOD.replace("  wide:", "  wider:"))
    entry, others = register(pool, mine), register(pool, other)
    study_in(tmp_path / "few", name="few")
    find = Registry(pool).find
    assert find(entry).entry == entry
    assert find(mine.file).entry == entry
    monkeypatch.setenv("LOGNAME", "bob")  # from here on, both are somebody else's
    copy = study_in(tmp_path / "c", other.source)
    assert find(copy.file).entry == others
    assert find("few") is None
    with pytest.raises(InputError, match=rf"(?s)({entry}.*{others}|{others}.*{entry})"):
        find("ablation")
    Registry(pool).forget(others)
    assert find("ablation").entry == entry
    register(pool, replace(mine, seeds=9))
    assert len(find("ablation").runs) == 18, "two versions, and the same text: the latest"


def test_saved_networks_are_the_studys_own_else_those_of_a_study_with_the_same_text(pool, tmp_path):
    mine, other = study_in(tmp_path / "a"), study_in(tmp_path / "b", GOOD.replace("  wide:", "  wider:"))
    copy = study_in(tmp_path / "c")
    of = {one.file: one.runs([DATA]) for one in (mine, other, copy)}
    registry = Registry(pool)
    for one in (mine, other):
        register(pool, one)
        registry.write_networks(one, of[one.file], {"of": one.file})
    assert next(registry.networks(mine, of[mine.file])) == {"of": mine.file}
    assert next(registry.networks(other, of[other.file])) == {"of": other.file}
    assert next(registry.networks(copy, of[copy.file])) == {"of": mine.file}


def test_studies_can_be_registered_at_the_same_time(tmp_path):
    pool, studies = str(tmp_path / "runs"), [study_in(tmp_path / str(k)) for k in range(20)]
    threads = [threading.Thread(target=register, args=(pool, study)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.origin.path for one in Registry(pool).studies()} == {study.file for study in studies}


def test_a_new_study_is_in_use_while_a_command_works_on_it_and_forgotten_after_an_input_error(pool, tmp_path):
    study, registry = study_in(tmp_path), Registry(pool)
    runs = study.runs([DATA])
    entry = registry.entry(study, runs)
    with pytest.raises(InputError, match="a damaged shard"), registry.in_use(study, runs):
        assert [one.entry for one in registry.studies()] == [entry]
        assert registry.is_in_use(entry)
        raise InputError("a damaged shard")
    assert registry.names() == []
    with registry.in_use(study, runs):
        pass
    assert [one.entry for one in registry.studies()] == [entry]
    assert not registry.is_in_use(entry)
    with pytest.raises(InputError), registry.in_use(study, runs):
        raise InputError("a damaged shard")
    assert [one.entry for one in registry.studies()] == [entry], "it was known before"


def test_a_damaged_entry_is_named_and_does_not_affect_other_studies(pool, tmp_path):
    mine = study_in(tmp_path / "a")
    entry = register(pool, study_in(tmp_path / "b"))
    for damaged in ("{", "[]", json.dumps({"runs": [{}]})):
        (Registry(pool)._folder / entry).write("runs.json", damaged.encode())
        with pytest.raises(InputError, match=f"--forget {entry}"):
            Registry(pool).studies()
        own = register(pool, mine)
        assert Registry(pool).find("ablation").entry == own
    assert [one.entry for one in Registry(pool).studies(besides=[entry])] == [own]
