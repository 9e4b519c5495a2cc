"""A run's manifest says what serving must know."""

from datetime import date
from pathlib import Path

import pytest

from tunelab.conversations import Conversation, Message
from tunelab.errors import RunError
from tunelab.flows.facts import RunFacts, common_opening, read_facts
from tunelab.sources.row import Origin
from tunelab.workspace import Run

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def _conversation(system: str | None, tools: tuple[dict[str, object], ...] = ()) -> Conversation:
    opening = (Message(role="system", content=system),) if system else ()
    messages = (*opening, Message(role="user", content="hi"), Message(role="assistant", content="ho"))
    return Conversation(messages=messages, tools=tools, origin=Origin(path="made.jsonl", line=1))


def test_facts_read_back_as_they_were_written(tmp_path: Path) -> None:
    facts = RunFacts(
        base_model="nano", template_sha256="ab", rendered_on=date(2026, 1, 2), system_prompt="be kind", tools=(TOOL,)
    )
    run = Run(path=tmp_path)
    run.adapter.mkdir()
    run.write_manifest(facts.to_json())
    assert read_facts(run) == facts


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    run = Run(path=tmp_path)
    for text in ("{", "{}", '{"base_model": 3}'):
        run.manifest_file.write_text(text)
        with pytest.raises(RunError, match="manifest is damaged"):
            read_facts(run)


def test_an_opening_is_common_only_where_all_conversations_share_it() -> None:
    same = [_conversation("be kind", (TOOL,)), _conversation("be kind", (TOOL,))]
    assert common_opening(same) == ("be kind", (TOOL,))
    assert common_opening([*same, _conversation("be brief", (TOOL,))]) == (None, ())
    assert common_opening([_conversation(None)]) == (None, ())
