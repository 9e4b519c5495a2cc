"""A judge in the test's own process: an HTTP server on loopback that answers as a test says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "judge-7b"


@dataclass
class Served:
    """What the server saw, and what it does."""

    behave: Callable[[BaseHTTPRequestHandler, dict[str, Any], int], None]
    """Answers a request, of which it gets the body and the number among all requests, from 1."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    endpoint: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over: who hangs stops."""


@contextmanager
def judge_server(behave: Callable[[BaseHTTPRequestHandler, dict[str, Any], int], None]) -> Iterator[Served]:
    served = Served(behave=behave)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                served.bodies.append(body)
                served.headers.append(dict(self.headers))
                served.paths.append(self.path)
                number = len(served.bodies)
            served.behave(self, body, number)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # the client went away: that is what is tested

    server = Server(("127.0.0.1", 0), Handler)
    served.endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.released.set()
        server.shutdown()
        server.server_close()


def reply(
    handler: BaseHTTPRequestHandler, content: object, *, model: str = MODEL, status: int = 200, **headers: str
) -> None:
    """Send a chat completion with this content, as JSON unless it is a text; or with another status, its text."""
    text = content if isinstance(content, str) else json.dumps(content)
    whole = json.dumps({"model": model, "choices": [{"message": {"role": "assistant", "content": text}}]})
    sent = (whole if status == 200 else text).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(sent)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(sent)


def shown_answers(body: dict[str, Any]) -> list[str]:
    """Return the answers in a request, in their order, as a judge would find them."""
    text = body["messages"][1]["content"]
    return re.findall(r"^<<<(?:FIRST |SECOND )?ANSWER \w+\n(.*?)\n\w+>>>$", text, re.MULTILINE | re.DOTALL)


def prefers(word: str) -> Callable[[BaseHTTPRequestHandler, dict[str, Any], int], None]:
    """Return a judge to whom the answer with a word is better, and rates it 5, the other one 1."""

    def behave(handler: BaseHTTPRequestHandler, body: dict[str, Any], _: int) -> None:
        held = [word in text for text in shown_answers(body)]
        if len(held) == 1:
            return reply(handler, {"reason": "so", "rating": 5 if held[0] else 1})
        better = "tie" if held[0] == held[1] else ("first" if held[0] else "second")
        return reply(handler, {"reason": "so", "better": better})

    return behave
