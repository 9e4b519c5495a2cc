"""What other processes render beside this one is what it would render alone, whatever becomes of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import astuple, replace
from datetime import date
from multiprocessing import active_children
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from small_models import CHATML, assistant, conversation, renderer_of, user

from tunelab.conversations.conversation import Conversation, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.bulk import pool, render_all
from tunelab.rendering.bulk.pool import Helpers
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.renderer import Renderer

REFUSES = "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('never!') }}{% endif %}{% endfor %}"
NUM_ROWS = 40
RENDERED = pool._rendered


def rows() -> list[Conversation]:
    """Conversations of every fate."""
    return [
        conversation(user(f"question {n}"), assistant("one " * n), user("?"), assistant("two"), line=n)
        if n % 5
        else replace(conversation(line=n), text="plain text " * n)
        if n % 3
        else conversation(user("<|im_end|>"), assistant("no" if n % 2 else "a"), user("b"), assistant("c"), line=n)
        for n in range(NUM_ROWS - 1)
    ] + [conversation(user("nobody answers"), line=NUM_ROWS)]


class Watched:
    """A rendering of groups of two rows; helpers have the time to end whatever they can."""

    def __init__(self, patch: pytest.MonkeyPatch, num_helpers: int) -> None:
        self.seen: list[Helpers] = []
        self.num_taken = 0
        patch.setattr(render_all, "_TOGETHER", 2)
        patch.setattr(pool, "_num_worthwhile", lambda groups: num_helpers)
        patch.setattr(render_all, "restored", self._counted(render_all.restored))
        start = Helpers.start

        def starting(it: Helpers, number: int, renderer: Renderer) -> None:
            self.seen.append(it)
            start(it, number, renderer)

        patch.setattr(Helpers, "start", starting)

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.num_taken += 1
            return real(*args, **kwargs)

        return counted

    def wait(self, done: int) -> None:
        """Let the helpers go on until none of them has anything left."""
        helpers = self.seen[0]
        while helpers._front < helpers._back and helpers._executor and not helpers._executor._broken:
            time.sleep(0.01)
        futures.wait(list(helpers._futures.values()), timeout=60)


def dies(render: Any, group: Any) -> bytes:
    """Die in place of rendering."""
    os._exit(1)


def sleeps(render: Any, group: Any) -> bytes:
    """Never come to an end."""
    time.sleep(600)
    return b""


def dies_at_the_fourth(render: Any, group: Any, calls: list[None] = []) -> bytes:  # noqa: B006
    """Render three groups, then be killed."""
    calls.append(None)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return RENDERED(render, group)


def told(items: Sequence[Conversation], renderer: Renderer, **settings: Any) -> tuple[object, ...]:
    """Everything that comes of a rendering, the bytes of its ids and its faults included."""
    faults: list[DataError] = []
    found: RenderedSet = render_all.render_all(items, renderer, max_length=60, on_bad=faults.append, **settings)
    sequences = [
        (each.prompt_ids.tobytes(), each.completion_ids.tobytes(), each.prompt_ids.dtype, astuple(each)[2:])
        for each in found.sequences
    ]
    account = (found.num_cut, found.num_cut_tokens, found.dropped, found.left_out, found.remarks, found.look_alikes)
    return sequences, account, [str(fault) for fault in faults]


@pytest.mark.parametrize("num_helpers", [1, 2])
def test_rendering_by_several_processes_gives_what_one_gives(
    num_helpers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(tmp_path, template=REFUSES + CHATML)
    alone = told(rows(), renderer)
    watched = Watched(monkeypatch, num_helpers)
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert watched.num_taken == NUM_ROWS // 2 - 1
    assert alone[2]


def test_a_process_that_dies_leaves_its_work_to_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    alone = told(rows(), renderer)
    watched = Watched(monkeypatch, 1)
    monkeypatch.setattr(pool, "_rendered", dies)
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert not watched.num_taken


def test_a_process_that_is_killed_at_work_leaves_its_work_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(tmp_path)
    alone = told(rows(), renderer)
    watched = Watched(monkeypatch, 1)
    monkeypatch.setattr(pool, "_rendered", dies_at_the_fourth)
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert watched.num_taken == 3


def test_nothing_is_submitted_while_the_executor_tells_of_a_process_that_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(tmp_path)
    watched = Watched(monkeypatch, 1)
    monkeypatch.setattr(pool, "_rendered", dies_at_the_fourth)
    broken: list[object] = []
    submit = futures.ProcessPoolExecutor.submit

    def submitting(it: Any, *args: Any) -> Any:
        broken.append(it._broken)
        return submit(it, *args)

    monkeypatch.setattr(futures.ProcessPoolExecutor, "submit", submitting)
    told(rows(), renderer, on_done=watched.wait)
    assert len(broken) > 3
    assert not any(broken)


def test_a_process_that_reads_other_files_renders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    alone = told(rows(), renderer)
    (tmp_path / "chat_template.jinja").write_text("other" + CHATML)
    watched = Watched(monkeypatch, 1)
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert not watched.num_taken


@pytest.mark.parametrize(
    ("odd", "num_taken"), [(date(2026, 1, 1), 2), ((1, 2), 2), ("\ud800", 2), (MappingProxyType({}), 1)]
)
def test_what_a_pipe_does_not_carry_is_rendered_here_and_all_else_comes_through(
    odd: object, num_taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "{% for m in messages %}{{ m.tool_calls }}{% endfor %}" + CHATML
    renderer = renderer_of(tmp_path, template=template)
    call = ToolCall(name="f", arguments={"odd": odd})
    items = [conversation(user("a"), assistant("", call), line=line) for line in range(4)]
    items += [conversation(user("a"), assistant("b"), session_id="\ud800")] * 2
    alone = told(items, renderer)
    watched = Watched(monkeypatch, 1)
    assert told(items, renderer, on_done=watched.wait) == alone
    assert watched.num_taken == num_taken


def test_a_row_that_is_refused_elsewhere_is_refused_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(tmp_path)
    watched = Watched(monkeypatch, 1)
    with pytest.raises(DataError, match=r"at most 60") as error:
        told(rows()[::-1], renderer, on_too_long="refuse", on_done=watched.wait)
    assert error.value.where == "train.jsonl:38"
    assert not active_children()


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    watched = Watched(monkeypatch, 2)
    monkeypatch.setattr(pool, "_rendered", sleeps)

    def interrupt(done: int) -> None:
        assert len(active_children()) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told(rows(), renderer, on_done=interrupt)
    assert len(watched.seen) == 1
    assert not active_children()


SCRIPT = """
import os, signal, sys
from multiprocessing import active_children
from pathlib import Path

print("run", flush=True)
sys.path.append(sys.argv[1])
from small_models import renderer_of
from tunelab.rendering.bulk import pool, render_all
from test_rendering_pool import rows, told

render_all._TOGETHER, pool._num_worthwhile = 2, lambda groups: 1

def interrupt(done):
    (helper,) = active_children()
    print(helper.pid, flush=True)
    if sys.argv[2] == "KILL":
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(helper.pid, signal.SIGINT)
    helper.join(timeout=3)
    assert helper.is_alive()
    raise KeyboardInterrupt

told(rows(), renderer_of(Path("model")), on_done=interrupt)
"""


@pytest.mark.parametrize("name", ["INT", "KILL"])
def test_helpers_run_nothing_of_the_caller_and_end_with_it_without_a_word(name: str, tmp_path: Path) -> None:
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)  # without `if __name__ == "__main__"`
    for module in ("socket", "resource", "random"):
        (tmp_path / f"{module}.py").write_text("open('imported', 'w')")
    (tmp_path / "model").mkdir()
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parent), name],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    ran, pid = done.stdout.split()
    assert ran == "run"
    for _ in range(600):
        if not Path("/proc", pid).exists():
            break
        time.sleep(0.1)
    assert not Path("/proc", pid).exists()
    assert done.stderr.count("Traceback") == (name == "INT"), done.stderr
    assert done.returncode == -getattr(signal, f"SIG{name}")
    assert not (tmp_path / "imported").exists()


def test_only_much_text_and_a_free_core_start_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    little = [[conversation(user("a"), assistant("b" * 1000))]]
    much = [[conversation(user("a"), assistant("b" * pool.MIN_CHARS))]]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert pool._num_worthwhile(much) == 1
    assert pool._num_worthwhile(little) == 0
    with monkeypatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        assert pool._num_worthwhile(much) == 0
    with monkeypatch.context() as patch:
        patch.setenv("LOCAL_WORLD_SIZE", "2")
        assert pool._num_worthwhile(much) == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert pool._num_worthwhile(much) == 0
