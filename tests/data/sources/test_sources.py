"""Class folders and scenes become lists of images, of which none is read."""

import os
import shutil

import pytest

from emotune.config.labels import MIKELS
from emotune.core.errors import InputError
from emotune.data.manifest import SPLITS
from emotune.data.sources.base import Listing
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.class_names import unknown_class
from emotune.data.sources.scenes import Scenes, scenes_hash
from emotune.data.split import split_of


def sources(listing: Listing) -> list[str]:
    return [entry.source for entry in listing.entries]


def test_every_image_is_listed_with_its_class(image_folder):
    listing = ClassFolders(image_folder).listing()
    assert set(sources(listing)) == {str(path.relative_to(image_folder)) for path in image_folder.rglob("*.*g")}
    assert len(listing.entries) == 64
    for entry in listing.entries:
        assert entry.image == image_folder / entry.source
        assert entry.source.startswith(f"{entry.label}/")
        assert entry.votes == {entry.label: 1}
        assert (entry.key, entry.split, entry.group) == (None, None, None)
    assert (listing.classes, listing.name, listing.left_out) == (MIKELS, "images", ())


def test_images_are_listed_in_the_order_of_their_classes_and_names(image_folder):
    (image_folder / "awe" / "sub").mkdir()
    shutil.copy(next((image_folder / "awe").glob("*.jpg")), image_folder / "awe" / "sub" / "deep.jpg")
    listing = ClassFolders(image_folder).listing()
    assert "awe/sub/deep.jpg" in sources(listing)
    assert [entry.label for entry in listing.entries] == sorted(entry.label for entry in listing.entries)
    assert sources(listing) == sources(ClassFolders(image_folder).listing())


def test_hidden_files_and_folders_are_skipped(image_folder):
    before = sources(ClassFolders(image_folder).listing())
    (image_folder / ".git").mkdir()
    (image_folder / "awe" / ".DS_Store").write_bytes(b"x")
    (image_folder / "awe" / ".thumbnails").mkdir()
    (image_folder / "awe" / ".thumbnails" / "a.jpg").write_bytes(b"x")
    assert sources(ClassFolders(image_folder).listing()) == before


def test_a_name_that_is_not_utf8_can_be_written_into_a_report(image_folder):
    with open(os.fsencode(image_folder / "awe") + b"/\xe9t\xe9.png", "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"x")
    listing = ClassFolders(image_folder).listing()
    (entry,) = (entry for entry in listing.entries if entry.image.read_bytes() == b"x")
    assert entry.source.encode().startswith(b"awe/")


def test_with_labels_any_the_names_of_the_folders_are_the_classes(image_folder):
    for label in MIKELS[2:]:
        shutil.rmtree(image_folder / label)
    (image_folder / "awe2").mkdir()
    (image_folder / "awe2" / "a.jpg").write_bytes(b"x")
    assert ClassFolders(image_folder, labels="any").listing().classes == ("amusement", "anger", "awe2")


def test_the_classes_can_be_those_of_another_label_space(tmp_path):
    for label in ("positive", "negative"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.jpg").write_bytes(b"x")
    assert ClassFolders(tmp_path, labels="polarity").listing().classes == ("negative", "positive")


def refusal(directory, **options) -> str:
    with pytest.raises(InputError) as caught:
        ClassFolders(directory, **options).listing()
    assert str(directory) in str(caught.value)
    return str(caught.value)


def test_all_wrong_and_missing_classes_are_reported_at_once_with_the_nearest_and_the_remedy(image_folder):
    (image_folder / "awe").rename(image_folder / "aww")
    (image_folder / "fear").rename(image_folder / "feer")
    (image_folder / "xyz").mkdir()
    message = refusal(image_folder)
    assert len(message.splitlines()) == 3
    for part in ("3 folders", *(unknown_class(name, MIKELS) for name in ("aww", "feer", "xyz")),
                 '2 classes: "awe", "fear"', ", ".join(MIKELS), "--labels any"):  # fmt: skip
        assert part in message


def test_a_missing_folder_a_file_an_empty_folder_and_one_class_are_refused(tmp_path, image_folder):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "single" / "awe").mkdir(parents=True)
    reasons = set()
    for name in ("none", "file", "empty", "single"):
        message = refusal(tmp_path / name, labels="any")
        assert f"{tmp_path / name}: " in message
        reasons.add(message.replace(str(tmp_path / name), ""))
    assert len(reasons) == 4, "each is told from the others"
    assert "awe" in message
    for path in (image_folder / "awe").iterdir():
        path.unlink()
    assert "in awe" in refusal(image_folder)


def test_a_file_that_cannot_be_read_does_not_end_the_listing(image_folder):
    (image_folder / "awe" / "unreadable.jpg").symlink_to("/proc/self/mem")  # gives an I/O error, to root as well
    assert "awe/unreadable.jpg" in sources(ClassFolders(image_folder).listing())


def test_a_broken_link_is_listed(image_folder):
    (image_folder / "awe" / "gone.jpg").symlink_to(image_folder / "elsewhere.jpg")
    assert "awe/gone.jpg" in sources(ClassFolders(image_folder).listing())


def test_a_link_to_a_folder_is_refused(image_folder, tmp_path):
    (tmp_path / "more").mkdir()
    (image_folder / "awe" / "more").symlink_to(tmp_path / "more")
    with pytest.raises(InputError, match="awe/more: "):
        ClassFolders(image_folder).listing()


def keys(listing: Listing) -> dict[str, str | None]:
    return {entry.source: entry.key for entry in listing.entries}


def test_scenes_are_listed_without_drawing_and_their_keys_do_not_depend_on_how_many():
    few, many = Scenes(16, seed=3).listing(), Scenes(48, seed=3).listing()
    assert keys(few).items() <= keys(many).items()
    assert not set(keys(few).values()) & set(keys(Scenes(16, seed=4).listing()).values())
    assert few.synthetic
    assert all(entry.label in entry.votes and sum(entry.votes.values()) == 5 for entry in many.entries)
    assert few.content_hash == scenes_hash(16, 3)
    assert len({scenes_hash(16, 3), scenes_hash(48, 3), scenes_hash(16, 4)}) == 3


@pytest.mark.parametrize("scenes", [Scenes(0), Scenes(-3), Scenes(8, seed=-1)])
def test_no_scenes_and_a_negative_seed_are_refused(scenes):
    with pytest.raises(InputError, match=r"--images .*--seed"):
        scenes.listing()


def test_shares_of_the_splits_are_as_asked():
    splits = [split_of(entry.key, (0.5, 0.2, 0.3)) for entry in Scenes(4000).listing().entries]
    for split, share in zip(SPLITS, (0.5, 0.2, 0.3), strict=True):
        assert splits.count(split) / 4000 == pytest.approx(share, abs=0.03)
