"""Fixtures shared by the tests."""

from pathlib import Path

import pytest

from napari_gifnet.models import Model

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The developers' reference data; the test is skipped where they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the reference data in {SHARED.name}/ beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def authors_checkpoint(shared: Path) -> Path:
    """The published checkpoint."""
    return shared / "golden" / "Final.model"


@pytest.fixture(scope="session")
def random_model() -> Model:
    """A model with random weights, for what does not depend on them."""
    import torch

    from napari_gifnet.network import GIFNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = GIFNet().eval().requires_grad_(False)
        for layer in network.fusion.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight *= 2.5  # torch's initial weights give an almost flat plane
    return Model(network, "random", "0" * 64)


@pytest.fixture(scope="session")
def random_bands() -> Model:
    """A band network as it is before it learns: nearly the pyramid."""
    import torch

    from napari_gifnet.checkpoints import BANDS
    from napari_gifnet.network.bands import GIFNetBands

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = GIFNetBands().eval().requires_grad_(False)
        for head in (*network.heads, network.base):
            head.weight *= 20  # else its weights hardly depend on what it sees
    return Model(network, "random bands", "1" * 64, BANDS)
