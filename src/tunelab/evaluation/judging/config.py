"""Settings of the judge: the section `judge` of a suite."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tunelab.evaluation.judging.rubric import DEFAULT_CRITERIA

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
"""Capitals alone: keys themselves hold small letters."""


class JudgeConfig(BaseModel):
    """A model that judges answers, at an endpoint which speaks as OpenAI's chat completions do."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    endpoint: str
    """Its address up to ``/v1``. There is no default: rows go nowhere that no one named."""
    model: str = Field(min_length=1, max_length=200)
    """Its name at the endpoint."""
    key: str | None = None
    """Name of the environment variable that holds the key; null sends none."""
    criteria: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        tuple(each.name for each in DEFAULT_CRITERIA), strict=False
    )
    """Which of relevance, structure, specificity, coherence and domain are judged."""
    rubric: str | None = None
    """A file with criteria of your own, in place of `criteria`."""
    pairwise: bool = True
    """Show both models' answers in both orders and ask which is better; false asks for a rating of each answer."""
    repeat_share: float = Field(0.1, ge=0, le=1, strict=False)
    """Share of the rows that are judged twice in the same order, to see what the judge says by luck."""
    temperature: float | None = Field(0.0, ge=0, le=2, strict=False)
    """Of the judge; null sends none, for models that take none."""
    timeout_s: float = Field(60.0, gt=0, le=3600, allow_inf_nan=False, strict=False)
    """Seconds after which a request without its whole answer is given up."""
    concurrency: int = Field(4, ge=1, le=64)
    """Requests at a time."""
    max_retries: int = Field(2, ge=0, le=10)
    """How often a request is sent again after an error or an answer that is not the JSON asked for."""
    allow_http: bool = False
    """Send rows and key without encryption to another machine."""

    @property
    def host(self) -> str:
        """Name of the machine that judges."""
        return urlsplit(self.endpoint).hostname or ""

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str) -> str:
        # messages never show what was written: it may hold a key
        try:
            parts = urlsplit(endpoint)
            _ = parts.port
        except ValueError:
            raise ValueError("is no address; expected one such as http://127.0.0.1:8000/v1") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[^\x21-\x7e]", endpoint):
            raise ValueError("is no address; expected one such as http://127.0.0.1:8000/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("holds more than an address; a key belongs into an environment variable that `key` names")
        return endpoint.rstrip("/").removesuffix("/chat/completions")

    @field_validator("key")
    @classmethod
    def _names_a_variable(cls, key: str | None) -> str | None:
        if key is not None and not _VARIABLE.fullmatch(key):
            raise ValueError("is no name of an environment variable such as JUDGE_KEY; never write the key itself")
        return key

    @field_validator("criteria")
    @classmethod
    def _are_known(cls, criteria: tuple[str, ...]) -> tuple[str, ...]:
        known = [each.name for each in DEFAULT_CRITERIA]
        if unknown := next((name for name in criteria if name not in known), None):
            raise ValueError(f'"{unknown[:80]}" is unknown; known are {", ".join(known)}, and those of a `rubric` file')
        if not criteria or len(set(criteria)) < len(criteria):
            raise ValueError("names none, or one of them twice")
        return criteria

    @model_validator(mode="after")
    def _is_safe(self) -> JudgeConfig:
        if urlsplit(self.endpoint).scheme == "http" and not self.allow_http and not is_loopback(self.host):
            raise ValueError("sends rows and key unencrypted to another machine: take https, or set allow_http: true")
        if self.rubric is not None and self.criteria != JudgeConfig.model_fields["criteria"].default:
            raise ValueError("names criteria and a rubric: take one of the two")
        return self


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
