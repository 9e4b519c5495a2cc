"""Train: from a recipe to a finished run. The story of tunelab on one page."""

import hashlib
import re
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
from tunelab.conversations.common_prompt import common_opening
from tunelab.dataset.dataset import Dataset
from tunelab.dataset.gather import gather
from tunelab.errors import RunError, StorageError
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
from tunelab.files import canonical_json, new_folder, sha256_file, sha256_text
from tunelab.flows.training.agreement import agree, announce_processes, shards_base
from tunelab.flows.training.plan import held_out_batches
from tunelab.flows.training.preflight import announce, batching_that_fits, refuse_what_blocks
from tunelab.flows.training.requirements import raise_first, unmet_before_reading, unmet_by_rows
from tunelab.flows.training.signals import Stopping, stop_on_signals
from tunelab.models.base_hashes import hash_base
from tunelab.models.config import choose_precision
from tunelab.models.load_model import load_model
from tunelab.models.loaded_model import LoadedModel
from tunelab.models.locate_model import locate_model, require_bitsandbytes
from tunelab.recipes import Recipe, ResolvedRecipe, written_hash
from tunelab.registry import Manifest
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer
from tunelab.training.checkpoint import latest_checkpoint
from tunelab.training.held_out_loss import held_out_loss
from tunelab.training.loop import Fit, fit
from tunelab.training.sharding import shard
from tunelab.training.world import ALONE, World
from tunelab.workspace import Run, Workspace, name_of_run


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
        run = Run(path=Path(world.tell("")))
        if run.is_finished:
            return Trained(run=run, was_finished=True)
        return _train_in(run, recipe, resolved, SILENT, world, stopping, lambda: None)
    output_dir = Path(recipe.training.output_dir) if recipe.training.output_dir else None
    had_folder = output_dir is not None and output_dir.is_dir()
    if run_id is not None:
        run = _named(workspace, run_id, recipe)
    elif resume:
        run = _find(workspace, resolved.file, recipe, output_dir)
    else:
        run = workspace.new_run(name_of_run(resolved.file), output_dir=output_dir)
    if run.is_finished:
        world.tell(str(run.path))
        return Trained(run=run, was_finished=True)
    with run.locked():
        try:
            run.write_recipe(recipe, workspace=workspace.path)
            refuse_if_replaced = run.begin_attempt()
            world.tell(str(run.path))
            with EventLog(run.events_file, listeners) as events:
                return _train_in(run, recipe, resolved, events, world, stopping, refuse_if_replaced)
        except BaseException as error:
            if not resume and not _has_begun(run):
                run.take_back(keep_folder=had_folder)
            elif isinstance(error, StorageError):
                raise _with_what_stands(error, run) from error
            raise


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
        manifest = _manifest(run, recipe, folder, renderer, data)
        fingerprint = manifest.fingerprint
        older = _older_fingerprints(run, folder, manifest)
        checkpoint = latest_checkpoint(
            run.checkpoints, fingerprint=fingerprint, older=older, on_damaged=partial(_tell_damaged, events)
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
            world=world,
        )
        reason = stopping.agreed_reason(world)
    if fitted.reason != "interrupted" and world.is_first:
        refuse_if_replaced()
        _finish(run, fitted, adapter, manifest, events, refuse_if_replaced)
    return fitted, reason


def _named(workspace: Workspace, run_id: str, recipe: Recipe) -> Run:
    if recipe.training.output_dir:
        what = f"training.output_dir is {recipe.training.output_dir}, and --run makes runs/{run_id}"
        raise RunError(what, where="--run", remedy="Leave one of the two out.")
    return workspace.named_run(run_id, recipe)


def _find(workspace: Workspace, file: Path | None, recipe: Recipe, output_dir: Path | None) -> Run:
    """Return the run whose own recipe `file` is, else the latest run of this recipe."""
    own = Run(path=file.parent) if file is not None else None
    if own is not None and own.recipe_file == file and own.events_file.exists():
        own.refuse_other_settings(recipe)
        return own
    run = workspace.latest_of(recipe, output_dir=output_dir)
    if run is None:
        remedy = (
            "Give the same --set values as when it was started; or leave out --resume to start one. To continue a run "
            "whose recipe file has changed since, "
            "name the recipe.yaml in its folder."
        )
        raise RunError("there is no run of exactly this recipe to resume", where=str(workspace.path), remedy=remedy)
    return run


def _announce_wait(events: EventLog, text: str) -> None:
    events.emit(Notice(code="base_model", text=text))


def _tell_damaged(events: EventLog, path: Path) -> None:
    text = f"the checkpoint {path.name} is damaged and left out: the run goes on from an earlier one, or anew"
    events.emit(Notice(code="checkpoint_damaged", text=text, level="warning"))


def _has_begun(run: Run) -> bool:
    return any(isinstance(event, RunStarted) for event in read_events(run.events_file))


def _with_what_stands(error: StorageError, run: Run) -> StorageError:
    """Return the error of a run that began, with the last whole checkpoint and the command that goes on."""
    saved = sorted(run.checkpoints.glob("step-*"))
    saved_so_far = f"The checkpoint {saved[-1].name} is whole" if saved else "No checkpoint was written yet"
    remedy = f"{saved_so_far}. Fix this, then go on with: tunelab train {shlex.quote(str(run.recipe_file))} --resume"
    return StorageError(error.what, where=error.where, expected=error.expected, remedy=remedy)


def _init_ids(recipe: Recipe, renderer: Renderer) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    text = recipe.adapter.initial_text
    return np.asarray(renderer.encode(text) if text else [], dtype=np.int32)


def _manifest(run: Run, recipe: Recipe, folder: Path, renderer: Renderer, data: Dataset) -> Manifest:
    """Return what the run is made of."""
    system_prompt, tools = common_opening(data.train)
    return Manifest(
        base_model=recipe.model.base_model,
        base_files=hash_base(folder),
        recipe_sha256=written_hash(run.recipe_text),
        data_sha256=_data_hash(data),
        template_sha256=renderer.template_hash,
        rendered_on=renderer.made_from.today,
        system_prompt=system_prompt,
        tools=tools,
    )


def _older_fingerprints(run: Run, folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Return those of checkpoints saved when it held the recipe as written and the base's sizes, or names of places."""
    sizes = {file.name: file.stat().st_size for file in sorted(folder.glob("*.safetensors"))}
    config = manifest.base_files["config.json"]
    made_of = [sha256_file(run.recipe_file), sizes, config, manifest.template_sha256, manifest.data_sha256]
    text = re.sub(r"^  output_dir: .*$", "  output_dir: null", run.recipe_text, flags=re.MULTILINE)
    with_places = replace(manifest, recipe_sha256=sha256_text(text))
    return sha256_text(canonical_json(made_of)), with_places.fingerprint


def _data_hash(data: Dataset) -> str:
    tokens = hashlib.sha256()
    for side in (data.train_sequences, data.held_out_sequences):
        for each in side:
            tokens.update(b"%d %d " % (len(each.prompt_ids), len(each.completion_ids)))
            tokens.update(each.prompt_ids.tobytes() + each.completion_ids.tobytes())
        tokens.update(b"|")
    return tokens.hexdigest()


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
    fitted: Fit,
    adapter: Adapter,
    manifest: Manifest,
    events: EventLog,
    refuse_if_replaced: Callable[[], None],
) -> None:
    """Put the adapter in place; the manifest comes last."""
    with new_folder(run.adapter) as folder:
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
    refuse_if_replaced()
    run.write_manifest(
        replace(manifest, steps=fitted.step, adapter_step=fitted.adapter_step, held_out_loss=fitted.best_loss)
    )
