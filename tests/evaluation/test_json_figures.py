"""Figures of answers that are JSON: by the schema, and field by field."""

import json

import pytest

from evaluated_rows import evaluated
from tunelab.errors import DataError
from tunelab.evaluation.figures.changes import changes_of
from tunelab.evaluation.figures.figures_of import figures_of
from tunelab.evaluation.figures.json_figures import json_figures, leaves
from tunelab.evaluation.figures.measure import measure
from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.evidence import Source, evidence_for
from tunelab.evaluation.reports.numbers import in_words
from tunelab.evaluation.reports.report import ComparedRow, ModelRecord, Report, TaskReport

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def _json(answer: str, reference: object, schema: dict[str, object] | None = None) -> dict[str, float | None]:
    rows = [evaluated(answer, json.dumps(reference))]
    return {each.name: each.value for each in measure(json_figures(schema), rows, ["0"], seed=0)}


def test_json_is_judged_field_by_field():
    found = _json('{"a": 1, "b": {"c": [2, 3]}, "extra": null}', {"a": 1.0, "b": {"c": [2, 4]}, "d": True})
    assert (found["json_valid"], found["json_equal"], found["field_accuracy"]) == (1, 0, 0.5)
    assert (found["extra_keys"], found["missing_keys"]) == (1, 1)
    assert "schema_valid" not in found


@pytest.mark.parametrize("answer", ["{", "", 'Sure! {"a": 1}', '{"a": NaN}', "[" * 100_000])
def test_an_answer_that_is_no_json_has_all_fields_wrong(answer):
    found = _json(answer, {"a": 1, "b": 2}, SCHEMA)
    assert [found[name] for name in ("json_valid", "json_equal", "schema_valid", "field_accuracy")] == [0, 0, 0, 0]
    assert found["extra_keys"] is found["missing_keys"] is None


def test_true_is_no_one_and_empty_containers_are_values():
    assert _json('{"a": true}', {"a": 1})["field_accuracy"] == 0
    assert _json('{"a": [], "b": {}}', {"a": [], "b": {}})["field_accuracy"] == 1
    assert dict(leaves({"a": [{"b": 1}, []], "c": {}})) == {"a[0].b": 1, "a[1]": [], "c": {}}


def test_json_is_equal_whatever_the_order_of_keys_and_the_white_space():
    assert _json('{"b": [1],\n"a": 2.0}', {"a": 2, "b": [1]})["json_equal"] == 1
    assert _json('{"b": [1], "a": 2, "c": null}', {"a": 2, "b": [1]})["json_equal"] == 0


@pytest.mark.parametrize(
    ("answer", "keeps"),
    [('{"a": 1}', 1), ('{"a": 1, "more": 2}', 1), ('{"a": "1"}', 0), ("{}", 0), ("[1]", 0)],
)
def test_a_schema_is_kept_as_json_schema_has_it(answer, keeps):
    assert _json(answer, {"a": 1}, SCHEMA)["schema_valid"] == keeps


def test_a_schema_may_forbid_what_it_does_not_name():
    assert _json('{"a": 1, "more": 2}', {"a": 1}, {**SCHEMA, "additionalProperties": False})["schema_valid"] == 0


@pytest.mark.parametrize("schema", [{"type": "array"}, {"type": "object", "required": "a"}, {"rubbish": 1}])
def test_a_schema_by_which_nothing_can_be_checked_is_refused(schema):
    with pytest.raises(DataError, match="the schema of answers"):
        json_figures(schema)


def test_a_gate_can_ask_for_the_schema_on_all_rows_and_on_a_slice():
    rows = [
        evaluated('{"a": 1}' if n % 4 else '{"a": "1"}', '{"a": 1}', number=n, fields={"half": str(n // 20)})
        for n in range(40)
    ]
    task = TaskReport(
        name="rows",
        kinds=("json",),
        num_rows=40,
        num_groups=40,
        labels=(),
        json_schema=SCHEMA,
        first_figure="json_equal",
        figures=tuple(changes_of(figures_of(("json",), schema=SCHEMA), rows, rows, seed=0)),
        verdicts={},
    )
    model = ModelRecord(name="m", base_model="nano", adapter="", template_sha256="", weights_sha256="")
    report = Report(suite="0", data="40 rows", before=model, after=model, sampling={}, tasks=(task,))
    compared = [ComparedRow(item=row.item, before=row, after=row, outcome="right") for row in rows]
    for part in ({}, {"half": "1"}):
        gate = GateConfig(figure="schema_valid", min=0.9, slice=part)
        assert evidence_for(gate, Source(report=report, rows=compared)).value == 0.75
    assert in_words("schema_valid", 0.75) == "75.0\u00a0%"
