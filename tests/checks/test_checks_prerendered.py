"""Text that a chat template has rendered already is found, whatever family rendered it, and the remedies work."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from check_contexts import chat, context

from flows_files import write_rows
from tiny_model import save_tiny_model
from tunelab.checks.check import check
from tunelab.checks.context import CheckContext
from tunelab.checks.explanations import explanation
from tunelab.checks.finding import Finding
from tunelab.conversations.conversation import Conversation
from tunelab.flows.check import CheckResult, check_data_or_recipe
from tunelab.sources.row import Origin

OURS = {"special_tokens": ("<|im_start|>", "<|im_end|>"), "end_tokens": ("<|im_end|>",)}
_FLAGS = re.MULTILINE | re.DOTALL
CHATML = "<|im_start|>user\nWhere is lamp {n}?<|im_end|>\n<|im_start|>assistant\nIn hall {n}.<|im_end|>\n"
RENDERED = {
    "ChatML": CHATML,
    "Llama 2": "<s>[INST] Where is lamp {n}? [/INST] In hall {n}. </s>",
    "Llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhere is lamp {n}?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nIn hall {n}.<|eot_id|>",
    "Gemma": "<bos><start_of_turn>user\nWhere is lamp {n}?<end_of_turn>\n<start_of_turn>model\nHall.<end_of_turn>",
    "Phi 3": "<|user|>\nWhere is lamp {n}?<|end|>\n<|assistant|>\nIn hall {n}.<|end|>",
    "Alpaca": "Below is an instruction.\n\n### Instruction:\nWhere is lamp {n}?\n\n### Response:\nIn hall {n}.</s>",
    "Guanaco": "### Human: Where is lamp {n}?### Assistant: In hall {n}.</s>",
    "Vicuna": "A chat. USER: Where is lamp {n}? ASSISTANT: In hall {n}.</s>",
}


def texts(pattern: str, count: int = 20) -> list[Conversation]:
    return [Conversation(text=pattern.format(n=n), origin=Origin(path="train.jsonl", line=n + 1)) for n in range(count)]


def finding_in(given: CheckContext, code: str) -> Finding | None:
    return next((finding for finding in check(given) if finding.code == code), None)


@pytest.mark.parametrize("family", RENDERED)
def test_a_plain_text_that_a_template_of_any_family_rendered_blocks_a_run(family: str) -> None:
    finding = finding_in(context(train=texts(RENDERED[family]), **OURS), "prerendered_text")
    assert finding is not None
    assert (finding.blocking, finding.count, finding.total) == (True, 20, 20)
    assert finding.examples[0].startswith("train.jsonl:1: ")


@pytest.mark.parametrize("family", ["Alpaca", "Guanaco", "Llama 2"])
def test_markers_of_another_family_without_an_end_token_are_a_warning(family: str) -> None:
    pattern = RENDERED[family].replace("</s>", "").rstrip()
    finding = finding_in(context(train=texts(pattern), **OURS), "prerendered_text")
    assert finding is not None
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    "text", ["## Guide\n### Instructions\nTurn it on.", "A text of [brackets] and <b>tags</b>.", "USER: a log line"]
)
def test_texts_that_only_look_a_little_like_chats_are_none(text: str) -> None:
    assert finding_in(context(train=texts(text), **OURS), "prerendered_text") is None


def test_a_message_that_opens_with_a_turn_token_is_found_and_one_among_many_does_not_block() -> None:
    some = [chat(line) for line in range(1, 21)]
    pasted = chat(21, prompt="<|im_start|>system\nYou are free.<|im_end|>")
    finding = finding_in(context(train=[*some, pasted], **OURS), "prerendered_text")
    assert finding is not None
    assert (finding.severity, finding.examples) == ("warning", ("train.jsonl:21: message 1: <|im_start|>",))
    every = [chat(line, prompt=f"<|im_start|>user\nq {line}<|im_end|>") for line in range(1, 21)]
    finding = finding_in(context(train=every, **OURS), "prerendered_text")
    assert finding is not None
    assert finding.blocking


@pytest.mark.parametrize("end", ["<|im_end|>", "</s>", "<|eot_id|>\n", "<|endoftext|> "])
@pytest.mark.parametrize(("share", "severity"), [(12, "error"), (4, "warning")])
def test_answers_that_end_with_an_end_token_in_words_block_if_most_do(end: str, share: int, severity: str) -> None:
    rows = [chat(line, answer=f"Fine, {line}.{end if line <= share else ''}") for line in range(1, 21)]
    finding = finding_in(context(train=rows, **OURS), "end_token_in_answer")
    assert finding is not None
    assert (finding.severity, finding.count, finding.total) == (severity, share, 20)
    assert finding.examples[0] == "train.jsonl:1: message 2"


def test_plain_texts_that_end_with_an_end_token_in_words_are_found() -> None:
    finding = finding_in(context(train=texts("A tale of lamp {n}.<|endoftext|>"), **OURS), "end_token_in_answer")
    assert finding is not None
    assert finding.severity == "error"


@pytest.mark.parametrize("end", ["<|im_end|>", " </s>\n", "<|eot_id|>", "[/INST]</s>"])
def test_the_command_of_the_remedy_removes_end_tokens_and_nothing_else(tmp_path: Path, end: str) -> None:
    rows = [
        {"messages": [_said("user", f"q {n} <|im_end|> ?"), _said("assistant", f'Say "{n}".{end}')]} for n in range(20)
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    given = context(train=[chat(n + 1, answer=f'Say "{n}".{end}') for n in range(20)], **OURS)
    finding = finding_in(given, "end_token_in_answer")
    assert finding is not None
    command = finding.remedy.partition("JSON Lines file: ")[2]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)  # noqa: S602 - the remedy as a user runs it
    cleaned = [json.loads(line) for line in (tmp_path / "clean.jsonl").read_text().splitlines()]
    kept = end.strip().removesuffix("</s>").removesuffix("<|im_end|>").removesuffix("<|eot_id|>")
    assert [row["messages"][1]["content"] for row in cleaned] == [f'Say "{n}".{kept}' for n in range(20)]
    assert [row["messages"][0] for row in cleaned] == [row["messages"][0] for row in rows]
    assert len(file.read_text().splitlines()) == len(cleaned)


@pytest.mark.parametrize("family", RENDERED)
def test_the_script_of_the_page_takes_the_texts_of_every_family_apart(family: str, tmp_path: Path) -> None:
    (script,) = re.findall(r'^```py title="take_apart.py"\n(.*?)^```$', explanation("prerendered_text"), _FLAGS)
    (tmp_path / "take_apart.py").write_text(script)
    write_rows(tmp_path / "train.jsonl", [{"text": RENDERED[family].format(n=n)} for n in range(3)])
    command = [sys.executable, "take_apart.py", "train.jsonl"]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    first = json.loads(printed.splitlines()[0])["messages"]
    assert [message["role"] for message in first] == ["user", "assistant"]
    assert first[0]["content"] == "Where is lamp 0?"
    assert first[1]["content"] in ("In hall 0.", "Hall.")


def test_words_that_look_like_control_tokens_are_marked_in_what_show_prints(tmp_path: Path) -> None:
    result = _checked(tmp_path, [{"text": CHATML.format(n=n)} for n in range(20)], num_examples=1)
    (example,) = result.examples
    marked = [span.text for span in example.spans if span.look_alike]
    assert marked == ["<|im_start|>", "<|im_end|>"] * 2
    assert [span.text for span in example.spans if span.special] == ["<|im_end|>"]
    assert {"prerendered_text", "control_token_in_text"} <= {finding.code for finding in result.findings}


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _checked(folder: Path, rows: list[dict[str, object]], **settings: int) -> CheckResult:
    model = save_tiny_model(folder / "model")
    data = write_rows(folder / "rows.jsonl", rows)
    return check_data_or_recipe(str(data), overrides=[f"model.base_model={model}"], environment={}, **settings)
