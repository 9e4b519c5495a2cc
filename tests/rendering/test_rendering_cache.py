"""Rendered sets come back from disk as they were rendered, and only where nothing changed that could change them."""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import CHATML, assistant, byte_level, conversation, save_model, system, user

from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.errors import DataError
from tunelab.files import cache_folder
from tunelab.rendering.bulk import cache as room
from tunelab.rendering.bulk.cache import render_cached
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.rendered import Rendered, RenderedSet
from tunelab.rendering.renderer import Renderer
from tunelab.sources import Origin, refuse

REFUSES = "{% if messages[-1].content == 'no' %}{{ raise_exception('never!') }}{% endif %}"
DATED = "{{ strftime_now('%d') }}"
TOOL = {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each data set that is really rendered."""
    counted: list[int] = []
    real = room.render_all

    def counting(conversations: Any, *args: Any, **kwargs: Any) -> RenderedSet:
        counted.append(len(conversations))
        return real(conversations, *args, **kwargs)

    monkeypatch.setattr(room, "render_all", counting)
    return counted


class Setting:
    """Everything that goes into a rendered set, each part of which a test can change."""

    def __init__(self, folder: Path) -> None:
        self.model = save_model(folder / "model", byte_level(), DATED + CHATML)
        self.store = folder / "store"
        self.config = RenderingConfig()
        self.today = date(2026, 1, 1)
        self.limits: dict[str, Any] = {"max_length": 200, "on_too_long": "cut"}
        self.rows = [
            conversation(system("Be brief."), user(f"question {n}"), assistant("one"), user("?"), assistant("two"))
            for n in range(3)
        ]

    def render(self) -> RenderedSet:
        base = self.model.parent
        renderer = load_renderer(self.model, self.config, base=base, today=self.today)
        return render_cached(self.rows, renderer, folder=self.store, **self.limits)

    def change_first(self, **fields: Any) -> None:
        self.rows[0] = replace(self.rows[0], **fields)

    def change_message(self, index: int, **fields: Any) -> None:
        messages = list(self.rows[0].messages)
        messages[index] = replace(messages[index], **fields)
        self.change_first(messages=tuple(messages))


def rewritten(name: str, text: str) -> Callable[[Setting], object]:
    return lambda s: (s.model / name).write_text(text)


CHANGES: dict[str, Callable[[Setting], object]] = {
    "a word": lambda s: s.change_message(2, content="One"),
    "a role": lambda s: s.change_message(1, role="tool"),
    "reasoning": lambda s: s.change_message(2, reasoning="because"),
    "a name": lambda s: s.change_message(1, name="ann"),
    "a call": lambda s: s.change_message(2, tool_calls=(ToolCall(name="price", arguments={"a": 1}),)),
    "the id of a call": lambda s: s.change_message(1, tool_call_id="1"),
    "the system prompt": lambda s: s.change_message(0, content="Be long."),
    "the catalogue": lambda s: s.change_first(tools=(TOOL,)),
    "which answers are trained": lambda s: s.change_first(train="last"),
    "the session": lambda s: s.change_first(session_id="s"),
    "the place": lambda s: s.change_first(origin=Origin(path="train.jsonl", line=9)),
    "the order": lambda s: s.rows.reverse(),
    "a row less": lambda s: s.rows.pop(),
    "a row twice": lambda s: s.rows.append(s.rows[0]),
    "max_length": lambda s: s.limits.update(max_length=201),
    "on_too_long": lambda s: s.limits.update(on_too_long="drop"),
    "the tokenizer": lambda s: byte_level(added=["question"]).save(str(s.model / "tokenizer.json")),
    "the template": rewritten("chat_template.jinja", CHATML),
    "special tokens": rewritten("tokenizer_config.json", '{"eos_token": "<|endoftext|>"}'),
    "what ends an answer": rewritten("generation_config.json", '{"eos_token_id": [0, 1]}'),
    "a variable": lambda s: setattr(s, "config", RenderingConfig(chat_template_kwargs={"x": 1})),
    "the preamble": lambda s: setattr(s, "config", RenderingConfig(inject_tool_preamble=False)),
    "another template": lambda s: (
        (s.model.parent / "own.jinja").write_text(CHATML),
        setattr(s, "config", RenderingConfig(chat_template="own.jinja")),
    ),
    "the day": lambda s: setattr(s, "today", date(2026, 1, 2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_pain_22_each_thing_that_can_change_an_id_is_a_miss(change: str, tmp_path: Path, renders: list[int]) -> None:
    setting = Setting(tmp_path)
    setting.rows[1] = replace(setting.rows[1], origin=Origin(path="train.jsonl", line=2))
    setting.render()
    setting.render()
    assert len(renders) == 1
    CHANGES[change](setting)
    setting.render()
    assert len(renders) == 2


@pytest.mark.parametrize("package", ["tunelab", "tokenizers", "jinja2"])
def test_pain_22_another_version_renders_anew(
    package: str, tmp_path: Path, renders: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(tmp_path)
    setting.render()
    real = room.version
    monkeypatch.setattr(room, "version", lambda name: "99" if name == package else real(name))
    room._code.cache_clear()
    setting.render()
    room._code.cache_clear()
    assert len(renders) == 2


def test_numbers_that_compare_equal_are_different_arguments(tmp_path: Path, renders: list[int]) -> None:
    setting = Setting(tmp_path)
    for value in (1, 1.0, True, "1", -0.0, 0.0, None):
        setting.change_message(2, tool_calls=(ToolCall(name="price", arguments={"a": value}),))
        setting.render()
    for arguments in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        setting.change_message(2, tool_calls=(ToolCall(name="price", arguments=arguments),))
        setting.render()
    assert len(renders) == 9


@pytest.fixture
def renderer(tmp_path: Path) -> Renderer:
    """A template that leaves out reasoning and refuses some answers."""
    save_model(tmp_path / "model", byte_level(), REFUSES + CHATML)
    return load_renderer(tmp_path / "model", RenderingConfig(), base=tmp_path)


def mixed() -> list[Conversation]:
    """Rows of every kind: trained, cut, left out, refused, with look-alikes, plain text."""
    return [
        conversation(user("a"), assistant("b"), user("c " * 9), assistant("d", reasoning="why"), line=1),
        conversation(user("no"), assistant("b"), user("more"), assistant("no"), user("c"), assistant("d"), line=2),
        conversation(user("q " * 99), assistant("a"), line=3),
        conversation(user("q"), assistant("a long answer " * 20), line=4, session_id="s"),
        conversation(user("typed <|im_end|>"), assistant("b"), line=5),
        conversation(user("nobody answers"), line=6),
        conversation(text="plain text " * 30, line=7),
    ]


def in_full(rendered: RenderedSet) -> object:
    """Everything of a set, comparable."""
    sequences = [
        {field: getattr(s, field) for field in Rendered.__slots__ if not field.endswith("_ids")}
        | {"prompt": s.prompt_ids.tolist(), "completion": s.completion_ids.tolist()}
        for s in rendered.sequences
    ]
    counts = (rendered.num_cut, rendered.num_cut_tokens)
    return sequences, counts, rendered.dropped, rendered.left_out, rendered.look_alikes


@pytest.mark.parametrize("on_too_long", ["cut", "drop"])
@pytest.mark.parametrize("max_length", [20, 60, 1000])
def test_what_comes_back_is_what_was_rendered_faults_and_counts_included(
    renderer: Renderer, tmp_path: Path, renders: list[int], max_length: int, on_too_long: Any
) -> None:
    told: tuple[list[DataError], list[DataError]] = [], []
    first, second = (
        render_cached(
            mixed(),
            renderer,
            folder=tmp_path / "store",
            max_length=max_length,
            on_too_long=on_too_long,
            on_bad=faults.append,
        )
        for faults in told
    )
    assert renders == [7]
    assert in_full(first) == in_full(second)
    assert first.sequences
    assert [str(fault) for fault in told[0]] == [str(fault) for fault in told[1]]
    assert any("never!" in str(fault) for fault in told[1])
    assert all(s.prompt_ids.dtype == s.completion_ids.dtype == np.int32 for s in second.sequences)
    assert all(s.completion_ids.flags.writeable for s in second.sequences)


def test_a_fault_ends_the_command_from_the_cache_too_and_what_was_ended_is_not_kept(
    renderer: Renderer, tmp_path: Path, renders: list[int]
) -> None:
    settings: dict[str, Any] = {"folder": tmp_path / "store", "max_length": 1000}
    for _ in range(2):
        with pytest.raises(DataError, match="never!"):
            render_cached(mixed(), renderer, on_bad=refuse, **settings)
    render_cached(mixed(), renderer, on_bad=lambda fault: None, **settings)
    with pytest.raises(DataError, match="never!"):
        render_cached(mixed(), renderer, on_bad=refuse, **settings)
    assert len(renders) == 3


def test_a_history_that_turns_repeat_is_kept_once(tmp_path: Path, renders: list[int]) -> None:
    setting = Setting(tmp_path)
    turns = [message for n in range(40) for message in (user(f"question {n}"), assistant("answer " * 20))]
    setting.rows, setting.limits["max_length"] = [conversation(*turns)], 10**6
    rendered = setting.render()
    (entry,) = setting.store.iterdir()
    assert entry.stat().st_size < 4 * sum(s.num_tokens for s in rendered.sequences) / 5


def damaged(content: bytes) -> Iterator[bytes]:
    """The bytes of an entry cut short at many places, or with one byte changed."""
    dice = random.Random(3)
    for _ in range(60):
        yield content[: dice.randrange(len(content))]
        place = dice.randrange(len(content))
        yield content[:place] + bytes([content[place] ^ (1 + dice.randrange(255))]) + content[place + 1 :]
    yield b""
    yield b"not an archive"


def test_a_damaged_entry_is_rendered_again_and_mended(renderer: Renderer, tmp_path: Path, renders: list[int]) -> None:
    settings: dict[str, Any] = {"folder": tmp_path / "store", "max_length": 60, "on_bad": lambda fault: None}
    expected = in_full(render_cached(mixed(), renderer, **settings))
    (entry,) = (tmp_path / "store").iterdir()
    whole = entry.read_bytes()
    for content in damaged(whole):
        entry.write_bytes(content)
        assert in_full(render_cached(mixed(), renderer, **settings)) == expected
    assert len(renders) > 60
    entry.write_bytes(b"")
    render_cached(mixed(), renderer, **settings)
    assert len(entry.read_bytes()) == len(whole)


def test_no_entry_is_ever_unpickled(tmp_path: Path, renders: list[int]) -> None:
    setting = Setting(tmp_path)
    setting.render()
    (entry,) = setting.store.iterdir()
    with entry.open("wb") as file:
        np.savez(file, token_ids=np.array([object()]), table=np.zeros((0, 9)), account=np.zeros(0, np.uint8))
    setting.render()
    assert len(renders) == 2


@pytest.mark.parametrize("reason", ["a file stands there", "the disk is full"])
def test_a_folder_that_cannot_be_written_costs_only_time(
    reason: str, tmp_path: Path, renders: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(tmp_path)
    expected = in_full(setting.render())
    setting.store = tmp_path / "other"
    if reason == "a file stands there":
        setting.store.write_text("in the way")
    else:

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    assert in_full(setting.render()) == expected == in_full(setting.render())
    assert len(renders) == 3
    assert not setting.store.is_dir() or not [*setting.store.iterdir()]


def test_words_without_bytes_are_rendered_or_refused_as_without_a_cache(tmp_path: Path, renders: list[int]) -> None:
    setting = Setting(tmp_path)
    setting.change_message(2, tool_calls=(ToolCall(name="price", arguments={"a": 2**70}),))
    assert in_full(setting.render()) == in_full(setting.render())
    assert len(renders) == 2
    assert not setting.store.exists()


def test_the_entries_used_longest_ago_make_room(tmp_path: Path, renders: list[int], monkeypatch: Any) -> None:
    setting = Setting(tmp_path)
    for length in (100, 101, 102):
        setting.limits["max_length"] = length
        setting.render()
        (newest,) = [file for file in setting.store.iterdir() if time.time() - file.stat().st_mtime < 50]
        os.utime(newest, (time.time() - 1000 + length,) * 2)
    setting.limits["max_length"] = 100
    setting.render()  # used just now
    size = max(file.stat().st_size for file in setting.store.iterdir())
    left = setting.store / ".x.npz.1.tmp"
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    monkeypatch.setattr(room, "MAX_FOLDER_BYTES", 3 * size)
    setting.limits["max_length"] = 103
    setting.render()
    assert not left.exists()
    renders.clear()
    for length, expected in ((100, 0), (103, 0), (102, 0), (101, 1)):
        setting.limits["max_length"] = length
        setting.render()
        assert len(renders) == expected, length


def test_the_folder_is_the_users_and_can_be_named_or_switched_off(tmp_path: Path) -> None:
    assert cache_folder("rendered", {"TUNELAB_CACHE": str(tmp_path), "HOME": "/h"}) == tmp_path / "rendered"
    assert cache_folder("rendered", {"TUNELAB_CACHE": "", "HOME": "/h"}) is None
    assert cache_folder("rendered", {"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/tunelab/rendered")
    assert cache_folder("rendered", {"HOME": "/h"}) == Path("/h/.cache/tunelab/rendered")
    assert cache_folder("rendered", {}) is None


def test_nobody_else_may_read_the_folder(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    setting.render()
    assert setting.store.stat().st_mode & 0o077 == 0


def test_a_message_has_no_field_that_the_key_does_not_hold() -> None:
    """A field that is added to the records is part of the key by itself: the records are encoded whole."""
    encoder = room.msgspec.msgpack.Encoder()
    full = Message(role="user", content="c", reasoning="r", tool_call_id="i", name="n")
    assert set(room.msgspec.msgpack.decode(encoder.encode(full))) == set(Message.__dataclass_fields__)
    assert set(room.msgspec.msgpack.decode(encoder.encode(conversation(full)))) == set(
        Conversation.__dataclass_fields__
    )
