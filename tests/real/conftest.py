"""A real base model, unpacked once for every test over it; skipped if its package is not installed."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tunelab.models.gguf.packaged import PACKAGED_MODELS, packaged_gguf


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """The GGUF of SmolLM2-135M-Instruct."""
    if find_spec(PACKAGED_MODELS["smollm2"].package) is None:
        pytest.skip("the extra smollm2 is not installed")
    return packaged_gguf("smollm2")


@pytest.fixture(scope="session")
def real_cache(smollm2_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder that the model is unpacked into by the first test that names it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNELAB_CACHE", str(folder))
        yield folder
