from pathlib import Path

import pytest

from tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a base model small enough that every example runs in a second."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
