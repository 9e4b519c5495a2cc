"""Train: from a recipe to a finished run. The story of tunelab on one page."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from tunelab.adapters.adapter import Adapter
from tunelab.adapters.attach import attach
from tunelab.batching.config import BatchingConfig
from tunelab.dataset.gather import gather
from tunelab.errors import StorageError
from tunelab.events import (
    SILENT,
    EventIndex,
    EventLog,
    Listener,
    Notice,
    RunFinished,
    RunInterrupted,
    RunStarted,
    read_events,
)
from tunelab.events.loss_plot import write_loss_plot
from tunelab.files import new_folder, sha256_file
from tunelab.flows.training.agreement import agree, announce_processes, shards_base
from tunelab.flows.training.find_run import find_run
from tunelab.flows.training.plan import held_out_batches
from tunelab.flows.training.preflight import announce, batching_that_fits, refuse_what_blocks
from tunelab.flows.training.requirements import raise_first, unmet_before_reading, unmet_by_rows
from tunelab.flows.training.run_hashes import manifest_of, older_fingerprints
from tunelab.flows.training.signals import Stopping, stop_on_signals
from tunelab.flows.training.take_adapter import take_adapter
from tunelab.flows.training.trainer_state import keep_trainer_state
from tunelab.models.config import choose_precision
from tunelab.models.load_model import load_model
from tunelab.models.loaded_model import LoadedModel
from tunelab.models.locate_model import locate_model, require_bitsandbytes
from tunelab.recipes import Recipe, ResolvedRecipe
from tunelab.registry import Manifest
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer
from tunelab.training.checkpoint import latest_checkpoint
from tunelab.training.config import TrainingConfig
from tunelab.training.held_out_loss import held_out_loss
from tunelab.training.loop import Fit, fit
from tunelab.training.sharding import shard
from tunelab.training.world import ALONE, World
from tunelab.workspace import Run, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What `train` returns."""

    run: Run
    step: int = 0
    """Optimizer steps done."""
    interrupted_by: str | None = None
    """The signal that ended the run early, or ``request``; None if it is finished."""
    was_finished: bool = False
    """True where there was nothing left to do."""


def train(
    resolved: ResolvedRecipe,
    workspace: Workspace,
    *,
    resume: bool = False,
    run_id: str | None = None,
    listeners: Iterable[Listener] = (),
    stopping: Stopping | None = None,
    world: World = ALONE,
) -> Trained:
    """Train the adapter of a recipe.

    Args:
        resolved: the recipe and the folder its names start from.
        workspace: where the run's folder is made, or found again with `resume`.
        resume: continue the run whose recipe file this is, or the latest run of exactly this recipe; one that is
            finished is left as it is.
        run_id: begin the run of this id, or go on with it, or find it finished: the same call is right after any death.
        listeners: called with each event as it happens; in the first process alone.
        stopping: its `request` ends the run after the step at work, saved, from another thread or a callback. Signals
            do so, too, if this is the main thread.
        world: the processes that train this run together, each of which calls this function.

    Raises:
        UserError: anything about recipe, data, model or folder that keeps a run from starting. A new run that never
            began leaves no files; one that began can be resumed.
    """
    recipe, stopping = resolved.anchored, stopping or Stopping()
    if not world.is_first:
        run, is_finished = _told_run(world)
        if is_finished:
            return Trained(run=run, was_finished=True)
        return _train_in(run, recipe, resolved, SILENT, world, stopping, lambda: None)
    output_dir = Path(recipe.training.output_dir) if recipe.training.output_dir else None
    had_folder = output_dir is not None and output_dir.is_dir()
    run = find_run(resolved, recipe, workspace, resume=resume, run_id=run_id)
    if run.is_finished:
        return _left_as_it_is(run, world)
    with run.locked():
        if run.state == "finished":  # by the process that held it until now
            return _left_as_it_is(run, world)
        attempt = None
        try:
            attempt = run.begin_attempt()
            refuse_if_replaced = partial(run.refuse_if_replaced, attempt)
            run.write_recipe(recipe, workspace=workspace.path)
            _tell_run(world, run, is_finished=False)
            with EventLog(run.events_file, listeners, before_writing=refuse_if_replaced) as events:
                return _train_in(run, recipe, resolved, events, world, stopping, refuse_if_replaced)
        except BaseException as error:
            if attempt is not None:
                run.refuse_if_replaced(attempt)  # what went wrong may be the other one's doing
            if not resume and not _has_begun(run):
                run.take_back(attempt, keep_folder=had_folder)
            elif isinstance(error, StorageError):
                raise _with_the_way_on(error, run) from error
            raise


def _left_as_it_is(run: Run, world: World) -> Trained:
    _tell_run(world, run, is_finished=True)
    return Trained(run=run, was_finished=True)


def _tell_run(world: World, run: Run, *, is_finished: bool) -> None:
    """Let all processes know the run and what the first one saw of it: a disk may show them different things."""
    world.tell(str(run.path))
    world.gather(is_finished)


def _told_run(world: World) -> tuple[Run, bool]:
    """Return the run that the first process trains, and whether that found it finished."""
    path = world.tell("")
    return Run(path=Path(path)), bool(world.gather(False)[0][0])


def _train_in(
    run: Run,
    recipe: Recipe,
    resolved: ResolvedRecipe,
    events: EventLog,
    world: World,
    stopping: Stopping,
    refuse_if_replaced: Callable[[], None],
) -> Trained:
    for note in resolved.notes:
        events.emit(Notice(code="recipe", text=note))
    if (adapter_path := recipe.evaluation.adapter_path) is not None:
        if world.is_first:
            manifest = take_adapter(run, recipe, Path(adapter_path), events)
            run.write_manifest(manifest, before=refuse_if_replaced)
        return Trained(run=run)
    fitted, reason = _train(recipe, resolved, run, events, world, stopping, refuse_if_replaced)
    if fitted.reason != "interrupted":
        return Trained(run=run, step=fitted.step)
    events.emit(RunInterrupted(step=fitted.step, signal=reason or ""))
    return Trained(run=run, step=fitted.step, interrupted_by=reason)


def _train(
    recipe: Recipe,
    resolved: ResolvedRecipe,
    run: Run,
    events: EventLog,
    world: World,
    stopping: Stopping,
    refuse_if_replaced: Callable[[], None],
) -> tuple[Fit, str | None]:
    folder = locate_model(recipe.model, base=resolved.base, on_start=partial(_announce_wait, events))
    raise_first(unmet_before_reading(recipe, folder))
    require_bitsandbytes(recipe.adapter.base_quantization)
    day = date.fromisoformat(world.tell(_first_day(run).isoformat()))
    renderer = load_renderer(folder, recipe.data, base=resolved.base, today=day)
    with world.first_of_machine_ahead():  # the others find in the cache what it rendered
        data = gather(
            recipe.data,
            base=resolved.base,
            seed=recipe.training.seed,
            renderer=renderer,
            events=events,
            rejected=run.rejected_file if world.is_first else None,
        )
    sequences, held_out = data.train_sequences, data.held_out_sequences
    schedule = refuse_what_blocks(recipe, data, renderer, folder, events)
    raise_first(unmet_by_rows(recipe, folder, data, renderer))

    precision = choose_precision(bf16=recipe.training.bf16, fp16=recipe.training.fp16)
    is_sharded = shards_base(recipe, world)
    model = load_model(
        folder,
        recipe.model,
        precision=precision,
        quantization=recipe.adapter.base_quantization,
        is_for_shards=is_sharded,
    )
    adapter = attach(
        model.network,
        recipe.adapter,
        init_ids=_init_ids(recipe, renderer),
        base_model=recipe.model.base_model,
        seed=recipe.training.seed,
    )
    if is_sharded:
        shard(model, adapter, world)
    with world.first_ahead():  # it hashes the base for all, and sweeps what a crash left
        manifest = manifest_of(run, recipe, folder, renderer, data)
        fingerprint = manifest.fingerprint
        older = older_fingerprints(run, folder, manifest)
        checkpoint = latest_checkpoint(
            run.checkpoints, fingerprint=fingerprint, older=older, on_damaged=partial(_report_damaged, events)
        )
    resumed_from = checkpoint.progress.step if checkpoint else 0
    batching = agree(world, fingerprint, batching_that_fits(recipe, model, adapter, events, world.num_on(model.device)))
    announce_processes(world, schedule, events, fsdp=recipe.training.fsdp)
    events.emit(Notice(code="run_folder", text=f"run {run.id} in {run.path}"))
    announce(recipe, run.id, model, adapter, data, schedule, batching, events, resumed_from=resumed_from)
    with stop_on_signals(stopping, world):
        fitted = fit(
            model,
            adapter,
            sequences,
            schedule,
            config=recipe.training,
            batching=batching,
            precision=precision,
            checkpoints=run.checkpoints,
            fingerprint=fingerprint,
            events=events,
            score=_scorer(recipe, model, adapter, held_out, batching, world),
            resume_from=checkpoint,
            should_stop=stopping,
            before_saving=refuse_if_replaced,
            after_saving=partial(keep_trainer_state, run, recipe.training, events) if world.is_first else lambda: None,
            world=world,
        )
        reason = stopping.agreed_reason(world)
    if fitted.reason != "interrupted" and world.is_first:
        _finish(run, recipe.training, fitted, adapter, manifest, events, refuse_if_replaced)
    return fitted, reason


def _announce_wait(events: EventLog, text: str) -> None:
    events.emit(Notice(code="base_model", text=text))


def _report_damaged(events: EventLog, path: Path) -> None:
    text = f"the checkpoint {path.name} is damaged and left out: the run goes on from an earlier one, or anew"
    events.emit(Notice(code="checkpoint_damaged", text=text, level="warning"))


def _has_begun(run: Run) -> bool:
    return any(isinstance(event, RunStarted) for event in read_events(run.events_file))


def _with_the_way_on(error: StorageError, run: Run) -> StorageError:
    """Return the error of a run that began, with the last whole checkpoint and the command that goes on."""
    saved = sorted(run.checkpoints.glob("step-*"))
    saved_so_far = f"The checkpoint {saved[-1].name} is whole" if saved else "No checkpoint was written yet"
    remedy = f"{saved_so_far}. Fix this, then go on with: tunelab train {shlex.quote(str(run.recipe_file))} --resume"
    return StorageError(error.what, where=error.where, expected=error.expected, remedy=remedy)


def _init_ids(recipe: Recipe, renderer: Renderer) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    text = recipe.adapter.initial_text
    return np.asarray(renderer.encode(text) if text else [], dtype=np.int32)


def _scorer(
    recipe: Recipe,
    model: LoadedModel,
    adapter: Adapter,
    held_out: Sequence[Rendered],
    batching: BatchingConfig,
    world: World,
) -> Callable[[], tuple[float, int]] | None:
    if not held_out or recipe.training.eval_strategy == "no":
        return None
    return partial(
        held_out_loss,
        model.network,
        adapter,
        held_out,
        held_out_batches(recipe, held_out),
        share=batching.share_prefixes,
        row_tokens=batching.micro_batch_tokens,
        accumulation=recipe.training.eval_accumulation_steps,
        world=world,
    )


def _first_day(run: Run) -> date:
    """Return the day the run began, which templates that write the date are given however long the run takes."""
    began = next((event.time for event in read_events(run.events_file)), None)
    return date.today() if began is None else date.fromtimestamp(began)


def _finish(
    run: Run,
    config: TrainingConfig,
    fitted: Fit,
    adapter: Adapter,
    manifest: Manifest,
    events: EventLog,
    refuse_if_replaced: Callable[[], None],
) -> None:
    """Put the adapter in place; the manifest comes last."""
    with new_folder(run.adapter, before=refuse_if_replaced) as folder:
        adapter.save(folder)
    (weights,) = run.adapter.glob("*model.safetensors")
    events.emit(
        RunFinished(
            step=fitted.step,
            adapter_step=fitted.adapter_step,
            best_eval_loss=fitted.best_loss,
            reason=fitted.reason,
            adapter_sha256=sha256_file(weights),
            adapter_bytes=weights.stat().st_size,
        )
    )
    write_loss_plot(EventIndex(run.events_file), run.plot_file, title=run.id)
    keep_trainer_state(run, config, events)
    run.write_manifest(
        replace(manifest, steps=fitted.step, adapter_step=fitted.adapter_step, held_out_loss=fitted.best_loss),
        before=refuse_if_replaced,
    )
