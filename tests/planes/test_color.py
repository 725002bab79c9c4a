import numpy as np
import pytest

from napari_gifnet.errors import OptionError
from napari_gifnet.planes.color import (
    choose_chroma,
    chroma,
    luma,
    mix_by_value,
    mix_chroma,
    to_rgb,
)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)


def test_published_luma_is_ours_truncated_to_gray_levels(picture):
    # red, green and blue as whole numbers: their weights are thousandths
    published = (picture.astype(int) @ [299, 587, 114]) // 1000
    ours = 255 * luma(picture.astype(np.float32) / 255).astype(float)
    assert np.abs(ours - published).max() < 1
    np.testing.assert_array_equal(np.floor(ours + 5e-4), published)


def test_chroma_agrees_with_the_published_digits(picture):
    rgb = picture.astype(np.float32) / 255
    published = rgb @ np.array([[-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]]).T
    np.testing.assert_allclose(chroma(rgb), published, atol=1e-3)


def test_back_transform_agrees_with_the_published_digits():
    y, cb, cr = 0.5, 0.1, -0.05
    expected = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]
    rgb = to_rgb(np.array([y], np.float32), np.array([[cb, cr]], np.float32))
    np.testing.assert_allclose(rgb[0], expected, atol=1e-6)


def test_round_trip(picture):
    rgb = picture.astype(np.float32) / 255
    np.testing.assert_allclose(to_rgb(luma(rgb), chroma(rgb)), rgb, atol=1e-6)


def test_gray_has_no_chroma():
    gray = np.repeat(np.linspace(0, 1, 50, dtype=np.float32)[:, None], 3, axis=1)
    np.testing.assert_allclose(chroma(gray), 0, atol=1e-7)
    np.testing.assert_allclose(luma(gray), gray[:, 0], atol=1e-7)


def test_colour_out_of_range_is_clipped():
    rgb = to_rgb(np.array([1.0, 0.0], np.float32), np.array([[0.5, 0.5], [0.5, 0.5]], np.float32))
    assert rgb.min() == 0
    assert rgb.max() == 1


def test_mix_is_weighted_by_strength():
    first = np.array([0.4, 0.4, 0.0, 0.2, 0.0])
    second = np.array([0.0, 0.1, -0.3, -0.2, 0.0])
    expected = [0.4, (0.16 + 0.01) / 0.5, -0.3, 0, 0]
    np.testing.assert_allclose(mix_chroma(first, second), expected)
    np.testing.assert_allclose(mix_chroma(second, first), expected)


def test_mix_with_itself_changes_nothing(picture):
    own = chroma(picture.astype(np.float32) / 255)
    np.testing.assert_allclose(mix_chroma(own, own), own, atol=1e-7)


def test_mixed_by_value_a_colour_alone_is_whole_and_black_has_none():
    red = np.full((1, 3, 2), 0.3, np.float32)
    own, others = np.array([[0.5, 0.1, 0.0]]), np.array([[0.0, 0.9, 0.0]])
    weighed = mix_by_value([red], [own], own + others)
    np.testing.assert_allclose(weighed[0, :, 0], [0.3, 0.03, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("color", "a", "b", "preferred", "expected"),
    [
        ("auto", False, False, "auto", ()),
        ("auto", True, False, "auto", (0,)),
        ("auto", False, True, "auto", (1,)),
        ("auto", True, True, "auto", (0, 1)),
        ("auto", True, True, "b", (1,)),
        ("auto", True, False, "b", (0,)),
        ("auto", True, True, "gray", ()),
        ("a", True, True, "b", (0,)),
        ("b", True, True, "auto", (1,)),
        ("gray", True, True, "a", ()),
    ],
)
def test_choose_chroma(color, a, b, preferred, expected):
    assert choose_chroma(color, [a, b], preferred) == expected


def test_colour_of_a_gray_image():
    with pytest.raises(OptionError, match="colour of b, which is gray"):
        choose_chroma("b", [True, False])


@pytest.mark.parametrize("nonsense", ["both", "rgb", None, 1])
def test_color_nonsense(nonsense):
    with pytest.raises(OptionError, match="'auto', 'a', 'b' or 'gray'"):
        choose_chroma(nonsense, [True, True])


def test_displayed_is_of_what_a_viewer_shows():
    assert choose_chroma("displayed", [True, False], "b", displayed=True) == (0,)
    with pytest.raises(OptionError, match="color='displayed' is not understood"):
        choose_chroma("displayed", [True, False])


def test_one_image_has_its_own_colour_or_none():
    assert choose_chroma("auto", [True]) == (0,)
    assert choose_chroma("gray", [True]) == ()
    with pytest.raises(OptionError, match="expected 'auto' or 'gray'"):
        choose_chroma("a", [True])
