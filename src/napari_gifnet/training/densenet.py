"""The paper's measure of a picture's information, by the features of a pretrained DenseNet-121.

The network is that of Huang et al. ("Densely Connected Convolutional Networks", CVPR 2017), without
its classifier. Its weights, trained on ImageNet, are torchvision's or timm's: they do not ship.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gifnet.checkpoints import read_tensors
from napari_gifnet.errors import CheckpointError

GROWTH = 32
LAYERS = (6, 12, 24, 16)
SMALLEST_PLANE = 64
"""Five halvings must leave the two pixels that reflection needs."""


class DenseLayer(nn.Module):
    """A bottleneck and a 3×3 convolution; its output is appended to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * GROWTH)
        self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        grown = self.conv1(self.norm1(x).relu())
        return torch.cat((x, self.conv2(self.norm2(grown).relu())), dim=1)


class Transition(nn.Module):
    """Half the channels, half the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(self.conv(self.norm(x).relu()), 2)


class DenseFeatures(nn.Module):
    """DenseNet-121 up to its last dense block, under the names of the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.norm0 = nn.BatchNorm2d(64)
        channels = 64
        for i, layers in enumerate(LAYERS, 1):
            block = nn.Sequential()
            for j in range(1, layers + 1):
                block.add_module(f"denselayer{j}", DenseLayer(channels))
                channels += GROWTH
            self.add_module(f"denseblock{i}", block)
            if i < len(LAYERS):
                self.add_module(f"transition{i}", Transition(channels))
                channels //= 2

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of (N, 3, H, W) at five depths: after the stem, each transition, the last block."""
        x = functional.max_pool2d(self.norm0(self.conv0(x)).relu(), 3, stride=2, padding=1)
        features = [x]
        for i in range(1, len(LAYERS) + 1):
            x = self.get_submodule(f"denseblock{i}")(x)
            if i < len(LAYERS):
                x = self.get_submodule(f"transition{i}")(x)
            features.append(x)
        return features


def load_classifier(path: str | Path) -> DenseFeatures:
    """Load DenseNet-121 from a file of weights, as torchvision or timm publish them.

    Raises
    ------
    CheckpointError
        There is no such file, it cannot be read safely, or it holds another network's weights.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"There is no file {path}: expected the weights of DenseNet-121, torchvision's or timm's."
        )
    network = DenseFeatures()
    expected = network.state_dict()
    state = {}
    for key, value in read_tensors(path).items():
        # torchvision's file has the names of 2017: denselayer1.norm.1 for denselayer1.norm1
        name = re.sub(r"\b(norm|conv)\.(?=[12]\.)", r"\1", key.removeprefix("features."))
        if not name.startswith(("classifier.", "norm5.")):
            state[name] = value
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            state[name] = tensor
        elif name not in state or state[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path} does not hold the weights of DenseNet-121: expected 'features.{name}' of "
                f"shape {tuple(tensor.shape)}."
            )
    network.load_state_dict({name: state[name] for name in expected})
    return network.eval().requires_grad_(False)


@torch.no_grad()
def information(classifier: DenseFeatures, plane: Tensor) -> Tensor:
    """Information of a batch of planes (N, 1, H, W): one number (arXiv 2502.19854, § 3).

    The mean square of a Laplacian-like filter (centre −1, neighbours 1/8, reflected border), summed
    over the channels of the features, averaged over five depths.
    """
    kernel = torch.full((3, 3), 1 / 8, dtype=plane.dtype, device=plane.device)
    kernel[1, 1] = -1
    energies = []
    for features in classifier(plane.expand(-1, 3, -1, -1)):
        total = features.sum(dim=1, keepdim=True)  # the filter is the same for every channel
        total = functional.pad(total, (1, 1, 1, 1), mode="reflect")
        energies.append((functional.conv2d(total, kernel[None, None]) ** 2).mean())
    return torch.stack(energies).mean()
