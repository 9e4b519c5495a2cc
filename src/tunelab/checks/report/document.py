"""What a check found, as one document: the shape of `--json`, and what the page is made of."""

import json
from dataclasses import dataclass

import msgspec
from pydantic import ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from tunelab.checks.context import PlannedModel, PlannedRun
from tunelab.checks.finding import Finding
from tunelab.checks.report.examples import Example
from tunelab.checks.report.statistics import Statistics


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
    """What the run trains of its base model; None for bare data, and if only loading the model can say."""
    examples: tuple[Example, ...]
    """Conversations as they are trained."""


def to_json(document: Document) -> str:
    """Return the document as JSON text."""
    return json.dumps(msgspec.to_builtins(document), ensure_ascii=False, indent=2, allow_nan=False)


def json_schema() -> str:
    """Return the JSON Schema of `to_json`, made from the records; docs/check.schema.json holds it."""
    # records without a config of their own take that of the adapter around them
    config = ConfigDict(use_attribute_docstrings=True, extra="forbid", json_schema_serialization_defaults_required=True)
    schema = TypeAdapter(tuple[Document], config=config).json_schema(mode="serialization", schema_generator=_Untitled)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tunelab check --json"}
    document = {**head, "$ref": "#/$defs/Document", "$defs": schema["$defs"]}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        return False
