"""A checkpoint file becomes a network, or is refused in a sentence; no pickle is run."""

import pickle

import pytest
import torch

from napari_gifnet import load_model
from napari_gifnet.errors import CheckpointError


def test_both_namings_of_the_published_checkpoint_are_the_same_network(
    authors_checkpoint, tmp_path
):
    published = load_model(authors_checkpoint).network.state_dict()
    path = tmp_path / "ours.pt"
    torch.save(published, path)
    for key, value in load_model(path).network.state_dict().items():
        assert torch.equal(value, published[key]), key


def test_a_text_file_is_no_checkpoint(tmp_path):
    for name in ("notes.pt", "notes.safetensors"):
        path = tmp_path / name
        path.write_text("These are notes.")
        with pytest.raises(CheckpointError, match=f"{name} is not a checkpoint"):
            load_model(path)


def test_a_pickle_is_never_executed(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (ran.touch, ())

    path = tmp_path / "trap.pt"
    torch.save(Trap(), path)
    saved = path.read_bytes()
    for content in (saved, pickle.dumps(Trap())):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a checkpoint that can be read safely"):
            load_model(path)
        assert not ran.exists()


def test_another_network_is_named_by_its_first_missing_key(random_model, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"not a GIFNet checkpoint: '.*' is missing"):
        load_model(path)
    state = random_model.network.state_dict()
    key = "encoder.convs.0.weight"
    cases = {
        "has shape \\(1,\\)": {**state, key: torch.zeros(1)},
        "'surplus' is no part of GIFNet": {**state, "surplus": torch.zeros(1)},
        "not finite": {**state, key: state[key] * float("nan")},
    }
    for words, broken in cases.items():
        torch.save(broken, path)
        with pytest.raises(CheckpointError, match=words):
            load_model(path)
