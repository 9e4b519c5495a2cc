"""Base against tuned: the same held-out rows, one model in memory, its adapter switched off and on."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tunelab.evaluation.report import Answer, HeldOutLoss, Report, Setting, Side, compare
from tunelab.evaluation.report_html import to_html
from tunelab.files import write_file
from tunelab.flows.questions import Chosen, choose_questions, read_held_out
from tunelab.flows.subject import OpenedRun, open_run
from tunelab.flows.training.plan import held_out_batches
from tunelab.generation.completion import Sampling
from tunelab.generation.decode import longest_prompt
from tunelab.generation.generate import generate
from tunelab.rendering.rendered import Rendered
from tunelab.training.held_out_loss import held_out_loss
from tunelab.workspace import Run

OnProgress = Callable[[str, int, int], None]
"""Told which side answers (base, tuned), the answers done and the answers in all."""


def compare_run(
    run: Run,
    *,
    num_examples: int | None = None,
    temperature: float | None = None,
    max_new_tokens: int | None = None,
    file: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Compare base and tuned model, write report.json and report.html into the run, and return the report.

    Args:
        num_examples, temperature, max_new_tokens, file: None takes what the run's recipe says.
        file: rows to compare on instead of the held-out ones.

    Raises:
        UserError: the run cannot be opened (`open_run`) or its rows cannot be read.
    """
    opened = open_run(run)
    evaluation = opened.recipe.evaluation
    sampling = Sampling(
        max_new_tokens=evaluation.max_new_tokens if max_new_tokens is None else max_new_tokens,
        temperature=evaluation.temperature if temperature is None else temperature,
        seed=opened.recipe.training.seed,
    )
    compare_file = file or (Path(evaluation.compare_file) if evaluation.compare_file else None)
    held_out = read_held_out(opened, compare_file)
    network, adapter = opened.model.network, opened.adapter
    chosen = choose_questions(
        held_out,
        opened.renderer,
        num_examples=evaluation.num_examples if num_examples is None else num_examples,
        longest_prompt=longest_prompt(network, adapter),
    )
    ask = partial(_side, opened, held_out.sequences, chosen, sampling)
    with adapter.disabled():
        base = ask(_named(on_progress, "base"))
    tuned = ask(_named(on_progress, "tuned"))
    setting = Setting(
        run=run.id,
        base_model=opened.recipe.model.base_model,
        adapter=opened.recipe.adapter.describe(),
        data=held_out.description,
        max_new_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        seed=sampling.seed,
    )
    report = compare(base, tuned, chosen.questions, setting=setting, left_out=chosen.left_out)
    write_file(run.report_file, report.to_json())
    write_file(run.html_report_file, to_html(report))
    return report


def _side(
    opened: OpenedRun,
    sequences: Sequence[Rendered],
    chosen: Chosen,
    sampling: Sampling,
    on_progress: Callable[[int, int], None] | None,
) -> Side:
    completions = generate(
        opened.model.network,
        opened.adapter,
        chosen.prompts,
        sampling=sampling,
        stop_ids=opened.renderer.stop_ids,
        on_progress=on_progress,
    )
    answers = [
        Answer(
            text=opened.renderer.decode(completion.token_ids, skip_special_tokens=True),
            stopped=completion.stopped,
            num_tokens=len(completion.token_ids),
        )
        for completion in completions
    ]
    return Side(answers=answers, loss=_loss(opened, sequences))


def _loss(opened: OpenedRun, sequences: Sequence[Rendered]) -> HeldOutLoss:
    recipe = opened.recipe
    batches = held_out_batches(recipe, sequences)
    share = recipe.batching.share_prefixes
    loss, num_tokens = held_out_loss(opened.model.network, opened.adapter, sequences, batches, share=share)
    return HeldOutLoss(mean=loss if num_tokens else None, num_sequences=len(sequences), num_trained_tokens=num_tokens)


def _named(on_progress: OnProgress | None, side: str) -> Callable[[int, int], None] | None:
    return partial(on_progress, side) if on_progress is not None else None
