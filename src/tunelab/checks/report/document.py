"""What a check found, as one document: the shape of `--json`, and what the page is made of."""

import ast
import inspect
import json
import textwrap
from dataclasses import dataclass, is_dataclass
from typing import Any

import msgspec

from tunelab.checks.context import PlannedModel, PlannedRun
from tunelab.checks.finding import Finding
from tunelab.checks.report.examples import Example, ShownMessage
from tunelab.checks.report.statistics import CandidateLength, Spread, Statistics, TokenStatistics
from tunelab.models.estimate import MemoryEstimate
from tunelab.models.requested_targets import Target
from tunelab.rendering.preview import PreviewSpan

_RECORDS = (
    Finding, Statistics, TokenStatistics, Spread, CandidateLength, PlannedRun, PlannedModel, MemoryEstimate, Target,
    Example, ShownMessage, PreviewSpan,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What `tunelab check` found."""

    recipe: str | None
    """The recipe file; None where data were checked without one."""
    model: str
    """Whose tokenizer and chat template were used."""
    format: str
    """Shape of the rows."""
    evidence: str
    """Why they were taken for it."""
    notes: tuple[str, ...]
    """What was decided on the way, in sentences."""
    blocks: bool
    """Whether a finding stops a run."""
    findings: tuple[Finding, ...]
    """The gravest first."""
    bad_rows: tuple[str, ...]
    """Every bad row and turn: where, what was seen, what was expected."""
    statistics: Statistics
    planned: PlannedRun | None
    """The run of a recipe; None for bare data."""
    planned_model: PlannedModel | None
    """What the run trains of its base model; None for bare data, and where only loading the model tells."""
    examples: tuple[Example, ...]
    """Conversations as they are trained."""


def to_json(document: Document) -> str:
    """Return the document as JSON text."""
    return json.dumps(msgspec.to_builtins(document), ensure_ascii=False, indent=2, allow_nan=False)


def json_schema() -> str:
    """Return the JSON Schema of `to_json`, made from the records; docs/check.schema.json holds it."""
    schema = msgspec.json.schema(Document)
    definitions = schema["$defs"]
    for record in (Document, *_RECORDS):
        told = _words_of_fields(record)
        for name, entry in definitions[record.__name__]["properties"].items():
            if name in told:
                entry["description"] = told[name]
        definitions[record.__name__]["required"] = list(definitions[record.__name__]["properties"])
        definitions[record.__name__]["additionalProperties"] = False
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tunelab check --json"}
    return json.dumps(head | schema, ensure_ascii=False, indent=2) + "\n"


def _words_of_fields(record: type[Any]) -> dict[str, str]:
    """Return field -> the prose under it in the source, which Python itself forgets."""
    assert is_dataclass(record)
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(definition, ast.ClassDef)
    told = {}
    for field, behind in zip(definition.body, definition.body[1:], strict=False):
        is_prose = isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_prose:
            told[field.target.id] = inspect.cleandoc(str(behind.value.value)).replace("\n", " ")  # type: ignore[attr-defined]
    return told
