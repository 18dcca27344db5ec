"""Texts on images are told of clips where the data hold clips, and no name is changed."""

import jinja2
import pytest

from emotune.core.sample_noun import noun_of, speaking_of, worded
from emotune.report.template_words import TemplateWords


def test_the_noun_is_that_of_the_samples():
    assert [noun_of(frames) for frames in ([], [1, 1], [8, 4], [1, 8])] == ["image", "image", "clip", "sample"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("an image and two images", "a clip and two clips"),
        ("Images: An image", "Clips: A clip"),
        ("a test image", "a test clip"),
        ("image-emotion, imagery", "image-emotion, imagery"),
    ],
)
def test_a_text_is_told_of_clips_within_the_block_and_of_images_elsewhere(text, told):
    with speaking_of([8]):
        assert worded(text) == told
        with speaking_of([1]):
            assert worded(text) == text
        assert worded(text) == told
    assert worded(text) == text


def test_the_text_of_a_template_is_told_and_tags_variables_and_short_strings_stay():
    source = (
        '<p class="images" id="a">Images of {{ name }}: {{ "the images" }}, {{ table["images"] }}</p>'
        '<img alt="{{ "An image" }}" src="image {{ name }}">an image'
    )
    pages = {"page.html": source, "style.css": ".images li {}"}

    def rendered(name: str) -> str:
        environment = jinja2.Environment(loader=jinja2.DictLoader(pages), extensions=[TemplateWords])
        return environment.get_template(name).render(name="image set", table={"images": 3})

    with speaking_of([8]):
        assert rendered("page.html") == (
            '<p class="images" id="a">Clips of image set: the clips, 3</p>'
            '<img alt="A clip" src="image image set">a clip'
        )
        assert rendered("style.css") == pages["style.css"]
    assert rendered("page.html") == (
        '<p class="images" id="a">Images of image set: the images, 3</p>'
        '<img alt="An image" src="image image set">an image'
    )
