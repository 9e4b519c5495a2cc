"""What keeps a run from starting, and what is only said aloud."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from tunelab.batching.schedule import Schedule
from tunelab.checks.check import check
from tunelab.errors import DataError, ModelError
from tunelab.events import EventLog, Notice
from tunelab.flows.check import material_of
from tunelab.flows.data import Gathered
from tunelab.flows.plan import make_schedule, planned_run
from tunelab.models.loaded import LoadedModel
from tunelab.recipes import Recipe
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer

_LISTED = 20  # bad rows; tunelab check --json lists them all


def refuse_what_blocks(recipe: Recipe, data: Gathered, renderer: Renderer, folder: Path, events: EventLog) -> Schedule:
    """Return the schedule of a run whose data and plan have no blocking finding; the others are said aloud."""
    events.emit(Notice(text=f"rows read as {data.evidence}"))
    for note in (*data.notes, *renderer.notes):
        events.emit(Notice(text=note))
    if not data.rendered_train.sequences:
        first = next(iter((*data.bad_rows, *data.bad_turns)), None)
        remedy = "Run tunelab check on the recipe: it lists why." + (f" The first reason: {first}" if first else "")
        raise DataError("no row can be trained", where="data.train_files", remedy=remedy)
    schedule = make_schedule(recipe, data.rendered_train.sequences)
    plan = planned_run(recipe, schedule, num_held_out=len(data.rendered_held_out.sequences))
    findings = check(material_of(recipe, data, renderer, folder=folder, planned=plan))
    for finding in findings:
        ignored = f" (ignored: {finding.ignored})" if finding.ignored else ""
        level = "info" if finding.severity == "note" else "warning"
        events.emit(Notice(text=finding.summary + ignored, level=level))
    for error in chain(data.bad_rows[:_LISTED], data.bad_turns[:_LISTED]):
        events.emit(Notice(text=f"left out: {error}", level="warning"))
    blocking = findings.blocking(recipe.checks)
    if blocking:
        told = " ".join(f"[{each.code}] {each.summary} {each.remedy}".strip() for each in blocking)
        remedy = "Mend it, or say why it may stand: checks.ignore: {code: reason}. tunelab check shows the rows."
        raise DataError(f"the checks found what would spoil this run: {told}", remedy=remedy)
    return schedule


def refuse_unknown_tokens(model: LoadedModel, sequences: Iterable[Rendered]) -> None:
    """Raise a ModelError where a token has no vector in the model, as with a tokenizer of another one."""
    known = model.network.get_input_embeddings().num_embeddings
    for each in sequences:
        highest = max((int(ids.max()) for ids in (each.prompt_ids, each.completion_ids) if len(ids)), default=0)
        if highest >= known:
            raise ModelError(
                f"the tokenizer writes token {highest:,} (for {each.origin}), and the model knows {known:,} tokens",
                where=str(model.folder),
                remedy="Put the model's own tokenizer into its folder.",
            )
