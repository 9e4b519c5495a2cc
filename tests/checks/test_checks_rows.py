"""What rows hold besides conversations, and what they say of their answers, is a finding."""

from dataclasses import replace
from pathlib import Path

import pytest
from check_contexts import chat, chats, context

from flows_files import write_rows
from tiny_model import save_tiny_model
from tunelab.checks.rules import rows
from tunelab.conversations.unread import UnreadField
from tunelab.flows.check import check_data_or_recipe
from tunelab.rendering.template_messages import Abilities
from tunelab.sources.row import Origin


def unread(path: str, *, describes: bool = False, num_rows: int = 3) -> UnreadField:
    origin = Origin(path="train.jsonl", line=2)
    return UnreadField(path=path, num_rows=num_rows, origin=origin, example="poor", describes=describes)


def marked(line: int, why: str):
    item = chat(line)
    return replace(item, messages=(item.messages[0], replace(item.messages[1], untrained=why)))


def test_fields_that_nobody_reads_are_named_with_rows_and_an_example() -> None:
    (finding,) = rows.unread_fields(context(unread=[unread("messages.feedback"), unread("score", num_rows=20)]))
    assert (finding.code, finding.severity, finding.count, finding.total) == ("unread_fields", "warning", 20, 20)
    assert finding.summary == (
        "2 fields of the rows are not read: messages.feedback (3 rows, such as poor), score (20 rows, such as poor)"
    )
    assert finding.examples == ("train.jsonl:2: messages.feedback", "train.jsonl:2: score")
    assert "data.field_map" in finding.remedy


def test_fields_that_describe_rows_are_a_note_of_their_own() -> None:
    grave, light = rows.unread_fields(context(unread=[unread("id", describes=True), unread("score")]))
    assert (grave.severity, light.severity) == ("warning", "note")
    assert light.summary == "1 describing field of the rows is not read: id (3 rows, such as poor)"
    assert not list(rows.unread_fields(context()))


NAMING = "{% for m in messages %}<|im_start|>{{ m.role }}{% if m.name is defined %} ({{ m.name }}){% endif %}\n"
NAMING += "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize("template", ["", NAMING])
def test_names_of_speakers_that_the_template_does_not_write_are_a_warning(tmp_path: Path, template: str) -> None:
    said = [{"role": "user", "name": "Bob", "content": "q"}, {"role": "assistant", "content": "a"}]
    data = write_rows(tmp_path / "rows.jsonl", [{"messages": said}] * 20)
    overrides = [f"model.base_model={save_tiny_model(tmp_path / 'model')}"]
    if template:
        (tmp_path / "t.jinja").write_text(template)
        overrides.append(f"data.chat_template={tmp_path / 't.jinja'}")
    findings = check_data_or_recipe(str(data), overrides=overrides, environment={}).findings
    found = [each for each in findings if each.code == "unread_fields"]
    if template:
        assert not found
    else:
        assert (found[0].severity, found[0].count) == ("warning", 20)
        assert "the chat template does not write it" in found[0].summary
        assert found[0].examples[0].endswith("rows.jsonl:1: Bob")


def test_the_name_of_a_tool_next_to_its_result_is_no_lost_name() -> None:
    tool = replace(chat(1), messages=(*chat(1).messages, replace(chat(1).messages[0], role="tool", name="look")))
    assert not list(rows.unread_fields(context(train=[tool], template=Abilities(names=False))))


def test_many_fields_are_counted_and_the_first_named() -> None:
    (finding,) = rows.unread_fields(context(unread=[unread(f"f{n}") for n in range(30)]))
    assert "30 fields" in finding.summary
    assert finding.summary.endswith("and 22 more") or finding.summary.endswith(", 22 more")


@pytest.mark.parametrize(
    ("why", "code", "severity"),
    [("marked", "answer_marked_untrained", "note"), ("unfinished", "answer_unfinished", "warning")],
)
def test_answers_that_are_left_out_are_counted(why: str, code: str, severity: str) -> None:
    (finding,) = rows.untrained_answers(context(train=[*chats(19), marked(20, why)]))
    assert (finding.code, finding.severity, finding.count, finding.total) == (code, severity, 1, 20)
    assert finding.examples == ("train.jsonl:20: message 2",)


def test_a_mark_on_an_answer_that_only_belongs_to_the_prompt_is_not_counted() -> None:
    first, last = marked(1, "marked"), chat(1)
    logged = replace(last, messages=(*first.messages, *last.messages), train="last")
    assert not list(rows.untrained_answers(context(train=[logged])))


@pytest.mark.parametrize("word", ["nan", "NaN", "None", " null ", "NA", "N/A", "<NA>"])
def test_an_answer_that_is_a_word_for_a_missing_value_is_a_finding(word: str) -> None:
    (finding,) = rows.answers_without_value(context(train=[*chats(9), chat(10, answer=word)]))
    assert (finding.code, finding.severity, finding.count) == ("answer_without_value", "warning", 1)
    assert finding.examples == (f"train.jsonl:10: message 2: {word}",)


@pytest.mark.parametrize("word", ["none of them", "Nan is a bread", "", "0012", "TRUE"])
def test_other_short_answers_are_none(word: str) -> None:
    assert not list(rows.answers_without_value(context(train=[chat(1, answer=word)])))


def test_rows_whose_answers_are_all_marked_are_neither_silent_nor_copies_nor_contamination() -> None:
    from tunelab.checks.rules import conversations

    train, held_out = [marked(1, "marked"), marked(2, "marked")], [marked(3, "marked")]
    seen = context(train=train, held_out=held_out)
    assert not list(conversations.without_assistant(seen))
    assert not list(conversations.what_repeats(seen))
