"""What is said before the first step, and what keeps a run from it."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tunelab.adapters.adapter import Adapter
from tunelab.batching.config import BatchingConfig
from tunelab.batching.schedule import Schedule
from tunelab.checks.check import check
from tunelab.dataset.dataset import Dataset
from tunelab.errors import DataError, ModelError
from tunelab.events import EventLog, Found, Notice, RunStarted
from tunelab.flows.check import context_of, note_on_pictures
from tunelab.flows.training.plan import Sharing, in_amounts, make_schedule, sharing_of
from tunelab.models.branching import cannot_branch
from tunelab.models.estimate import MemoryEstimate, affordable_tokens, estimate_step
from tunelab.models.loaded_model import LoadedModel
from tunelab.models.logit_chunk import chunk_tokens
from tunelab.models.logit_rule import logit_rule
from tunelab.models.memory import device_memory, sizes_of
from tunelab.models.quantized import num_packed
from tunelab.recipes import Recipe
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer
from tunelab.training.sharding import frozen_bytes_here


def refuse_what_blocks(recipe: Recipe, data: Dataset, renderer: Renderer, folder: Path, events: EventLog) -> Schedule:
    """Return the schedule of a run whose data and plan have no blocking finding; the others are said aloud."""
    events.emit(Notice(code="format", text=f"rows read as {data.evidence}"))
    notes = {"data": data.notes, "rendering": renderer.notes, "text_part_alone": [note_on_pictures(folder)]}
    for code, texts in notes.items():
        for text in filter(None, texts):
            events.emit(Notice(code=code, text=text))
    if not data.train_sequences:
        dropped = data.rendered_train.dropped if data.rendered_train else ()
        lost = [f"{each.origin}: {each.reason} ({each.num_tokens:,} tokens)" for each in dropped]
        first = next(iter((*map(str, (*data.bad_rows, *data.bad_turns)), *lost)), "there are no rows")
        too_long = " data.max_length decides what is cut." if lost else ""
        remedy = f"The first reason: {first}.{too_long} tunelab check lists them all."
        raise DataError("no row can be trained", where="data.train_files", remedy=remedy)
    schedule = make_schedule(recipe, data.train_sequences)
    events.emit(in_amounts(schedule, data.train_sequences))
    findings = check(context_of(recipe, data, renderer, folder=folder, schedule=schedule))
    for finding in findings:
        ignored = f" (ignored: {finding.ignored})" if finding.ignored else ""
        place = next(iter(finding.examples), "")
        text = finding.summary + ignored
        events.emit(Found(code=finding.code, severity=finding.severity, place=place, text=text))
    if findings.blocking:
        told = "; ".join(f"{each.summary} [{each.code}]. {each.remedy}".strip(" .") for each in findings.blocking)
        remedy = "Mend it, or say why it may stand: checks.ignore: {code: reason}. tunelab check shows the rows."
        raise DataError(f"the checks found what would spoil this run: {told}", remedy=remedy)
    return schedule


def refuse_unknown_tokens(model: LoadedModel, sequences: Iterable[Rendered]) -> None:
    """Raise a ModelError where a token has no vector in the model, as with a tokenizer of another one."""
    known = len(model.network.get_input_embeddings().weight)
    for each in sequences:
        highest = max((int(ids.max()) for ids in (each.prompt_ids, each.completion_ids) if len(ids)), default=0)
        if highest >= known:
            raise ModelError(
                f"the tokenizer writes token {highest:,} (for {each.origin}), and the model knows {known:,} tokens",
                where=str(model.folder),
                remedy="Put the model's own tokenizer into its folder.",
            )


def batching_that_fits(
    recipe: Recipe, model: LoadedModel, adapter: Adapter, events: EventLog, num_sharing: int = 1
) -> BatchingConfig:
    """Return the recipe's batching as it will be, and say what is another than was asked for.

    Fewer tokens run at a time where half of the device's memory holds no more; a model that cannot branch shares none.

    Args:
        num_sharing: processes that share the device.
    """
    batching = recipe.batching
    if reason := cannot_branch(model.network):
        text = f"this base model takes padded rows and shares no tokens: {reason}"
        events.emit(Notice(code="no_sharing", text=text, level="warning"))
        batching = batching.model_copy(update={"share_prefixes": False})
    if logit_rule(model.network) is None:
        text = "the logits of all trained tokens are held at once: this base model computes them in a way of its own"
        events.emit(Notice(code="whole_logits", text=text, level="warning"))
    estimate = partial(_estimate, recipe, model, adapter)
    memory_bytes = device_memory(model.device) // num_sharing
    affordable = affordable_tokens(lambda tokens: estimate(tokens=tokens, trained_tokens=tokens), memory_bytes)
    wanted = batching.micro_batch_tokens
    if affordable >= wanted:
        return batching
    text = f"{affordable:,} tokens run at a time, not {wanted:,}: half of the memory holds no more, by estimate"
    events.emit(Notice(code="micro_batch_tokens", text=text))
    return batching.model_copy(update={"micro_batch_tokens": affordable})


def announce(
    recipe: Recipe,
    run_id: str,
    model: LoadedModel,
    adapter: Adapter,
    data: Dataset,
    schedule: Schedule,
    batching: BatchingConfig,
    events: EventLog,
    *,
    resumed_from: int,
) -> None:
    """Say what will be trained, on how many tokens, in how much memory."""
    sharing = sharing_of(batching, data.train_sequences, schedule)
    num_trainable, num_weights = _count(model, adapter)
    for line in adapter.description:
        events.emit(Notice(code="adapter", text=line))
    dtype = recipe.adapter.base_quantization or str(model.dtype).removeprefix("torch.")
    base = f"{recipe.model.base_model}, {dtype}, on {model.device.type}"
    text = f"{num_trainable:,} trainable weights over {num_weights:,} frozen ones ({base})"
    events.emit(Notice(code="weights", text=text))
    events.emit(Notice(code="memory", text=_memory(recipe, model, adapter, sharing)))
    events.emit(
        RunStarted(
            run_id=run_id,
            total_steps=schedule.total_steps,
            num_train_sequences=len(data.train_sequences),
            num_eval_sequences=len(data.held_out_sequences),
            num_train_tokens=sharing.real_tokens,
            num_distinct_tokens=sharing.distinct_tokens,
            repeats=sharing.repeats,
            counts_epoch=sharing.is_epoch,
            num_trainable=num_trainable,
            resumed_from=resumed_from,
        )
    )


def _count(model: LoadedModel, adapter: Adapter) -> tuple[int, int]:
    """Return the number of trained and of frozen weights."""
    num_trainable = sum(weight.numel() for weight in adapter.named_parameters().values())
    return num_trainable, sum(num_packed(weight) for weight in model.network.parameters() if not weight.requires_grad)


def _estimate(
    recipe: Recipe, model: LoadedModel, adapter: Adapter, *, tokens: int, trained_tokens: int
) -> MemoryEstimate:
    num_trainable, _ = _count(model, adapter)
    kept = num_trainable * model.dtype.itemsize if recipe.adapter.trains_base else 0
    sizes = sizes_of(model.network.config)
    chunk = chunk_tokens(sizes.vocabulary, on_gpu=model.device.type == "cuda")
    return estimate_step(
        sizes,
        base_bytes=frozen_bytes_here(model.network) + kept,
        num_trainable=num_trainable,
        bytes_per_weight=model.network.dtype.itemsize,
        tokens=tokens,
        trained_tokens=trained_tokens,
        logits_at_a_time=chunk if logit_rule(model.network) else trained_tokens,
        gradient_checkpointing=recipe.training.gradient_checkpointing,
    )


def _memory(recipe: Recipe, model: LoadedModel, adapter: Adapter, sharing: Sharing) -> str:
    estimate = _estimate(recipe, model, adapter, tokens=sharing.largest_batch, trained_tokens=sharing.most_trained)
    return f"memory: {estimate.in_words()}"
