"""What a caller that knows the token can do, and what it is answered when it cannot."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_files import ENDED, KNOWN, PORT, TOKEN, add_job, async_client_of, client_of, quiet_jobs
from starlette.testclient import TestClient

from train_task import write_task
from tunelab.cli.main import run as tunelab
from tunelab.errors import StorageError, UserError
from tunelab.events import EvaluationDone, EventLog, StepDone
from tunelab.flows.training.gpu_memory import expected_gpu_bytes
from tunelab.jobs.job import Job
from tunelab.jobs.service import handlers
from tunelab.jobs.service.application import application
from tunelab.jobs.service.operations import OPERATIONS
from tunelab.jobs.service.recipe_name import recipe_in
from tunelab.jobs.service.schemas import error_answer
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.store import Store

CANARY = "canary-5f0e1c"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[ServedJobs]:
    with quiet_jobs(tmp_path / "workspace") as jobs:
        yield jobs


@pytest.fixture
def client(jobs: ServedJobs) -> TestClient:
    return client_of(jobs)


def test_a_recipe_of_the_workspace_is_submitted_once(jobs: ServedJobs, client: TestClient, tiny_model: Path) -> None:
    write_task(jobs.folder.workspace.path, tiny_model)
    first = client.post("/jobs", json={"recipe": "task.yaml", "priority": 3, "timeout_s": 90, "stall_timeout_s": 600})
    again = client.post("/jobs", json={"recipe": "task.yaml"})
    other = client.post("/jobs", json={"recipe": "task.yaml", "name": "other"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert (first.json()["is_new"], again.json()["is_new"]) == (True, False)
    assert first.json()["job"] == again.json()["job"]
    assert (first.json()["otherwise"], again.json()["otherwise"]) == ([], ["priority", "timeout_s", "stall_timeout_s"])
    assert (first.json()["job"]["priority"], first.json()["job"]["state"]) == (3, "queued")
    assert other.json()["job"]["id"].startswith("other-")
    listed = client.get("/jobs").json()
    assert ([each["id"] for each in listed["jobs"]], listed["total"]) == (
        [other.json()["job"]["id"], first.json()["job"]["id"]],
        2,
    )


def test_a_recipe_that_leads_to_a_gpu_shares_it_as_one_that_is_submitted_by_command(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi = tmp_path / "bin" / "nvidia-smi"
    nvidia_smi.parent.mkdir()
    nvidia_smi.write_text("#!/bin/sh\necho '0, GPU-aaaa, 81920'\n")
    nvidia_smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{nvidia_smi.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("tunelab.jobs.runner.start_runner", lambda _: 0)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    write_task(workspace, tiny_model)
    monkeypatch.setenv("LLM_MODEL__DEVICE_MAP", "cuda")
    with quiet_jobs(workspace, gpu_bytes_of=expected_gpu_bytes) as jobs:
        answer = client_of(jobs).post("/jobs", json={"recipe": "task.yaml", "name": "by-http"}).json()
        monkeypatch.chdir(workspace)
        assert tunelab(["jobs", "submit", "task.yaml", "--name", "by-command"]) == 0
        store = Store(jobs.folder)
        by_command = next(job for job in store.jobs() if job.id.startswith("by-command"))
        specs = [store.spec(answer["job"]["id"]), store.spec(by_command.id)]
        store.close()
    assert specs[0].gpus == specs[1].gpus == 1
    assert specs[0].gpu_bytes == specs[1].gpu_bytes > 1 << 30


def test_the_same_submission_by_eight_callers_at_once_is_one_job(jobs: ServedJobs, tiny_model: Path) -> None:
    write_task(jobs.folder.workspace.path, tiny_model)

    async def submit_all() -> list[dict[str, Any]]:
        async with async_client_of(jobs) as client:
            answers = await asyncio.gather(*(client.post("/jobs", json={"recipe": "task.yaml"}) for _ in range(8)))
        return [each.json() for each in answers]

    answers = asyncio.run(submit_all())
    assert sorted(each["is_new"] for each in answers) == [False] * 7 + [True]
    assert len({each["job"]["id"] for each in answers}) == 1


def test_changes_that_wait_for_one_another_hold_no_reader(jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there are threads."""
    add_job(jobs, "job")
    is_begun, may_end, num_at_once = Event(), Event(), []
    cancel = handlers.submit.cancel

    def slowly(*given: Any, **named: Any) -> Job:
        num_at_once.append(is_begun.is_set() and not may_end.is_set())
        is_begun.set()
        assert may_end.wait(60)
        return cancel(*given, **named)

    monkeypatch.setattr(handlers.submit, "cancel", slowly)

    async def ask() -> None:
        async with async_client_of(jobs) as client:
            changes = [asyncio.create_task(client.post("/jobs/job/cancel")) for _ in range(50)]
            await asyncio.to_thread(is_begun.wait, 60)
            assert (await client.get("/jobs/job")).json()["job"]["state"] == "queued"
            assert not any(each.done() for each in changes)
            may_end.set()
            assert {each.json()["state"] for each in await asyncio.gather(*changes)} == {"cancelled"}

    asyncio.run(ask())
    assert (len(num_at_once), any(num_at_once)) == (50, False)


OUTSIDE = [
    "../outside.yaml",
    "/etc/passwd",
    "{outside}",
    "link.yaml",
    "linked/outside.yaml",
    "circle.yaml",
    "folder.yaml",
    "pipe.yaml",
    ".env",
    ".env.yaml",
    "rows.jsonl",
    "disguised.yaml",
    ".tunelab/job/job/recipe.yaml",
    "./task.yaml",
    "a//task.yaml",
    "a/../task.yaml",
    "a\\task.yaml",
    "task.yaml\0",
    "task.yaml\n",
    "~/task.yaml",
    "n" * 300 + ".yaml",
    "n" * 900 + ".yaml",
    "🙂.yaml",
    "..",
    ".yaml",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_no_recipe_inside_the_workspace_is_refused_and_nothing_of_it_is_quoted(
    jobs: ServedJobs, client: TestClient, name: str
) -> None:
    workspace = jobs.folder.workspace.path
    outside = workspace.parent / "outside.yaml"
    (workspace / "a").mkdir()
    for file in (
        outside,
        workspace / "task.yaml",
        workspace / ".env",
        workspace / ".env.yaml",
        workspace / "rows.jsonl",
    ):
        file.write_text(f"{CANARY}: [\n")
    (workspace / "link.yaml").symlink_to(outside)
    (workspace / "linked").symlink_to(workspace.parent)
    (workspace / "circle.yaml").symlink_to("circle.yaml")
    (workspace / "disguised.yaml").symlink_to("rows.jsonl")
    (workspace / "folder.yaml").mkdir()
    os.mkfifo(workspace / "pipe.yaml")
    answer = client.post("/jobs", json={"recipe": name.format(outside=outside)})
    assert answer.status_code == 422
    assert answer.json()["error"]["where"] == "recipe"
    assert CANARY not in answer.text
    assert client.get("/jobs").json()["total"] == 0


def test_a_link_to_a_recipe_inside_the_workspace_is_one(jobs: ServedJobs) -> None:
    workspace = jobs.folder.workspace
    (workspace.path / "deep").mkdir()
    (workspace.path / "deep" / "task.yaml").write_text("")
    (workspace.path / "link.yml").symlink_to("deep/task.yaml")
    for name in ("deep/task.yaml", "link.yml"):
        assert recipe_in(workspace, name) == (workspace.path / "deep" / "task.yaml").resolve()


def test_paths_of_the_workspace_begin_there_and_no_other_text_changes() -> None:
    def place(text: str, root: str) -> str:
        return error_answer(UserError(text), leave_out=root).error.what

    assert place('/w/a.yaml:2 and "/w/b", not /w2/c or /mnt/w/d', "/w") == 'a.yaml:2 and "b", not /w2/c or /mnt/w/d'
    assert place("a/b and /c", "/") == "a/b and /c"
    assert place("/w/a", "") == "/w/a"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "recipe"),
        ({"recipe": 3}, "recipe"),
        ({"recipe": "task.yaml", "reciep": "x"}, "reciep"),
        ({"recipe": "task.yaml", "name": "../x"}, "name"),
        ({"recipe": "task.yaml", "name": "n" * 300}, "name"),
        ({"recipe": "task.yaml", "priority": 10**30}, ""),
        ({"recipe": "task.yaml", "priority": 2**62}, "priority"),
        ({"recipe": "task.yaml", "retries": -1}, "retries"),
        ({"recipe": "task.yaml", "timeout_s": 0}, "timeout_s"),
        ([], "object"),
        ("task.yaml", "object"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_the_place(client: TestClient, body: object, words: str) -> None:
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["where"] == "body"
    assert words in answer.json()["error"]["what"]


def test_a_body_that_is_no_json_is_refused(client: TestClient) -> None:
    as_json = {"Content-Type": "application/json"}
    for body in (b"{", b"\xff\xfe", b"[" * 100_000, b'{"recipe": "\\ud800"}', b"\0", b"NaN"):
        assert client.post("/jobs", content=body, headers=as_json).status_code == 422, body[:20]
    answer = client.post("/jobs", content=b'{"recipe": "task.yaml"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_faults_of_a_recipe_name_its_place_in_the_workspace_and_no_place_of_the_machine(
    jobs: ServedJobs, client: TestClient
) -> None:
    (jobs.folder.workspace.path / "task.yaml").write_text("lora:\n  rr: 3\ndata:\n  train_files: gone.jsonl\n")
    answer = client.post("/jobs", json={"recipe": "task.yaml"})
    assert answer.status_code == 422
    assert "task.yaml:2" in answer.text
    assert "lora.rr" in answer.text
    assert str(jobs.folder.workspace.path) not in answer.text


def test_a_job_is_cancelled_and_begun_again_and_what_does_not_fit_is_a_conflict(
    jobs: ServedJobs, client: TestClient
) -> None:
    add_job(jobs, "job")
    refused = client.post("/jobs/job/retry")
    assert (refused.status_code, refused.json()["error"]["expected"]) == (409, "one that has ended")
    assert client.post("/jobs/job/cancel", json={"now": True}).json()["state"] == "cancelled"
    assert client.post("/jobs/job/cancel").json()["state"] == "cancelled"
    assert client.post("/jobs/job/retry", json={}).json()["attempt"] == 2
    shown = client.get("/jobs/job").json()
    assert shown["job"]["state"] == "queued"
    assert [each["new"] for each in shown["moves"]] == ["queued", "cancelled", "queued"]


def test_a_job_is_named_by_its_whole_id(jobs: ServedJobs, client: TestClient) -> None:
    add_job(jobs, "job-1")
    paths = [each.path for each in OPERATIONS if "{id}" in each.path]
    for job_id in ("job", "job-2", "job-1x", "..", "%2e%2e", "JOB-1", "job-1%00", "job-1%0a", "🙂", "j" * 300, "%ff"):
        for path in paths:
            method = client.post if path.endswith(("cancel", "retry")) else client.get
            answer = method(path.format(id=job_id))
            assert answer.status_code == 404, (path, job_id)
    assert client.get("/jobs/job").json()["error"]["remedy"] == 'Did you mean "job-1"?'


def test_jobs_are_listed_by_state_and_counted(jobs: ServedJobs, client: TestClient) -> None:
    for number in range(3):
        add_job(jobs, f"queued-{number}")
    add_job(jobs, "done", *ENDED)
    listed = client.get("/jobs?state=queued&limit=2").json()
    assert ([each["id"] for each in listed["jobs"]], listed["total"]) == (["queued-2", "queued-1"], 3)
    assert [each["id"] for each in client.get("/jobs?state=succeeded").json()["jobs"]] == ["done"]
    counted = client.get("/metrics")
    assert counted.headers["content-type"].startswith("text/plain")
    assert 'tunelab_jobs{state="queued"} 3\n' in counted.text
    assert 'tunelab_jobs{state="lost"} 0\n' in counted.text
    for query in ("state=asleep", "limit=0", "limit=10001", "limit=x", "limit=1&limit=2", "stat=queued", "state="):
        answer = client.get(f"/jobs?{query}")
        assert (answer.status_code, answer.json()["error"]["where"]) == (422, "query"), query


def test_curves_are_those_of_the_run(jobs: ServedJobs, client: TestClient) -> None:
    add_job(jobs, "job", *ENDED)
    nothing = {"steps": [], "values": []}
    assert client.get("/jobs/job/curves").json() == dict.fromkeys(("loss", "eval_loss", "learning_rate"), nothing)
    run = jobs.folder.workspace.path / "runs" / "job"
    run.mkdir(parents=True)
    with EventLog(run / "events.jsonl") as log:
        for step in range(1, 101):
            log.emit(step_done(step, loss=1.0 / step))
        log.emit(EvaluationDone(step=100, eval_loss=0.5, eval_tokens=1, best=True, duration_s=0.1))
    curves = client.get("/jobs/job/curves").json()
    assert curves["loss"]["values"][:3] == [1.0, 1 / 2, 1 / 3]
    assert curves["eval_loss"] == {"steps": [100], "values": [0.5]}
    assert len(curves["learning_rate"]["steps"]) == 100
    assert len(client.get("/jobs/job/curves?columns=10").json()["learning_rate"]["steps"]) <= 20


def step_done(step: int, **changed: object) -> StepDone:
    facts = dict.fromkeys(StepDone.__struct_fields__, 1) | {"time": 0.0, "step": step} | changed
    return StepDone(**facts)  # type: ignore[arg-type]


def test_a_fault_of_our_own_and_a_full_disk_are_answered_without_a_word_of_the_system(
    jobs: ServedJobs, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job(jobs, "job")

    def fails(*_: object) -> None:
        raise KeyError(CANARY)

    def is_full(*_: object) -> None:
        raise StorageError("the disk is full", where=str(jobs.folder.database), remedy="Free some space.")

    monkeypatch.setattr(ServedJobs, "bring_up_to_date", fails)
    answer = client.get("/jobs")
    assert answer.status_code == 500
    assert "KeyError" in answer.json()["error"]["what"]
    assert CANARY not in answer.text
    monkeypatch.setattr(ServedJobs, "bring_up_to_date", is_full)
    answer = client.get("/jobs")
    assert answer.status_code == 503
    assert answer.json()["error"]["where"] == ".tunelab/jobs.db"


def test_the_description_names_every_operation_and_each_record_in_it(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(each.method, each.path) for each in OPERATIONS}
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert len(names) > 5
    assert names <= set(document["components"]["schemas"])
    assert "Token" not in text
    assert document["security"] == [{"token": []}]


@pytest.mark.slow
def test_made_up_requests_get_answers_as_described_and_never_a_fault_of_the_server(
    jobs: ServedJobs, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each operation, with parameters and bodies that fit its description and such that do not."""
    monkeypatch.setenv("LLM_CANARY", CANARY)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    workspace = jobs.folder.workspace.path
    write_task(workspace, tiny_model)
    (workspace / ".env").write_text(f"HF_TOKEN={CANARY}\n")
    add_job(jobs, "job", *ENDED)
    app = application(jobs, port=PORT, token=TOKEN, is_ending=lambda: True)
    headers = KNOWN | {"Host": f"127.0.0.1:{PORT}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers)
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    checks = schemathesis.checks.CHECKS.get_by_names(names)
    num_requests = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode))

        @settings(max_examples=100, database=None, suppress_health_check=list(HealthCheck))
        @given(case=cases, is_there=st.booleans())
        def each(case: schemathesis.Case, is_there: bool) -> None:
            nonlocal num_requests
            num_requests += 1
            if "id" in (case.path_parameters or {}) and is_there:
                case.path_parameters["id"] = "job"
            response = case.call(headers=headers)
            assert response.status_code < 500
            assert CANARY not in response.text
            assert TOKEN not in response.text
            case.validate_response(response, checks=checks)

        each()
    assert num_requests > 50 * len(OPERATIONS)
