"""A run is the same run whatever its listeners do."""

import threading
import time
from pathlib import Path

import msgspec
import pytest

from train_task import adapter_sha256, write_task
from tunelab.events import AnyEvent, Listener, Notice, StepDone, read_events
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Run, Workspace

TIMES = ("time", "duration_s")


def run_of(folder: Path, base: Path, *listeners: Listener) -> Run:
    file = write_task(folder, base)
    return train(resolve_recipe(file, environment={}), Workspace(path=folder), listeners=listeners).run


def facts(run: Run) -> list[dict[str, object]]:
    """What happened in a run, without times, names and what is said of listeners."""
    told = [event for event in read_events(run.events_file) if getattr(event, "code", "") != "run_folder"]
    events = [event for event in told if not getattr(event, "code", "").startswith("listener_")]
    return [
        {name: value for name, value in msgspec.to_builtins(event).items() if name not in (*TIMES, "run_id")}
        for event in events
    ]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Run:
    return run_of(tmp_path_factory.mktemp("straight"), tiny_model)


@pytest.mark.parametrize("kind", ["raises", "hangs", "is slow"])
def test_training_ends_with_the_same_bytes_and_all_its_events_whatever_a_listener_does(
    tmp_path: Path, tiny_model: Path, straight: Run, kind: str
) -> None:
    forever = threading.Event()
    heard: list[AnyEvent] = []

    def listener(event: AnyEvent) -> None:
        if kind == "raises":
            raise RuntimeError("no tracker there")
        if kind == "hangs":
            forever.wait()
        time.sleep(0.02)

    began = time.monotonic()
    run = run_of(tmp_path, tiny_model, listener, heard.append)
    forever.set()
    assert time.monotonic() - began < 60
    assert adapter_sha256(run) == adapter_sha256(straight)
    assert facts(run) == facts(straight)
    assert run.is_finished
    assert [event.step for event in heard if isinstance(event, StepDone)] == list(range(1, 13))
    codes = [event.code for event in read_events(run.events_file) if isinstance(event, Notice)]
    expected = {"raises": ["listener_failed", "listener_missed"], "hangs": ["listener_missed"], "is slow": []}
    assert [code for code in codes if code.startswith("listener_")] == expected[kind]
