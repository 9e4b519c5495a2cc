"""The one layer in front of the service: who is not let in here is answered here, whatever the path or the method.

It knows no route. A request passes if it names this service as its host, comes from no foreign page, bears the token
and is small; everything else is refused before anything of it is looked at.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from tunelab.errors import UserError
from tunelab.jobs.service.schemas import error_answer

MAX_BODY_BYTES = 1 << 20
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Of every answer. None lets a page of another origin read it."""

_Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[_Message]]
Send = Callable[[_Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Guard:
    """Lets known callers through to an application, and nobody else.

    Args:
        app: what is guarded; it is given the whole body at once.
        port: of this service.
        token: what a caller must know.
    """

    def __init__(self, app: App, *, port: int, token: str) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":  # the server itself, as it starts and ends
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        if (refusal := self._refusal(scope["headers"])) is not None:
            await _refuse(send, *refusal)
            return
        try:
            body = await _whole_body(receive)
        except _CallerGoneError:
            return  # with half a body nothing is done
        if body is None:
            await _refuse(send, *_TOO_LARGE)
            return
        await self._app(scope, _replayed(body, receive), send)

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> tuple[int, UserError] | None:
        def values(name: bytes) -> list[bytes]:
            return [value for key, value in headers if key.lower() == name]

        if len(hosts := values(b"host")) != 1 or hosts[0] not in self._hosts:
            return 403, UserError("the host is not this service", where="Host", expected="127.0.0.1 and its port")
        if (origins := values(b"origin")) and not (len(origins) == 1 and origins[0] in self._origins):
            return 403, UserError("a page of another origin asks", where="Origin", expected="none, or this service's")
        if len(given := values(b"authorization")) != 1 or not self._is_known(given[0]):
            remedy = "Send it as Authorization: Bearer TOKEN; it lies in .tunelab/service.json of the workspace."
            return 401, UserError("the token of this service is missing or wrong", where="Authorization", remedy=remedy)
        if any(not value.isdigit() or int(value[:20]) > MAX_BODY_BYTES for value in values(b"content-length")):
            return _TOO_LARGE
        return None

    def _is_known(self, authorization: bytes) -> bool:
        scheme, _, token = authorization.partition(b" ")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"


_TOO_LARGE = (413, UserError("the body is too large", where="body", expected=f"at most {MAX_BODY_BYTES:,} bytes"))


class _CallerGoneError(Exception):
    """The caller left before all of the body was there."""


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the body; None once it is too large, the rest unread."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerGoneError
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> _Message:
        return pending.pop() if pending else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def sending(message: _Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await send(message)

    return sending


async def _refuse(send: Send, status: int, error: UserError) -> None:
    body = msgspec.json.encode(error_answer(error))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
