"""The rows that a run is compared on, and the questions among them."""

from dataclasses import dataclass
from pathlib import Path

from tunelab.conversations import Conversation
from tunelab.dataset.gather import gather
from tunelab.errors import RunError, counted
from tunelab.evaluation.samples import Question, UnaskedRows
from tunelab.events import EventLog
from tunelab.flows.compare_rows import read_compare_file
from tunelab.flows.subject import Subject
from tunelab.rendering.rendered import Rendered, TokenIds
from tunelab.rendering.renderer import Renderer
from tunelab.workspace import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Rows to compare on."""

    sequences: tuple[Rendered, ...]
    conversations: tuple[Conversation, ...]
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The held-out sequences that are answered."""

    prompts: tuple[TokenIds, ...]
    questions: tuple[Question, ...]
    left_out: tuple[UnaskedRows, ...]


def read_held_out(run: Run, subject: Subject, file: Path | None, events: EventLog) -> HeldOut:
    """Return the rows of `file`, or those that the run held out.

    Raises:
        DataError: rows that cannot be read.
        RunError: the run held out no rows.
    """
    return _of_the_run(run, subject, events) if file is None else _of_file(run, subject, file)


def choose_questions(held_out: HeldOut, renderer: Renderer, *, num_examples: int, longest_prompt: int) -> Chosen:
    """Return at most `num_examples` questions, spread evenly over the held-out sequences.

    Args:
        longest_prompt: tokens; longer prompts are left out and counted.
    """
    reasons: dict[str, list[Rendered]] = {}
    answerable = []
    for sequence in held_out.sequences:
        reason = _why_not(sequence, longest_prompt)
        if reason is None:
            answerable.append(sequence)
        else:
            reasons.setdefault(reason, []).append(sequence)
    count = min(num_examples, len(answerable))
    picked = {index * len(answerable) // count for index in range(count)}
    chosen = [sequence for index, sequence in enumerate(answerable) if index in picked]
    if count < len(answerable):
        others = [sequence for index, sequence in enumerate(answerable) if index not in picked]
        reasons[f"not among the {count:,} examples that num_examples allows"] = others
    asked = [(sequence, held_out.conversations[sequence.conversation]) for sequence in chosen]
    return Chosen(
        prompts=tuple(sequence.prompt_ids for sequence in chosen),
        questions=tuple(_question(sequence, conversation, renderer) for sequence, conversation in asked),
        left_out=tuple(
            UnaskedRows(reason=reason, count=len(some), example=str(some[0].origin)) for reason, some in reasons.items()
        ),
    )


def _of_the_run(run: Run, subject: Subject, events: EventLog) -> HeldOut:
    recipe = subject.recipe
    seed = recipe.training.seed
    data = gather(recipe.data, base=run.path, seed=seed, renderer=subject.renderer, events=events)
    if not data.held_out_sequences:
        remedy = "Name rows to compare on with --file, or train with data.eval_fraction or data.eval_files."
        raise RunError("this run held out no rows", where=str(run.path), remedy=remedy)
    return HeldOut(
        sequences=data.held_out_sequences,
        conversations=tuple(data.held_out),
        description=f"{counted(len(data.held_out), 'held-out row')} of the run",
    )


def _of_file(run: Run, subject: Subject, file: Path) -> HeldOut:
    items, sequences = read_compare_file(file, subject.recipe.data, subject.renderer, base=run.path)
    description = f"{counted(len(items), 'row')} of {file.name}"
    return HeldOut(sequences=sequences, conversations=tuple(items), description=description)


def _why_not(sequence: Rendered, longest_prompt: int) -> str | None:
    if len(sequence.prompt_ids) == 0:
        return "plain text has no question to answer; its loss is measured"
    if sequence.cut_completion:
        return "the reference was cut to fit the longest sequence"
    if len(sequence.prompt_ids) > longest_prompt:
        return f"the prompt leaves no room for an answer (more than {longest_prompt:,} tokens)"
    return None


def _question(sequence: Rendered, conversation: Conversation, renderer: Renderer) -> Question:
    asked = conversation.messages[sequence.turn - 1].content if sequence.turn > 0 else None
    return Question(
        origin=str(sequence.origin),
        group=sequence.group,
        asked=asked or "",
        prompt=renderer.decode(sequence.prompt_ids.tolist(), skip_special_tokens=False),
        reference=renderer.decode(sequence.completion_ids.tolist(), skip_special_tokens=True),
    )
