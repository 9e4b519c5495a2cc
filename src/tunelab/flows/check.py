"""`check`: read data as training would, and say what is wrong with them before anything is trained."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunelab.batching.redundancy import count_repeats
from tunelab.batching.schedule import Schedule
from tunelab.checks.check import check
from tunelab.checks.context import CheckContext, PlannedModel, PlannedRun, UnmetRequirement
from tunelab.checks.finding import Findings
from tunelab.checks.report.document import Document
from tunelab.checks.report.examples import Example, Measure, make_examples
from tunelab.checks.report.statistics import Statistics, statistics
from tunelab.checks.streaming import FirstFindings
from tunelab.dataset.dataset import Dataset
from tunelab.dataset.gather import gather
from tunelab.errors import MissingExtraError, RecipeError
from tunelab.events import SILENT, EventLog, Notice
from tunelab.flows.training.memory_plan import planned_model
from tunelab.flows.training.plan import in_amounts, make_schedule, planned_run
from tunelab.flows.training.requirements import (
    require_layers_to_split,
    unmet_before_reading,
    unmet_by_rows,
    unmet_by_run_folder,
)
from tunelab.models.architecture import other_inputs_in, running_kinds_in
from tunelab.models.config import expects_gpu
from tunelab.models.locate_model import locate_model, max_positions, require_bitsandbytes
from tunelab.recipes import Recipe, ResolvedRecipe, resolve_recipe
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer
from tunelab.texts.language import load_beside
from tunelab.workspace import find_workspace

RECIPE_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a check found."""

    resolved: ResolvedRecipe
    dataset: Dataset
    planned: PlannedRun | None
    """None if data were checked and no run is planned."""
    model: PlannedModel | None
    """None if no run is planned, or if only loading the base model can say."""
    findings: Findings
    statistics: Statistics
    examples: tuple[Example, ...]
    notes: tuple[str, ...]
    """What was decided on the way, to be said aloud."""

    def document(self) -> Document:
        """Return it as one document, for programs and pages."""
        return Document(
            recipe=None if self.resolved.file is None else str(self.resolved.file),
            model=self.resolved.recipe.model.base_model,
            format=self.dataset.format,
            evidence=self.dataset.evidence,
            notes=self.notes,
            blocks=bool(self.findings.blocking),
            findings=self.findings.items,
            bad_rows=tuple(map(str, (*self.dataset.bad_rows, *self.dataset.bad_turns))),
            statistics=self.statistics,
            planned=self.planned,
            planned_model=self.model,
            examples=self.examples,
        )


def check_data_or_recipe(
    target: str | None,
    *,
    pattern: str | None = None,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    num_examples: int = 0,
    worst: Measure | None = None,
    events: EventLog = SILENT,
) -> CheckResult:
    """Read and render what a recipe would train on, and return what is wrong with it. Bad rows do not end it.

    Args:
        target: a recipe (.yaml), or data: a file, a folder, a glob; None lets `LLM_*` variables be the recipe.
        pattern: glob of the training files, inside the data folder.
        overrides: `section.key=value` texts.
        num_examples: how many rendered conversations to return, drawn with the recipe's seed.
        worst: return the worst ones by this measure instead.
        events: receives the progress of reading and rendering, the first bad rows and turns as they are met, the first
            finding of each kind that is certain while the data are still read, and the planned run.

    Raises:
        UserError: the recipe, the model's tokenizer or a whole file cannot be read.
    """
    is_data = target is not None and Path(target).suffix.lower() not in RECIPE_SUFFIXES
    resolved = resolve_recipe(
        Path(target) if target is not None and not is_data else None,
        overrides=[*_data_settings(target if is_data else None, pattern), *overrides],
        environment=environment,
    )
    recipe = resolved.anchored
    folder = locate_model(
        recipe.model, base=resolved.base, on_start=lambda text: events.emit(Notice(code="base_model", text=text))
    )
    renderer = load_renderer(folder, recipe.data, base=resolved.base)
    if recipe.checks.language_sample:
        load_beside()
    dataset = gather(
        recipe.data.model_copy(update={"bad_rows": "skip"}),
        base=resolved.base,
        seed=recipe.training.seed,
        renderer=renderer,
        events=events,
        look=FirstFindings(events, renderer.tokens) if events.has_listeners else None,
    )
    sequences = dataset.train_sequences
    schedule = make_schedule(recipe, sequences) if sequences and not is_data else None
    context = context_of(recipe, dataset, renderer, folder=folder, schedule=schedule)
    if not is_data:
        context = replace(context, refusals=tuple(_refusals(recipe, folder, dataset, renderer)))
    if schedule is not None:
        events.emit(in_amounts(schedule, sequences))
        model = planned_model(recipe, folder, sequences=sequences, schedule=schedule)
        context = replace(context, model=model)
    return CheckResult(
        resolved=resolved,
        dataset=dataset,
        planned=context.planned,
        model=context.model,
        findings=check(context),
        statistics=statistics(context, count_repeats=count_repeats),
        examples=make_examples(context, renderer, num_examples, worst=worst, seed=recipe.training.seed),
        notes=(
            *(_assumed(recipe) if is_data else resolved.notes),
            *dataset.notes,
            *renderer.notes,
            *_on_base(folder),
            *_here(recipe),
        ),
    )


def _refusals(recipe: Recipe, folder: Path, dataset: Dataset, renderer: Renderer) -> Iterator[UnmetRequirement]:
    """Yield what `tunelab train`, started in the current folder, would refuse before its first step."""
    yield from unmet_by_run_folder(recipe, find_workspace(Path.cwd()))
    yield from unmet_before_reading(recipe, folder)
    yield from unmet_by_rows(recipe, folder, dataset, renderer)


def _here(recipe: Recipe) -> Iterator[str]:
    """Yield what this machine lacks for a run of the recipe, and what several processes would refuse."""
    try:
        require_bitsandbytes(recipe.adapter.base_quantization)
    except MissingExtraError as error:
        yield f"tunelab train refuses this recipe here: {error.what}. {error.remedy}."
    if recipe.model.device_map == "cuda" and not expects_gpu("auto"):
        yield "tunelab train refuses this recipe here: model.device_map is cuda, and this machine has no GPU"
    try:
        require_layers_to_split(recipe)
    except RecipeError as error:
        yield f"tunelab train refuses several processes: {error.what}. {error.remedy}"


def _on_base(folder: Path) -> list[str]:
    """Return notes on a base whose config has more than layers of text that branch."""
    notes = []
    if kinds := running_kinds_in(folder):
        layers = f"{', '.join(kinds)} layers cannot branch"
        notes.append(f"prefix sharing is off for this base model ({layers}); sequences are padded instead")
        notes.append("trainable weights and memory are known once the model is loaded: its files do not say")
    if note := note_on_pictures(folder):
        notes.append(note)
    return notes


def note_on_pictures(folder: Path) -> str:
    """Return what works and what does not with a base that takes more than text; nothing for others."""
    inputs = other_inputs_in(folder)
    text = f"this base model takes {inputs}, too: only its text part is trained, {inputs} are never shown to it"
    return f"{text}; if transformers cannot load it as a text model, tunelab train says so" if inputs else ""


def context_of(
    recipe: Recipe, dataset: Dataset, renderer: Renderer, *, folder: Path, schedule: Schedule | None
) -> CheckContext:
    """Return what the checks are given; `train` gives them the same. Without a schedule, no run is planned."""
    num_held_out = len(dataset.held_out_sequences)
    positions = max_positions(folder)
    return CheckContext(
        dataset=dataset,
        skips_bad_rows=recipe.data.bad_rows == "skip",
        template=renderer.abilities,
        has_template=renderer.has_template,
        max_length=recipe.data.max_length,
        special_tokens=renderer.tokens.special_texts,
        end_tokens=renderer.stop_texts,
        bos_id=renderer.bos_id,
        max_positions=None if positions is None else positions - recipe.adapter.num_positions,
        train_samples=recipe.data.train_samples,
        planned=None if schedule is None else planned_run(recipe, schedule, num_held_out=num_held_out),
        config=recipe.checks,
    )


def _data_settings(data: str | None, pattern: str | None) -> list[str]:
    """Return the settings of a recipe around bare data: all rows are training rows, files as the user named them."""
    if data is None:
        return [] if pattern is None else [f"data.train_files={json.dumps([pattern])}"]
    name = data if pattern is None else str(Path(data) / pattern)
    return ["data.data_dir=.", f"data.train_files={json.dumps([name])}", "data.eval_files=[]", "data.eval_fraction=0"]


def _assumed(recipe: Recipe) -> Iterator[str]:
    model, length = recipe.model.base_model, recipe.data.max_length
    yield f"no recipe is given: model.base_model {model}, data.max_length {length:,}; a recipe may say otherwise"
