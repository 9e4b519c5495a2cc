"""Each finding code has a page: its example raises the finding, its settings exist, its figures are the code's."""

import json
import re
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from flows_files import rows, write_rows
from tiny_model import save_tiny_model
from tunelab.checks.explanations import FOLDER, explanation
from tunelab.checks.rules import CODES, base_model, conversations, labels
from tunelab.cli.main import run
from tunelab.errors import UserError
from tunelab.flows.check import check_data_or_recipe
from tunelab.recipes.recipe import FIELDS, SECTIONS
from tunelab.texts import quality

NOT_RUN = {
    "memory_above_machine": "takes a base model larger than this machine",
}
"""Codes whose example no test runs, and why; tests of the rules themselves raise them."""
PAGE = re.compile(
    r"# (?P<code>\w+)\n\n(?P<sentence>[^\n]+\.)\n\n"
    r"## What it does\n\n(?P<severity>An error|A warning|A note)\b(?P<what>.+?)\n\n"
    r"## Why it is bad\n\n(?P<why>.+?)\n\n"
    r"## Example\n\n(?P<example>.+?)\n\n"
    r"## Settings\n\n(?P<settings>.+)\n",
    re.DOTALL,
)
FILE = re.compile(r'^```\w+ title="([\w.]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"- `([\w.]+)`(?: \(default (.+?)\))?: .+")


def parts(code: str) -> re.Match[str]:
    """Return the page of a code, taken apart."""
    page = PAGE.fullmatch(explanation(code))
    assert page, f"{code}.md has not the form of a page"
    return page


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert sorted(page.stem for page in FOLDER.glob("*.md")) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_page_has_its_headings_and_its_settings_exist_with_their_defaults(code: str) -> None:
    page = parts(code)
    assert page["code"] == code
    for line in page["settings"].splitlines():
        setting = SETTING.fullmatch(line)
        assert setting or page["settings"] == "- none", line
        if setting:
            assert setting[1] in FIELDS
            assert setting[2] in (None, default_of(setting[1]))


def default_of(key: str) -> str:
    section, _, name = key.rpartition(".")
    return json.dumps(SECTIONS[section]().model_dump(mode="json")[name])


@pytest.mark.parametrize("code", [code for code in CODES if code not in NOT_RUN])
def test_the_example_of_a_page_raises_its_finding(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = dict(FILE.findall(parts(code)["example"]))
    assert files
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    if "rows.jsonl" not in files:
        write_rows(Path("rows.jsonl"), rows(20))
    for model in re.findall(r"models/([\w-]+)", files.get("recipe.yaml", "")):
        write_base_model(model)
    findings = {finding.code: finding for finding in check_data_or_recipe(target_of(files), environment={}).findings}
    assert code in findings
    assert findings[code].severity in severities(code)


def target_of(files: dict[str, str]) -> str:
    """Return what is checked: the recipe, else the training file; with held-out rows next to it, the whole folder."""
    if "recipe.yaml" in files:
        return "recipe.yaml"
    Path("rows.jsonl").unlink()
    return "." if "test.jsonl" in files else "train.jsonl"


def severities(code: str) -> list[str]:
    """Return the severities that the first sentence of what it does names."""
    first = re.split(r"\.(?: |$)", parts(code)["severity"] + parts(code)["what"])[0]
    return re.findall(r"\b(error|warning|note)\b", first)


def write_base_model(name: str) -> None:
    """Write a base model of the examples that `nano` cannot show."""
    folder = save_tiny_model(Path("models") / name)
    if name == "pretrained":
        (folder / "chat_template.jinja").unlink()
    if name == "with-bos":
        change(folder / "tokenizer_config.json", bos_token="<|endoftext|>")
    if name == "short":
        change(folder / "config.json", max_position_embeddings=32)
    if name == "padded":
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.0.self_attn.q_proj.weight"][-1] = 0
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if name == "pickled":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    if name == "running":
        change(folder / "config.json", layer_types=["conv", "full_attention"])
    if name == "few-embeddings":
        change(folder / "config.json", vocab_size=100)
    if name == "mixture":
        config = AutoConfig.for_model("qwen3_moe", vocab_size=1000, num_experts=4, moe_intermediate_size=16, **SMALL)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("code", "figure"),
    [
        ("duplicates", f"{100 * conversations.MANY:g} %"),
        ("label_imbalance", f"at least {labels._FEWEST_ROWS} rows"),
        ("label_imbalance", f"at most {labels._LONGEST_LABEL} characters"),
        ("memory_above_machine", f"{100 * base_model._ROOM:g} %"),
        ("repetition", f"runs of {quality._RUN} words"),
        ("repetition", f"fewer than {quality._RUNS_AT_LEAST + quality._RUN} words"),
        ("answer_copies_prompt", f"fewer than {quality._COPIED_CHARS} characters"),
    ],
)
def test_figures_on_a_page_are_those_of_the_rule(code: str, figure: str) -> None:
    assert figure in parts(code)["what"]


def test_explain_prints_the_page_and_each_check_with_findings_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--explain", "too_few_rows"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("too_few_rows\n\nThere are fewer training rows than `checks.min_rows`.\n\nWhat it does\n")
    assert '\ntrain.jsonl:\n    {"prompt": "When do you open?"' in page
    assert run(["check", str(write_rows(tmp_path / "train.jsonl", rows(2)))]) == 1
    assert capsys.readouterr().out.endswith(" check --explain too_few_rows\n")
    assert run(["check", str(write_rows(tmp_path / "train.jsonl", rows(20)))]) == 0
    assert "--explain" not in capsys.readouterr().out


def test_the_nearest_code_is_suggested_for_one_that_no_finding_has() -> None:
    with pytest.raises(UserError, match=r'no finding has the code "few_step".*Did you mean "few_steps"'):
        explanation("few_step")
