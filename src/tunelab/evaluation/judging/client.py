"""One request to a judge, by the chat completions that OpenAI-compatible servers speak.

Redirects are refused, since the key would go with them. A request ends at its timeout, whatever the server does.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tunelab.errors import UserError
from tunelab.evaluation.judging.config import JudgeConfig, is_loopback
from tunelab.evaluation.judging.prompt import visible

_MOST_BYTES = 4 * 2**20
_SHOWN_CHARS = 300
_LONGEST_WAIT_S = 600.0
"""A server that asks for more ends the evaluation: it can go on later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReply:
    """What came back."""

    text: str
    model: str
    """The name under which the server answered."""


class NoReply(Exception):  # noqa: N818 - it is not the user's to fix
    """A request that may succeed when it is sent again.

    Args:
        reason: in words, e.g. ``timed out after 60 s``.
        wait_s: after how many seconds, if the server says it.
        is_busy: whether the server only asks for patience.
    """

    def __init__(self, reason: str, *, wait_s: float | None = None, is_busy: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.wait_s, self.is_busy = reason, wait_s, is_busy


class JudgeClient:
    """Sends requests to one endpoint; may be used by several threads.

    Args:
        config: the judge's.
        environment: where its key is.

    Raises:
        UserError: the variable that should hold the key is not set, or holds what can be no key.
    """

    def __init__(self, config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._key = _key_in(environment, config.key)
        self._connections: set[http.client.HTTPConnection] = set()
        self._closed = False
        self._lock = threading.Lock()

    def send(self, messages: list[dict[str, str]], schema: Mapping[str, Any]) -> JudgeReply:
        """Return the reply to messages.

        Raises:
            NoReply: there was none, and another try may help.
            UserError: no try will help: a wrong key, address or model, a redirect.
        """
        body: dict[str, Any] = {"model": self._config.model, "messages": messages}
        if self._config.temperature is not None:
            body["temperature"] = self._config.temperature
        json_schema = {"name": "judgement", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        status, headers, content = self._exchange(json.dumps(body).encode())
        if status == 200:
            return _reply(content)
        raise self._refusal(status, headers, content)

    def close(self) -> None:
        """End all requests that are on their way."""
        with self._lock:
            self._closed = True
            for each in self._connections:
                _cut(each)

    def _exchange(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        address = urlsplit(self._config.endpoint)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        timeout_s = self._config.timeout_s
        started = time.monotonic()
        try:
            with self._connected(timeout_s) as connection:
                connection.request("POST", f"{address.path}/chat/completions", body, headers)
                response = connection.getresponse()
                content = response.read(_MOST_BYTES + 1)
                if (response.length or 0) > 0 and len(content) <= _MOST_BYTES:
                    raise NoReply("the connection was cut")
                lowered = {name.lower(): value for name, value in response.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() - started >= timeout_s:
                raise NoReply(f"timed out after {timeout_s:g} s") from error
            if isinstance(error, ssl.SSLCertVerificationError):
                raise UserError(f"its certificate is not trusted ({error.verify_message})", where=self._where) from None
            raise NoReply(_in_words(error)) from error
        if time.monotonic() - started >= timeout_s:
            raise NoReply(f"timed out after {timeout_s:g} s")
        if len(content) > _MOST_BYTES:
            raise NoReply(f"the answer is larger than {_MOST_BYTES / 2**20:g} MiB")
        return response.status, lowered, content

    @contextmanager
    def _connected(self, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
        """Yield a connection that is cut at the timeout: a timeout of a socket alone is one of each single read."""
        connection = _connection(self._config, timeout_s)
        watchdog = threading.Timer(timeout_s, _cut, [connection])
        watchdog.daemon = True
        watchdog.start()
        try:
            with self._lock:
                if self._closed:
                    raise ConnectionAbortedError
                self._connections.add(connection)
            connection.connect()
            yield connection
        finally:
            watchdog.cancel()
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> Exception:
        if status == 429 or (status == 503 and "retry-after" in headers):
            wait_s = _seconds(headers.get("retry-after"))
            if wait_s is not None and wait_s > _LONGEST_WAIT_S:
                remedy = "Run the same command then: what was judged is kept."
                return UserError(f"it asks to wait for {wait_s:,.0f} s", where=self._where, remedy=remedy)
            return NoReply(f"too many requests ({status})", wait_s=wait_s, is_busy=True)
        if status >= 500 or status in (408, 409, 425):
            return NoReply(f"the server answered {status}")
        said = self._said(content)
        if 300 <= status < 400:
            remedy = "Name the address that it leads to in judge.endpoint, if you trust it."
            return UserError(f"it redirects ({status}), which is refused", where=self._where, remedy=remedy)
        if status in (401, 403):
            key = f"the key in {self._config.key}" if self._config.key else "a request without a key"
            return UserError(f"it refuses {key} ({status}{said})", where=self._where, remedy="Set judge.key.")
        if status == 404:
            what = f'there is nothing here, or no model "{self._config.model}" (404{said})'
            return UserError(what, where=self._where, remedy="See judge.endpoint and judge.model.")
        return UserError(f"it refuses the request ({status}{said})", where=self._where)

    def _said(self, content: bytes) -> str:
        """Return the beginning of what a server says of an error, without the key that it may repeat."""
        text = content[:_MOST_BYTES].decode(errors="replace")
        if self._key:
            text = text.replace(self._key, "…")
        text = " ".join(visible(text, most_chars=_SHOWN_CHARS).split())
        return f": {text}" if text else ""

    @property
    def _where(self) -> str:
        return f"the judge at {self._config.host}"


def _key_in(environment: Mapping[str, str], variable: str | None) -> str | None:
    if variable is None:
        return None
    where, key = "judge.key", environment.get(variable, "").strip()
    if not key:
        remedy = f"Set it in the environment, or in a .env file: {variable}=…"
        raise UserError(f"the environment variable {variable} is not set", where=where, remedy=remedy)
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise UserError(f"the environment variable {variable} holds what can be no key", where=where)
    return key


def _connection(config: JudgeConfig, timeout_s: float) -> http.client.HTTPConnection:
    address = urlsplit(config.endpoint)
    host = address.hostname or ""
    if address.scheme == "http":
        return http.client.HTTPConnection(host, address.port, timeout=timeout_s)
    proxy = "" if is_loopback(host) or proxy_bypass(host) else getproxies().get("https", "")
    if not proxy:
        return http.client.HTTPSConnection(host, address.port, timeout=timeout_s)
    through = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    connection = http.client.HTTPSConnection(through.hostname or "", through.port, timeout=timeout_s)
    connection.set_tunnel(host, address.port or 443)
    return connection


def _reply(content: bytes) -> JudgeReply:
    try:
        answer = json.loads(content)
        text, model = answer["choices"][0]["message"]["content"], answer.get("model")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise NoReply("the answer is no chat completion") from None
    return JudgeReply(text=text if isinstance(text, str) else "", model=model if isinstance(model, str) else "")


def _seconds(retry_after: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds of a Retry-After, which names them or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now())
    except (ValueError, OverflowError):
        return None


def _in_words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, socket.gaierror):
        return "there is no machine of that name"
    if isinstance(error, ConnectionError | http.client.IncompleteRead | http.client.BadStatusLine):
        return "the connection was cut"
    return f"the connection failed ({type(error).__name__})"


def _cut(connection: http.client.HTTPConnection) -> None:
    opened = connection.sock
    if opened is not None:
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(opened, socket.SHUT_RDWR)  # that of TLS would take the stream from its reader
