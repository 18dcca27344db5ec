"""Bad images are listed and left out, and near-duplicates stay in one split; all other images are kept."""

import hashlib
import io
import re
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.curate import KEEPABLE, PLACEHOLDER_COPIES, CurationResult, curate
from emotune.data.build.ingest_image import IngestedImage
from emotune.data.build.perceptual_hash import COPY_DISTANCE, SCENE_DISTANCE, mirrored_hash, perceptual_hash
from emotune.data.build.shards import write_shards
from emotune.data.image_io import decode_rgb
from emotune.data.manifest import SPLITS, Problem
from emotune.data.shard_reader import read_samples
from emotune.data.sources.base import Entry, Listing


def cloudy(seed: int) -> Image.Image:
    """Smooth noise: as a photograph, it has more of the low frequencies than of the high ones."""
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 10, 3), np.uint8)
    return Image.fromarray(pixels).resize((180, 140), Image.Resampling.BICUBIC)


def distance(one: Image.Image, other: Image.Image) -> int:
    return int(
        np.unpackbits(
            np.frombuffer(perceptual_hash(one), np.uint8) ^ np.frombuffer(perceptual_hash(other), np.uint8)
        ).sum()
    )


def of_one_scene(image: Image.Image, seed: int) -> Image.Image:
    """An image of the same scene that is no copy."""
    shares = np.arange(0.1, 0.9, 0.02)
    blended = (Image.blend(image, cloudy(seed), share) for share in shares)
    return [other for other in blended if COPY_DISTANCE + 4 < distance(image, other) < SCENE_DISTANCE - 4][-1]


class Images:
    """Images to curate, each as its source lists it and as it was ingested."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.taken: list[IngestedImage] = []

    def add(self, name: str, image: Image.Image | int, *, quality: int = 92, problems=(), **known: str) -> "Images":
        """``name`` begins with the label; a number stands for an image of its own."""
        buffer = io.BytesIO()
        (cloudy(image) if isinstance(image, int) else image).save(buffer, "JPEG", quality=quality)
        data, label = buffer.getvalue(), name.partition("/")[0]
        self.entries.append(Entry(name, label, {label: 1}, lambda: data, **known))
        key = hashlib.sha256(data).hexdigest()[:20]
        read, stored = decode_rgb(data), hashlib.sha256(data).hexdigest()
        pixels, seen = hashlib.sha256(read.tobytes()).hexdigest(), perceptual_hash(read)
        reasons = tuple((problem, "why") for problem in problems)
        known = {"mirrored_phash": mirrored_hash(read)} if seen else {"pixels": pixels}
        self.taken.append(IngestedImage(key, reasons, seen, **known, sha256=stored))
        return self

    def curated(self, *keep: Problem) -> CurationResult:
        return curate(self.entries, self.taken, keep)

    def verdict(self, *keep: Problem) -> tuple[list[str], dict[str, Problem]]:
        """The names of the images that stay, and the problems of those that are left out."""
        curated = self.curated(*keep)
        left_out = {row.source: row.problem for row in curated.problems if not row.kept}
        staying = [self.entries[index].source for index in curated.groups]
        assert sorted([*staying, *left_out]) == sorted(entry.source for entry in self.entries), "one was lost"
        assert all(row.kept == (row.source in staying) for row in curated.problems)
        return staying, left_out

    def group_of(self, *keep: Problem) -> dict[str, str]:
        return {self.entries[index].source: group for index, group in self.curated(*keep).groups.items()}


OF_ONE_IMAGE = (Problem.UNREADABLE, Problem.UNDECODABLE, Problem.TRUNCATED, Problem.BOMB, Problem.TINY,
                  Problem.ASPECT, Problem.ANIMATED, Problem.PAGES, Problem.BLANK)  # fmt: skip


@pytest.mark.parametrize("problem", OF_ONE_IMAGE)
def test_an_image_with_a_problem_is_left_out_with_the_reason(problem):
    curated = Images().add("awe/good", 1).add("awe/bad", 2, problems=[problem]).curated()
    (row,) = curated.problems
    assert (row.source, row.label, row.problem, row.detail, row.kept) == ("awe/bad", "awe", problem, "why", False)
    assert list(curated.groups) == [0]


@pytest.mark.parametrize("problem", KEEPABLE[:5])
def test_an_image_with_an_accepted_problem_is_kept_and_listed(problem):
    images = Images().add("awe/good", 1).add("awe/odd", 2, problems=[problem])
    assert images.verdict(problem) == (["awe/good", "awe/odd"], {})
    assert [(row.source, row.kept) for row in images.curated(problem).problems] == [("awe/odd", True)]


@pytest.mark.parametrize("problems", [(Problem.TINY, Problem.ASPECT), (Problem.ASPECT, Problem.TINY)])
def test_an_image_with_one_accepted_and_one_other_problem_is_left_out_with_both(problems):
    images = Images().add("awe/odd", 2, problems=problems)
    (row,) = images.curated(Problem.TINY).problems
    assert (row.problem, row.kept, row.detail) == (Problem.ASPECT, False, "why; why")
    (row,) = images.curated().problems
    assert row.problem == problems[0], "the first that leaves it out"
    assert images.verdict(*problems) == (["awe/odd"], {})


@pytest.mark.parametrize("problem", sorted(set(Problem) - set(KEEPABLE)))
def test_what_has_no_image_or_no_label_cannot_be_kept(problem):
    with pytest.raises(InputError, match=f"^{problem}: "):
        Images().curated(problem)


def test_one_content_under_many_names_is_a_placeholder_in_one_class_and_in_several():
    for labels in (("awe",), ("awe", "fear", "anger")):
        images = Images().add("awe/other", 1)
        names = [f"{labels[number % len(labels)]}/{number}" for number in range(PLACEHOLDER_COPIES)]
        for name in names:
            images.add(name, Image.new("RGB", (90, 90), "grey"))  # flat, as placeholders are
        assert images.verdict(*KEEPABLE) == (["awe/other"], dict.fromkeys(names, Problem.PLACEHOLDER))
        detail = images.curated().problems[0].detail
        assert re.search(rf"\b{PLACEHOLDER_COPIES}\b", detail)
        assert all(label in detail for label in labels) == (len(labels) > 1)


def test_fewer_copies_in_one_class_leave_the_first():
    images = Images()
    for number in range(PLACEHOLDER_COPIES - 1):
        images.add(f"awe/{number}", 1)
    staying, left_out = images.verdict(*KEEPABLE)
    assert (staying, left_out) == (["awe/0"], dict.fromkeys(["awe/1", "awe/2", "awe/3"], Problem.EXACT))
    (detail,) = {row.detail for row in images.curated().problems}
    assert detail.endswith(" awe/0")


def test_nearly_identical_images_in_several_classes_have_no_true_label_however_many_they_are():
    images, names = Images().add("awe/other", 1), []
    for number in range(PLACEHOLDER_COPIES):
        names.append(f"{('awe', 'fear')[number % 2]}/{number}")
        images.add(names[-1], 7, quality=70 + number)
    assert images.verdict(*KEEPABLE) == (["awe/other"], dict.fromkeys(names, Problem.AMBIGUOUS))


@pytest.mark.parametrize("quality", [92, 60], ids=["to the byte", "nearly"])
def test_an_image_in_two_classes_has_no_true_label_and_is_left_out(quality):
    images = Images().add("awe/1", 7).add("awe/2", 7).add("fear/3", 7, quality=quality).add("fear/4", 8)
    staying, left_out = images.verdict(*KEEPABLE)
    assert staying == ["fear/4"]
    assert left_out["awe/1"] == left_out["fear/3"] == Problem.AMBIGUOUS
    rows = [row for row in images.curated().problems if row.problem == Problem.AMBIGUOUS]
    assert all({"awe": "fear", "fear": "awe"}[row.label] in row.detail for row in rows), "the other class"


ALTERED = {
    "recompressed": lambda image: image,
    "resized": lambda image: image.resize((117, 91)),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "mirrored": ImageOps.mirror,
    "mirrored and resized": lambda image: ImageOps.mirror(image).resize((230, 180)),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_altered_copies_in_a_class_leave_the_first_unless_they_may_be_kept(alter):
    images = Images().add("awe/1", 7).add("awe/2", alter(cloudy(7)), quality=70).add("awe/3", 8)
    assert images.verdict() == (["awe/1", "awe/3"], {"awe/2": Problem.NEAR})
    detail = images.curated().problems[0].detail
    assert detail.endswith(" awe/1")
    assert ("mirror" in detail) == (distance(cloudy(7), alter(cloudy(7))) > COPY_DISTANCE)
    assert images.verdict(Problem.NEAR) == (["awe/1", "awe/2", "awe/3"], {})
    groups = images.group_of(Problem.NEAR)
    assert groups["awe/1"] == groups["awe/2"] != groups["awe/3"]


@pytest.mark.parametrize(("quality", "problem"), [(92, Problem.EXACT), (70, Problem.NEAR)])
def test_of_copies_in_several_prescribed_splits_the_test_sets_stays_whatever_may_be_kept(quality, problem):
    images = Images()
    for number, split in enumerate((None, "train", "val", "test")):
        images.add(f"awe/{split}", 7, quality=92 if problem is Problem.EXACT else quality + number, split=split)
    left_out = dict.fromkeys(["awe/None", "awe/train", "awe/val"], problem)
    assert images.verdict() == (["awe/test"], left_out)
    assert images.verdict(Problem.NEAR) == (["awe/test"], left_out)
    if problem is Problem.NEAR:
        (detail,) = {row.detail for row in images.curated().problems}
        assert re.search(r" awe/test\b.*\btest\b", detail), "the image and its split"


def test_copies_within_one_prescribed_split_may_be_kept():
    images = Images().add("awe/1", 7, split="train").add("awe/2", 7, quality=70, split="train")
    assert images.verdict(Problem.NEAR)[0] == ["awe/1", "awe/2"]


def test_images_of_one_scene_stay_in_one_group_also_across_classes_and_through_others():
    first = cloudy(1)
    second = of_one_scene(first, 50)
    third = of_one_scene(second, 51)
    assert distance(first, third) > SCENE_DISTANCE
    images = Images().add("awe/1", first).add("fear/other", 9).add("awe/3", third).add("fear/2", second)
    assert images.verdict()[1] == {}
    groups = images.group_of()
    assert groups["awe/1"] == groups["fear/2"] == groups["awe/3"] != groups["fear/other"]


def test_a_group_does_not_depend_on_the_order_of_the_images():
    scene = cloudy(1)
    images = Images().add("awe/1", scene).add("awe/2", of_one_scene(scene, 50)).add("awe/3", 8, group="ann")
    other = Images().add("awe/3", 8, group="ann").add("awe/2", of_one_scene(scene, 50)).add("awe/1", scene)
    assert images.group_of() == other.group_of()


def test_a_prescribed_group_stays_together_and_what_looks_like_its_images_joins_it():
    scene = cloudy(1)
    images = Images().add("awe/1", scene, group="ann").add("fear/2", 2, group="ann").add("awe/3", 3, group="bob")
    images.add("awe/4", of_one_scene(scene, 50)).add("awe/5", 5)
    groups = images.group_of()
    assert groups["awe/1"] == groups["fear/2"] == groups["awe/4"]
    assert len({groups["awe/1"], groups["awe/3"], groups["awe/5"]}) == 3


def test_prescribed_splits_are_not_changed_by_what_looks_alike():
    scene = cloudy(1)
    images = Images().add("awe/1", scene, split="train").add("awe/2", of_one_scene(scene, 50), split="test")
    assert images.verdict()[0] == ["awe/1", "awe/2"]
    assert len(set(images.group_of().values())) == 2


def test_different_images_are_all_left_alone():
    images = Images()
    for number in range(200):
        images.add(f"{('awe', 'fear')[number % 2]}/{number}", number)
    curated = images.curated()
    assert not curated.problems
    assert len(set(curated.groups.values())) == len(curated.groups) == 200


def test_shards_keep_groups_scenes_and_prescribed_splits_on_one_side(tmp_path):
    """Half of the images are of scenes that two show, and every photographer has taken a dozen."""
    entries = []
    for number in range(96):
        scene, second = divmod(number, 2)
        image = of_one_scene(cloudy(scene), 1000 + scene) if second and scene % 2 else cloudy(2000 * second + scene)
        image.save(path := tmp_path / f"{number}.png")
        group = f"photographer {number // 12}" if number >= 48 else None
        split = "val" if number in (50, 1) else None
        entries.append(Entry(path.name, "awe", {"awe": 1}, path, split=split, group=group))
    out = Folder(str(tmp_path / "out"))
    manifest = write_shards(Listing("scenes", ("awe",), entries, "drawn", "none"), out, shares=(0.4, 0.3, 0.3))
    split_of = {sample.source: shard.split for shard in manifest.shards
                for sample in read_samples(out.read(shard.file), shard.file)}  # fmt: skip
    assert len(split_of) == 96
    assert set(split_of.values()) == set(SPLITS)
    for number in range(96):
        same_scene = number + 1 if number % 4 == 2 else number
        assert split_of[f"{number}.png"] == split_of[f"{same_scene}.png"]
    for photographer in range(4, 8):
        assert len({split_of[f"{number}.png"] for number in range(12 * photographer, 12 * photographer + 12)}) == 1
    assert split_of["50.png"] == split_of["1.png"] == "val"


def test_images_without_a_hash_are_compared_by_their_pixels():
    images = Images()
    for number in range(6):
        images.add(f"awe/{number}", Image.new("RGB", (90, 90), (number * 40, 90, 200)))
    assert len(images.verdict()[0]) == 6
    for quality in (90, 50, 60):  # other bytes, the same pixels
        images.add(f"awe/grey {quality}", Image.new("RGB", (90, 90), (128, 128, 128)), quality=quality)
    staying, left_out = images.verdict(*KEEPABLE)
    assert staying[6:] == ["awe/grey 90"]
    assert left_out == dict.fromkeys(["awe/grey 50", "awe/grey 60"], Problem.EXACT)
    (detail,) = {row.detail for row in images.curated().problems}
    assert "pixels" in detail and detail.endswith(" awe/grey 90")


def frames(count: int) -> list[Image.Image]:
    """Of a camera that is moved by a hundredth of what it sees at a time."""
    pixels = np.random.default_rng(4).integers(0, 256, (10, 20, 3), np.uint8)
    wide = Image.fromarray(pixels).resize((800, 400), Image.Resampling.BICUBIC)
    return [wide.crop((4 * number, 0, 4 * number + 400, 400)).resize((180, 180)) for number in range(count)]


def test_of_a_slow_pan_only_what_is_near_a_frame_that_stays_goes():
    pan, images = frames(50), Images()
    assert all(distance(one, other) <= COPY_DISTANCE for one, other in pairwise(pan))
    assert distance(pan[0], pan[-1]) > SCENE_DISTANCE
    for number, frame in enumerate(pan):
        images.add(f"{'awe' if number < 25 else 'fear'}/{number:02}", frame, quality=97)
    staying, left_out = images.verdict()
    assert len(staying) >= 10
    by_name = {entry.source: taken.phash for entry, taken in zip(images.entries, images.taken, strict=True)}

    def bits(one: str, other: str) -> int:
        return (int.from_bytes(by_name[one]) ^ int.from_bytes(by_name[other])).bit_count()

    assert all(bits(one, other) > COPY_DISTANCE for one in staying for other in staying if one != other)
    for name, problem in left_out.items():
        others = staying if problem is Problem.NEAR else [other for other in by_name if other[:3] != name[:3]]
        assert problem in (Problem.NEAR, Problem.AMBIGUOUS)
        assert min(bits(name, other) for other in others) <= COPY_DISTANCE
    assert not any("identical" in row.detail or "placeholder" in row.detail for row in images.curated().problems)
    assert 0 < sum(problem is Problem.AMBIGUOUS for problem in left_out.values()) < 12
    kept, _ = images.verdict(Problem.NEAR)
    assert len(kept) == 50 - sum(problem is Problem.AMBIGUOUS for problem in left_out.values())
