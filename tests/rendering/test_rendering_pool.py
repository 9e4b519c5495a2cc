"""What other processes render beside this one is what it would render alone, whatever becomes of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from small_models import CHATML, assistant, conversation, renderer_of, user

from tunelab.conversations.conversation import Conversation, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.bulk import pool, render_all
from tunelab.rendering.bulk.pool import Beside
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.renderer import Renderer

REFUSES = "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('never!') }}{% endif %}{% endfor %}"
NUM_ROWS = 40
DIES = "import sys; sys.stdin.buffer.read(9)"
STARTED = pool._started


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
        self.seen: list[Beside] = []
        self.num_taken = 0
        patch.setattr(render_all, "_TOGETHER", 2)
        patch.setattr(pool, "_num_worthwhile", lambda groups: num_helpers)
        patch.setattr(render_all, "restored", self._counted(render_all.restored))
        start = Beside.start

        def starting(it: Beside, number: int) -> None:
            self.seen.append(it)
            start(it, number)

        patch.setattr(Beside, "start", starting)

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.num_taken += 1
            return real(*args, **kwargs)

        return counted

    def wait(self, done: int) -> None:
        """Let the helpers go on until none of them has anything left."""
        for thread in self.seen[0]._threads:
            thread.join(timeout=60)


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
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    monkeypatch.setattr(pool, "_started", lambda: subprocess.Popen([sys.executable, "-c", DIES], **pipes))
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert not watched.num_taken


def test_a_process_that_is_killed_at_work_leaves_its_work_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(tmp_path)
    alone = told(rows(), renderer)
    watched = Watched(monkeypatch, 1)
    real = pool.send

    def send(stream: Any, content: bytes) -> None:
        if watched.seen[0].num_ready == 3:
            watched.seen[0]._processes[0].kill()
        real(stream, content)

    monkeypatch.setattr(pool, "send", send)
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert watched.num_taken == 3


def test_a_process_that_reads_other_files_renders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    alone = told(rows(), renderer)
    (tmp_path / "chat_template.jinja").write_text("other" + CHATML)
    watched = Watched(monkeypatch, 1)
    assert told(rows(), renderer, on_done=watched.wait) == alone
    assert not watched.num_taken


def test_what_bytes_do_not_carry_is_rendered_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% for m in messages %}{{ m.tool_calls }}{% endfor %}" + CHATML
    renderer = renderer_of(tmp_path, template=template)
    call = ToolCall(name="f", arguments={"day": date(2026, 1, 1), "pair": (1, 2)})
    items = [conversation(user("a"), assistant("", call), line=line) for line in range(4)]
    items += [conversation(user("a"), assistant("b"), session_id="\ud800")] * 2
    alone = told(items, renderer)
    watched = Watched(monkeypatch, 1)
    assert told(items, renderer, on_done=watched.wait) == alone
    assert not watched.num_taken


def test_a_row_that_is_refused_elsewhere_is_refused_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(tmp_path)
    watched = Watched(monkeypatch, 1)
    with pytest.raises(DataError, match=r"at most 60") as error:
        told(rows()[::-1], renderer, on_too_long="refuse", on_done=watched.wait)
    assert error.value.where == "train.jsonl:38"
    assert all(process.poll() is not None for process in watched.seen[0]._processes)


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    watched = Watched(monkeypatch, 2)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told(rows(), renderer, on_done=interrupt)
    assert len(watched.seen[0]._processes) == 2
    assert all(process.poll() is not None for process in watched.seen[0]._processes)


def test_a_process_whose_starter_is_gone_ends() -> None:
    process = STARTED()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    assert process.wait(timeout=60) != 0  # it had not even a task


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
