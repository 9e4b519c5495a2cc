"""Rows with answers of two models, and a judge's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from judge_server import MODEL
from judged_rows import judged_row

from tunelab.evaluation.judging.asks import JudgedRow
from tunelab.evaluation.judging.config import JudgeConfig


@pytest.fixture
def rows() -> list[JudgedRow]:
    return [judged_row(number, f"bad {number}", f"good {number}") for number in range(12)]


@pytest.fixture
def config_of() -> Callable[..., JudgeConfig]:
    def config(endpoint: str, **settings: Any) -> JudgeConfig:
        defaults = {"criteria": ("relevance",), "timeout_s": 5, "repeat_share": 0, "concurrency": 2}
        return JudgeConfig.model_validate({"endpoint": endpoint, "model": MODEL, **defaults, **settings})

    return config
