"""An alignment in files, on grids of other axes and units."""

import numpy as np
import pytest

from napari_gifnet import Alignment, WorldGrid
from napari_gifnet.errors import AlignmentError

from .scenes import similarity


@pytest.fixture
def found():
    return Alignment(similarity(100, 7, 1.1, (3, -4)), ("mm", "mm"), "similarity")


@pytest.mark.parametrize("name", ["matrix.txt", "matrix.tfm"])
def test_a_transform_is_saved_and_loaded(found, name, tmp_path):
    found.save(tmp_path / name)
    again = Alignment.load(tmp_path / name)
    assert np.abs(again.matrix - found.matrix).max() < 1e-12
    assert again.units == ("mm", "mm")
    assert again.trusted


def test_itk_reads_the_transform_as_it_has_them(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    found = Alignment(np.array([[1, 0, 5], [0, 1, -2], [0, 0, 1.0]]), ("mm", "mm"), "shift")
    found.save(tmp_path / "shift.tfm")
    transform = sitk.ReadTransform(str(tmp_path / "shift.tfm"))
    # ITK: a point (x, y) of the fixed image to the moving one's
    assert np.allclose(transform.TransformPoint((10.0, 20.0)), (12.0, 15.0))
    sitk.WriteTransform(sitk.Euler2DTransform((0.0, 0.0), 0.1, (3.0, 4.0)), str(tmp_path / "e.tfm"))
    assert Alignment.load(tmp_path / "e.tfm", ("um", "um")).units == ("um", "um")


def test_a_file_that_holds_no_transform_is_refused(tmp_path):
    for text in ("", "1 2\n3 4", "1 0 0\n0 0 0\n0 0 1", "a b c"):
        (tmp_path / "m.txt").write_text(text)
        with pytest.raises(AlignmentError, match=r"m\.txt holds no"):
            Alignment.load(tmp_path / "m.txt")
    with pytest.raises(AlignmentError, match="cannot be read"):
        Alignment.load(tmp_path / "absent.txt")


def test_it_follows_units_and_further_axes(found):
    grid = WorldGrid((4, 50, 50), units=("s", "um", "um"))
    placed = found.place(grid)
    point = placed.to_world((2, 10, 20))
    here = found.matrix @ [0.010, 0.020, 1]
    assert np.allclose(point, [2, *(1000 * here[:2])])
    embedded = Alignment(found.matrix_for(3, ("s", "mm", "mm")), ("s", "mm", "mm"), "affine")
    assert np.allclose(embedded.matrix_for(2, ("mm", "mm")), found.matrix)
    tilted = np.eye(4)
    tilted[0, 1] = 0.2
    with pytest.raises(AlignmentError, match="3 axes, and the image has 2"):
        Alignment(tilted, ("mm",) * 3, "affine").matrix_for(2, ("mm", "mm"))
