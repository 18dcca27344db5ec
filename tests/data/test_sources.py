"""Class folders become a list of pictures, whose keys depend on their content only."""

import shutil

import pytest

from emotune.data.shards import SPLITS, split_of
from emotune.data.sources import folder, scenes, scenes_hash
from emotune.emotions import MIKELS
from emotune.errors import InputError


def keys(listing) -> dict[str, str]:
    return {item.source: item.key for item in listing.items}


def test_every_picture_is_listed_with_its_class(picture_folder):
    listing = folder(picture_folder)
    files = {str(path.relative_to(picture_folder)) for path in picture_folder.rglob("*.*g")}
    assert {item.source for item in listing.items} == files
    assert all(item.source.startswith(f"{item.label}/") and item.votes == {item.label: 1} for item in listing.items)
    assert (listing.classes, listing.name, listing.left_out) == (MIKELS, "pictures", [])


def test_adding_pictures_moves_none_to_another_split(picture_folder):
    before = keys(folder(picture_folder))
    for path in list(picture_folder.rglob("*.png")):
        (path.parent / f"0{path.name}").write_bytes(path.read_bytes() + b"another")
    after = keys(folder(picture_folder))
    assert len(after) > len(before)
    assert {source: after[source] for source in before} == before


def test_renaming_files_moves_none_to_another_split(picture_folder):
    before = sorted(keys(folder(picture_folder)).values())
    for number, path in enumerate(sorted(picture_folder.rglob("*.*g"))):
        (path.parent / "deeper").mkdir(exist_ok=True)
        path.rename(path.parent / "deeper" / f"renamed {1000 - number}.picture")
    assert sorted(keys(folder(picture_folder)).values()) == before


def test_a_picture_in_two_classes_has_no_true_label_and_is_left_out(picture_folder):
    one = next((picture_folder / "awe").glob("*.jpg"))
    shutil.copy(one, picture_folder / "fear" / "same.jpg")
    shutil.copy(one, picture_folder / "awe" / "copy.jpg")
    listing = folder(picture_folder)
    left_out = {entry.source: entry.reason for entry in listing.left_out}
    assert set(left_out) == {f"awe/{one.name}", "awe/copy.jpg", "fear/same.jpg"}
    assert all("classes awe and fear" in reason for reason in left_out.values())
    assert not set(left_out) & set(keys(listing))


def test_copies_in_one_class_are_kept_once(picture_folder):
    one = next((picture_folder / "awe").glob("*.jpg"))
    shutil.copy(one, picture_folder / "awe" / "zz-copy.jpg")
    listing = folder(picture_folder)
    assert [(entry.source, entry.reason) for entry in listing.left_out] == [
        ("awe/zz-copy.jpg", f"exact copy of awe/{one.name}")
    ]
    assert f"awe/{one.name}" in keys(listing)
    assert len(set(keys(listing).values())) == len(listing.items)


def test_names_that_begin_with_a_dot_are_skipped(picture_folder):
    before = keys(folder(picture_folder))
    (picture_folder / ".git").mkdir()
    (picture_folder / "awe" / ".DS_Store").write_bytes(b"x")
    (picture_folder / "awe" / ".thumbnails").mkdir()
    (picture_folder / "awe" / ".thumbnails" / "a.jpg").write_bytes(b"x")
    assert keys(folder(picture_folder)) == before


def test_other_classes_are_taken_as_they_are_if_asked(picture_folder):
    for label in MIKELS[2:]:
        shutil.rmtree(picture_folder / label)
    (picture_folder / "awe2").mkdir()
    (picture_folder / "awe2" / "a.jpg").write_bytes(b"x")
    assert folder(picture_folder, labels=None, name="mine").classes == ("amusement", "anger", "awe2")


def refusal(directory, **options) -> str:
    with pytest.raises(InputError) as caught:
        folder(directory, **options)
    assert str(directory) in str(caught.value)
    return str(caught.value)


def test_all_wrong_and_missing_classes_are_reported_at_once_with_the_nearest_and_the_remedy(picture_folder):
    (picture_folder / "awe").rename(picture_folder / "Awe")
    (picture_folder / "fear").rename(picture_folder / "feer")
    (picture_folder / "xyz").mkdir()
    message = refusal(picture_folder)
    for part in ('"Awe" is not a class; did you mean "awe"?', '"feer" is not a class; did you mean "fear"?',
                 '"xyz" is not a class', 'no folder for the class "awe"', 'no folder for the class "fear"',
                 "The classes are amusement, ", "--labels any"):  # fmt: skip
        assert part in message


def test_a_missing_folder_a_file_an_empty_folder_and_one_class_are_refused(tmp_path, picture_folder):
    assert "no such folder" in refusal(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"x")
    assert "no such folder" in refusal(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "holds no folders" in refusal(tmp_path / "empty")
    (tmp_path / "single" / "awe").mkdir(parents=True)
    assert 'only one class, "awe"' in refusal(tmp_path / "single", labels=None)
    for path in (picture_folder / "awe").iterdir():
        path.unlink()
    assert "no pictures in awe" in refusal(picture_folder)


def test_a_file_that_cannot_be_read_does_not_end_the_listing(picture_folder):
    (picture_folder / "awe" / "unreadable.jpg").symlink_to("/proc/self/mem")  # gives an I/O error, to root as well
    listing = folder(picture_folder)
    assert [entry.source for entry in listing.left_out] == ["awe/unreadable.jpg"]
    assert len(listing.items) == 64


def test_scenes_are_listed_without_drawing_and_their_keys_do_not_depend_on_how_many():
    few, many = scenes(16, seed=3), scenes(48, seed=3)
    assert keys(few).items() <= keys(many).items()
    assert not set(keys(few).values()) & set(keys(scenes(16, seed=4)).values())
    assert few.synthetic
    assert all(item.label in item.votes and sum(item.votes.values()) == 5 for item in many.items)
    assert len({scenes_hash(16, 3), scenes_hash(48, 3), scenes_hash(16, 4)}) == 3


def test_shares_of_the_splits_are_as_asked():
    listing = scenes(4000)
    splits = [split_of(item.key, (0.5, 0.2, 0.3)) for item in listing.items]
    for split, share in zip(SPLITS, (0.5, 0.2, 0.3), strict=True):
        assert splits.count(split) / 4000 == pytest.approx(share, abs=0.03)
