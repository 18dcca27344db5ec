from pathlib import Path

import pytest

from emotune.core.errors import InputError
from emotune.inference.inputs import find_images, unique_stems


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_give_their_images_and_those_of_their_subfolders_in_order(tmp_path):
    touch(tmp_path, "b.JPG", "a/z.png", "a/notes.txt", "c.webp", ".DS_Store")
    images = find_images([str(tmp_path)], [])
    assert [str(path.relative_to(tmp_path)) for path in images] == ["a/z.png", "b.JPG", "c.webp"]


def test_a_file_that_is_named_counts_whatever_its_name_and_once(tmp_path):
    assert find_images(["x.dat", "x.dat", "y"], []) == [Path("x.dat"), Path("y")]


def test_a_dash_stands_for_names_from_stdin(tmp_path):
    touch(tmp_path, "d/1.jpg", "d/2.jpg")
    lines = ["a.jpg\n", "\n", f"{tmp_path / 'd'}\n"]
    images = find_images(["first.jpg", "-"], lines)
    assert images == [Path("first.jpg"), Path("a.jpg"), tmp_path / "d/1.jpg", tmp_path / "d/2.jpg"]


def test_no_image_at_all_is_refused(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        find_images([str(tmp_path)], [])


def test_images_of_one_name_get_different_stems():
    paths = [Path(p) for p in ("a/x.jpg", "b/x.jpg", "b/X.png", "x-2.jpg", "y.jpg")]
    stems = unique_stems(paths)
    assert [stems[path] for path in paths] == ["x", "x-2", "X-3", "x-2-2", "y"]
