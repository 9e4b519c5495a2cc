"""From a recipe to a finished run: what lies in its folder, what was said on the way, and that it comes out equal."""

import json
import re
import time
from functools import partial
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, DynamicCache

from train_task import ADAPTERS, adapter_sha256, row, write_lines, write_task
from tunelab.dataset.gather import gather
from tunelab.events import (
    AnyEvent,
    CheckpointSaved,
    EvaluationDone,
    Notice,
    Progress,
    RunFinished,
    RunStarted,
    StepDone,
    read_events,
)
from tunelab.files import canonical_json, sha256_file, sha256_text
from tunelab.flows.subject import open_run
from tunelab.flows.train import Trained, train
from tunelab.flows.training import preflight
from tunelab.models.load_model import load_model
from tunelab.models.locate_model import locate_model
from tunelab.recipes import resolve_recipe, to_yaml, written_hash
from tunelab.rendering.load_renderer import load_renderer
from tunelab.workspace import Run, Workspace


def trained(file: Path, *settings: str, resume: bool = False) -> tuple[Trained, list[AnyEvent]]:
    told: list[AnyEvent] = []
    resolved = resolve_recipe(file, overrides=settings, environment={})
    return train(resolved, Workspace(path=file.parent), resume=resume, listeners=[told.append]), told


def weights_of(run: Run) -> Path:
    (file,) = run.adapter.glob("*model.safetensors")
    return file


@pytest.fixture(scope="module", params=ADAPTERS)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path):  # type: ignore[no-untyped-def]
    """A run of each kind of adapter, with what was told."""
    file = write_task(tmp_path_factory.mktemp(request.param), tiny_model, adapter=request.param)
    return file, *trained(file)


def test_a_run_leaves_recipe_events_checkpoints_adapter_plot_and_a_manifest_written_last(story) -> None:  # type: ignore[no-untyped-def]
    file, result, told = story
    run: Run = result.run
    assert (result.step, result.interrupted_by, result.was_finished) == (12, None, False)
    assert {path.name for path in run.path.iterdir()} == {
        ".lock",
        "adapter",
        "attempt.json",
        "checkpoints",
        "events.jsonl",
        "loss.png",
        "manifest.json",
        "recipe.yaml",
        "trainer_state.json",
    }
    assert run.plot_file.read_bytes().startswith(b"\x89PNG")
    model_folder = {"config.json", "generation_config.json", "model.safetensors"}
    expected = {"adapter_config.json", "adapter_model.safetensors"}
    if resolve_recipe(file, environment={}).recipe.adapter.trains_base:
        expected = model_folder | {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert {path.name for path in run.adapter.iterdir()} == expected
    last = run.manifest_file.stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns <= last for path in run.path.rglob("*") if path.is_file())
    assert read_events(run.events_file) == [event for event in told if not isinstance(event, Progress)]
    resolved = resolve_recipe(run.recipe_file, environment={})
    assert written_hash(to_yaml(resolved.anchored)) == written_hash(
        to_yaml(resolve_recipe(file, environment={}).anchored)
    )
    manifest = json.loads(run.manifest_file.read_text())
    assert manifest["files"] == {path.name: sha256_file(path) for path in sorted(run.adapter.iterdir())}
    assert (manifest["run_id"], manifest["steps"]) == (run.id, 12)


def test_every_event_says_what_happened(story) -> None:  # type: ignore[no-untyped-def]
    file, result, told = story
    resolved = resolve_recipe(file, environment={})
    recipe = resolved.anchored
    renderer = load_renderer(locate_model(recipe.model, base=file.parent), recipe.data, base=file.parent)
    data = gather(resolved.anchored.data, base=resolved.base, seed=resolved.recipe.training.seed, renderer=renderer)
    lengths = [each.num_tokens for each in data.rendered_train.sequences]
    answers = [len(each.completion_ids) for each in data.rendered_train.sequences]
    steps = [event for event in told if isinstance(event, StepDone)]
    assert [step.step for step in steps] == list(range(1, 13))
    for epoch in (steps[:6], steps[6:]):  # neither padding nor virtual tokens count
        assert sum(step.real_tokens for step in epoch) == sum(lengths)
        assert sum(step.trained_tokens for step in epoch) == sum(answers)
    assert all(step.distinct_tokens <= step.real_tokens + 4 for step in steps)
    assert [step.learning_rate for step in steps] == pytest.approx([0.02 * (1 - done / 12) for done in range(12)])
    assert [step.epoch for step in steps] == pytest.approx([done / 6 for done in range(1, 13)])
    assert all(step.duration_s > 0 and step.grad_norm > 0 for step in steps)
    (started,) = [event for event in told if isinstance(event, RunStarted)]
    assert (started.total_steps, started.resumed_from) == (12, 0)
    assert (started.num_train_sequences, started.num_eval_sequences) == (24, 6)
    assert started.num_train_tokens == sum(lengths) >= started.num_distinct_tokens
    evaluations = [event for event in told if isinstance(event, EvaluationDone)]
    assert [event.step for event in evaluations] == [2, 4, 6, 8, 10, 12]
    held_out = [len(each.completion_ids) for each in data.rendered_held_out.sequences]
    assert {event.eval_tokens for event in evaluations} == {sum(held_out)}
    assert [event.step for event in told if isinstance(event, CheckpointSaved)] == [2, 4, 6, 8, 10, 12]
    finished = told[-1]
    assert isinstance(finished, RunFinished)
    assert finished.adapter_sha256 == adapter_sha256(result.run)
    assert finished.adapter_bytes == weights_of(result.run).stat().st_size
    assert finished.best_eval_loss == min(event.eval_loss for event in evaluations)
    assert sorted(event.time for event in told) == [event.time for event in told]
    codes = {event.code for event in told if isinstance(event, Notice)}
    assert codes >= {"format", "run_folder", "adapter", "weights", "memory"}
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


def test_pain_19_what_is_trained_and_how_much_memory_it_takes_is_said_before_the_first_step(story) -> None:  # type: ignore[no-untyped-def]
    _, result, told = story
    before = told[: next(place for place, event in enumerate(told) if isinstance(event, StepDone))]
    said = "\n".join(event.text for event in before if isinstance(event, Notice))
    (started,) = [event for event in before if isinstance(event, RunStarted)]
    weights = load_file(weights_of(result.run))
    assert started.num_trainable == sum(weight.numel() for weight in weights.values())
    assert f"{started.num_trainable:,} trainable weights over " in said
    assert 'messages: 24 of the first 24 rows have a "messages" list' in said
    assert re.search(r"memory: about [\d,]+ .?i?B .*base .*adapter .*step", said)
    assert str(result.run.path) in said
    recipe = resolve_recipe(result.run.recipe_file, environment={}).recipe
    if recipe.adapter.requested_targets:
        assert "all-linear: 14 modules (q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj) in" in said
    elif recipe.full:
        assert re.search(r"all weights of \d+ tensors, in float32; the base's are kept, to switch back to", said)
        assert f"{started.num_trainable:,} trainable weights over 0 frozen ones" in said
    elif recipe.soft_prompt:
        assert "4 virtual tokens of width 32" in said
    else:
        assert "4 prefix positions in 2 layers, 2 key/value heads of width 8" in said


def test_pain_19_a_step_too_large_for_the_machine_is_cut_and_said(  # type: ignore[no-untyped-def]
    story, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _, _ = story
    fitting = partial(preflight.affordable_tokens, memory_bytes=2**20)
    monkeypatch.setattr(preflight, "affordable_tokens", lambda estimate, _: fitting(estimate))
    _, told = trained(file, "training.num_training_steps=1")
    said = [event.text for event in told if isinstance(event, Notice)]
    assert "micro-batches are limited to 256 tokens, not 16,384: the estimate for half of the memory" in said


def test_the_same_recipe_twice_gives_the_same_adapter(story) -> None:  # type: ignore[no-untyped-def]
    file, first, _ = story
    second, _ = trained(file)
    assert second.run != first.run
    assert adapter_sha256(second.run) == adapter_sha256(first.run)
    other, _ = trained(file, "training.seed=4")
    assert adapter_sha256(other.run) != adapter_sha256(first.run)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks transformers by an old name
def test_stock_peft_or_transformers_loads_what_was_trained(story, tiny_model: Path) -> None:  # type: ignore[no-untyped-def]
    _, result, _ = story
    ids = torch.tensor([[5, 9, 40, 41, 7]])
    opened = open_run(result.run)
    recipe = opened.recipe
    if recipe.adapter.trains_base:
        stock = AutoModelForCausalLM.from_pretrained(result.run.adapter)
    else:
        base = load_model(tiny_model, recipe.model, quantization=recipe.adapter.base_quantization).network
        stock = peft.PeftModel.from_pretrained(base, str(result.run.adapter))
    network, virtual = opened.model.network, opened.adapter.virtual_embeddings()
    with torch.inference_mode():
        inputs = torch.cat([virtual, network.get_input_embeddings()(ids)[0]])[None]
        cache = DynamicCache(config=network.config)
        for layer, pair in enumerate(opened.adapter.prefix_keys_values()):
            cache.update(*pair, layer)
        ours = network(inputs_embeds=inputs, past_key_values=cache, use_cache=True).logits[0, len(virtual) :]
        theirs = stock.eval()(input_ids=ids).logits[0, -len(ids[0]) :]
        plain = AutoModelForCausalLM.from_pretrained(tiny_model)(input_ids=ids).logits[0]
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, plain, atol=1e-2)


def test_pain_17_the_adapter_holds_the_best_weights_and_says_from_which_step(tmp_path: Path, tiny_model: Path) -> None:
    file = write_task(tmp_path, tiny_model)
    # What is held out contradicts what is trained, so that held-out loss rises from some step on.
    write_lines(tmp_path / "test.jsonl", [row(f"question {number + 50}", "no no no no") for number in range(6)])
    settings = ("training.num_train_epochs=8", "training.early_stopping_patience=2", "training.save_steps=2")
    result, told = trained(file, *settings)
    losses = {event.step: event.eval_loss for event in told if isinstance(event, EvaluationDone)}
    best = min(losses, key=losses.__getitem__)
    finished = told[-1]
    assert isinstance(finished, RunFinished)
    assert finished.reason == "early_stopping"
    assert finished.adapter_step == best < finished.step == best + 2 * 2 < 48
    assert json.loads(result.run.manifest_file.read_text())["adapter_step"] == best
    last, told_last = trained(file, *settings, "training.load_best_model_at_end=false")
    assert adapter_sha256(last.run) != adapter_sha256(result.run)
    assert told_last[-1].adapter_step == finished.step  # type: ignore[union-attr]


def test_rows_that_repeat_a_beginning_are_announced_with_what_sharing_saves(tmp_path: Path, tiny_model: Path) -> None:
    file = write_task(tmp_path, tiny_model)
    opening = "the same long opening of every question, word for word, "
    write_lines(tmp_path / "train.jsonl", [row(f"{opening}{number}?", "yes") for number in range(24)])
    _, told = trained(file)
    (started,) = [event for event in told if isinstance(event, RunStarted)]
    assert started.num_train_tokens > 2 * started.num_distinct_tokens
    (first, *_) = [event for event in told if isinstance(event, StepDone)]
    assert first.distinct_tokens < first.real_tokens


def test_a_template_that_writes_the_day_is_told_the_first_day_of_a_run_that_is_resumed_later(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_task(tmp_path, tiny_model)
    template = (tiny_model / "chat_template.jinja").read_text()
    (tmp_path / "dated.jinja").write_text("{{ strftime_now('%d %b %Y') }}\n" + template)
    dated, now = "data.chat_template=dated.jinja", time.time
    today, _ = trained(file, dated)
    asked = iter([False] * 5 + [True])
    with monkeypatch.context() as patch:
        patch.setattr("tunelab.events.log.time.time", lambda: now() - 24 * 3600)
        yesterday, _ = trained(file, dated)
        patch.setattr("tunelab.flows.training.signals.Stopping.__call__", lambda _: next(asked))
        broken, _ = trained(file, dated)
    assert broken.step == 6
    resumed, told = trained(broken.run.recipe_file, resume=True)
    assert next(event.step for event in told if isinstance(event, StepDone)) == 7
    assert adapter_sha256(resumed.run) == adapter_sha256(yesterday.run) != adapter_sha256(today.run)


def broken_off(file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run that was interrupted after its sixth step."""
    asked = iter([False] * 5 + [True])
    with monkeypatch.context() as patch:
        patch.setattr("tunelab.flows.training.signals.Stopping.__call__", lambda _: next(asked))
        return trained(file)[0].run


def test_a_run_is_resumed_by_its_recipe_with_its_folder_named_as_output_dir(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_off(write_task(tmp_path, tiny_model), monkeypatch)
    resumed, told = trained(tmp_path / "task.yaml", f"training.output_dir={run.path}", resume=True)
    assert (resumed.run, resumed.step) == (run, 12)
    assert next(event.step for event in told if isinstance(event, StepDone)) == 7


def test_a_damaged_checkpoint_is_told_of_before_the_run_goes_on_from_an_earlier_one_or_anew(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_off(write_task(tmp_path, tiny_model), monkeypatch)
    saved = sorted(run.checkpoints.iterdir())
    for folder in saved:
        (folder / "state.safetensors").write_bytes(b"cut")
    _, told = trained(run.recipe_file, resume=True)
    warnings = [event.text for event in told if isinstance(event, Notice) and event.code == "checkpoint_damaged"]
    assert [text.split()[2] for text in warnings] == [folder.name for folder in reversed(saved)]
    assert next(event.step for event in told if isinstance(event, StepDone)) == 1


def test_a_run_that_an_older_tunelab_began_is_resumed_to_the_same_bytes(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_task(tmp_path, tiny_model)
    straight, _ = trained(file)
    run = broken_off(file, monkeypatch)
    written = run.recipe_file.read_text()
    older = re.sub("eval_max_length: .*", "eval_max_length: null", written).replace("  top_p: 1.0\n", "")
    assert len(older.splitlines()) == len(written.splitlines()) - 1
    run.recipe_file.write_text(older)
    manifest = json.loads(straight.run.manifest_file.read_text())
    sizes = {"model.safetensors": (tiny_model / "model.safetensors").stat().st_size}
    config, made_of = sha256_file(tiny_model / "config.json"), (manifest["template_sha256"], manifest["data_sha256"])
    (state,) = run.checkpoints.glob("step-00000006/state.json")
    saved = json.loads(state.read_text())
    saved["fingerprint"] = sha256_text(canonical_json([sha256_text(older), sizes, config, *made_of]))
    state.write_text(json.dumps(saved))
    resumed, told = trained(file, resume=True)
    assert resumed.run == run
    assert next(event.step for event in told if isinstance(event, StepDone)) == 7
    assert adapter_sha256(run) == adapter_sha256(straight.run)
