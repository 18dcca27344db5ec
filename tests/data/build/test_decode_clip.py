"""Clips are decoded by time, upright, and what cannot be decoded is told apart."""

import numpy as np
import pytest
from PIL import Image
from videos import ending_after, flat, pattern, turned, write_clip

from emotune.data.build.decode_clip import decode_clip
from emotune.data.image_io import DecompressionBombError, TruncatedImageError, UnreadableImageError

GREYS = [flat(level, level, level) for level in range(20, 220, 20)]
"""Ten frames from dark to bright, 20 levels apart."""


def levels(path, frames, **options):
    """The number of the frame of `GREYS` that each square shows."""
    strip = np.asarray(decode_clip(path, frames, **options).strip)
    squares = strip.reshape(frames, -1, *strip.shape[1:])
    means = squares.mean(axis=(1, 2, 3))
    assert np.abs(squares - means[:, None, None, None]).max() < 6
    return ((means - 20) / 20).round().astype(int).tolist()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov", "clip.ts"])
def test_frames_are_those_at_the_middles_of_equal_parts_of_the_time(tmp_path, name):
    path = write_clip(tmp_path / name, GREYS)
    assert levels(path, 5) == [1, 3, 5, 7, 9]
    assert levels(path, 2) == [2, 7]
    assert levels(path, 10) == list(range(10))


@pytest.mark.parametrize(
    ("name", "codec"), [("clip.avi", "mpeg4"), ("clip.mpg", "mpeg2video"), ("clip.webm", "libvpx")]
)
def test_other_containers_and_codecs_are_read_too(tmp_path, name, codec):
    shown = [40 * number for number in range(10)]
    found = levels(write_clip_at_25(tmp_path / name, codec, shown), 5)
    assert found == sorted(found)
    assert np.abs(np.array(found) - [1, 3, 5, 7, 9]).max() <= 1


def write_clip_at_25(path, codec, shown):
    return write_clip(path, GREYS, shown, codec=codec, last_ms=40, rate=25)


def test_a_frame_that_is_shown_longer_is_taken_more_often(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", GREYS[:4], [0, 3000, 3100, 3200], last_ms=800)
    assert levels(path, 8) == [0, 0, 0, 0, 0, 0, 3, 3]


def test_an_animation_is_a_clip(tmp_path):
    images = [Image.fromarray(frame) for frame in GREYS]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100] * 9 + [2000])
    assert levels(tmp_path / "a.gif", 6) == [2, 7, 9, 9, 9, 9]


def test_a_first_frame_that_is_not_at_zero_is_the_first(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", GREYS[:4], [5000, 5100, 5200, 5300])
    assert levels(path, 4) == [0, 1, 2, 3]


def test_a_clip_of_one_frame_repeats_it(tmp_path):
    assert levels(write_clip(tmp_path / "clip.mp4", GREYS[3:4]), 4) == [3] * 4


def test_a_clip_of_fewer_frames_repeats_them_in_order(tmp_path):
    assert levels(write_clip(tmp_path / "clip.mp4", GREYS[:3]), 6) == [0, 0, 1, 1, 2, 2]


def test_frames_that_an_edit_list_hides_at_the_start_are_not_in_the_clip(tmp_path):
    """As phones cut videos: the file keeps the frames."""
    cut = write_clip(tmp_path / "clip.mp4", GREYS, [100 * number for number in range(-4, 6)])
    assert levels(cut, 3) == [5, 7, 9]


def test_frames_that_an_edit_list_hides_at_the_end_are_not_in_the_clip(tmp_path):
    cut = ending_after(write_clip(tmp_path / "clip.mp4", GREYS), 600)
    assert levels(cut, 3) == [1, 3, 5]


def test_a_turned_clip_is_upright(tmp_path):
    frame = pattern(0, height=96, width=160)
    path = turned(write_clip(tmp_path / "clip.mp4", [frame, frame]))
    clip = decode_clip(path, 2)
    assert clip.size == (96, 160)
    upright = np.rot90(frame, -1)[32:128]
    error = np.abs(np.asarray(clip.strip)[:96].astype(int) - upright)
    assert np.median(error) < 6


def test_squares_are_the_centres_reduced_to_the_side(tmp_path):
    frame = np.concatenate([flat(250, 0, 0, width=48), flat(0, 0, 250, width=96), flat(250, 0, 0, width=48)], axis=1)
    clip = decode_clip(write_clip(tmp_path / "clip.mp4", [frame]), 2, side=32)
    assert clip.strip.size == (32, 64)
    assert clip.size == (192, 96)
    inner = np.asarray(clip.strip)[:, 3:-3]
    assert (inner[..., 2] > 200).all()
    assert (inner[..., 0] < 50).all()
    assert decode_clip(tmp_path / "clip.mp4", 2, side=None).strip.size == (96, 192)


def test_squares_of_the_original_size_are_reduced_as_far_as_a_jpeg_needs_it(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [flat(90, 90, 90, width=1040, height=1040)])
    assert decode_clip(path, 64, side=None).strip.size == (1023, 64 * 1023)
    assert decode_clip(path, 2, side=None).strip.size == (1040, 2 * 1040)


def test_a_clip_with_sound_only_or_with_neither_is_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match="only sound"):
        decode_clip(write_clip(tmp_path / "clip.mp4", [], sound=True), 4)
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    with pytest.raises(UnreadableImageError, match="no video"):
        decode_clip(tmp_path / "text.mp4", 4)
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(UnreadableImageError, match="no video"):
        decode_clip(tmp_path / "empty.mp4", 4)
    with pytest.raises(FileNotFoundError):
        decode_clip(tmp_path / "none.mp4", 4)
    with pytest.raises(IsADirectoryError):
        decode_clip(tmp_path, 4)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.ts"])
def test_a_cut_file_is_never_taken_for_a_whole_one(tmp_path, name):
    frames = [pattern(number) for number in range(60)]
    path = write_clip(tmp_path / name, frames)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    if name == "clip.ts":  # it has no header with a duration: what is there is a clip
        assert decode_clip(path, 4).strip.size == (96, 384)
    else:
        with pytest.raises(TruncatedImageError if name == "clip.mkv" else UnreadableImageError):
            decode_clip(path, 4)


def test_a_list_of_other_files_is_not_followed(tmp_path):
    write_clip(tmp_path / "clip.ts", GREYS)
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'clip.ts'}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnreadableImageError):
        decode_clip(tmp_path / "list.mp4", 4)


def test_frames_beyond_the_limit_of_pixels_are_not_decoded(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", GREYS)
    with pytest.raises(DecompressionBombError):
        decode_clip(path, 4, max_pixels=96 * 128 - 1)
    with pytest.raises(DecompressionBombError):
        decode_clip(path, 4, max_pixels=4 * 96 * 96 - 1)


def test_frames_that_are_beyond_the_limit_of_pixels_as_they_are_shown_are_not_made(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", GREYS[:2], aspect=20)
    assert decode_clip(path, 2).size == (20 * 128, 96)
    with pytest.raises(DecompressionBombError):
        decode_clip(path, 2, max_pixels=20 * 128 * 96 - 1)
