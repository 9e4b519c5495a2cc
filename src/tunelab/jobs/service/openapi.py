"""The OpenAPI document of the service, made of the table of operations and the records in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tunelab import __version__
from tunelab.jobs.service.operations import JSON, STREAM, Operation
from tunelab.jobs.service.schemas import ErrorAnswer

_REF = "#/components/schemas/{name}"
_REFUSALS = {
    401: "the token is missing or wrong",
    403: "the host is foreign, or the origin",
    404: "there is no such job",
    409: "the job is not in a state for this",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "what is given is not as described",
    503: "the disk refuses it",
}


def openapi_document(operations: Sequence[Operation], *, port: int) -> dict[str, Any]:
    """Return the description of the service, OpenAPI 3.1."""
    records = [
        each for row in operations for each in (row.body, row.answer) if each is not None and each is not ErrorAnswer
    ]
    _, schemas = msgspec.json.schema_components([*dict.fromkeys(records), ErrorAnswer], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jobs of a tunelab workspace", "version": __version__},
        "servers": [{"url": f"http://127.0.0.1:{port}"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    refusals = [401, 403, 413, 422, 503, operation.refused]
    if "{id}" in operation.path:
        refusals.append(404)
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": (operation.handler.__doc__ or "").strip(),
        "parameters": _parameters(operation),
    }
    if operation.body is not None:
        refusals.append(415)
        body = operation.body
        is_needed = any(field.required for field in msgspec.structs.fields(body))
        described["requestBody"] = {"required": is_needed, "content": {JSON: {"schema": _schema(body)}}}
    described["responses"] = {
        **{str(status): _answer(operation, status) for status in operation.statuses},
        **{
            str(status): {"description": _REFUSALS[status], "content": {JSON: {"schema": _schema(ErrorAnswer)}}}
            for status in sorted(set(refusals))
        },
    }
    return described


def _answer(operation: Operation, status: int) -> dict[str, Any]:
    if status == 204:
        return {"description": "the job has ended and all of it was sent: do not come back"}
    schema = {"type": "string"} if operation.answer is None else _schema(operation.answer)
    what = "done before" if status == 200 and 201 in operation.statuses else "done"
    return {"description": what, "content": {operation.media_type: {"schema": schema}}}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in operation.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    (_,), components = msgspec.json.schema_components([operation.query], ref_template=_REF)
    inlined: dict[str, Any] = components.pop(operation.query.__name__)["properties"]
    for name, schema in inlined.items():
        found.append(
            {"name": name, "in": "query", "required": False, "schema": _without_references(schema, components)}
        )
    if operation.media_type == STREAM:
        where = {"type": "string", "pattern": "^[0-9]{1,18}$"}
        found.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": where})
    return found


def _without_references(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_without_references(each, components) for each in schema]
    if isinstance(schema, dict):
        if "$ref" in schema:
            return components[schema["$ref"].rpartition("/")[2]]
        return {key: _without_references(value, components) for key, value in schema.items()}
    return schema


def _schema(record: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=record.__name__)}
