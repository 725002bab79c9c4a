"""Downloads, against a real server on this computer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from napari_gifnet.download import cache_dir, fetch
from napari_gifnet.errors import Cancelled, DownloadError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        body = CONTENT[:1000] if self.path == "/cut" else CONTENT
        self.wfile.write(body[::-1] if self.path == "/changed" else body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server; ``_Handler.requests`` counts what it is asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _Handler.requests = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", str(folder))
    return folder


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_cache_is_the_systems_unless_the_variable_names_a_folder(cache, monkeypatch):
    assert cache_dir() == cache
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", "~/pictures")
    assert cache_dir() == Path.home() / "pictures"
    monkeypatch.delenv("NAPARI_GIFNET_DATA_DIR")
    assert "napari-gifnet" in cache_dir().parts


def test_a_file_is_downloaded_once(server, cache):
    path = fetch(f"{server}/file", SHA256, "folder/file.bin")
    assert path == cache / "folder" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(f"{server}/file", SHA256, "folder/file.bin") == path
    assert _Handler.requests == 1


def test_a_damaged_cached_file_is_fetched_anew(server, cache):
    path = fetch(f"{server}/file", SHA256, "file.bin")
    path.write_bytes(b"damaged")
    assert fetch(f"{server}/file", SHA256, "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("page", "total"), [("file", len(CONTENT)), ("unannounced", 0)])
def test_progress_is_told_in_bytes(server, page, total):
    told: list[tuple[int, int]] = []
    fetch(f"{server}/{page}", SHA256, "file.bin", progress=lambda *now: told.append(now))
    done = [now for now, _ in told]
    assert done == sorted(done)
    assert done[-1] >= len(CONTENT)
    assert {of for _, of in told} == {total}


def test_raising_in_progress_stops_the_download(server, cache):
    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fetch(f"{server}/file", SHA256, "file.bin", progress=stop)
    assert files(cache) == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("changed", f"SHA-256 is not {SHA256}"),
        ("cut", "transfer failed|cannot be reached|SHA-256"),
        ("missing", "404 Not Found"),
    ],
)
def test_a_bad_answer_is_an_error_and_leaves_nothing(server, cache, page, reason):
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch(f"{server}/{page}", SHA256, "file.bin")
    assert f"{server}/{page}" in str(caught.value)
    assert files(cache) == []


def test_a_server_that_is_gone_is_named(cache):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        url = f"http://127.0.0.1:{http.server_port}/file"
    with pytest.raises(DownloadError, match="cannot be reached") as caught:
        fetch(url, SHA256, "file.bin")
    assert url in str(caught.value)
    assert files(cache) == []


def test_a_failed_update_keeps_the_old_file(server, cache):
    fetch(f"{server}/file", SHA256, "file.bin")
    with pytest.raises(DownloadError):
        fetch(f"{server}/missing", "0" * 64, "file.bin")
    assert files(cache) == ["file.bin"]
    assert (cache / "file.bin").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(server, tmp_path, monkeypatch):
    occupied = tmp_path / "a file"
    occupied.write_text("not a folder")
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", str(occupied / "cache"))
    with pytest.raises(DownloadError, match="NAPARI_GIFNET_DATA_DIR") as caught:
        fetch(f"{server}/file", SHA256, "file.bin")
    assert str(occupied / "cache") in str(caught.value)
    assert _Handler.requests == 0
