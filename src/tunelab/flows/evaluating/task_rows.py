"""The rows of a suite's tasks: read once, by the settings of one run, for all models that are asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunelab.conversations import Conversation
from tunelab.conversations.fingerprints import prompt_keys
from tunelab.dataset.dataset import Dataset
from tunelab.dataset.gather import gather
from tunelab.errors import DataError, RunError, counted
from tunelab.evaluation.suite.config import SuiteConfig, TaskConfig
from tunelab.events import EventLog, Notice
from tunelab.flows.compare_rows import read_compare_file
from tunelab.flows.subject import SubjectParts
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.rendered import Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRows:
    """The rows of one task."""

    config: TaskConfig
    conversations: tuple[Conversation, ...]
    sequences: tuple[Rendered, ...]
    """As the first model's renderer writes them."""
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRows:
    """The rows of all tasks, and what is known of the training rows."""

    tasks: tuple[TaskRows, ...]
    training: Sequence[Conversation] = ()
    trained_prompts: Collection[bytes] = frozenset()
    """As `prompt_keys` gives them; empty if the training rows cannot be read."""
    template_sha256: str = ""
    """Of the renderer that wrote the sequences."""

    @property
    def description(self) -> str:
        """Where the rows come from, in words."""
        return "; ".join(task.description for task in self.tasks)

    def rendered_for(self, parts: SubjectParts) -> SuiteRows:
        """Return the same rows as another model's renderer writes them.

        Raises:
            DataError: its template refuses a row.
        """
        data = parts.recipe.data
        tasks = []
        for task in self.tasks:
            length, too_long = data.eval_max_length, data.on_too_long
            rendered = render_all(task.conversations, parts.renderer, max_length=length, on_too_long=too_long)
            tasks.append(replace(task, sequences=rendered.sequences))
        return replace(self, tasks=tuple(tasks), template_sha256=parts.renderer.template_hash)


def read_suite_rows(suite: SuiteConfig, parts: SubjectParts, events: EventLog) -> SuiteRows:
    """Return the rows of a suite.

    Args:
        suite: names files, or takes the held-out rows of the run.
        parts: of the first model: by its recipe rows are read and rendered.
        events: of how far reading and rendering have come.

    Raises:
        DataError: rows that cannot be read, or none.
        RunError: the run held out no rows, and the suite names none.
    """
    data = _data_of(suite, parts, events)
    return SuiteRows(
        tasks=tuple(_rows(task, data, parts) for task in suite.tasks),
        training=data.train if data else (),
        trained_prompts=frozenset(key for row in data.train for key in prompt_keys(row)) if data else frozenset(),
        template_sha256=parts.renderer.template_hash,
    )


def _data_of(suite: SuiteConfig, parts: SubjectParts, events: EventLog) -> Dataset | None:
    """Return training and held-out rows; None if they are not needed and there are none."""
    recipe = parts.recipe
    takes_held_out = any(task.rows is None for task in suite.tasks)
    if parts.adapter is None:
        if takes_held_out:
            remedy = "Name rows to evaluate on with --file, or in the suite: tasks: [{rows: FILE}]."
            raise RunError("a base model has no held-out rows", where=recipe.model.base_model, remedy=remedy)
        return None
    try:
        data = gather(recipe.data, base=parts.base, seed=recipe.training.seed, renderer=parts.renderer, events=events)
    except DataError as error:
        if takes_held_out:
            raise
        text = f"whether rows were trained on is not known: the training rows cannot be read ({error.what})"
        events.emit(Notice(code="contamination", text=text, level="warning"))
        return None
    if takes_held_out and not data.held_out_sequences:
        remedy = "Name rows to compare on with --file, or train with data.eval_fraction or data.eval_files."
        raise RunError("this run held out no rows", where=str(parts.base), remedy=remedy)
    return data


def _rows(task: TaskConfig, data: Dataset | None, parts: SubjectParts) -> TaskRows:
    if task.rows is None:
        assert data is not None  # `_data_of` refuses otherwise
        return TaskRows(
            config=task,
            conversations=tuple(data.held_out),
            sequences=data.held_out_sequences,
            description=f"{counted(len(data.held_out), 'held-out row')} of the run",
        )
    file = Path(task.rows)
    items, sequences = read_compare_file(file, parts.recipe.data, parts.renderer, base=parts.base)
    description = f"{counted(len(items), 'row')} of {file.name}"
    return TaskRows(config=task, conversations=tuple(items), sequences=sequences, description=description)
