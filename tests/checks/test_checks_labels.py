"""Labels: imbalance, rare classes, classes that only held-out rows know, rows without one; answers that are classes."""

from collections.abc import Sequence
from dataclasses import replace

from check_contexts import chat, context

from tunelab.checks.config import ChecksConfig
from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.rules.labels import labels
from tunelab.conversations.conversation import Conversation


def findings(of: CheckContext) -> dict[str, Finding]:
    return {finding.code: finding for finding in labels(of)}


def labelled(*names: str, path: str = "train.jsonl") -> list[Conversation]:
    return [replace(chat(line, path=path), label=name) for line, name in enumerate(names, start=1)]


def answered(names: Sequence[str]) -> list[Conversation]:
    return [chat(line, answer=name) for line, name in enumerate(names, start=1)]


def test_an_even_spread_is_told_as_a_note() -> None:
    found = findings(context(train=labelled(*["cat"] * 30, *["dog"] * 20)))
    assert list(found) == ["label_distribution"]
    assert found["label_distribution"].summary == '2 labels in 50 training rows: "cat" 60.0 %, "dog" 40.0 %'
    assert found["label_distribution"].severity == "note"


def test_a_label_that_outweighs_another_is_a_warning_above_the_limit() -> None:
    rows = labelled(*["cat"] * 60, *["dog"] * 6)
    assert "label_imbalance" not in findings(context(train=rows))
    finding = findings(context(train=rows, config=ChecksConfig(max_imbalance=9)))["label_imbalance"]
    assert finding.severity == "warning"
    assert '"cat" labels 60 of 66 training rows, "dog" in 6: 10 times as many' in finding.summary


def test_rare_labels_are_named_with_a_place_and_their_rows() -> None:
    rows = labelled(*["cat"] * 20, *["dog"] * 20, "emu", "emu", "fox")
    finding = findings(context(train=rows))["label_rare"]
    assert (finding.count, finding.total) == (2, 4)
    assert set(finding.examples) == {'train.jsonl:41: "emu" (2)', 'train.jsonl:43: "fox" (1)'}
    assert "label_rare" not in findings(context(train=rows, config=ChecksConfig(min_label_rows=1)))


def test_labels_that_only_the_held_out_rows_have_are_found() -> None:
    held_out = labelled("cat", "Cat", "yak", "yak", path="test.jsonl")
    finding = findings(context(train=labelled(*["cat", "dog"] * 10), held_out=held_out))["label_only_held_out"]
    assert (finding.severity, finding.count, finding.total) == ("warning", 2, 3)
    assert set(finding.examples) == {'test.jsonl:2: "Cat"', 'test.jsonl:3: "yak"'}


def test_rows_without_the_label_that_the_recipe_names_are_counted() -> None:
    found = findings(context(train=labelled(*["cat", "dog"] * 10, "")))
    assert found["label_missing"].examples == ("train.jsonl:21",)
    none = findings(context(train=labelled(*[""] * 20)))
    assert list(none) == ["label_missing"]
    assert none["label_missing"].count == 20


def test_a_handful_of_different_answers_are_taken_for_labels() -> None:
    found = findings(context(train=answered(["yes"] * 60 + ["no"] * 3)))
    assert set(found) == {"label_imbalance", "label_rare"}
    assert "taken for labels" in found["label_imbalance"].summary
    assert findings(context(train=answered(["yes", "no"] * 30))) == {}
    with_a_sentence = answered([*["yes"] * 90, *["no"] * 9, "I would rather not say anything about that today."])
    assert "label_imbalance" not in findings(context(train=with_a_sentence))
    assert "label_imbalance" in findings(context(train=with_a_sentence, config=ChecksConfig(max_imbalance=9)))


def test_answers_that_are_sentences_few_or_different_are_no_labels() -> None:
    assert findings(context(train=answered(["yes"] * 30 + ["no"]))) == {}
    assert findings(context(train=answered([f"answer {number % 20}" for number in range(100)]))) == {}
    assert findings(context(train=answered(["yes" * 20] * 60 + ["no"]))) == {}
    assert findings(context(train=answered(["fine"] * 60))) == {}
    assert findings(context(train=[])) == {}


def test_a_long_label_is_shown_by_its_beginning() -> None:
    found = findings(context(train=labelled(*["x" * 200] * 10, *["dog"] * 10)))
    assert len(found["label_distribution"].summary) < 120
