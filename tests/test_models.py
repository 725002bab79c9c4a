"""Models are found by name, by path and by download."""

import hashlib
import http.server
import threading

import pytest
import torch
from safetensors.torch import save_file

from napari_gifnet import list_models, load_model, models
from napari_gifnet.errors import DownloadError, OptionError


def test_the_default_model_ships_and_needs_no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", str(tmp_path))
    default = list_models()[0]
    assert default.name == "gifnet"
    assert default.shipped
    model = load_model()
    assert model.sha256 == hashlib.sha256(default.path.read_bytes()).hexdigest()
    assert sum(p.numel() for p in model.network.parameters()) == 822_780
    assert not list(tmp_path.iterdir())


def test_asking_again_gives_the_same_model(authors_checkpoint):
    first = load_model(authors_checkpoint)
    assert load_model(authors_checkpoint) is first
    assert load_model(first) is first


def test_an_overwritten_file_is_read_again(random_model, tmp_path):
    path = tmp_path / "mine.safetensors"
    state = random_model.network.state_dict()
    save_file(state, path)
    first = load_model(path)
    save_file({k: v + 1 for k, v in state.items()}, path)
    assert load_model(path).sha256 != first.sha256


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        OptionError, match=r"'gifnett'.*gifnet, gifnet-bands, gifnet-cvpr2025 or the path"
    ):
        load_model("gifnett")


@pytest.fixture
def server(tmp_path_factory):
    """A real HTTP server over a folder."""
    folder = tmp_path_factory.mktemp("served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_the_published_checkpoint_is_downloaded_once_and_checked(
    server, random_model, monkeypatch, tmp_path
):
    folder, url = server
    torch.save(random_model.network.state_dict(), folder / "model.pt")
    sha256 = hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", str(tmp_path / "cache"))

    def served(expected):
        info = models.ModelInfo("gifnet-cvpr2025", "", "", url=f"{url}/model.pt", sha256=expected)
        monkeypatch.setattr(models, "_MODELS", (info,))

    served("0" * 64)
    with pytest.raises(DownloadError):
        load_model("gifnet-cvpr2025")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    served(sha256)
    seen = []
    model = load_model("gifnet-cvpr2025", progress=lambda *counts: seen.append(counts))
    assert model.sha256 == sha256
    assert seen[-1][0] == (folder / "model.pt").stat().st_size
    (folder / "model.pt").unlink()
    assert load_model("gifnet-cvpr2025").sha256 == sha256
