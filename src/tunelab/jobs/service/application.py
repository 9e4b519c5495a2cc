"""The service as an ASGI application: requests are routed by the table of operations, answered in threads."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tunelab.errors import StorageError, UserError
from tunelab.jobs.service.guard import Guard
from tunelab.jobs.service.handlers import Call, Reply
from tunelab.jobs.service.openapi import openapi_document
from tunelab.jobs.service.operations import JSON, OPERATIONS, STREAM, Operation
from tunelab.jobs.service.schemas import RefusedError, error_answer
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.streams import JobStream, StreamReaders, messages
from tunelab.jobs.service.watch import Watches

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def application(jobs: ServedJobs, *, port: int, token: str, is_ending: Callable[[], bool] = lambda: False) -> Guard:
    """Return the service of a workspace.

    Args:
        jobs: of the workspace.
        port: where it is reached: callers must name it.
        token: what callers must know.
        is_ending: whether streams are to end; readers come back with the last id that they saw.
    """
    endpoints = _Endpoints(jobs, is_ending)
    by_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in OPERATIONS:
        by_path[operation.path][operation.method] = operation
    document = msgspec.json.encode(openapi_document(OPERATIONS, port=port))
    routes = [_route(path, endpoints.of(operations), operations) for path, operations in by_path.items()]

    async def describe(_: Request) -> Response:
        return Response(document, media_type=JSON)

    routes.append(_route("/openapi.json", describe, ("GET",)))
    handlers = {HTTPException: _no_such_thing, Exception: _own_fault}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(app, port=port, token=token)


def _route(
    path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: Mapping[str, Any] | tuple[str, ...]
) -> Route:
    route = Route(path, endpoint, methods=list(methods))
    route.methods = set(methods)  # Starlette adds HEAD, which is no operation
    return route


class _Endpoints:
    """Decodes what an operation is given, has it done in a thread, encodes what it answers."""

    def __init__(self, jobs: ServedJobs, is_ending: Callable[[], bool]) -> None:
        self._jobs, self._is_ending = jobs, is_ending
        self._readers, self._watches = StreamReaders(jobs), Watches(jobs)
        self._changing = asyncio.Lock()  # not one of threads: whoever waits for it would hold a thread meanwhile
        self._root = str(jobs.folder.workspace.path)

    def of(self, operations: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers the operations of a path."""

        async def endpoint(request: Request) -> Response:
            operation = operations[request.method]
            try:
                call = await self._call(request, operation)
                async with self._changing if operation.method == "POST" else nullcontext():
                    reply = await asyncio.to_thread(operation.handler, call)
                return self._response(reply, operation)
            except RefusedError as refusal:
                return self._refused(refusal.status, refusal.error)
            except StorageError as error:
                return self._refused(503, error)
            except UserError as error:
                return self._refused(operation.refused, error)

        return endpoint

    async def _call(self, request: Request, operation: Operation) -> Call:
        query = _converted(request, operation.query)
        return Call(
            jobs=self._jobs,
            readers=self._readers,
            job_id=request.path_params.get("id", ""),
            query=query,
            body=_decoded(request, await request.body(), operation.body) if operation.body is not None else None,
            last_event_id=request.headers.get("last-event-id"),
        )

    def _response(self, reply: Reply, operation: Operation) -> Response:
        if isinstance(reply.content, JobStream):
            stream = reply.content
            body = messages(self._watches.of(stream.job_id), stream, is_ending=self._is_ending)
            return StreamingResponse(body, media_type=STREAM)
        if reply.content is None:
            return Response(status_code=reply.status)
        if isinstance(reply.content, str):
            return Response(reply.content, reply.status, media_type=operation.media_type)
        return Response(msgspec.json.encode(reply.content), reply.status, media_type=JSON)

    def _refused(self, status: int, error: UserError) -> Response:
        return _error_response(status, error, leave_out=self._root)


def _converted(request: Request, kind: type[_Struct]) -> _Struct:
    given = dict(request.query_params)
    if len(given) != len(request.query_params.multi_items()):
        raise RefusedError(422, UserError("a parameter is given twice", where="query"))
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(422, UserError(str(error), where="query")) from error


def _decoded(request: Request, body: bytes, kind: type[_Struct]) -> _Struct:
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise RefusedError(415, UserError("the body is not said to be JSON", where="Content-Type", expected=JSON))
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(422, UserError(str(error), where="body")) from error


async def _no_such_thing(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: "there is no such path", 405: "this path has no such method"}.get(error.status_code, error.detail)
    response = _error_response(error.status_code, UserError(what, remedy="GET /openapi.json says what there is."))
    response.headers.update(error.headers or {})
    return response


async def _own_fault(_: Request, error: Exception) -> Response:
    """Answer without a word of the error, which may quote anything; its traceback is on the service's terminal."""
    remedy = "Its traceback is where tunelab jobs serve runs; please report it."
    return _error_response(500, UserError(f"tunelab has a fault here ({type(error).__name__})", remedy=remedy))


def _error_response(status: int, error: UserError, *, leave_out: str = "") -> Response:
    return Response(msgspec.json.encode(error_answer(error, leave_out=leave_out)), status, media_type=JSON)
