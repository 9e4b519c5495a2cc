"""What tests of several rooms share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from forked import Forker
from tiny_model import save_tiny_model

settings.register_profile("no deadline", deadline=None)  # a busy machine may stall any example
settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def no_cache() -> Iterator[None]:
    """Tests keep nothing in the user's cache folder; those of the cache name one of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNELAB_CACHE", "")
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a base model that trains in half a second."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Forker]:
    """Commands in processes of their own."""
    forker = Forker(tiny_model, tmp_path_factory.mktemp("forked"))
    yield forker
    forker.close()
