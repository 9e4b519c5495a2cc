"""The state of a run: weights, moments and progress, and the acts that change them."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from peft.tuners.tuners_utils import BaseTunerLayer

from tunelab.adapters.adapter import Adapter
from tunelab.batching.schedule import Step
from tunelab.batching.step_plan import StepPlan
from tunelab.errors import RunError
from tunelab.events import CheckpointSaved, EvaluationDone, EventLog, Notice, StepDone
from tunelab.files import sha256_text
from tunelab.models.branching import training_attention
from tunelab.models.config import Precision
from tunelab.models.cpu_settings import spare_memory
from tunelab.models.loaded_model import LoadedModel
from tunelab.training.checkpoint import Checkpoint, TrainingProgress, save_checkpoint
from tunelab.training.config import TrainingConfig
from tunelab.training.forest_root import run_root
from tunelab.training.forward import forest_loss
from tunelab.training.optimizer import (
    learning_rates,
    make_optimizer,
    optimizer_state,
    restore_optimizer,
    set_learning_rate,
)
from tunelab.training.sharding import (
    OutOfMemoryElsewhereError,
    give_up_passes,
    keep_pace,
    last_layer_gathered,
    spare_root,
)
from tunelab.training.world import World

Score = Callable[[], tuple[float, int]]
"""Measures the adapter as it is: mean held-out loss (nats per token) and the number of tokens."""


_LEAST_LOSS_SCALE = 2.0**-8
"""The scaler begins at 2**16 and halves after each step that overflows; sound runs stay far above this."""


class Trainer:
    """The state of a run: weights, moments, progress."""

    def __init__(
        self,
        model: LoadedModel,
        adapter: Adapter,
        config: TrainingConfig,
        precision: Precision,
        *,
        world: World,
        total_steps: int,
        micro_batch_tokens: int,
        light: int,
    ) -> None:
        self.world = world
        self.network, self.adapter, self.config, self.device = model.network, adapter, config, model.device
        self.weights = adapter.named_parameters()
        self.optimizer = make_optimizer(self.weights, config, adapter.learning_rate_factors())
        self.learning_rate = learning_rates(config, total_steps=total_steps)
        self.autocast = _autocast(precision, model.device)
        self.scaler = torch.amp.GradScaler(model.device.type, enabled=precision == "fp16")
        self.environment = environment(micro_batch_tokens, light=light, processes=world.size)
        self.progress = TrainingProgress()
        self.best: dict[str, torch.Tensor] = {}

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Put the network into the state that trains, and back when done."""
        self.network.train()
        for module in self.network.modules():
            # Dropout belongs to the adapter; the frozen base computes as it will when it serves.
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        for module in self.network.modules():
            if isinstance(module, BaseTunerLayer):
                module.train()
        if self.config.gradient_checkpointing:
            self.network.activation_checkpointing_enable({"use_reentrant": False})
            spare_memory()
        try:
            with training_attention(self.network):
                yield
        finally:
            if self.config.gradient_checkpointing:
                self.network.activation_checkpointing_disable()
            self.network.eval()

    def train_step(self, plan: StepPlan, step: Step) -> StepDone:
        """Run one optimizer step over its micro-batches; the loss is divided once by all its trained tokens.

        `plan` is this process's share of the step.

        Raises:
            torch.OutOfMemoryError: in every process, before anything but gradients changed; the step can be begun
                again.
            RunError: the loss or the gradient is no finite number, or there is no memory for AdamW.
        """
        # Rank 0 runs forests with 3 and 1 trained tokens, whose losses sum to 6.0 and 1.0 nats; rank 1 runs one with 4,
        # whose losses sum to 5.0. The step has trained = 8, and its loss is (6.0 + 1.0 + 5.0) / 8 = 1.5: a mean over
        # tokens. Each micro-batch sends back its sum / 8, and ranks add gradients up, so that a token weighs 1/8
        # wherever it runs. A mean of the means 2.0, 1.0 and 1.25 would be 1.42, and would change with every cut.
        started = time.perf_counter()
        plan, lacks_root = keep_pace(self.network, plan, self.world)
        shares = self.world.gather(len(plan.forests), plan.num_trained, plan.num_real_tokens, plan.num_nodes)
        first_place = int(sum(share[0] for share in shares[: self.world.rank]))
        _, trained, real_tokens, run_tokens = map(sum, zip(*shares, strict=True))
        loss_value = self._sum(plan, lacks_root, trained=trained, first_place=first_place) / trained
        self._refuse_divergence("loss", loss_value)
        grad_norm, rate = self._descend()
        self.progress = replace(self.progress, step=self.progress.step + 1)
        return StepDone(
            step=self.progress.step,
            epoch=step.epoch,
            loss=loss_value,
            learning_rate=rate,
            grad_norm=grad_norm,
            trained_tokens=int(trained),
            real_tokens=int(real_tokens),
            distinct_tokens=int(run_tokens),
            duration_s=time.perf_counter() - started,
        )

    def _sum(self, plan: StepPlan, lacks_root: bool, *, trained: float, first_place: int) -> float:
        """Leave the gradients of all processes' micro-batches, summed; return the sum of their losses.

        Nothing is summed unless every process has come this far: otherwise all of them raise torch.OutOfMemoryError.
        """
        total, failure, is_known = float("nan"), "", False
        try:
            total = self._run(plan, lacks_root, trained=trained, first_place=first_place)
            gradients = self.world.line_up_gradients(self.weights)
        except torch.OutOfMemoryError as error:
            failure, is_known = str(error) or "no memory", isinstance(error, OutOfMemoryElsewhereError)
        # After the except clause the error is gone, and with it all that its frames held.
        if failure:
            self.optimizer.zero_grad(set_to_none=True)
            give_up_passes(self.network)
        sums = [] if is_known else self.world.gather(total, bool(failure))
        if failure or any(has_failed for _, has_failed in sums):
            raise torch.OutOfMemoryError(failure or "another process has no memory")
        self.world.sum_gradients(gradients)
        return sum(each for each, _ in sums)

    def _run(self, plan: StepPlan, lacks_root: bool, *, trained: float, first_place: int) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        torch.manual_seed(_seed(self.config.seed, self.progress.step))
        with self.autocast():
            root = run_root(self.network, self.adapter, plan.root_ids_R)
            spare = spare_root(self.network, self.adapter) if lacks_root else None
        for place, forest in enumerate(plan.forests, start=first_place):
            # Each micro-batch seeds its own dropout, so that a resumed run drops what the undisturbed one dropped.
            torch.manual_seed(_seed(self.config.seed, self.progress.step, place))
            with self.autocast():
                loss = forest_loss(self.network, self.adapter, forest, root)
            torch.autograd.backward(self.scaler.scale(loss / trained))
            total += loss.detach()
        with last_layer_gathered(self.network) if len(plan.root_ids_R) or spare else nullcontext():
            root.backward()
            if spare:
                spare.backward()
        return float(total)

    def _descend(self) -> tuple[float | None, float]:
        """Clip, step, clear; return the gradient's norm before clipping (None: it overflowed) and the learning rate."""
        rate = self.learning_rate(self.progress.step)
        set_learning_rate(self.optimizer, rate)
        limit = self.config.max_grad_norm or float("inf")
        remedy = "Train fewer weights (lora for full, a smaller lora.r), or set training.gradient_checkpointing: true."
        with _explained_if_out_of_memory("AdamW", remedy):
            self.scaler.unscale_(self.optimizer)
            norm = float(torch.nn.utils.clip_grad_norm_(list(self.weights.values()), limit))
            if not self.scaler.is_enabled():  # the scaler leaves out such a step by itself
                self._refuse_divergence("gradient's norm", norm)
            self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < _LEAST_LOSS_SCALE:
            self._refuse_divergence("gradient's norm", norm)  # no scale helps, and nothing is trained
        return norm if np.isfinite(norm) else None, rate

    def _refuse_divergence(self, name: str, value: float) -> None:
        """Raise a RunError if `value` is no finite number, before it reaches weights or a checkpoint."""
        if not np.isfinite(value):
            raise RunError(
                f"the {name} became {value} after {self.progress.step:,} whole steps",
                where="training",
                remedy="Lower training.learning_rate or set training.max_grad_norm; the last checkpoint is whole.",
            )

    def evaluate(self, score: Score, events: EventLog) -> None:
        """Measure held-out loss, remember the best weights, count evaluations without gain."""
        started = time.perf_counter()
        with _explained_if_out_of_memory("a held-out batch", "Lower training.per_device_eval_batch_size."):
            loss, tokens = score()
        self._refuse_divergence("held-out loss", loss)
        progress = self.progress
        is_best = progress.best_loss is None or loss < progress.best_loss
        if is_best:
            self.progress = replace(progress, best_loss=loss, best_step=progress.step, evaluations_without_gain=0)
            if self.config.load_best_model_at_end:
                self.best = {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}
        else:
            self.progress = replace(progress, evaluations_without_gain=progress.evaluations_without_gain + 1)
        patience = self.config.early_stopping_patience
        if patience is not None and self.progress.evaluations_without_gain >= patience:
            self.progress = replace(self.progress, stopped_early=True)
            text = f"early stopping: {patience} evaluations without a lower held-out loss"
            events.emit(Notice(code="early_stopping", text=text))
        duration_s = time.perf_counter() - started
        events.emit(
            EvaluationDone(step=progress.step, eval_loss=loss, eval_tokens=tokens, best=is_best, duration_s=duration_s)
        )

    def save(
        self, checkpoints: Path, fingerprint: str, events: EventLog, *, before: Callable[[], None] = lambda: None
    ) -> None:
        """Write a checkpoint: the first process does, once all are sure to hold the same weights.

        `before` is called right before it is in place.
        """
        self._refuse_if_apart()
        if not self.world.is_first:
            return
        started = time.perf_counter()
        if self.scaler.is_enabled():
            state = self.scaler.state_dict()
            self.progress = replace(self.progress, loss_scale=state["scale"], growth_tracker=state["_growth_tracker"])
        tensors = {f"adapter.{name}": weight.detach().cpu() for name, weight in self.weights.items()}
        tensors |= optimizer_state(self.optimizer, self.weights)
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        checkpoint = Checkpoint(
            progress=self.progress, fingerprint=fingerprint, environment=self.environment, tensors=tensors
        )
        path = save_checkpoint(checkpoints, checkpoint, keep=self.config.save_total_limit, before=before)
        duration_s = time.perf_counter() - started
        events.emit(CheckpointSaved(step=self.progress.step, name=path.name, duration_s=duration_s))

    def _refuse_if_apart(self) -> None:
        digest = hashlib.sha256()
        for weight in self.weights.values() if self.world.size > 1 else ():
            digest.update(weight.detach().cpu().numpy().tobytes())
        remedy = "Start all processes on machines of one type; the last checkpoint is whole."
        self.world.refuse_if_unequal(digest.hexdigest(), what="holds other weights", remedy=remedy)

    def resume(self, checkpoint: Checkpoint | None, events: EventLog) -> None:
        """Take up a checkpoint; None starts afresh."""
        found = sha256_text(str(checkpoint and checkpoint.progress.step))
        remedy = "Put the run on a disk that all machines see."
        self.world.refuse_if_unequal(found, what="finds another checkpoint", remedy=remedy)
        if checkpoint is None:
            return
        before, now = checkpoint.environment, self.environment
        changed = [f"{name} {before.get(name)} -> {now[name]}" for name in now if before.get(name) != now[name]]
        if changed:
            text = f"resumed under another environment ({', '.join(changed)}): the last digits may differ"
            events.emit(Notice(code="other_environment", text=text, level="warning"))
        self.progress = checkpoint.progress
        self.best = checkpoint.group("best")
        self._load(checkpoint.group("adapter"))
        restore_optimizer(self.optimizer, self.weights, checkpoint.group)
        if self.scaler.is_enabled() and checkpoint.progress.loss_scale is not None:
            state = self.scaler.state_dict()
            state |= {"scale": checkpoint.progress.loss_scale, "_growth_tracker": checkpoint.progress.growth_tracker}
            self.scaler.load_state_dict(state)

    def keep_best(self) -> int:
        """Put the best weights in place if they were kept; return the step they come from."""
        if not self.best:
            return self.progress.step
        self._load(self.best)
        return self.progress.best_step

    def _load(self, weights: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(weights[name])


def environment(micro_batch_tokens: int, *, light: int, processes: int) -> dict[str, str]:
    """Return what the last digits of a result depend on besides recipe and data."""
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
        "tokens at a time": str(micro_batch_tokens),
        "tokens from which steps are cut": str(light),
    }


@contextmanager
def _explained_if_out_of_memory(what: str, remedy: str) -> Iterator[None]:
    """End the run if what was begun cannot be begun again; other processes find this one gone, and end too."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunError(f"the device has no memory for {what}", where="training", remedy=remedy) from error


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _autocast(precision: Precision, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    if precision == "fp32":
        return nullcontext
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return partial(torch.autocast, device.type, dtype=dtype)
