"""Nobody gets anything from the service who does not know its token, comes from elsewhere or sends too much."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest
from service_files import ENDED, KNOWN, PORT, TOKEN, add_job, client_of, quiet_jobs
from starlette.testclient import TestClient

from tunelab.jobs.service.application import application
from tunelab.jobs.service.guard import HEADERS, MAX_BODY_BYTES, Guard
from tunelab.jobs.service.operations import OPERATIONS
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store

PATHS = sorted({each.path.format(id="job") for each in OPERATIONS} | {"/openapi.json", "/", "/no/such", "/jobs/"})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "NONSENSE")
OWN_HOST = f"127.0.0.1:{PORT}"
BIG = b"x" * (2 << 20)

BAD_CALLERS: dict[str, tuple[dict[str, Any], bytes, int]] = {
    "no token": ({}, b"", 401),
    "an empty token": ({"Authorization": "Bearer "}, b"", 401),
    "a wrong token": ({"Authorization": "Bearer of bad news"}, b"", 401),
    "the beginning of the token": ({"Authorization": f"Bearer {TOKEN[:-1]}"}, b"", 401),
    "the token and more": ({"Authorization": f"Bearer {TOKEN}x"}, b"", 401),
    "the token by another scheme": ({"Authorization": f"Basic {TOKEN}"}, b"", 401),
    "the token alone": ({"Authorization": TOKEN}, b"", 401),
    "a token that is no ASCII": ({"Authorization": "Bearer \u00fcmlaut".encode()}, b"", 401),
    "a foreign host": (KNOWN | {"Host": f"evil.example:{PORT}"}, b"", 403),
    "a host that begins right": (KNOWN | {"Host": f"{OWN_HOST}.evil.example"}, b"", 403),
    "another port": (KNOWN | {"Host": "127.0.0.1:80"}, b"", 403),
    "no port": (KNOWN | {"Host": "127.0.0.1"}, b"", 403),
    "the host of another loopback": (KNOWN | {"Host": f"127.0.0.2:{PORT}"}, b"", 403),
    "a foreign origin": (KNOWN | {"Origin": "http://evil.example"}, b"", 403),
    "an origin that begins right": (KNOWN | {"Origin": f"http://{OWN_HOST}.evil.example"}, b"", 403),
    "an origin of another scheme": (KNOWN | {"Origin": f"https://{OWN_HOST}"}, b"", 403),
    "a page without origin": (KNOWN | {"Origin": "null"}, b"", 403),
    "a body of 2 MB": (KNOWN, BIG, 413),
    "a length that is none": (KNOWN | {"Content-Length": "-1"}, b"", 413),
}


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[ServedJobs]:
    with quiet_jobs(tmp_path) as jobs:
        add_job(jobs, "job", *ENDED)
        yield jobs


def test_every_path_and_method_is_closed_to_every_bad_caller(jobs: ServedJobs) -> None:
    app = application(jobs, port=PORT, token=TOKEN)

    async def walk() -> list[str]:
        transport = httpx2.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{OWN_HOST}") as client:
            wrong = []
            for path, method in product(PATHS, METHODS):
                for name, (headers, body, status) in BAD_CALLERS.items():
                    answer = await client.request(method, path, headers=headers, content=body)
                    said = method == "HEAD" or answer.json()["error"]["what"]
                    if answer.status_code != status or not said:
                        wrong.append(f"{method} {path} by {name}: {answer.status_code}")
            return wrong

    assert asyncio.run(walk()) == []
    assert len(PATHS) * len(METHODS) * len(BAD_CALLERS) > 1_500


def test_a_known_caller_gets_no_method_that_is_no_row_of_the_table(jobs: ServedJobs) -> None:
    client = client_of(jobs, is_ending=True)
    rows = {(each.method, each.path.format(id="job")) for each in OPERATIONS} | {("GET", "/openapi.json")}
    for path in {path for _, path in rows}:
        for method in METHODS:
            answer = client.request(method, path)
            if (method, path) not in rows:
                assert answer.status_code == 405, (method, path)
                assert set(answer.headers["allow"].split(", ")) == {each for each, where in rows if where == path}
            else:
                assert answer.status_code != 405, (method, path)
    for path in (
        "/",
        "/jobs/",
        "/jobs//log",
        "/jobs/job/log/",
        "/JOBS",
        "/jobs/job/%2e%2e",
        "/jobs/..%2f..%2fetc",
        "/docs",
    ):
        assert client.get(path).status_code == 404, path


@pytest.mark.parametrize("headers", [{}, {"Host": f"localhost:{PORT}"}, {"Origin": f"http://{OWN_HOST}"}])
def test_the_services_own_names_are_let_in(jobs: ServedJobs, headers: dict[str, str]) -> None:
    assert client_of(jobs, headers=KNOWN | headers).get("/jobs").status_code == 200


def test_every_answer_has_the_strict_headers_and_none_that_lets_a_foreign_page_read_it(jobs: ServedJobs) -> None:
    known, unknown = client_of(jobs, is_ending=True), client_of(jobs, headers={})
    answers = [known.get(path) for path in PATHS]
    answers += [unknown.get("/jobs"), known.post("/jobs", content=BIG), known.delete("/jobs")]
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 405, 413}
    for answer in answers:
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode()
        assert [name for name in answer.headers if name.startswith("access-control")] == []


def test_twice_given_headers_are_no_way_in(jobs: ServedJobs) -> None:
    client = client_of(jobs, headers={})
    for twice in ("Host", "Authorization", "Origin"):
        good = {"Host": OWN_HOST, "Authorization": f"Bearer {TOKEN}", "Origin": f"http://{OWN_HOST}"}
        given = [*good.items(), (twice, good[twice])]
        assert client.get("/jobs", headers=given).status_code in (401, 403), twice


def test_a_body_is_read_no_further_than_the_limit_and_not_at_all_if_its_length_says_so() -> None:
    assert _chunks_read({}) <= 1 + MAX_BODY_BYTES // 65_536
    assert _chunks_read({"content-length": str(2 << 20)}) == 0
    assert _chunks_read({"content-length": "9" * 5_000}) == 0


def _chunks_read(headers: dict[str, str]) -> int:
    """Return how many chunks of an endless body are asked for."""
    num_read, answered = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal num_read
        num_read += 1
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async def send(message: Any) -> None:
        answered.append(message)

    async def never(*_: object) -> None:
        raise AssertionError

    scope = {
        "type": "http",
        "headers": [
            (b"host", OWN_HOST.encode()),
            (b"authorization", f"Bearer {TOKEN}".encode()),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    asyncio.run(Guard(never, port=PORT, token=TOKEN)(scope, receive, send))
    assert answered[0]["status"] == 413
    return num_read


def test_half_a_body_of_a_caller_who_is_gone_changes_nothing(jobs: ServedJobs) -> None:
    add_job(jobs, "half")
    came: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{}", "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[Any] = []

    async def receive() -> dict[str, Any]:
        return came.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    headers = {"host": OWN_HOST, "authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/jobs/half/cancel",
        "raw_path": b"/jobs/half/cancel",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(application(jobs, port=PORT, token=TOKEN)(scope, receive, send))
    assert answered == []
    with jobs.opened() as store:
        assert store.get("half").state is JobState.QUEUED


def test_a_web_socket_is_closed(jobs: ServedJobs) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client_of(jobs).websocket_connect("/jobs"):
        pass


def test_a_bad_caller_changes_nothing(jobs: ServedJobs) -> None:
    client: TestClient = client_of(jobs, headers={})
    for headers, body, _ in BAD_CALLERS.values():
        client.post("/jobs/job/retry", headers=headers, content=body)
    store = Store(jobs.folder)
    assert [move.new for move in store.moves("job")] == ["queued", "starting", "running", "succeeded"]
    store.close()
    assert client_of(jobs).post("/jobs/job/retry").json()["state"] == "queued"
