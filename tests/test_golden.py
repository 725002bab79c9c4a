"""The published program's own output, to 1e-5, through the front door."""

import numpy as np
import pytest
import torch

from napari_gifnet import enhance, fuse, load_model

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def exact(authors_checkpoint):
    return {"model": authors_checkpoint, "device": "cpu", "precision": "float32"}


@pytest.mark.parametrize(
    "case", ["infrared_visible", "medical_pet_mri", "multifocus", "odd_size", "enhance_mri"]
)
def test_published_output(shared, exact, case):
    golden = np.load(shared / "golden" / f"{case}.npz")
    if case == "enhance_mri":
        fused = enhance(golden["a"], **exact)
    else:
        fused = fuse(golden["a"], golden["b"], **exact)
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, golden["fused"], rtol=0, atol=TOLERANCE)


def test_two_task_forward_of_training(shared, authors_checkpoint):
    golden = np.load(shared / "golden" / "two_pairs.npz")
    infrared, visible, near, far = (
        torch.from_numpy(golden[name].astype(np.float32) / 255)[None, None]
        for name in ("ir", "vis", "near", "far")
    )
    network = load_model(authors_checkpoint).network
    with torch.inference_mode():
        outputs = {
            "mm_fused": network(infrared, visible, auxiliary=(near, far), active="mm"),
            "dp_fused": network(near, far, auxiliary=(infrared, visible), active="dp"),
            "mm_reconstruction": network.reconstruction(network.encoder(infrared, visible)),
        }
    for name, output in outputs.items():
        np.testing.assert_allclose(
            output[0, 0].numpy(), golden[name], rtol=0, atol=TOLERANCE, err_msg=name
        )


@pytest.mark.parametrize(
    "sides", [(9, 9), (9, 10), (11, 9), (12, 13), (15, 17), (16, 16), (23, 37), (33, 64)]
)
def test_sizes_agree_with_the_network(exact, sides):
    a, b = np.random.default_rng(0).random((2, *sides), np.float32)
    fused = fuse(a, b, **exact)
    planes = (torch.from_numpy(plane)[None, None] for plane in (a, b))
    with torch.inference_mode():
        expected = load_model(exact["model"]).network(*planes)[0, 0].numpy()
    assert np.isfinite(fused).all()
    np.testing.assert_allclose(fused, expected, rtol=0, atol=TOLERANCE)
