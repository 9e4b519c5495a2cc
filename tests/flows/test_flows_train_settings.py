"""Every setting of a recipe has an effect: each reaches the place that uses it, or changes what is refused or reported.

`EFFECTS` names one proof for each setting; a setting without one, or whose change arrives nowhere, fails here.
"""

import ast
import copy
import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from train_task import row, rows, write_lines, write_task
from tunelab.cli.main import run as tunelab
from tunelab.errors import UserError
from tunelab.events import AnyEvent, Found, Notice
from tunelab.flows import train as flow
from tunelab.flows.compare import Compared, compare_run
from tunelab.models.load_model import load_model
from tunelab.recipes import resolve_recipe
from tunelab.recipes.recipe import FIELDS, to_yaml
from tunelab.rendering.rendered import Rendered
from tunelab.workspace import Run, Workspace

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A change of one setting, and the part of `arrived` that it must change."""

    change: str | tuple[str, ...]
    """Value of the setting, or whole `section.key=value` texts."""
    on: str
    given: tuple[str, ...] = ()
    """Settings of both runs."""
    proof: str = ""
    """For what only the loop uses: the test in tests/training that shows the effect there."""


def loop(value: str, proof: str, *given: str) -> Effect:
    """An effect inside the loop."""
    return Effect(change=value, on="loop", proof=proof, given=given)


CATALOG = "data.tool_catalog=tools.json"
LONG = ("data.train_files=long.jsonl", "data.eval_files=more_long.jsonl")
SOFT = ("soft_prompt.number_of_virtual_tokens=4", "lora=null")
PREFIX = ("prefix_tuning.number_of_virtual_tokens=4", "lora=null")
TABLE = ("data.train_files=table.csv", "data.eval_files=[]", "data.eval_fraction=0.2")
TEMPLATES = ("data.prompt_template=Describe {title}", "data.completion_template={content}")
HOT = ("evaluation.temperature=1.5",)
OPTIMIZER = "test_a_setting_of_the_optimizer_changes_the_weights"

EFFECTS: dict[str, Effect] = {
    "model.base_model": Effect(change="other", on="model"),
    "model.revision": Effect(
        change="0123abc", on="refused", given=("model.base_model=nobody/nothing",)
    ),  # without one the Hub is not even asked
    "model.torch_dtype": Effect(change="bfloat16", on="model"),
    "model.device_map": Effect(change="cuda", on="refused" if not torch.cuda.is_available() else "model"),
    "data.data_dir": Effect(change="elsewhere", on="sequences"),
    "data.train_files": Effect(change="more.jsonl", on="sequences"),
    "data.eval_files": Effect(change="more.jsonl", on="held_out"),
    "data.train_samples": Effect(change="20", on="sequences"),
    "data.eval_samples": Effect(change="3", on="held_out"),
    "data.eval_fraction": Effect(change="0.5", on="held_out", given=("data.eval_files=[]",)),
    "data.eval_reserved": Effect(change="0.5", on="held_out"),
    "data.split_seed": Effect(change="7", on="sequences", given=("data.eval_files=[]", "data.eval_fraction=0.5")),
    "data.bad_rows": Effect(change="skip", on="refused", given=("data.train_files=broken.jsonl",)),
    "data.format": Effect(change="session", on="refused"),
    "data.system_prompt": Effect(change="Be brief.", on="sequences"),
    "data.prompt_template": Effect(change="Tell of {title}", on="sequences", given=(*TABLE, *TEMPLATES)),
    "data.completion_template": Effect(change='"{content}!"', on="sequences", given=(*TABLE, *TEMPLATES)),
    "data.tool_catalog": Effect(change="tools.json", on="sequences", given=("data.max_length=512",)),
    "data.inject_tool_catalog": Effect(change="false", on="sequences", given=(CATALOG, "data.max_length=512")),
    "data.max_length": Effect(change="32", on="sequences", given=LONG),
    "data.eval_max_length": Effect(change="32", on="held_out", given=LONG),
    "data.on_too_long": Effect(change="refuse", on="refused", given=(*LONG, "data.max_length=32")),
    "data.chat_template": Effect(change="own.jinja", on="sequences"),
    "data.chat_template_kwargs": Effect(change="{loud: true}", on="sequences", given=("data.chat_template=own.jinja",)),
    "data.inject_tool_preamble": Effect(change="false", on="sequences", given=(CATALOG, "data.max_length=512")),
    "lora.r": Effect(change="3", on="adapter"),
    "lora.lora_alpha": Effect(change="8", on="adapter"),
    "lora.lora_dropout": Effect(change="0.5", on="adapter"),
    "lora.target_modules": Effect(change="attention", on="adapter"),
    "lora.rank_pattern": Effect(change="{q_proj: 3}", on="adapter"),
    "lora.alpha_pattern": Effect(change="{q_proj: 3}", on="adapter"),
    "lora.layers_to_transform": Effect(change="1", on="adapter"),
    "lora.exclude_modules": Effect(change="q_proj", on="adapter"),
    "lora.modules_to_save": Effect(change="embed_tokens, lm_head", on="adapter"),
    "lora.init_lora_weights": Effect(change="gaussian", on="adapter"),
    "lora.loraplus_lr_ratio": loop("16", "test_with_lora_plus_one_step_moves_b_that_many_times_as_far"),
    "lora.bias": Effect(change="lora_only", on="adapter"),
    "lora.use_rslora": Effect(change="true", on="adapter"),
    "lora.use_dora": Effect(change="true", on="adapter"),
    "soft_prompt.number_of_virtual_tokens": Effect(change="5", on="adapter", given=SOFT),
    "soft_prompt.init_prompt": Effect(change="Describe the product.", on="adapter", given=SOFT),
    "prefix_tuning.number_of_virtual_tokens": Effect(change="5", on="adapter", given=PREFIX),
    "prefix_tuning.prefix_projection": Effect(change="true", on="adapter", given=PREFIX),
    "prefix_tuning.encoder_hidden_size": Effect(
        change="8", on="adapter", given=(*PREFIX, "prefix_tuning.prefix_projection=true")
    ),
    "ia3.target_modules": Effect(change="attention", on="adapter", given=("ia3.target_modules=mlp", "lora=null")),
    "full.train_embeddings": Effect(change="false", on="adapter", given=("full.train_embeddings=true", "lora=null")),
    "batching.varied_seqlen": Effect(change="false", on="steps"),
    "batching.order": Effect(change="shuffled", on="steps", given=("data.train_files=sessions.jsonl",)),
    "batching.share_prefixes": Effect(change="false", on="evaluation"),
    "batching.micro_batch_tokens": loop("64", "test_a_step_is_cut_to_its_budget_and_trains_the_same"),
    "training.output_dir": Effect(change="chosen", on="folder"),
    "training.num_train_epochs": Effect(change="1.5", on="steps"),
    "training.num_training_steps": Effect(change="5", on="steps"),
    "training.per_device_train_batch_size": Effect(change="3", on="steps"),
    "training.per_device_eval_batch_size": Effect(change="2", on="evaluation"),
    "training.gradient_accumulation_steps": Effect(change="2", on="steps"),
    "training.fsdp": Effect(change="true", on="notices"),
    "training.learning_rate": loop("0.1", OPTIMIZER),
    "training.lr_scheduler_type": loop("cosine", "test_the_four_schedules_run_as_they_are_named"),
    "training.num_warmup_steps": loop(
        "2", "test_the_four_schedules_run_as_they_are_named", "training.lr_scheduler_type=linear_with_warmup"
    ),
    "training.weight_decay": loop("0.1", OPTIMIZER),
    "training.adam_beta1": loop("0.5", OPTIMIZER),
    "training.adam_beta2": loop("0.5", OPTIMIZER),
    "training.adam_epsilon": loop("1e-3", OPTIMIZER),
    "training.max_grad_norm": loop("0.1", OPTIMIZER),
    "training.eval_strategy": Effect(change="no", on="evaluation"),
    "training.eval_steps": loop("1", "test_evaluation_comes_by_steps_by_epoch_or_not_at_all"),
    "training.eval_delay": loop("4", "test_evaluation_comes_by_steps_by_epoch_or_not_at_all"),
    "training.eval_accumulation_steps": Effect(change="2", on="evaluation"),
    "training.save_steps": loop("4", "test_checkpoints_come_every_save_steps_and_only_the_newest_stay"),
    "training.save_total_limit": loop("1", "test_checkpoints_come_every_save_steps_and_only_the_newest_stay"),
    "training.early_stopping_patience": loop(
        "1", "test_pain_17_training_ends_early_and_the_best_weights_are_kept_across_a_resume"
    ),
    "training.load_best_model_at_end": loop(
        "false", "test_pain_17_training_ends_early_and_the_best_weights_are_kept_across_a_resume"
    ),
    "training.gradient_checkpointing": loop("true", "test_gradient_checkpointing_changes_memory_and_not_the_result"),
    "training.bf16": Effect(change="true", on="model"),
    "training.fp16": Effect(change="true", on="model"),
    "training.seed": Effect(change="4", on="steps"),
    "training.logging_steps": loop("2", "test_logging_steps_thins_the_training_events"),
    "evaluation.compare": Effect(change="true", on="report"),
    "evaluation.compare_file": Effect(change="more.jsonl", on="report"),
    "evaluation.suite": Effect(change="suite.yaml", on="report"),
    "evaluation.num_examples": Effect(change="2", on="report"),
    "evaluation.max_new_tokens": Effect(change="3", on="report"),
    "evaluation.temperature": Effect(change="1.5", on="report"),
    "evaluation.top_p": Effect(change="0.1", on="report", given=HOT),
    "evaluation.top_k": Effect(change="1", on="report", given=HOT),
    "evaluation.min_p": Effect(change="0.9", on="report", given=HOT),
    "evaluation.repetition_penalty": Effect(change="9", on="report"),
    "evaluation.stop_strings": Effect(change='["e", "a", "o", "i", " "]', on="report"),
    "checks.min_rows": Effect(change="30", on="refused"),
    "checks.max_overlap": Effect(change="0.5", on="refused", given=("data.eval_files=overlap.jsonl",)),
    "checks.max_cut": Effect(change="1", on="notices", given=(*LONG, "data.max_length=32")),
    "checks.min_steps": Effect(change="1000", on="notices"),
    "checks.max_epochs": Effect(change="0.01", on="notices"),
    "checks.fail_on": Effect(change="warning", on="refused", given=(*LONG, "data.max_length=32")),
    "checks.ignore": Effect(change='{"too_few_rows": "meant"}', on="refused", given=("checks.min_rows=30",)),
}

QLORA = ("qlora.quantization=nf4", "lora=null")
EFFECTS |= {
    f"q{key}": dataclasses.replace(effect, given=(*effect.given, *QLORA))
    for key, effect in EFFECTS.items()
    if key.startswith("lora.")
}
EFFECTS["qlora.quantization"] = Effect(change="int8", on="notices", given=QLORA)

ELSEWHERE: dict[str, tuple[str, str]] = {
    "data.field_map": (
        "conversations/test_conversations_field_map.py",
        "test_every_format_is_read_under_the_names_of_the_files",
    ),
    "data.role_map": (
        "conversations/test_conversations_field_map.py",
        "test_roles_mean_what_the_map_says_also_where_they_have_a_usual_meaning",
    ),
    "evaluation.adapter_path": (
        "flows/test_flows_take_adapter.py",
        "test_a_folder_of_peft_outside_any_run_is_taken_too",
    ),
    "training.save_minutes": (
        "flows/test_flows_train_attempts.py",
        "test_a_checkpoint_is_saved_by_the_clock_too_without_effect_on_bytes",
    ),
    "checks.max_odd": ("checks/test_checks_copies.py", "test_many_near_duplicates_are_a_warning"),
    "checks.near_threshold": (
        "checks/test_checks_copies.py",
        "test_how_alike_rows_have_to_be_is_settled_by_the_threshold",
    ),
    "checks.max_repetition": (
        "checks/test_checks_quality.py",
        "test_the_share_of_repetition_is_settled_by_its_threshold",
    ),
    "checks.min_answer_chars": ("checks/test_checks_quality.py", "test_short_answers_are_odd_among_long_ones_only"),
    "checks.language_sample": (
        "checks/test_checks_quality.py",
        "test_of_many_answers_a_sample_is_asked_for_its_language_and_none_where_none_is_wanted",
    ),
    "checks.max_imbalance": (
        "checks/test_checks_labels.py",
        "test_a_label_that_outweighs_another_is_a_warning_above_the_limit",
    ),
    "checks.min_label_rows": (
        "checks/test_checks_labels.py",
        "test_rare_labels_are_named_with_a_place_and_their_rows",
    ),
    "data.label_field": ("conversations/test_conversations_label.py", "test_a_field_of_the_row_gives_the_label"),
    "data.label_json_key": (
        "conversations/test_conversations_label.py",
        "test_a_key_of_an_answer_in_json_gives_the_label",
    ),
    "data.label_pattern": (
        "conversations/test_conversations_label.py",
        "test_a_pattern_gives_its_first_group_or_the_whole_match",
    ),
}
"""Settings that change findings alone: the file and the test that show how."""


def test_pain_23_every_setting_has_a_proof_of_its_effect_and_no_proof_is_left_over() -> None:
    proven_elsewhere = {key for key in FIELDS if key.startswith("data.cleaning.")}
    assert "test_every_setting_is_tried_here" in (TESTS / "cleaning" / "test_cleaning_settings.py").read_text("utf-8")
    assert sorted({*EFFECTS, *ELSEWHERE, *proven_elsewhere}) == sorted(FIELDS)


@pytest.mark.parametrize("key", ELSEWHERE)
def test_pain_23_a_proof_elsewhere_is_a_test_that_uses_the_setting(key: str) -> None:
    file, name = ELSEWHERE[key]
    source = (TESTS / file).read_text(encoding="utf-8")
    tests = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert key.partition(".")[2] in (ast.get_source_segment(source, next(tests)) or "")


def test_pain_23_the_proofs_in_the_loop_name_tests_that_use_the_setting() -> None:
    source = (TESTS / "training" / "test_training_loop.py").read_text(encoding="utf-8")
    tests = {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    table = source[source.index("CHANGES:") : source.index("\n}\n", source.index("CHANGES:"))]
    proofs = {key: effect.proof for key, effect in EFFECTS.items() if effect.on == "loop"}
    assert len(proofs) > 12
    assert not [proof for proof in proofs.values() if proof not in tests]
    tests[OPTIMIZER] += table  # which that test goes over
    assert not [key for key, proof in proofs.items() if key.partition(".")[2] not in tests[proof]]


@pytest.mark.parametrize("key", [key for key, effect in EFFECTS.items() if effect.on != "report"])
def test_pain_23_a_changed_setting_arrives(key: str, task: Path, arrived: Callable[..., dict[str, Any]]) -> None:
    effect = EFFECTS[key]
    before = arrived(*effect.given)
    after = arrived(*effect.given, f"{key}={effect.change}")
    assert before[effect.on] != after[effect.on]
    if effect.on not in ("refused", "folder"):
        assert (before["refused"], after["refused"]) == ("", "")
    elif effect.on == "refused":
        assert "" in (before["refused"], after["refused"]) or key == "model.revision"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A task with one file for each change."""
    folder = tmp_path_factory.mktemp("settings")
    shutil.copytree(tiny_model, folder / "other")
    write_task(folder, tiny_model)
    write_lines(folder / "more.jsonl", rows(26, start=200))
    for name, start in (("long", 0), ("more_long", 50)):
        lines = [row(f"question {number}", f"{number} and much more to say") for number in range(start, start + 24)]
        write_lines(folder / f"{name}.jsonl", lines)
    write_lines(folder / "broken.jsonl", [*rows(24), "{"])
    write_lines(folder / "overlap.jsonl", [*rows(2), *rows(6, start=100)])
    sessions = [row(f"question {turn} of {session}", "yes") for session in range(6) for turn in range(4)]
    write_lines(
        folder / "sessions.jsonl", [each | {"session_id": str(place // 4)} for place, each in enumerate(sessions)]
    )
    (folder / "elsewhere").mkdir()
    write_lines(folder / "elsewhere" / "train.jsonl", rows(24, start=300))
    shutil.copy(folder / "test.jsonl", folder / "elsewhere")
    (folder / "table.csv").write_text("title,content\n" + "".join(f"lamp {n},good lamp\n" for n in range(24)))
    function = {"name": "find", "description": "finds", "parameters": {"type": "object", "properties": {}}}
    (folder / "tools.json").write_text(json.dumps([{"type": "function", "function": function}]))
    template = (tiny_model / "chat_template.jinja").read_text()
    (folder / "own.jinja").write_text("{{ 'LOUD' if loud else 'own' }}" + template)
    return folder


class _EnoughError(Exception):
    """The loop was reached."""


@pytest.fixture
def arrived(task: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return what a recipe brings to the door of the loop."""
    loaded: dict[Any, Any] = {}

    def load_once(*arguments: Any, **named: Any) -> Any:
        key = (*arguments, *named.values())
        if key not in loaded:
            loaded[key] = load_model(*arguments, **named)
        return dataclasses.replace(loaded[key], network=copy.deepcopy(loaded[key].network))

    def arrive(*settings: str) -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys(("model", "sequences", "held_out", "adapter", "steps", "evaluation"))
        told: list[AnyEvent] = []

        def fit(model: Any, adapter: Any, sequences: Sequence[Rendered], schedule: Any, **named: Any) -> None:
            score = named["score"]
            found["model"] = (model.folder, model.dtype, model.device, named["precision"])
            found["sequences"] = _digest(sequences)
            found["held_out"] = None if score is None else _digest(score.args[2])
            found["adapter"] = _adapter(adapter)
            found["steps"] = [schedule.step(index) for index in range(schedule.total_steps)]
            found["evaluation"] = None if score is None else (score.args[3], score.keywords)
            rates = adapter.learning_rate_factors()
            found["loop"] = (named["config"].model_dump(), named["batching"].micro_batch_tokens, rates)
            assert named["batching"].share_prefixes == (score is None or score.keywords["share"])
            found["folder"] = named["checkpoints"].parent.name.partition("-")[0]
            raise _EnoughError

        monkeypatch.setattr(flow, "fit", fit)
        monkeypatch.setattr(flow, "load_model", load_once)
        found["refused"] = ""
        try:
            sections = [text for text in settings if text != "lora=null"]
            file = task / "task.yaml"
            if "lora=null" in settings:
                file = task / "soft.yaml"
                file.write_text((task / "task.yaml").read_text().replace("lora:\n  r: 2\n  lora_dropout: 0.1\n", ""))
            resolved = resolve_recipe(file, overrides=sections, environment={})
            flow.train(resolved, Workspace(path=task), listeners=[told.append])
        except _EnoughError:
            pass
        except UserError as error:
            found["refused"] = str(error)
        said = [event for event in told[1:] if isinstance(event, Notice | Found)]
        found["notices"] = [(each.text, each.level if isinstance(each, Notice) else each.severity) for each in said]
        for folder in ("runs", "chosen"):
            shutil.rmtree(task / folder, ignore_errors=True)
        return found

    return arrive


def _digest(sequences: Iterable[Rendered]) -> str:
    digest = hashlib.sha256()
    for each in sequences:
        digest.update(each.prompt_ids.tobytes() + b"|" + each.completion_ids.tobytes() + b"\n")
    return digest.hexdigest()


def _adapter(adapter: Any) -> tuple[object, ...]:
    with tempfile.TemporaryDirectory() as folder:
        adapter.save(Path(folder))
        settings = [file.read_text() for file in Path(folder).glob("*config.json")]
    weights = {name: weight.detach().sum().item() for name, weight in adapter.named_parameters().items()}
    return settings, weights, adapter.description


@pytest.fixture(scope="module")
def finished(task: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short run to compare."""
    settings = ["training.num_training_steps=2", "evaluation.max_new_tokens=6", "evaluation.num_examples=4"]
    resolved = resolve_recipe(task / "task.yaml", overrides=settings, environment={})
    return flow.train(resolved, Workspace(path=tmp_path_factory.mktemp("finished"))).run


@pytest.mark.parametrize("key", [key for key, effect in EFFECTS.items() if key.startswith("evaluation.")])
def test_pain_23_a_changed_setting_of_the_comparison_changes_the_report(
    key: str, finished: Run, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key == "evaluation.compare":
        monkeypatch.chdir(task)
        steps = ["--set", "training.num_training_steps=1", "--set", "evaluation.max_new_tokens=2"]
        for value, reports in (("false", 0), ("true", 1)):
            assert tunelab(["train", "task.yaml", *steps, "--set", f"{key}={value}"]) == 0
            assert len(list(task.glob("runs/*/report.json"))) == reports
        shutil.rmtree(task / "runs")
        return
    given = EFFECTS[key].given
    plain = _compared(finished, *given)
    (task / "suite.yaml").write_text("num_rows: 3\n")
    is_file = key in ("evaluation.compare_file", "evaluation.suite")
    value = str(task / EFFECTS[key].change) if is_file else EFFECTS[key].change
    changed = _compared(finished, *given, f"{key}={value}")
    parts = {"compare_file": "asked", "suite": "count", "num_examples": "count", "max_new_tokens": "longest"}
    part = parts.get(key.partition(".")[2], "answers")
    assert changed[part] != plain[part]


def _compared(run: Run, *settings: str) -> dict[str, object]:
    """Return what comes of comparing a run whose recipe has other settings."""
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(to_yaml(resolve_recipe(run.recipe_file, overrides=settings, environment={}).recipe))
    try:
        return _facts(compare_run(run))
    finally:
        run.recipe_file.write_text(text)


def _facts(compared: Compared) -> dict[str, object]:
    rows = sorted(compared.rows, key=lambda row: row.item.origin)
    answers = [row.after.answer.text for row in rows if row.after.answer]
    return {
        "asked": [row.item.asked for row in rows],
        "count": len(rows),
        "longest": max(map(len, answers)),
        "answers": answers,
    }
