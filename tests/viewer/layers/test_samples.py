"""What a viewer shows once a sample has been opened."""

import os
import shutil
import sys

import numpy as np
import pytest

from napari_gifnet.files.samples import load_sample
from napari_gifnet.viewer.layers import samples

needs_a_display = pytest.mark.skipif(
    sys.platform == "linux" and not (os.environ.get("DISPLAY") or shutil.which("Xvfb")),
    reason="needs a display or Xvfb",
)


@needs_a_display
def test_the_phantom_opens_at_a_lesion(make_napari_viewer):
    viewer = make_napari_viewer()
    _, pet = viewer.open_sample("napari-gifnet", "pet_mri")
    lesion = load_sample("pet_mri")[0].facts["lesions"][0]["position"]
    assert abs(viewer.dims.point[0] - lesion[0]) <= 0.5  # the slider has steps of 1 mm
    shown = pet.data[round(float(pet.world_to_data(viewer.dims.point)[0]))]
    place = np.rint(pet.world_to_data(lesion)[1:]).astype(int)
    assert shown[tuple(place)] > 0.9 * shown.max()
    viewer.dims.set_point(0, 50)
    viewer.add_layer(type(pet)(pet.data, metadata=pet.metadata))  # the slider is the user's now
    assert abs(viewer.dims.point[0] - 50) <= 0.5


@needs_a_display
def test_a_viewer_with_layers_is_left_where_it_is(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_image(
        np.zeros((200, 20, 20)), scale=(1, 9, 9), translate=(-100, -90, -90), units="mm"
    )
    viewer.dims.set_point(0, 40)
    viewer.open_sample("napari-gifnet", "pet_mri")
    assert viewer.dims.point[0] == 40


def test_the_sample_is_there_without_a_window():
    assert [kwargs["name"] for _, kwargs, _ in samples.pet_mri()] == ["MRI", "PET"]
