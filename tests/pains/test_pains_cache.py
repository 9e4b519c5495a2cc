"""Pain 22: nothing that was tokenised once is taken for what stands in the files now."""

import json
from pathlib import Path

import pytest

from tiny_model import save_tiny_model
from tunelab.flows.check import CheckResult, check_data_or_recipe


def check(folder: Path, model: Path, *settings: str) -> CheckResult:
    overrides = [f"model.base_model={model}", *settings]
    return check_data_or_recipe(str(folder / "train.jsonl"), overrides=overrides, num_examples=1)


def text(result: CheckResult) -> str:
    return "".join(span.text for span in result.examples[0].spans)


def longest_of(result: CheckResult) -> int:
    return max(sequence.num_tokens for sequence in result.dataset.rendered_train.sequences)


def test_pain_22_a_changed_row_template_or_limit_is_seen_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path / "model")
    data = tmp_path / "data"
    data.mkdir()
    rows = [
        {"messages": [{"role": "user", "content": f"row {number}"}, {"role": "assistant", "content": "an answer"}]}
        for number in range(12)
    ]
    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = check(data, model)
    assert "an answer" in text(first)

    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows).replace("an answer", "the truth"))
    assert "the truth" in text(check(data, model))

    template = (model / "chat_template.jinja").read_text()
    (model / "chat_template.jinja").write_text(template.replace("<|im_start|>", "<|im_start|>from "))
    assert "from user" in text(check(data, model))

    longest = longest_of(check(data, model))
    assert longest_of(check(data, model, f"data.max_length={longest - 1}")) == longest - 1


def test_pain_22_checking_leaves_no_file_beside_data_and_model(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    model = save_tiny_model(tmp_path / "model")
    row = {"prompt": "a question", "completion": "an answer"}
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row | {"prompt": f"{n}?"}) + "\n" for n in range(12)))
    before = sorted(tmp_path.rglob("*"))
    check(tmp_path, model)
    assert sorted(tmp_path.rglob("*")) == before
