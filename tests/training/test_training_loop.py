"""The loop: every setting has an effect, and an interrupted run ends in the bytes of an undisturbed one."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import sequence, tiny_network
from train_task import steps
from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.adapters.config import AdapterConfig, LoraConfig, PrefixTuningConfig, SoftPromptConfig
from tunelab.batching.config import BatchingConfig
from tunelab.batching.forest import Forest
from tunelab.batching.schedule import Schedule, evaluation_batches
from tunelab.errors import RunError, StorageError
from tunelab.events import AnyEvent, CheckpointSaved, EvaluationDone, EventLog, Notice, read_events
from tunelab.models.config import Precision
from tunelab.models.flash_forest import flash_forest
from tunelab.models.loaded_model import LoadedModel
from tunelab.training.checkpoint import latest_checkpoint
from tunelab.training.config import TrainingConfig
from tunelab.training.forest_root import Root
from tunelab.training.forward import forest_loss
from tunelab.training.held_out_loss import held_out_loss
from tunelab.training.loop import Fit, fit

_TOKENS = np.random.default_rng(0)
DATA = [
    sequence([1, 2, *_TOKENS.integers(3, 50, 4)], [7 + number % 3, 10, 11, 2], conversation=number)
    for number in range(24)
]
HELD_OUT = DATA[:4]
LORA = LoraConfig(r=4, lora_dropout=0.1)
WHOLE = LoraConfig(
    r=4, rank_pattern={"q_proj": 2}, modules_to_save=("embed_tokens", "lm_head"), loraplus_lr_ratio=8, lora_dropout=0.1
)
PISSA = LoraConfig(r=4, init_lora_weights="pissa", loraplus_lr_ratio=2)
PREFIX = PrefixTuningConfig(number_of_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=5)


@dataclass(frozen=True)
class Outcome:
    fit: Fit
    adapter: Adapter
    events: list[AnyEvent]

    @property
    def weights(self) -> torch.Tensor:
        return torch.cat([weight.detach().flatten() for weight in self.adapter.named_parameters().values()])


def run(
    folder: Path,
    *,
    adapter: AdapterConfig = LORA,
    precision: Precision = "fp32",
    share: bool = True,
    micro_batch_tokens: int = 1000,
    should_stop: Callable[[], bool] = lambda: False,
    score: Callable[[], tuple[float, int]] | None = None,
    evaluates: bool = True,
    fingerprint: str = "f",
    **changes: object,
) -> Outcome:
    settings = {"learning_rate": 1e-2, "per_device_train_batch_size": 4, "eval_steps": 2, "save_steps": 2, "seed": 7}
    config = TrainingConfig(**(settings | changes))  # type: ignore[arg-type]
    network = tiny_network()
    model = LoadedModel(network=network, folder=folder, device=torch.device("cpu"), dtype=torch.float32)
    attached = attach(network, adapter, init_ids=np.array([], np.int32), base_model="tiny", seed=config.seed)
    batching = BatchingConfig(share_prefixes=share, micro_batch_tokens=micro_batch_tokens)
    schedule = Schedule(
        DATA,
        batching,
        batch_size=config.per_device_train_batch_size,
        accumulation=config.gradient_accumulation_steps,
        max_length=64,
        num_epochs=config.num_train_epochs,
        num_steps=config.num_training_steps,
        seed=config.seed,
    )
    batches = evaluation_batches(HELD_OUT, batching, batch_size=config.per_device_eval_batch_size, max_length=64)
    measured = score or (
        lambda: held_out_loss(network, attached, HELD_OUT, batches, accumulation=config.eval_accumulation_steps)
    )
    events: list[AnyEvent] = []
    with EventLog(None, [events.append]) as log:
        fitted = fit(
            model,
            attached,
            DATA,
            schedule,
            config=config,
            batching=batching,
            precision=precision,
            checkpoints=folder / "checkpoints",
            fingerprint=fingerprint,
            events=log,
            score=measured if evaluates else None,
            resume_from=latest_checkpoint(folder / "checkpoints", fingerprint=fingerprint),
            should_stop=should_stop,
        )
    return Outcome(fit=fitted, adapter=attached, events=events)


def _evaluated(outcome: Outcome) -> list[int]:
    return [event.step for event in outcome.events if isinstance(event, EvaluationDone)]


def test_training_lowers_the_loss_and_the_held_out_loss(tmp_path: Path) -> None:
    outcome = run(tmp_path, num_train_epochs=6)
    losses = [step.loss for step in steps(outcome.events)]
    measured = [event.eval_loss for event in outcome.events if isinstance(event, EvaluationDone)]
    assert np.mean(losses[-6:]) < np.mean(losses[:6]) - 0.2
    assert measured[-1] < measured[0]


def test_a_step_is_cut_to_its_budget_and_trains_the_same(tmp_path: Path) -> None:
    lora = LoraConfig(r=4)  # without dropout, which differs in each micro-batch
    whole = run(tmp_path / "whole", adapter=lora)
    cut = run(tmp_path / "cut", adapter=lora, micro_batch_tokens=10)
    # AdamW divides by the gradient's size, so that if it is nearly zero its last digits decide.
    assert float((whole.weights - cut.weights).norm() / whole.weights.norm()) < 1e-3
    pairs = list(zip(steps(whole.events), steps(cut.events), strict=True))
    assert all(one.distinct_tokens < other.distinct_tokens for one, other in pairs)  # a cut repeats what it severs
    assert [one.loss for one, _ in pairs] == pytest.approx([other.loss for _, other in pairs], rel=1e-5)


def test_sequences_above_the_budget_are_told_of_at_the_start_with_what_it_repeats(tmp_path: Path) -> None:
    cut = run(tmp_path / "cut", micro_batch_tokens=9)
    (text,) = [event.text for event in cut.events if isinstance(event, Notice)]
    assert isinstance(cut.events[0], Notice)
    first = steps(cut.events)[0].distinct_tokens
    whole = steps(run(tmp_path / "whole", micro_batch_tokens=1000).events)[0].distinct_tokens
    assert first > whole
    assert "24 of 24 sequences are longer than the 9 tokens of a micro-batch" in text
    assert f"step 1 runs {first} tokens instead of {whole} distinct ones" in text
    assert not [event for event in run(tmp_path / "fits", micro_batch_tokens=10).events if isinstance(event, Notice)]


@pytest.mark.parametrize("accumulation", [1, 2, 4])
def test_eight_examples_are_one_step_however_they_are_accumulated(tmp_path: Path, accumulation: int) -> None:
    lora, size = LoraConfig(r=4), 8 // accumulation
    whole = run(tmp_path / "whole", adapter=lora, per_device_train_batch_size=8)
    parts = run(
        tmp_path / "parts", adapter=lora, per_device_train_batch_size=size, gradient_accumulation_steps=accumulation
    )
    assert torch.equal(whole.weights, parts.weights)


def test_out_of_memory_halves_the_micro_batch_and_leaves_the_step_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = LoraConfig(r=4)
    undisturbed = run(tmp_path / "undisturbed", adapter=lora, micro_batch_tokens=18)

    def small_device(network: object, adapter: Adapter, forest: Forest, root: Root) -> torch.Tensor:
        if forest.num_nodes > 20:
            raise torch.OutOfMemoryError("no room")
        return forest_loss(network, adapter, forest, root)  # type: ignore[arg-type]

    monkeypatch.setattr("tunelab.training.trainer.forest_loss", small_device)
    halved = run(tmp_path / "halved", adapter=lora, micro_batch_tokens=36)
    assert torch.equal(halved.weights, undisturbed.weights)
    assert any("out of memory" in event.text for event in halved.events if isinstance(event, Notice))
    monkeypatch.setattr("tunelab.training.trainer.forest_loss", _no_memory)
    with pytest.raises(RunError, match="no memory for one sequence of 10 tokens"):
        run(tmp_path / "none", adapter=lora, micro_batch_tokens=36)


def _no_memory(*_: object) -> torch.Tensor:
    raise torch.OutOfMemoryError("no room")


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    assert torch.equal(run(tmp_path / "a").weights, run(tmp_path / "b").weights)


@pytest.mark.parametrize("adapter", [LORA, WHOLE, PISSA, SoftPromptConfig(number_of_virtual_tokens=3), PREFIX])
@pytest.mark.parametrize("stop_after", [1, 5, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 9))])
def test_pain_16_an_interrupted_run_ends_in_the_bytes_of_an_undisturbed_one(
    adapter: AdapterConfig, stop_after: int, tmp_path: Path
) -> None:
    settings = {"adapter": adapter, "num_train_epochs": 2.0, "lr_scheduler_type": "cosine"}
    straight = run(tmp_path / "straight", **settings)  # type: ignore[arg-type]
    calls = itertools.count(1)
    broken = run(tmp_path / "broken", should_stop=lambda: next(calls) == stop_after, **settings)  # type: ignore[arg-type]
    assert (broken.fit.reason, broken.fit.step) == ("interrupted", stop_after)
    resumed = run(tmp_path / "broken", **settings)  # type: ignore[arg-type]
    assert steps(resumed.events)[0].step == stop_after + 1
    assert torch.equal(resumed.weights, straight.weights)
    assert resumed.fit == straight.fit


def test_pain_16_resuming_a_finished_run_trains_no_step(tmp_path: Path) -> None:
    first = run(tmp_path)
    again = run(tmp_path)
    assert steps(again.events) == []
    assert torch.equal(first.weights, again.weights)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(RunError, match="changed since"):
        run(tmp_path, fingerprint="other")


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    straight = run(tmp_path, num_train_epochs=2)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    state = newest / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-7])
    again = run(tmp_path, num_train_epochs=2)
    assert steps(again.events)[0].step == 11
    assert torch.equal(again.weights, straight.weights)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    saves = itertools.count()
    real = os.fsync

    def full(descriptor: int) -> None:
        if next(saves) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    straight = run(tmp_path / "straight", num_train_epochs=2)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        run(tmp_path / "full", num_train_epochs=2)
    monkeypatch.setattr(os, "fsync", real)
    left = sorted(path.name for path in (tmp_path / "full" / "checkpoints").iterdir())
    assert left
    assert not any(name.startswith(".") for name in left)
    assert torch.equal(run(tmp_path / "full", num_train_epochs=2).weights, straight.weights)


def test_pain_20_eight_micro_batches_equal_one_batch(tmp_path: Path) -> None:
    plain = LoraConfig(r=4)
    one = run(tmp_path / "one", adapter=plain, per_device_train_batch_size=8, gradient_accumulation_steps=1)
    many = run(tmp_path / "many", adapter=plain, per_device_train_batch_size=1, gradient_accumulation_steps=8)
    assert [step.loss for step in steps(one.events)] == pytest.approx([s.loss for s in steps(many.events)], rel=1e-5)
    assert torch.allclose(one.weights, many.weights, atol=1e-4)


def test_sharing_changes_the_work_and_not_the_result(tmp_path: Path) -> None:
    plain = LoraConfig(r=4)
    shared, apart = run(tmp_path / "s", adapter=plain), run(tmp_path / "a", adapter=plain, share=False)
    assert steps(shared.events)[0].distinct_tokens < steps(apart.events)[0].distinct_tokens
    assert steps(shared.events)[0].real_tokens == steps(apart.events)[0].real_tokens
    assert [s.loss for s in steps(shared.events)] == pytest.approx([s.loss for s in steps(apart.events)], rel=1e-5)


CHANGES: dict[str, dict[str, object]] = {
    "num_train_epochs": {"num_train_epochs": 0.5},
    "num_training_steps": {"num_training_steps": 3},
    "per_device_train_batch_size": {"per_device_train_batch_size": 3},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
    "learning_rate": {"learning_rate": 2e-2},
    "lr_scheduler_type": {"lr_scheduler_type": "cosine"},
    "num_warmup_steps": {"lr_scheduler_type": "linear_with_warmup", "num_warmup_steps": 3},
    "weight_decay": {"weight_decay": 0.5},
    "adam_beta1": {"adam_beta1": 0.5},
    "adam_beta2": {"adam_beta2": 0.5},
    "adam_epsilon": {"adam_epsilon": 1e-2},
    "max_grad_norm": {"max_grad_norm": 1e-3},
    "seed": {"seed": 8},
}


@pytest.mark.parametrize("setting", CHANGES)
def test_a_setting_of_the_optimizer_changes_the_weights(setting: str, tmp_path: Path) -> None:
    base = run(tmp_path / "base", load_best_model_at_end=False)
    changed = run(tmp_path / "changed", load_best_model_at_end=False, **CHANGES[setting])  # type: ignore[arg-type]
    assert not torch.equal(base.weights, changed.weights)


@pytest.mark.parametrize(
    "change",
    [
        {"lora_alpha": 8.0},
        {"use_rslora": True},
        {"use_dora": True},
        {"lora_dropout": 0.5},
        {"r": 2},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2.0}},
        {"layers_to_transform": 1},
        {"exclude_modules": "mlp"},
        {"modules_to_save": "embed_tokens"},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "olora"},
        {"loraplus_lr_ratio": 16.0},
    ],
    ids=str,
)
def test_a_setting_of_lora_changes_the_course(change: dict[str, object], tmp_path: Path) -> None:
    base = run(tmp_path / "base", adapter=LORA)
    changed = run(tmp_path / "changed", adapter=LORA.model_copy(update=change))
    assert [s.loss for s in steps(base.events)] != [s.loss for s in steps(changed.events)]


def test_with_lora_plus_one_step_moves_b_that_many_times_as_far(tmp_path: Path) -> None:
    # AdamW's first step is the learning rate itself, whatever the gradient; a fresh B is zero.
    settings = {"num_training_steps": 1, "adam_epsilon": 1e-30, "max_grad_norm": 0, "evaluates": False}
    plain = run(tmp_path / "plain", adapter=LoraConfig(r=4), **settings)  # type: ignore[arg-type]
    plus = run(tmp_path / "plus", adapter=LoraConfig(r=4, loraplus_lr_ratio=16), **settings)  # type: ignore[arg-type]
    assert steps(plus.events)[0].learning_rate == 1e-2
    moved = plus.adapter.named_parameters()
    for name, weight in plain.adapter.named_parameters().items():
        factor = 16 if "lora_B" in name else 1
        assert torch.allclose(moved[name], weight * factor, rtol=1e-3)
        assert "lora_B" not in name or weight.detach().abs().max() == pytest.approx(1e-2, rel=1e-3)


def test_the_four_schedules_run_as_they_are_named(tmp_path: Path) -> None:
    rates = {
        name: [
            step.learning_rate
            for step in steps(run(tmp_path / name, lr_scheduler_type=name, num_warmup_steps=3).events)
        ]
        for name in ("linear", "cosine", "linear_with_warmup", "cosine_with_warmup")
    }
    assert rates["linear"] == pytest.approx([1e-2 * (1 - step / 6) for step in range(6)])
    assert rates["cosine"] == pytest.approx([5e-3 * (1 + np.cos(np.pi * step / 6)) for step in range(6)])
    for name in ("linear_with_warmup", "cosine_with_warmup"):
        assert rates[name][0] == 0
        assert rates[name][3] == pytest.approx(1e-2) == max(rates[name])


def test_evaluation_comes_by_steps_by_epoch_or_not_at_all(tmp_path: Path) -> None:
    long = {"num_train_epochs": 2, "save_steps": 12, "early_stopping_patience": None}
    assert _evaluated(run(tmp_path / "s", eval_strategy="steps", eval_steps=5, **long)) == [5, 10, 12]  # type: ignore[arg-type]
    assert _evaluated(run(tmp_path / "e", eval_strategy="epoch", **long)) == [6, 12]  # type: ignore[arg-type]
    assert _evaluated(run(tmp_path / "n", eval_strategy="no", **long)) == []  # type: ignore[arg-type]
    assert _evaluated(run(tmp_path / "d", eval_steps=3, eval_delay=7, **long)) == [9, 12]  # type: ignore[arg-type]
    assert _evaluated(run(tmp_path / "ed", eval_strategy="epoch", eval_delay=2, **long)) == [12]  # type: ignore[arg-type]
    assert _evaluated(run(tmp_path / "none", evaluates=False, **long)) == []  # type: ignore[arg-type]


def test_pain_17_training_ends_early_and_the_best_weights_are_kept_across_a_resume(tmp_path: Path) -> None:
    def scores(start: int = 0) -> Callable[[], tuple[float, int]]:
        losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0][start:])
        return lambda: (next(losses), 1)

    settings = {"num_train_epochs": 4, "early_stopping_patience": 2, "eval_steps": 2, "save_steps": 2}
    straight = run(tmp_path / "straight", score=scores(), **settings)  # type: ignore[arg-type]
    assert (straight.fit.reason, straight.fit.step, straight.fit.adapter_step) == ("early_stopping", 8, 4)
    calls = itertools.count(1)
    run(tmp_path / "broken", score=scores(), should_stop=lambda: next(calls) == 5, **settings)  # type: ignore[arg-type]
    resumed = run(tmp_path / "broken", score=scores(start=2), **settings)  # type: ignore[arg-type]
    assert resumed.fit == straight.fit
    assert torch.equal(resumed.weights, straight.weights)
    last = run(tmp_path / "last", score=scores(), load_best_model_at_end=False, **settings)  # type: ignore[arg-type]
    assert last.fit.adapter_step == 8
    assert not torch.equal(last.weights, straight.weights)


def test_evaluation_batches_and_accumulation_do_not_change_the_figure(tmp_path: Path) -> None:
    figures = []
    for number, (size, accumulation) in enumerate([(1, None), (1, 1), (2, 2), (4, None)]):
        outcome = run(tmp_path / str(number), per_device_eval_batch_size=size, eval_accumulation_steps=accumulation)
        figures.append([event.eval_loss for event in outcome.events if isinstance(event, EvaluationDone)])
    for other in figures[1:]:
        assert other == pytest.approx(figures[0], rel=1e-5)


def test_eval_accumulation_steps_bounds_the_losses_that_wait_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    adapter = attach(network, LORA, init_ids=np.array([], np.int32), base_model="tiny", seed=1)
    pending: list[int] = []
    real = torch.stack
    monkeypatch.setattr(torch, "stack", lambda losses: pending.append(len(losses)) or real(losses))
    batches = [(index,) for index in range(7)]
    held_out_loss(network, adapter, DATA, batches, accumulation=3)
    assert pending == [3, 3, 1]
    pending.clear()
    held_out_loss(network, adapter, DATA, batches)
    assert pending == [7]


def test_checkpoints_come_every_save_steps_and_only_the_newest_stay(tmp_path: Path) -> None:
    outcome = run(tmp_path, save_steps=2, save_total_limit=2)
    assert [event.step for event in outcome.events if isinstance(event, CheckpointSaved)] == [2, 4, 6]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000004", "step-00000006"]


def test_logging_steps_thins_the_training_events(tmp_path: Path) -> None:
    assert [step.step for step in steps(run(tmp_path, logging_steps=4).events)] == [4, 6]


def test_gradient_checkpointing_changes_memory_and_not_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(tmp_path / "plain", evaluates=False)
    calls: list[bool] = []
    monkeypatch.setattr(
        "tunelab.models.attention.flash_forest",
        lambda *a, **k: calls.append(torch.is_grad_enabled()) or flash_forest(*a, **k),
    )
    run(tmp_path / "counted", evaluates=False)
    once = sum(calls)
    calls.clear()
    checkpointed = run(tmp_path / "checkpointed", gradient_checkpointing=True, evaluates=False)
    assert sum(calls) == 2 * once > 0  # each layer ran forward twice
    monkeypatch.undo()
    assert torch.allclose(plain.weights, checkpointed.weights, atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_close_to_full(precision: Precision, tmp_path: Path) -> None:
    full, half = run(tmp_path / "full"), run(tmp_path / "half", precision=precision)
    one, other = [s.loss for s in steps(full.events)], [s.loss for s in steps(half.events)]
    assert one != other
    assert other == pytest.approx(one, rel=0.05)


def test_a_step_that_overflows_in_fp16_is_told_and_can_be_read_again(tmp_path: Path) -> None:
    events = [*run(tmp_path, precision="fp16", adapter=LoraConfig(r=4, lora_alpha=4096)).events]
    first, *_ = done = steps(events)
    assert first.grad_norm is None  # the first loss scale is meant to be too high
    log = EventLog(tmp_path / "events.jsonl")
    for event in done:
        log.emit(event)
    assert [step.step for step in steps(read_events(tmp_path / "events.jsonl"))] == [step.step for step in done]


def test_a_run_whose_every_step_overflows_in_fp16_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(*inputs: object) -> torch.Tensor:
        loss = forest_loss(*inputs)  # type: ignore[arg-type]
        loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    monkeypatch.setattr("tunelab.training.trainer.forest_loss", overflowing)
    with pytest.raises(RunError, match=r"gradient's norm became (nan|inf) after \d+ whole steps"):
        run(tmp_path, precision="fp16", num_train_epochs=40, eval_strategy="no")


def test_a_half_precision_run_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    straight = run(tmp_path / "straight", precision="fp16", num_train_epochs=2)
    calls = itertools.count(1)
    run(tmp_path / "broken", precision="fp16", num_train_epochs=2, should_stop=lambda: next(calls) == 5)
    assert torch.equal(run(tmp_path / "broken", precision="fp16", num_train_epochs=2).weights, straight.weights)


def test_a_run_whose_steps_are_cut_otherwise_when_it_is_resumed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, should_stop=lambda: True)
    assert not [each for each in run(tmp_path).events if isinstance(each, Notice) and each.code == "other_environment"]
    run(tmp_path / "other", should_stop=lambda: True)
    monkeypatch.setattr("tunelab.training.loop.light_tokens", lambda *_, **__: 7)
    resumed = run(tmp_path / "other").events
    (notice,) = [each for each in resumed if isinstance(each, Notice) and each.code == "other_environment"]
    assert "(tokens from which steps are cut 1024 -> 7)" in notice.text


def test_a_loss_that_is_no_number_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"became (nan|inf)"):
        run(tmp_path, learning_rate=1.0, max_grad_norm=0, num_train_epochs=40, adapter=LoraConfig(r=4, lora_alpha=1e30))


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)
    real = torch.nn.utils.clip_grad_norm_
    bad = torch.tensor(float("nan"))  # a gradient may overflow while the loss of its step is a number
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *a: bad if next(calls) == 4 else real(*a))
    with pytest.raises(RunError, match=r"gradient's norm became nan after 3 whole steps.*last checkpoint is whole"):
        run(tmp_path, save_steps=1, eval_strategy="no")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir())[-1] == "step-00000003"
    with pytest.raises(RunError, match="held-out loss became nan"):
        run(tmp_path / "other", score=lambda: (float("nan"), 1))


def test_a_damaged_later_checkpoint_never_pushes_the_good_ones_out(tmp_path: Path) -> None:
    straight = run(tmp_path, num_train_epochs=2, save_total_limit=1)
    (newest,) = (tmp_path / "checkpoints").iterdir()
    (newest / "state.safetensors").write_bytes(b"bit rot")
    calls = itertools.count(1)
    run(tmp_path, num_train_epochs=2, save_total_limit=1, should_stop=lambda: next(calls) == 3)
    resumed = run(tmp_path, num_train_epochs=2, save_total_limit=1)
    assert steps(resumed.events)[0].step == 4
    assert torch.equal(resumed.weights, straight.weights)


def test_the_network_is_left_as_it_serves(tmp_path: Path) -> None:
    network = run(tmp_path, gradient_checkpointing=True).adapter._wrapped.get_base_model()  # type: ignore[attr-defined]
    assert not any(module.training for module in network.modules())
    assert network.config._attn_implementation == "sdpa"
