"""Clips are listed from class folders and tables, and become one sample each."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image
from videos import flat, moving, pattern, write_class_folders, write_clip

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.decode_clip import decode_clip
from emotune.data.build.executor import LocalExecutor
from emotune.data.build.ingest import ingest
from emotune.data.build.ingest_image import LIMITS, Limits
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.manifest import read_manifest
from emotune.data.shard_reader import read_samples
from emotune.data.sources.base import Clip
from emotune.data.sources.video import Video
from emotune.shard import main


def samples_of(out):
    manifest = read_manifest(Folder(str(out)))
    return [s for shard in manifest.shards for s in read_samples((out / shard.file).read_bytes(), shard.file)]


def health_of(out):
    with (out / "health.csv").open(newline="") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def test_a_clip_of_a_class_folder_is_one_entry(tmp_path):
    clips = write_class_folders(tmp_path / "clips", 2)
    (clips / "calm" / "notes.txt").write_text("none")
    listing = Video(clips, frames=4, labels="any").listing()
    assert listing.classes == ("calm", "tense")
    assert listing.frames == 4
    assert [entry.source for entry in listing.entries] == [
        "calm/000.mp4",
        "calm/001.mp4",
        "tense/000.mp4",
        "tense/001.mp4",
    ]
    assert listing.entries[0].image == Clip(clips / "calm" / "000.mp4", 4)
    assert [note for note in listing.notes if ".txt" in note]


def test_a_table_gives_labels_votes_splits_and_groups(tmp_path):
    write_clip(tmp_path / "a.mp4", moving(1, warm=True))
    (tmp_path / "table.csv").write_text("path,awe,fear,split,group\na.mp4,3,1,test,film 1\n")
    (entry,) = Video(tmp_path / "table.csv").listing().entries
    assert entry.image == Clip(tmp_path / "a.mp4", 8)
    assert (entry.label, entry.votes, entry.split, entry.group) == ("awe", {"awe": 3, "fear": 1}, "test", "film 1")


@pytest.mark.parametrize(
    ("options", "key"),
    [({"frames": 1}, "--frames"), ({"frames": 65}, "--frames"), ({"votes": "a,b"}, "--votes"),
     ({"target": "distributions"}, "--target")],
)  # fmt: skip
def test_options_that_cannot_be_met_are_refused(tmp_path, options, key):
    with pytest.raises(InputError, match=key):
        Video(write_class_folders(tmp_path / "clips", 1), labels="any", **options).listing()


@pytest.mark.parametrize(("frames", "size", "allowed"), [(64, 1024, False), (33, 2000, False), (64, 1023, True)])
def test_frames_that_are_too_large_for_a_jpeg_are_refused_before_a_clip_is_read(tmp_path, frames, size, allowed):
    (tmp_path / "clips").mkdir()
    for label in ("calm", "tense"):
        (tmp_path / "clips" / label).mkdir()
        for number in range(3):
            (tmp_path / "clips" / label / f"{number}.mp4").write_text(f"no video {label} {number}")
    listing = Video(tmp_path / "clips", frames=frames, labels="any").listing()
    with pytest.raises(InputError, match="undecodable" if allowed else "--size"):
        write_shards(listing, Folder(str(tmp_path / "out")), limits=Limits(size))


def test_links_are_refused_and_folders_without_videos_too(tmp_path):
    (tmp_path / "table.csv").write_text("url,label\nhttps://example.org/a.mp4,awe\n")
    with pytest.raises(InputError, match="link"):
        Video(tmp_path / "table.csv").listing()
    (tmp_path / "clips" / "calm").mkdir(parents=True)
    (tmp_path / "clips" / "tense").mkdir()
    with pytest.raises(InputError, match="no videos in calm"):
        Video(tmp_path / "clips", labels="any").listing()


def test_without_pyav_the_command_that_installs_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["video", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'emotune[video]'" in capsys.readouterr().err


def test_the_command_writes_a_sample_per_clip_whose_frames_are_those_of_the_clip(tmp_path):
    clips, out = write_class_folders(tmp_path / "clips"), tmp_path / "out"
    command = ["video", str(clips), "--labels", "any", "--frames", "4", "--out", str(out), "--workers", "1"]
    assert main(command) == 0
    manifest = read_manifest(Folder(str(out)))
    assert manifest.frames == json.loads((out / "manifest.json").read_text())["frames"] == 4
    samples = samples_of(out)
    assert len(samples) == 40
    assert verify(Folder(str(out)))[1] == []
    for sample in samples[::9]:
        (out / "one.jpg").write_bytes(sample.jpg)
        stored = np.asarray(Image.open(out / "one.jpg")).astype(int)
        assert stored.shape == (4 * 96, 96, 3)
        assert np.abs(stored - np.asarray(decode_clip(clips / sample.source, 4).strip)).mean() < 4
    (out / "one.jpg").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert main(command) == 0  # nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_processes_share_few_clips_and_write_the_bytes_that_one_writes(tmp_path):
    clips = write_class_folders(tmp_path / "clips", 5)
    (clips / "calm" / "text.mp4").write_text("not a video" * 99)
    listing = Video(clips, frames=3, labels="any").listing()
    alone, shared = (Folder(str(tmp_path / name)) for name in ("alone", "shared"))
    write_shards(listing, alone)
    finished: list[int] = []
    write_shards(listing, shared, workers=3, advance=finished.append)
    assert sorted(finished) == [1] + [2] * 5, "processes get a few clips at a time"
    files = {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir() if path.is_file()}
    assert len(files) > 2
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "shared").iterdir() if path.is_file()}


def test_clips_that_were_decoded_before_an_interruption_are_not_decoded_again(tmp_path):
    clips = write_class_folders(tmp_path / "clips", 3)
    listing = Video(clips, frames=3, labels="any").listing()

    def interrupt(finished: int) -> None:
        raise KeyboardInterrupt

    spool, two = Folder(str(tmp_path / "spool")), LocalExecutor(2)
    with pytest.raises(KeyboardInterrupt):
        ingest(listing.entries, spool, LIMITS, executor=two, advance=interrupt)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "spool").iterdir()}
    assert before
    taken = ingest(listing.entries, spool, LIMITS, executor=two)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert taken == ingest(listing.entries, Folder(str(tmp_path / "other")), LIMITS, executor=LocalExecutor())


def test_images_have_no_frames_in_their_manifest(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "in" / label).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(pattern(number + 100 * (label == "a"))).save(tmp_path / "in" / label / f"{number}.png")
    assert (
        main(["folder", str(tmp_path / "in"), "--labels", "any", "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    )
    assert "frames" not in json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_what_is_no_clip_is_left_out_with_a_reason(tmp_path):
    clips, out = write_class_folders(tmp_path / "clips"), tmp_path / "out"
    calm = clips / "calm"
    write_clip(calm / "sound.mp4", [], sound=True)
    (calm / "text.mp4").write_text("not a video" * 99)
    whole = write_clip(calm / "cut.mkv", [pattern(number) for number in range(40)]).read_bytes()
    (calm / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    write_clip(calm / "blank.mp4", [flat(90, 90, 90)] * 5)
    write_clip(calm / "small.mp4", [pattern(1, 48, 48)] * 3)
    (calm / "copy.mp4").write_bytes((calm / "000.mp4").read_bytes())
    write_clip(calm / "still.mp4", [pattern(7)])
    write_shards(Video(clips, frames=4, labels="any").listing(), Folder(str(out)))
    problems = {source.removeprefix("calm/"): row["problem"] for source, row in health_of(out).items()}
    assert problems == {
        "sound.mp4": "undecodable", "text.mp4": "undecodable", "cut.mkv": "truncated",
        "blank.mp4": "without content", "small.mp4": "tiny", "copy.mp4": "exact duplicate",
    }  # fmt: skip
    assert "calm/still.mp4" in {sample.source for sample in samples_of(out)}


def test_a_clip_recoded_at_another_size_is_a_near_duplicate(tmp_path):
    clips, out = write_class_folders(tmp_path / "clips"), tmp_path / "out"
    frames = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in moving(0, warm=False)]
    write_clip(clips / "calm" / "larger.mkv", frames)
    write_shards(Video(clips, frames=4, labels="any").listing(), Folder(str(out)))
    assert {source: row["problem"] for source, row in health_of(out).items()} in (
        {"calm/larger.mkv": "near-duplicate"}, {"calm/000.mp4": "near-duplicate"},
    )  # fmt: skip
