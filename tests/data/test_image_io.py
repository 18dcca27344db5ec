"""Whatever stands in an image file comes out upright and in its own colours."""

import io
import struct

import numpy as np
import pytest
from drawing import (
    BLUE,
    GREEN,
    ORIENTATION,
    READERS,
    RED,
    STORED_AS,
    WHITE,
    file_of,
    middles,
    near,
    png,
    quarters,
    stored,
)
from PIL import Image, ImageOps

from emotune.data.image_io import decode_image, decode_rgb, decode_square, encode_jpeg, shrink


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_photo_comes_out_as_its_orientation_says(orientation, read):
    upright, turn = quarters(), STORED_AS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = file_of(upright.transpose(turn) if turn is not None else upright, "JPEG", quality=95, exif=exif)
    image = read(stored)
    assert image.width == 2 * image.height
    assert near(middles(image), [RED, GREEN, BLUE, WHITE])


def test_greyscale_becomes_equal_red_green_and_blue():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = np.asarray(decode_rgb(file_of(Image.fromarray(ramp), "PNG")))
    assert (pixels == ramp[:, :, None]).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_greyscale_of_sixteen_bits_is_scaled_and_does_not_saturate(kind):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = np.asarray(decode_rgb(file_of(Image.fromarray(ramp), kind)))
    assert near(pixels, np.arange(256).reshape(16, 16)[:, :, None], tolerance=1)


def test_colours_of_sixteen_bits_are_scaled():
    row = b"\0" + struct.pack(">6H", 65535, 32768, 0, 257 * 20, 257 * 190, 257 * 40)
    pixels = np.asarray(decode_rgb(png(2, 2, 16, 2, row * 2)))
    assert near(pixels[0], [(255, 128, 0), GREEN], tolerance=1)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_printers_colours_become_a_screens(kind):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    assert near(decode_rgb(file_of(ink, kind)).getpixel((8, 8)), (255, 0, 0))


def test_a_palette_with_a_transparent_colour_keeps_its_opaque_colours():
    image = Image.new("P", (16, 16), 1)
    image.putpalette([*WHITE, *GREEN, *BLUE])
    image.paste(2, (8, 0, 16, 16))
    for data in (
        file_of(image, "PNG", transparency=0),
        file_of(image, "PNG", transparency=bytes([0, 255, 255])),
        file_of(image, "GIF", transparency=0),
    ):
        decoded = decode_rgb(data)
        assert (decoded.getpixel((2, 8)), decoded.getpixel((12, 8))) == (GREEN, BLUE)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_what_is_wholly_transparent_is_white_as_on_a_page(mode):
    if mode == "P":
        image = Image.new("P", (16, 16), 0)
        image.putpalette([0, 0, 0, 90, 90, 90])
        image.paste(1, (8, 0, 16, 16))
        data = file_of(image, "PNG", transparency=0)
    else:
        image = Image.new(mode, (16, 16), 0)
        image.paste((90, 255) if mode == "LA" else (90, 90, 90, 255), (8, 0, 16, 16))
        data = file_of(image, "PNG")
    decoded = decode_rgb(data)
    assert decoded.getpixel((12, 8)) == (90, 90, 90)
    assert decoded.getpixel((2, 8)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO"])
def test_the_common_formats_are_read(kind):
    assert near(middles(decode_rgb(file_of(quarters(), kind))), [RED, GREEN, BLUE, WHITE], tolerance=12)


def test_only_a_small_upright_jpeg_in_rgb_is_plain():
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    assert decode_image(file_of(quarters(), "JPEG", quality=60), 32).plain
    assert not decode_image(file_of(quarters(), "PNG"), 32).plain
    assert not decode_image(file_of(quarters(), "JPEG", exif=exif), 32).plain
    assert not decode_image(file_of(quarters().convert("L"), "JPEG"), 32).plain
    assert not decode_image(file_of(quarters().convert("CMYK"), "JPEG"), 32).plain


@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 400), (384, 256)), ((400, 600), (256, 384)), ((512, 512), (256, 256)), ((1000, 257), (996, 256)),
     ((3000, 300), (2560, 256))],
)  # fmt: skip
def test_a_large_image_is_shrunk_to_the_side_and_keeps_its_shape(size, expected):
    data = file_of(quarters(*size), "JPEG")
    again = decode_rgb(stored(data, 256))
    assert again.size == expected
    assert decode_image(data, 256).size == size
    assert near(middles(again), [RED, GREEN, BLUE, WHITE])


def test_a_image_is_not_enlarged_and_keeps_its_size_if_asked():
    for side in (32, 256, None):
        loaded = decode_image(file_of(quarters(64, 32), "PNG"), side)
        assert shrink(loaded, side) is loaded.image


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photo_is_decoded_no_smaller_than_twice_what_is_asked_for(kind):
    data = file_of(quarters(2400, 1600), kind)
    loaded = decode_image(data, 256)
    assert loaded.size == (2400, 1600)
    assert loaded.image.size == ((1200, 800) if kind == "JPEG" else (2400, 1600))
    assert not decode_image(data, 256).plain
    assert decode_image(data).image.size == decode_image(data).size == (2400, 1600)
    whole, quick = (np.asarray(shrink(decode_image(data, side), 256), int) for side in (None, 256))
    assert np.abs(whole - quick).mean() < 1


@pytest.mark.parametrize("orientation", STORED_AS)
def test_the_size_of_a_photo_is_that_of_the_upright_image(orientation):
    exif, turn = Image.Exif(), STORED_AS[orientation]
    exif[ORIENTATION] = orientation
    upright = quarters(1200, 600)
    data = file_of(upright.transpose(turn) if turn is not None else upright, "JPEG", exif=exif)
    for side in (None, 64):
        loaded = decode_image(data, side)
        assert loaded.size == (1200, 600)
        assert loaded.image.width == 2 * loaded.image.height


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_the_first_of_several_frames_is_the_image(kind):
    frames = {"save_all": True, "append_images": [quarters().transpose(Image.Transpose.ROTATE_180)]}
    animated = decode_image(file_of(quarters(), kind, **frames))
    assert not animated.pages
    assert animated.animated
    assert near(middles(animated.image), [RED, GREEN, BLUE, WHITE], tolerance=12)
    assert not decode_image(file_of(quarters(), kind)).animated


@pytest.mark.parametrize("kind", ["TIFF", "MPO"])
def test_pages_and_the_second_image_of_a_stereo_camera_are_not_an_animation(kind):
    loaded = decode_image(file_of(quarters(), kind, save_all=True, append_images=[quarters()]))
    assert (loaded.animated, loaded.pages) == (False, kind == "TIFF")


def test_a_smaller_version_of_a_tiff_files_image_is_no_page():
    smaller = quarters(32, 16)
    smaller.encoderinfo = {"tiffinfo": {254: 1}}  # NewSubfileType: of reduced resolution
    data = file_of(quarters(), "TIFF", save_all=True, append_images=[smaller])
    with Image.open(io.BytesIO(data)) as stored:
        stored.seek(1)
        assert stored.tag_v2[254] == 1
    assert not decode_image(data).pages


@pytest.mark.parametrize("size", [(90, 30), (30, 90), (64, 64), (33, 31), (1, 1), (1, 40), (500, 3)])
def test_a_square_has_its_side_whatever_the_images_shape(size):
    pixels = decode_square(file_of(Image.new("RGB", size, GREEN), "PNG"), 48)
    assert (pixels.shape, pixels.dtype) == ((48, 48, 3), np.uint8)
    assert near(pixels, GREEN, tolerance=1)


@pytest.mark.parametrize("axis", [0, 1], ids=["tall", "wide"])
def test_a_square_is_the_middle_of_the_image(axis):
    bands = np.repeat(np.array([RED, GREEN, BLUE], np.uint8), 40, axis=0)  # (120, 3)
    pixels = np.broadcast_to(np.expand_dims(bands, 1 - axis), (120, 40, 3) if axis == 0 else (40, 120, 3))
    square = decode_square(file_of(Image.fromarray(pixels.copy()), "PNG"), 20)
    assert near(square[2:-2, 2:-2], GREEN)


def test_encoding_keeps_the_colours():
    assert near(middles(decode_rgb(encode_jpeg(quarters()))), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("size", [(64, 64), (64, 90), (130, 64), (63, 64), (40, 30), (200, 100)])
def test_a_square_that_falls_on_whole_pixels_is_cut_to_the_bits_of_a_resized_one(size: tuple[int, int]):
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8))
    data = file_of(noise, "PNG")
    expected = np.asarray(ImageOps.fit(decode_rgb(data), (64, 64), Image.Resampling.BICUBIC))
    assert np.array_equal(decode_square(data, 64), expected)


@pytest.mark.parametrize(("size", "box"), [((64, 65), (0, 0, 64, 64)), ((97, 64), (16, 0, 80, 64))])
def test_a_square_that_falls_between_pixels_is_cut_and_not_blurred(size, box):
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8))
    assert np.array_equal(decode_square(file_of(noise, "PNG"), 64), np.asarray(noise.crop(box)))
