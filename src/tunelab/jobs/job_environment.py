"""The environment of a job: an allow list. What is not on it, such as tokens and keys, reaches no job and no file."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_CACHE_HOME"}
    | {"PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    | {"HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM", "TUNELAB_CACHE"}
)
_BEGINNINGS = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "GLOO_", "OMP_", "MKL_", "OPENBLAS_", "POLARS_", "PYTORCH_")


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a runner and its jobs are started with.

    Settings in `LLM_…` variables are none of them: the job's recipe holds what they were at its submission.
    """
    return {name: value for name, value in environment.items() if name in _NAMES or name.startswith(_BEGINNINGS)}
