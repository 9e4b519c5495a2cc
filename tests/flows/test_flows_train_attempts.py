"""A run belongs to its newest attempt, may be stopped from a thread, and saves by the clock without other bytes."""

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from train_task import adapter_sha256, only_run, tree, write_task
from tunelab.adapters.layer_adapter import LayerAdapter
from tunelab.cli.main import run as tunelab
from tunelab.errors import TRY_AGAIN, DataError
from tunelab.events import AnyEvent, CheckpointSaved, Listener, Notice, StepDone, read_events
from tunelab.flows.train import Trained, train
from tunelab.flows.training.signals import Stopping
from tunelab.recipes import resolve_recipe
from tunelab.training.save_clock import SaveClock
from tunelab.training.world import World
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


def replaced_at(check: int, run: Run, patch: pytest.MonkeyPatch) -> dict[str, tuple[bytes, int]]:
    """Let another attempt begin right before a check, as on a machine that no lock reaches; return the folder then."""
    checked, number, seen = Attempt.refuse_if_replaced, itertools.count(1), {}

    def refuse(attempt: Attempt, file: Path) -> None:
        if next(number) == check:
            begin_attempt(file)
            seen.update(settled(run))
        checked(attempt, file)

    patch.setattr(Attempt, "refuse_if_replaced", refuse)
    return seen


def settled(run: Run) -> dict[str, tuple[bytes, int]]:
    """Return the files of a run without what is still written aside."""
    return {name: found for name, found in tree(run.path).items() if found[1] and ".tmp" not in name}


@pytest.fixture(scope="module")
def num_checks(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> int:
    """How often an undisturbed run looks whether it was replaced."""
    folder, number, checked = tmp_path_factory.mktemp("checks"), itertools.count(), Attempt.refuse_if_replaced
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attempt, "refuse_if_replaced", lambda *given: (next(number), checked(*given)))
        trained(folder, tiny_model)
    return next(number)


@pytest.mark.parametrize("share", [0, 0.5, 0.97, 1])  # before it began, at a step, while its adapter is put in place
def test_an_attempt_that_was_replaced_writes_nothing_more_and_ends_with_75(
    share: float, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, straight: str, num_checks: int
) -> None:
    run = Run(path=tmp_path / "runs" / "one")
    assert num_checks > 30
    with monkeypatch.context() as patch:
        seen = replaced_at(max(1, round(share * num_checks)), run, patch)
        with pytest.raises(ReplacedError, match="taken over by attempt 2 on") as caught:
            trained(tmp_path, tiny_model)
    assert caught.value.exit_code == TRY_AGAIN
    assert "recipe.yaml" in seen
    assert settled(run) == seen
    assert not run.is_finished
    assert trained(tmp_path, tiny_model).step == 12  # the other attempt, or the next one
    assert adapter_sha256(run) == straight


def test_an_adapter_that_was_written_meanwhile_is_not_put_in_place(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, save = Run(path=tmp_path / "runs" / "one"), LayerAdapter.save

    def saved_late(adapter: LayerAdapter, folder: Path) -> None:
        save(adapter, folder)
        begin_attempt(run.path / "attempt.json")

    monkeypatch.setattr(LayerAdapter, "save", saved_late)
    with pytest.raises(ReplacedError):
        trained(tmp_path, tiny_model)
    assert not run.adapter.exists()


def test_a_run_that_another_attempt_has_begun_is_not_taken_back_by_one_that_could_not_begin(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(path=tmp_path / "runs" / "one")

    def refused(*_: object, **__: object) -> None:
        begin_attempt(run.path / "attempt.json")
        raise DataError("a bad row")

    monkeypatch.setattr("tunelab.flows.train.gather", refused)
    with pytest.raises(ReplacedError) as caught:
        trained(tmp_path, tiny_model)
    assert isinstance(caught.value.__context__, DataError)
    assert run.exists
    assert (run.path / "attempt.json").is_file()
    monkeypatch.setattr("tunelab.workspace.run.begin_attempt", refused)
    with pytest.raises(DataError):
        trained(tmp_path, tiny_model)
    assert run.exists


class Second(World):
    """The second of two processes, which is told what the first one saw."""

    rank, size = 1, 2

    def __init__(self, path: Path, *, sees_end: bool) -> None:
        self.path, self.sees_end = path, sees_end

    def tell(self, text: str) -> str:
        return str(self.path)

    def gather(self, *values: float) -> list[tuple[float, ...]]:
        return [(float(self.sees_end),), values]


def test_whether_a_run_is_finished_is_what_the_first_process_sees(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TrainedHereError(Exception):
        pass

    def trains(*_: object) -> None:
        raise TrainedHereError

    run = trained(tmp_path, tiny_model).run
    monkeypatch.setattr("tunelab.flows.train._train_in", trains)
    with pytest.raises(TrainedHereError):
        trained(tmp_path, tiny_model, world=Second(run.path, sees_end=False))
    run.manifest_file.unlink()  # not there yet, on this one's disk
    assert trained(tmp_path, tiny_model, world=Second(run.path, sees_end=True)).was_finished
    monkeypatch.chdir(tmp_path)
    for sees_end in (True, False):
        second = Second(run.path, sees_end=sees_end)
        monkeypatch.setattr("tunelab.cli.train.join_world", lambda second=second: nullcontext(second))
        if sees_end:
            assert tunelab(["train", "task.yaml", "--run", "one"]) == 0
        else:
            with pytest.raises(TrainedHereError):
                tunelab(["train", "task.yaml", "--run", "one"])


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
