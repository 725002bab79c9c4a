"""Two image files side by side."""

import numpy as np
import pytest

from napari_gifnet.errors import ImageError
from napari_gifnet.files.formats import ImageFile, Length
from napari_gifnet.files.matching import align_axes, check_pixel_sizes

LENGTHS = {"T": 3, "Z": 4, "C": 5, "I": 4, "Q": 3, "Y": 6, "X": 7, "S": 3}


def image(axes, **lengths):
    shape = [lengths.get(axis, LENGTHS[axis]) for axis in axes]
    return ImageFile(np.arange(np.prod(shape)).reshape(shape), axes)


@pytest.mark.parametrize(
    ("first", "second", "shapes"),
    [
        ("TYX", "TZYX", [(3, 1, 6, 7), (3, 4, 6, 7)]),
        ("ZYX", "TZYX", [(1, 4, 6, 7), (3, 4, 6, 7)]),
        ("TZYX", "ZTYX", [(3, 4, 6, 7), (3, 4, 6, 7)]),
        ("TYXS", "TZYX", [(3, 1, 6, 7, 3), (3, 4, 6, 7)]),
        ("YX", "TZYX", [(6, 7), (3, 4, 6, 7)]),
        ("IYX", "ZYX", [(4, 6, 7), (4, 6, 7)]),
        ("ZYX", "IYX", [(4, 6, 7), (4, 6, 7)]),
        ("QZYX", "TZYX", [(3, 4, 6, 7), (3, 4, 6, 7)]),
        ("CYX", "CZYX", [(5, 1, 6, 7), (5, 4, 6, 7)]),
    ],
)
def test_axes_go_by_letter(first, second, shapes):
    a, b = align_axes(image(first), image(second))
    assert [a.data.shape, b.data.shape] == shapes
    np.broadcast_shapes(*(each.data.shape[: len(each.leading)] for each in (a, b)))
    for got, axes in ((a, first), (b, second)):
        assert len(got.axes) == got.data.ndim
        assert sorted(got.data.ravel()) == sorted(image(axes).data.ravel())


def test_transposing_keeps_each_plane_in_its_place():
    a, b = align_axes(image("TZYX"), image("ZTYX"))
    assert a.axes == b.axes == "TZYX"
    np.testing.assert_array_equal(b.data[2, 1], image("ZTYX").data[1, 2])


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("TYX", "ZYX", "a.tif is a stack along T and b.tif along Z"),
        ("TZYX", "CZYX", "along T and Z and b.tif along C and Z"),
        ("IYX", "TCYX", "along I and b.tif along T and C"),
    ],
)
def test_axes_that_are_not_the_same(first, second, words):
    with pytest.raises(ImageError, match=words):
        align_axes(image(first), image(second), ("a.tif", "b.tif"))


def test_lengths_that_are_not_the_same():
    with pytest.raises(ImageError, match=r"a\.tif has 3 planes along T, b\.tif 2"):
        align_axes(image("TYX"), image("TZYX", T=2), ("a.tif", "b.tif"))
    with pytest.raises(ImageError, match="A has 4 planes along Z, B 3"):
        align_axes(image("IYX"), image("ZYX", Z=3))
    a, b = align_axes(image("TYX", T=1), image("ZYX"))
    assert (a.axes, b.axes) == ("YX", "ZYX")


def sized(unit, x, y=None, side=6):
    spacing = {"X": Length(x, unit), "Y": Length(y or x, unit)}
    return ImageFile(np.zeros((side, side)), "YX", spacing)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (sized("mm", 2.5), sized("mm", 2.501)),
        (sized("mm", 0.001), sized("µm", 1)),
        (sized("mm", 2.5), ImageFile(np.zeros((6, 6)), "YX")),
        (sized("mm", 2.5), sized("mm", 1, side=15)),
        (sized("inch", 1 / 72), sized("inch", 1 / 300)),
        (sized("furlong", 1), sized("mm", 2)),
    ],
)
def test_sizes_that_agree_or_say_nothing(first, second):
    check_pixel_sizes(first, second)


def test_sizes_that_contradict():
    with pytest.raises(ImageError, match=r"A has 2.5 mm between its pixels along Y, B 1 mm"):
        check_pixel_sizes(sized("mm", 2.5), sized("mm", 1))
    with pytest.raises(ImageError, match="along X"):
        check_pixel_sizes(sized("mm", 2.5, 1), sized("mm", 1))
    with pytest.raises(ImageError, match=r"1 mm .* 1 µm"):
        check_pixel_sizes(sized("mm", 1), sized("µm", 1))
