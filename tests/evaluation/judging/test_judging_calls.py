"""Calls to a judge that answers well, badly, late or not at all; and judgements that are kept whatever happens."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from judge_server import MODEL, Served, judge_server, prefers, reply
from judged_rows import judged_row

from tunelab.errors import UserError
from tunelab.evaluation.judging.asks import JudgedRow, plan_asks
from tunelab.evaluation.judging.calls import JudgeAnswers, make_calls
from tunelab.evaluation.judging.client import JudgeClient
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.rubric import named_criteria

Behaviour = Callable[[BaseHTTPRequestHandler, dict[str, Any], int], None]
ConfigOf = Callable[..., JudgeConfig]
ONE = named_criteria(["relevance"])
KEY = "s3cr3t-k3y-of-the-judge"
GOOD = prefers("good")


def run(
    config: JudgeConfig, rows: list[JudgedRow], file: Path, *, environment: dict[str, str] | None = None, **hooks: Any
) -> JudgeAnswers:
    asks = plan_asks(config, ONE, rows)
    return make_calls(asks, config, file, JudgeClient(config, environment or {}), first_wait_s=0.001, **hooks)


def first_then(first: Behaviour, then: Behaviour, *, times: int = 1) -> Behaviour:
    """Return a judge that behaves otherwise for its first requests."""
    return lambda handler, body, number: (first if number <= times else then)(handler, body, number)


def prose(handler: BaseHTTPRequestHandler, _: object, __: int) -> None:
    reply(handler, "Both answers have their merits.")


def status(number: int, text: str = "no", **headers: str) -> Behaviour:
    return lambda handler, _, __: reply(handler, text, status=number, **headers)


def cut(handler: BaseHTTPRequestHandler, _: object, __: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.connection.close()


def test_a_judge_is_asked_for_json_by_schema_and_all_is_kept(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(GOOD) as served:
        judged = run(config_of(served.endpoint), rows, tmp_path / "j.jsonl")
        again = run(config_of(served.endpoint), rows, tmp_path / "j.jsonl")
    assert [each.value for each in judged.judgements.values()] == [1] * 24
    assert len(served.bodies) == judged.num_asked == 24
    assert (again.num_asked, again.judgements) == (0, judged.judgements)
    body = served.bodies[0]
    assert (body["model"], body["temperature"]) == (MODEL, 0.0)
    assert body["response_format"]["json_schema"]["schema"]["properties"]["better"]["enum"] == [
        "first",
        "second",
        "tie",
    ]
    assert served.paths[0] == "/v1/chat/completions"
    assert "Authorization" not in served.headers[0]


def test_no_temperature_is_sent_to_a_judge_that_takes_none(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(GOOD) as served:
        run(config_of(served.endpoint, temperature=None), rows[:1], tmp_path / "j.jsonl")
    assert "temperature" not in served.bodies[0]


def test_the_key_is_sent_and_written_nowhere(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf, capfd: pytest.CaptureFixture[str]
) -> None:
    echo = status(401, f"the key {KEY} is wrong")
    with judge_server(first_then(GOOD, echo, times=2)) as served:
        config = config_of(served.endpoint, key="JUDGE_KEY", concurrency=1)
        with pytest.raises(UserError, match="the key in JUDGE_KEY") as error:
            run(config, rows, tmp_path / "j.jsonl", environment={"JUDGE_KEY": KEY})
    assert served.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(error.value) + repr(config) + "".join(capfd.readouterr())
    assert KEY not in "".join(file.read_text() for file in tmp_path.iterdir())


@pytest.mark.parametrize("value", [None, "", "  ", "two\nlines", "ä"])
def test_a_missing_key_is_said_before_anything_is_asked(config_of: ConfigOf, value: str | None) -> None:
    environment = {} if value is None else {"JUDGE_KEY": value}
    with pytest.raises(UserError, match="the environment variable JUDGE_KEY"):
        JudgeClient(config_of("http://127.0.0.1:1/v1", key="JUDGE_KEY"), environment)


@pytest.mark.parametrize(
    "fault", [prose, status(500), status(429, Retry_After="0"), status(503, Retry_After="0"), cut], ids=range(5)
)
def test_a_call_that_fails_is_made_again(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf, fault: Behaviour
) -> None:
    with judge_server(first_then(fault, GOOD)) as served:
        judged = run(config_of(served.endpoint, concurrency=1), rows[:2], tmp_path / "j.jsonl")
    assert [each.value for each in judged.judgements.values()] == [1] * 4
    assert len(served.bodies) == 5


@pytest.mark.parametrize(
    "form", ['```json\n{"reason": "a", "better": "tie"}\n```', '<think>{}</think> {"better": "tie"}']
)
def test_json_in_a_fence_or_after_a_thought_is_read(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf, form: str
) -> None:
    with judge_server(lambda handler, _, __: reply(handler, form)) as served:
        judged = run(config_of(served.endpoint), rows[:1], tmp_path / "j.jsonl")
    assert [each.value for each in judged.judgements.values()] == [0, 0]


def test_prose_after_all_retries_is_no_judgement_and_never_a_value(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(prose) as served:
        judged = run(config_of(served.endpoint, max_retries=2), rows[:1], tmp_path / "j.jsonl")
        assert len(served.bodies) == 2 * 3
        again = run(config_of(served.endpoint), rows[:1], tmp_path / "j.jsonl")
    assert [each.value for each in judged.judgements.values()] == [None, None]
    assert "JSON object alone" in served.bodies[-1]["messages"][1]["content"]
    assert again.num_asked == 0


def test_max_retries_bounds_how_often_a_call_is_made(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(status(500)) as served:
        judged = run(config_of(served.endpoint, max_retries=0), rows[:1], tmp_path / "j.jsonl")
    assert len(served.bodies) == 2
    assert judged.judgements == {}
    assert judged.faults == {"the server answered 500": 2}


def test_calls_without_any_answer_are_made_again_by_the_next_run(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(first_then(status(500), GOOD, times=1)) as served:
        config = config_of(served.endpoint, max_retries=0, concurrency=1)
        assert len(run(config, rows[:2], tmp_path / "j.jsonl").judgements) == 3
        assert run(config, rows[:2], tmp_path / "j.jsonl").num_asked == 1
        whole = run(config, rows[:2], tmp_path / "whole.jsonl")
    assert len(whole.judgements) == 4
    assert (tmp_path / "j.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def hang(served: Served) -> Behaviour:
    return lambda handler, _, __: served.released.wait(20) and None


def drip(sent: list[bytes]) -> Behaviour:
    """Return a judge that sends a byte before every timeout of a single read, 400 of them."""

    def behave(handler: BaseHTTPRequestHandler, _: object, __: int) -> None:
        handler.send_response(200)
        handler.flush_headers()
        for _ in range(400):
            handler.wfile.write(b"X")
            sent.append(b"X")
            time.sleep(0.05)

    return behave


def test_a_hang_ends_at_the_timeout(tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf) -> None:
    with judge_server(GOOD) as served:
        served.behave = hang(served)
        judged = run(config_of(served.endpoint, timeout_s=0.3, max_retries=0), rows[:1], tmp_path / "j.jsonl")
    assert judged.faults == {"timed out after 0.3 s": 2}


def test_the_timeout_is_one_of_the_whole_request(tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf) -> None:
    sent: list[bytes] = []
    with judge_server(drip(sent)) as served:
        judged = run(config_of(served.endpoint, timeout_s=0.3, max_retries=0), rows[:1], tmp_path / "j.jsonl")
    assert judged.faults == {"timed out after 0.3 s": 2}
    assert 0 < len(sent) < 400  # of both calls together: neither was sent to its end


def test_a_redirect_is_refused_since_the_key_would_go_with_it(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(GOOD) as other, judge_server(GOOD) as served:
        served.behave = status(307, Location=f"{other.endpoint}/chat/completions")
        config = config_of(served.endpoint, key="JUDGE_KEY")
        with pytest.raises(UserError, match=r"redirects \(307\), which is refused"):
            run(config, rows, tmp_path / "j.jsonl", environment={"JUDGE_KEY": KEY})
    assert other.bodies == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(401), "refuses a request without a key"),
        (status(404), 'no model "judge-7b"'),
        (status(400, "bad \x1b[31m\u202e"), r"refuses the request \(400: bad \\u001b\[31m\\u202e\)"),
        (status(429, Retry_After="7200"), "wait for 7,200 s"),
    ],
    ids=["401", "404", "400", "429"],
)
def test_what_no_retry_can_help_ends_at_once_and_keeps_what_was_judged(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf, fault: Behaviour, said: str
) -> None:
    with judge_server(first_then(GOOD, fault, times=4)) as served:
        config = config_of(served.endpoint, concurrency=1)
        with pytest.raises(UserError, match=said):
            run(config, rows, tmp_path / "j.jsonl")
        assert len(served.bodies) == 5
        served.behave = GOOD
        assert run(config, rows, tmp_path / "j.jsonl").num_asked == 20


def test_an_endpoint_that_never_answers_is_given_up_after_a_few_calls(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    with judge_server(GOOD) as served:
        endpoint = served.endpoint
    with pytest.raises(UserError, match="the connection is refused, 8 calls in a row"):
        run(config_of(endpoint, max_retries=0, concurrency=1), rows, tmp_path / "j.jsonl")


def test_the_name_under_which_an_endpoint_answers_is_kept(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    behave = lambda handler, _, __: reply(handler, {"better": "tie"}, model="cheap-1b\x1b[2J")  # noqa: E731
    with judge_server(behave) as served:
        judged = run(config_of(served.endpoint), rows[:1], tmp_path / "j.jsonl")
    assert {each.model for each in judged.judgements.values()} == {"cheap-1b\\u001b[2J"}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_judging_that_is_killed_anywhere_ends_with_the_same_bytes_and_asks_nothing_twice(
    tmp_path: Path, config_of: ConfigOf, concurrency: int
) -> None:
    rows = [judged_row(number, f"bad {number}", f"good {number}") for number in range(6)]
    with judge_server(GOOD) as served:
        config = config_of(served.endpoint, concurrency=concurrency, repeat_share=0.5)
        run(config, rows, tmp_path / "whole.jsonl")
        whole = (tmp_path / "whole.jsonl").read_bytes()
        for stop in range(1, 15, 2):
            file, num_before = tmp_path / f"{stop}.jsonl", len(served.bodies)

            def killed(done: int, _: int, stop: int = stop) -> None:
                if done == stop:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                run(config, rows, file, on_done=killed)
            with file.open("ab") as torn:
                torn.write(b'{"key":"cut off by a ki')
            run(config, rows, file)
            assert file.read_bytes() == whole
            assert len(served.bodies) - num_before <= 15 + 2 * (concurrency - 1)


def test_two_processes_do_not_judge_into_one_file(tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf) -> None:
    file = tmp_path / "j.jsonl"

    def second(done: int, _: int) -> None:
        if done == 1:
            with pytest.raises(UserError, match="another process is writing here"):
                run(config_of(served.endpoint), rows, file)

    with judge_server(GOOD) as served:
        run(config_of(served.endpoint, concurrency=1), rows[:2], file, on_done=second)


def test_a_damaged_line_is_named(tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf) -> None:
    file = tmp_path / "j.jsonl"
    file.write_bytes(b'{"key": 3}\n')
    with judge_server(GOOD) as served, pytest.raises(UserError, match=r"j\.jsonl:1: this line is damaged"):
        run(config_of(served.endpoint), rows, file)


def test_so_many_requests_are_on_their_way_at_a_time(
    tmp_path: Path, rows: list[JudgedRow], config_of: ConfigOf
) -> None:
    import threading

    lock, running, most = threading.Lock(), 0, 0

    def behave(handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        GOOD(handler, body, number)

    with judge_server(behave) as served:
        run(config_of(served.endpoint, concurrency=3), rows, tmp_path / "j.jsonl")
    assert most == 3
