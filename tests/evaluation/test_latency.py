"""Times of answers."""

import json

from tunelab.cli.main import run as tunelab
from tunelab.evaluation.gates.config import GateConfig
from tunelab.flows.compare import compare_run, read_report
from tunelab.flows.gate import judge_run
from tunelab.workspace import Workspace


def test_both_models_are_timed_one_request_at_a_time_and_several(make_run, tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text("num_rows: 4\nmax_new_tokens: 3\nlatency: {requests: 80, concurrency: [1, 4]}\n")
    run = make_run()
    report = compare_run(run, suite=str(suite)).report
    for side in ("before", "after"):
        alone, together = report.latency[side]
        assert (alone.concurrency, alone.num_requests, together.concurrency, together.num_requests) == (1, 80, 4, 80)
        for figures in (alone, together):
            assert 0 < figures.request_ms["p50"] <= figures.request_ms["p95"]
            interval = figures.intervals_ms["p95"]
            assert interval.low <= figures.request_ms["p95"] <= interval.high
            assert figures.request_ms["p99"] is None  # needs more requests
            assert figures.tokens_per_s > 0
        assert 0 < alone.first_token_ms["p50"] <= alone.request_ms["p50"]
    assert read_report(run) == report
    gates = [GateConfig(figure="latency_p95_ms", max=60_000), GateConfig(figure="latency_p99_ms", max=60_000)]
    passed, unknown = judge_run(run, gates, Workspace(path=tmp_path))
    assert passed.outcome == "passes"
    assert (unknown.outcome, unknown.reason) == ("not decided", "too few requests for a p99")


def test_what_is_measured_of_a_run_can_be_named(make_run, monkeypatch, tmp_path, capsys):
    run = make_run()
    monkeypatch.chdir(tmp_path)
    assert tunelab(["evaluate", str(run.path), "--tasks", "loss", "--against", "base"]) == 0
    printed = capsys.readouterr().out
    assert "Loss" in printed
    assert "Exact match" not in printed
    assert tunelab(["evaluate", str(run.path), "--tasks", "loss,speed"]) == 2
    assert 'nothing to measure is called "speed"' in capsys.readouterr().err
    assert tunelab(["evaluate", str(run.path), "--dry-run", "--rows", "5"]) == 0
    printed = capsys.readouterr().out
    assert "if one row in five changes" in printed
    assert "Asks for 5 answers of 1 model: " in printed


def test_two_evaluations_are_compared_without_a_model(make_run, monkeypatch, tmp_path, capsys):
    run = make_run()
    monkeypatch.chdir(tmp_path)
    assert tunelab(["evaluate", str(run.path), "--against", "base"]) == 0
    base = json.loads(next((tmp_path / "evaluations").glob("*/*/evaluation.json")).read_text())["model"]["base_model"]
    capsys.readouterr()
    with monkeypatch.context() as context:
        context.setattr("tunelab.flows.subject.load_model", lambda *_, **__: 1 / 0)
        page = tmp_path / "page.html"
        words = ["compare", f"base:{base}", run.id, "--json", "--html", str(page)]
        assert tunelab(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["after"]["name"] == run.id
    assert page.read_text().startswith("<!doctype html>")
    assert tunelab(["compare", "base:other", run.id]) == 2
    assert "base:other was not evaluated yet" in capsys.readouterr().err
