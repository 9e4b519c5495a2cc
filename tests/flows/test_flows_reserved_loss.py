"""The loss on reserved rows is that of the rows that the run did not see, and of these alone."""

import json
import sys
from pathlib import Path

import pytest

from train_task import rows, write_lines, write_task
from tunelab.events import EvaluationDone, read_events
from tunelab.flows import reserved_loss
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Run, Workspace


def trained(folder: Path, *settings: str) -> Run:
    overrides = ["training.num_training_steps=2", "data.split_seed=1", *settings]
    resolved = resolve_recipe(folder / "task.yaml", overrides=overrides, environment={})
    return train(resolved, Workspace(path=folder)).run


def test_reserved_and_measured_rows_together_have_the_loss_of_all_held_out_rows(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tmp_path, tiny_model)
    write_lines(tmp_path / "test.jsonl", rows(12, start=100))
    run, whole = trained(tmp_path, "data.eval_reserved=0.5"), trained(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reserved_loss", str(tmp_path / "out.json"), str(run.path)])
    reserved_loss.main()
    groups = json.loads((tmp_path / "out.json").read_text())[run.id]
    assert len(groups) == 6
    measured, every = (
        [event for event in read_events(each.events_file) if isinstance(event, EvaluationDone)][-1]
        for each in (run, whole)
    )
    assert measured.eval_tokens + sum(tokens for _, tokens in groups.values()) == every.eval_tokens
    total = measured.eval_loss * measured.eval_tokens + sum(loss for loss, _ in groups.values())
    assert total == pytest.approx(every.eval_loss * every.eval_tokens, rel=1e-5)
