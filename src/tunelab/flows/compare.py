"""Base against tuned: the same held-out rows, one model in memory, its adapter switched off and on."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tunelab.errors import StorageError
from tunelab.evaluation.comparison import compare
from tunelab.evaluation.report import ComparisonSetting, Report
from tunelab.evaluation.report_html import to_html
from tunelab.evaluation.samples import HeldOutLoss, SampledAnswer, Side
from tunelab.events import SILENT, EventLog, Notice, Planned, Progress
from tunelab.files import write_file
from tunelab.flows.questions import choose_questions, read_held_out
from tunelab.flows.subject import open_run
from tunelab.flows.training.plan import held_out_batches
from tunelab.generation.responder import Responder
from tunelab.recipes import Recipe
from tunelab.rendering.rendered import Rendered, TokenIds
from tunelab.training.held_out_loss import held_out_loss
from tunelab.workspace import Run


def compare_run(
    run: Run,
    *,
    file: Path | None = None,
    seed: int | None = None,
    events: EventLog = SILENT,
    **settings: object,
) -> Report:
    """Compare base and tuned model, write report.json and report.html into the run, and return the report.

    Args:
        file: rows to compare on instead of the held-out ones.
        seed: of sampled answers; None takes the recipe's.
        events: of how far reading, rendering and the answers of both sides have come.
        settings: other ones of `evaluation` than the recipe's, e.g. ``temperature=0.7``; None changes nothing.

    Raises:
        StorageError: the run's folder cannot be written to.
        UserError: the run cannot be opened (`open_run`) or its rows cannot be read.
    """
    _refuse_unwritable(run.path)
    subject = open_run(run)
    recipe = subject.recipe
    evaluation = recipe.evaluation.changed(**settings)
    sampling = evaluation.sampling(seed=recipe.training.seed if seed is None else seed)
    for remark in evaluation.remarks():
        events.emit(Notice(code="evaluation", text=remark))
    compare_file = file or (Path(evaluation.compare_file) if evaluation.compare_file else None)
    held_out = read_held_out(run, subject, compare_file, events)
    tuned, base = (subject.responder(sampling, tuned=tuned) for tuned in (True, False))
    chosen = choose_questions(
        held_out, subject.renderer, num_examples=evaluation.num_examples, longest_prompt=tuned.longest_prompt
    )
    amounts = {"answers": 2 * len(chosen.prompts), "sequences": 2 * len(held_out.sequences)}
    events.emit(Planned(stage="comparing", amounts=amounts))
    ask = partial(_side, recipe=recipe, sequences=held_out.sequences, prompts=chosen.prompts)
    setting = ComparisonSetting(
        run=run.id,
        base_model=recipe.model.base_model,
        adapter=recipe.adapter.describe(),
        data=held_out.description,
        **asdict(sampling),
    )
    report = compare(
        ask(base, on_progress=_reports(events, "base")),
        ask(tuned, on_progress=_reports(events, "tuned")),
        chosen.questions,
        setting=setting,
        left_out=chosen.left_out,
    )
    write_file(run.report_file, report.to_json())
    write_file(run.html_report_file, to_html(report))
    return report


def _refuse_unwritable(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        remedy = "Make it writable, or copy the run's folder to a place that is."
        raise StorageError("report.json cannot be written here", where=str(folder), remedy=remedy)


def _side(
    responder: Responder,
    *,
    recipe: Recipe,
    sequences: Sequence[Rendered],
    prompts: Sequence[TokenIds],
    on_progress: Callable[[int, int], None],
) -> Side:
    answers = [
        SampledAnswer(
            text=response.text,
            stopped=response.completion.stopped,
            num_tokens=len(response.completion.token_ids),
        )
        for response in responder.answers(prompts, on_progress=on_progress)
    ]
    return Side(answers=answers, loss=_loss(responder, recipe, sequences))


def _loss(responder: Responder, recipe: Recipe, sequences: Sequence[Rendered]) -> HeldOutLoss:
    batches = held_out_batches(recipe, sequences)
    share = recipe.batching.share_prefixes
    assert responder.adapter is not None  # a run has one
    with responder.switched():
        loss, num_tokens = held_out_loss(responder.network, responder.adapter, sequences, batches, share=share)
    return HeldOutLoss(mean=loss if num_tokens else None, num_sequences=len(sequences), num_trained_tokens=num_tokens)


def _reports(events: EventLog, side: str) -> Callable[[int, int], None]:
    return lambda done, total: events.emit(Progress(stage=side, done=done, total=total, unit="answers"))
