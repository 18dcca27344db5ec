"""Event files of finished runs are read back with tensorboardX's protocol buffers."""

import struct
from collections import defaultdict
from pathlib import Path

import pytest
from exported_study import Exported

from emotune.core.errors import InputError
from emotune.execution.monitor.event_file import EventFile
from emotune.execution.monitor.tensorboard import EVENT_FILES, run_folder_name

STEPS = 2 * 40  # two epochs of 800 images in batches of 20


def summaries(file: Path) -> dict[str, list]:
    """The values of an event file by tag, each with its step."""
    from tensorboardX.proto.event_pb2 import Event

    found, data = defaultdict(list), file.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        for value in event.summary.value:
            found[value.tag].append((event.step, value))
    return found


def curve(values: list) -> list[tuple[int, float]]:
    return [(step, round(value.simple_value, 4)) for step, value in values]


def test_a_run_has_curves_and_hyperparameters_in_a_folder_named_as_while_it_is_trained(exported: Exported):
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    assert len(exported.to("tensorboard", out="events").written) == 3
    for run in exported.finished:
        (file,) = Path("events", run_folder_name(run)).glob(EVENT_FILES)
        found = summaries(file)
        assert curve(found["train/loss"]) == [(STEPS // 2, 2.0), (STEPS, 1.0)]
        assert curve(found["val/accuracy"]) == [(STEPS // 2, 20.0), (STEPS, 40.0)]
        assert [step for step, _ in curve(found["test/accuracy"])] == [STEPS]
        content = {}
        for tag in ("experiment", "session_start_info", "session_end_info"):
            ((_, value),) = found[f"_hparams_/{tag}"]
            assert value.metadata.plugin_data.plugin_name == "hparams"
            content[tag] = getattr(HParamsPluginData.FromString(value.metadata.plugin_data.content), tag)
        hparams = content["session_start_info"].hparams
        assert hparams["train.lr"].number_value == 0.02 and hparams["train.flip"].bool_value is True
        assert hparams["variant"].string_value == run.variant and hparams["train.patience"].string_value == "none"
        infos = content["experiment"]
        assert {one.name.tag for one in infos.metric_infos} <= found.keys()
        kinds = {one.name: one.type for one in infos.hparam_infos}
        assert kinds.keys() == set(hparams)
        assert (kinds["variant"], kinds["train.flip"], kinds["train.lr"]) == (1, 2, 3)  # STRING, BOOL, FLOAT64
        assert content["session_end_info"].status == 1  # STATUS_SUCCESS


def test_what_is_there_is_not_written_again_and_what_has_changed_is_replaced(exported: Exported):
    exported.to("tensorboard", out="events")
    before = sorted(Path("events").rglob("*"))
    assert len(exported.to("tensorboard", out="events").unchanged) == 3 and sorted(Path("events").rglob("*")) == before
    run = exported.finished[0]
    exported.edit(run, lambda record: record.update(images_per_s=123.0))
    assert exported.to("tensorboard", out="events").written == (run.id,)
    (file,) = Path("events", run_folder_name(run)).glob(EVENT_FILES)
    assert file not in before and curve(summaries(file)["cost/images_per_s"]) == [(STEPS, 123.0)]


def test_a_variant_of_another_name_has_its_run_in_another_folder(exported: Exported):
    exported.to("tensorboard", out="events")
    exported.file.write_text(exported.file.read_text().replace("narrow", "slim"))
    outcome = exported.to("tensorboard", out="events")
    assert len(outcome.written) == 2 and len(outcome.unchanged) == 1
    assert sorted(path.name.partition("-")[0] for path in Path("events").iterdir()) == ["slim", "slim", "wide"]


def test_event_files_of_another_origin_are_left_alone(exported: Exported):
    run = exported.finished[0]
    folder = Path("events", run_folder_name(run))
    EventFile(folder).close()
    (live,) = folder.iterdir()
    data = live.read_bytes()
    outcome = exported.to("tensorboard", out="events")
    assert len(outcome.written) == 2 and any(str(folder) in note for note in outcome.notes)
    assert list(folder.iterdir()) == [live] and live.read_bytes() == data


@pytest.mark.parametrize("out", ["s3://bucket/events", "width.yaml"])
def test_a_folder_that_cannot_be_used_is_refused(exported: Exported, out: str):
    with pytest.raises(InputError, match=f"--out {out}: "):
        exported.to("tensorboard", out=out)
