"""A run belongs to its newest attempt, may be stopped from a thread, and saves by the clock without other bytes."""

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest

from train_task import adapter_sha256, only_run, tree, write_task
from tunelab.errors import TRY_AGAIN
from tunelab.events import AnyEvent, CheckpointSaved, Listener, Notice, StepDone, read_events
from tunelab.flows.train import Trained, train
from tunelab.flows.training.signals import Stopping
from tunelab.recipes import resolve_recipe
from tunelab.training.save_clock import SaveClock
from tunelab.workspace import Run, Workspace
from tunelab.workspace.attempt import Attempt, ReplacedError, begin_attempt


def trained(folder: Path, model: Path, *settings: str, **named: object) -> Trained:
    """Train the small task in `folder`, or go on with it, as the run `one`."""
    file = write_task(folder, model)
    resolved = resolve_recipe(file, overrides=settings, environment={})
    return train(resolved, Workspace(path=folder), run_id="one", **named)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> str:
    """Adapter of the undisturbed run."""
    folder = tmp_path_factory.mktemp("straight")
    trained(folder, tiny_model)
    return adapter_sha256(only_run(folder))


def at_step(number: int, act: Callable[[], None]) -> Listener:
    """Return a listener that acts once, at a step, before the next one can end."""

    def listener(event: AnyEvent) -> None:
        if isinstance(event, StepDone) and event.step == number:
            act()

    return listener


def test_a_run_says_which_attempt_it_belongs_to(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_JOB", "job-7")
    run = trained(tmp_path, tiny_model).run
    attempt = json.loads((run.path / "attempt.json").read_text())
    assert attempt.keys() == {"job", "attempt", "host", "boot_id", "nonce"}
    assert (attempt["job"], attempt["attempt"]) == ("job-7", 1)
    assert begin_attempt(run.path / "attempt.json").attempt == 2


@pytest.mark.parametrize("save", [1, 3, 7])  # before the first checkpoint, a later one, the manifest's
def test_an_attempt_that_was_replaced_writes_nothing_more_and_ends_with_75(
    save: int, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, straight: str
) -> None:
    run, asked, checked = Run(path=tmp_path / "runs" / "one"), 0, Attempt.refuse_if_replaced

    def replaced_at(attempt: Attempt, file: Path) -> None:
        nonlocal asked
        asked += 1
        if asked == save:
            begin_attempt(file)  # as another machine does, which this one's lock does not reach
        checked(attempt, file)

    with monkeypatch.context() as patch:
        patch.setattr(Attempt, "refuse_if_replaced", replaced_at)
        with pytest.raises(ReplacedError, match="taken over by attempt 2 on") as caught:
            trained(tmp_path, tiny_model)
    assert caught.value.exit_code == TRY_AGAIN
    assert not run.is_finished
    saved = sorted(path.name for path in run.checkpoints.iterdir()) if run.checkpoints.exists() else []
    assert saved == [f"step-{2 * number:08d}" for number in range(1, 7)][: save - 1][-2:]
    assert run.adapter.exists() is False
    assert trained(tmp_path, tiny_model).step == 12  # the other attempt, or the next one
    assert adapter_sha256(run) == straight


def test_a_run_that_another_process_finishes_just_now_is_left_as_it_is(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = Run.locked

    def locked_late(run: Run) -> AbstractContextManager[None]:
        monkeypatch.setattr(Run, "locked", locked)
        assert not trained(tmp_path, tiny_model).was_finished
        before.update(tree(run.path))
        return run.locked()

    before: dict[str, tuple[bytes, int]] = {}
    monkeypatch.setattr(Run, "locked", locked_late)
    late = trained(tmp_path, tiny_model)
    assert late.was_finished
    after = tree(late.run.path)
    assert [name for name in after if after[name] != before.get(name)] == [".lock"]


def test_a_run_in_a_thread_is_stopped_by_a_request_and_goes_on_to_the_same_bytes(
    tmp_path: Path, tiny_model: Path, straight: str
) -> None:
    stopping, ended = Stopping(), []

    def work() -> None:
        ended.append(trained(tmp_path, tiny_model, stopping=stopping, listeners=[at_step(3, stopping.request)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(120)
    (stopped,) = ended
    assert stopped.interrupted_by == "request"
    assert 3 <= stopped.step < 12
    assert trained(tmp_path, tiny_model).step == 12
    assert adapter_sha256(only_run(tmp_path)) == straight


def test_a_checkpoint_is_saved_by_the_clock_too_without_effect_on_bytes(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, straight: str
) -> None:
    now = iter(range(0, 100_000, 20))  # 20 s from one look at the clock to the next
    clock = SimpleNamespace(monotonic=lambda: float(next(now)))
    monkeypatch.setattr("tunelab.training.save_clock.time", clock)
    run = trained(tmp_path, tiny_model, "training.save_minutes=0.3").run
    steps = [event.step for event in read_events(run.events_file) if isinstance(event, CheckpointSaved)]
    assert steps == list(range(1, 13))  # save_steps alone saves every second one
    assert adapter_sha256(run) == straight


def test_a_long_step_is_said_once_with_what_a_stop_may_lose() -> None:
    said: list[Notice] = []
    clock, log = SaveClock(None), SimpleNamespace(emit=said.append)
    facts = dict.fromkeys(StepDone.__struct_fields__, 1)
    for seconds in (9.0, 34.0, 40.0):
        assert clock.is_due(StepDone(**facts | {"duration_s": seconds}), log) is False  # type: ignore[arg-type]
    assert [each.text for each in said] == [
        "a step takes 34 s: a signal waits for its end, a kill in it may lose as much"
    ]
