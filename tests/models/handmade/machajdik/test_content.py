"""Faces and skin in a photograph that comes with scikit-image, and in images of one colour."""

import numpy as np
import pytest
from skimage.data import astronaut

from emotune.models.handmade.machajdik.content import content, faces, skin
from emotune.models.handmade.resizing import REGION_AREA, fixed_area

SKIN, NO_SKIN = (224, 172, 140), (60, 120, 200)


def test_a_face_is_found_where_it_is_and_its_mirror_image_too() -> None:
    image = fixed_area(astronaut(), REGION_AREA)
    ((rows, columns),) = faces(image)
    assert rows.start <= 50 <= rows.stop  # the eyes, at 50 and 98 of 224
    assert columns.start <= 98 <= columns.stop
    count, area, share, per_face = content(image)
    assert count == 1
    assert area == pytest.approx((rows.stop - rows.start) * (columns.stop - columns.start) / image[..., 0].size)
    assert per_face == pytest.approx(share / area)
    assert content(image[:, ::-1])[0] == 1


def test_skin_without_a_face_has_the_colours_of_chai_and_ngan() -> None:
    image = np.full((100, 100, 3), NO_SKIN, np.uint8)
    image[:25] = SKIN
    assert skin(image).mean() == pytest.approx(0.25)
    assert content(image).tolist() == [0, 0, 0.25, 0]


def test_skin_with_a_face_has_its_colours() -> None:
    """A face in blue light: what has its colours is skin, and what Chai and Ngan take for skin is not."""
    image = np.full((100, 100, 3), SKIN, np.uint8)
    image[:30] = NO_SKIN
    found = skin(image, (slice(0, 30), slice(20, 60)))
    assert found[:30].all()
    assert not found[30:].any()


def test_limits_leave_out_the_extremes_of_a_face() -> None:
    levels = np.linspace(60, 200, 100).round().astype(np.uint8)
    image = np.stack([levels, np.full(100, 120), 255 - levels], axis=-1).astype(np.uint8)[None].repeat(20, axis=0)
    found = skin(image, (slice(0, 20), slice(0, 100)))[0]
    assert not found[:8].any()
    assert not found[-8:].any()
    assert found[40:60].all()


@pytest.mark.parametrize("shape", [(16, 16), (16, 3000), (1, 1)])
def test_images_smaller_than_a_face_have_none(shape: tuple[int, int]) -> None:
    assert faces(np.full((*shape, 3), 120, np.uint8)) == []
