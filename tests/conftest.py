"""Fixtures shared by the tests."""

from pathlib import Path

import pytest

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
