"""Which layer is which side, and which task they say they belong to."""

import numpy as np
import pytest
from napari.layers import Image

from napari_gifnet.viewer.layers import samples
from napari_gifnet.viewer.layers.roles import by_role, common_task, is_infrared


def layer(name, rgb=False, colormap="gray", ndim=2):
    shape = (9,) * ndim + ((3,) if rgb else ())
    return Image(np.zeros(shape), name=name, rgb=rgb, **({} if rgb else {"colormap": colormap}))


@pytest.mark.parametrize(
    ("modality", "detail", "task"),
    [
        (layer("thermal"), layer("street"), None),
        (layer("one"), layer("Visible 2"), "infrared_visible"),
        (layer("DJI_0001"), layer("DJI_0002", rgb=True), "infrared_visible"),
        (layer("DJI_0001"), layer("DJI_0002", rgb=True), None),
        (layer("IR as colours", rgb=True), layer("visible"), "infrared_visible"),
        (layer("scan", colormap="hot"), layer("head"), "pet_mri"),
        (layer("scan", rgb=True), layer("head"), "pet_mri"),
        (layer("head T1", rgb=True), layer("head T1"), "pet_mri"),
        (layer("bands", ndim=3), layer("sharp"), "pansharpening"),
        (layer("near1"), layer("far1"), "multi_focus"),
        (layer("PET"), layer("PET + MRI (GIFNet)"), None),
    ],
)
def test_roles_do_not_depend_on_the_order(modality, detail, task):
    assert by_role(modality, detail, task) == (modality, detail)
    assert by_role(detail, modality, task) == (modality, detail)


def test_where_nothing_tells_the_order_is_kept():
    one, other = layer("one", rgb=True), layer("other", rgb=True)
    assert by_role(one, other) == (one, other)
    assert by_role(other, one) == (other, one)
    assert by_role(layer("a", rgb=True), one, "multi_focus")[1] is one


@pytest.mark.parametrize("key", ["pet_mri", "infrared_visible", "multi_focus", "multi_exposure"])
def test_samples_say_their_sides(key):
    layers = [Image(data, **kwargs) for data, kwargs, _ in getattr(samples, key)()]
    for each in layers:
        each.name = "renamed"
    modality, _ = by_role(*layers)
    assert modality.metadata["napari_gifnet"]["side"] == "a"
    assert common_task(*layers) == key
    assert is_infrared(modality) == (key == "infrared_visible")
