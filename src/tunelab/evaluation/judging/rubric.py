"""What answers are judged by: criteria, each with its question and its scale."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tunelab.files import canonical_json, sha256_text

_MOST_STEPS = 10


class Criterion(BaseModel):
    """One question, which is asked of an answer by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,40}$")
    """What figures of it are called."""
    question: str = Field(min_length=1, max_length=2_000)
    """What is asked of the answer."""
    scale: dict[int, str] = Field({1: "not at all", 5: "fully"}, min_length=2)
    """Ratings with what they mean; those between the lowest and the highest need no meaning."""

    @property
    def ratings(self) -> range:
        """Every rating, the worst first."""
        return range(min(self.scale), max(self.scale) + 1)

    @property
    def meanings(self) -> str:
        """The scale in words."""
        return ", ".join(f"{rating} = {meaning}" for rating, meaning in sorted(self.scale.items()))

    @field_validator("scale")
    @classmethod
    def _has_few_steps(cls, scale: dict[int, str]) -> dict[int, str]:
        if min(scale) < 0 or max(scale) - min(scale) >= _MOST_STEPS:
            raise ValueError(f"has to lie above or at 0 and to have at most {_MOST_STEPS} steps, such as 1 to 5")
        return scale


class RubricConfig(BaseModel):
    """A file of criteria."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    criteria: tuple[Criterion, ...] = Field(min_length=1)
    """Each is judged by itself."""

    @model_validator(mode="after")
    def _names_differ(self) -> RubricConfig:
        names = [each.name for each in self.criteria]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'names two criteria "{twice}"')
        return self


DEFAULT_CRITERIA = (
    Criterion(
        name="relevance",
        question="Does the answer match what was asked, such as a description its product's title?",
        scale={1: "about something else", 3: "partly", 5: "in every point"},
    ),
    Criterion(
        name="structure",
        question="Is the answer properly organised and formatted?",
        scale={1: "in disorder", 3: "readable", 5: "well organised throughout"},
    ),
    Criterion(
        name="specificity",
        question="Does the answer name concrete details and features, rather than generalities?",
        scale={1: "generalities alone", 3: "some details", 5: "all details that matter"},
    ),
    Criterion(
        name="coherence",
        question="Is the text fluent and consistent in itself?",
        scale={1: "broken or contradictory", 3: "understandable", 5: "fluent and consistent"},
    ),
    Criterion(
        name="domain",
        question="Is the answer in the style of its domain, as the reference answer shows it?",
        scale={1: "in another style", 3: "in part", 5: "as an expert of the domain would write"},
    ),
)
"""Five criteria for texts, which a suite takes unless it names others."""


def named_criteria(names: Iterable[str]) -> tuple[Criterion, ...]:
    """Return those of the five that are named, in that order."""
    known = {each.name: each for each in DEFAULT_CRITERIA}
    return tuple(known[name] for name in names)


def criterion_hash(criterion: Criterion) -> str:
    """Return what tells one wording of a criterion from another."""
    return sha256_text(canonical_json(criterion.model_dump(mode="json")))[:16]
