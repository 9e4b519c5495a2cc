"""Checks of the planned run: settings that cannot do what they say on this data."""

from collections.abc import Iterator

from tunelab.checks.context import CheckContext, PlannedRun
from tunelab.checks.finding import Finding
from tunelab.checks.rule import rule
from tunelab.errors import counted


@rule("warmup_longer_than_run")
def warmup_longer_than_run(context: CheckContext) -> Iterator[Finding]:
    """The learning rate would rise to the end and never reach its peak."""
    run = context.planned
    if run and run.uses_warmup and run.num_warmup_steps >= run.total_steps:
        yield Finding(
            code="warmup_longer_than_run",
            severity="warning",
            summary=f"the learning rate rises for {counted(run.num_warmup_steps, 'step')}, "
            f"and the run has {run.total_steps:,}",
            count=run.num_warmup_steps,
            total=run.total_steps,
            why="The peak learning rate is never reached: the adapter stays near where it began.",
            remedy=f"Set training.num_warmup_steps to about {max(1, run.total_steps // 20)}, or train longer.",
        )


@rule("save_steps_not_multiple")
def save_steps_not_multiple(context: CheckContext) -> Iterator[Finding]:
    """Checkpoints would be written at steps without a held-out loss, so that the best one cannot be known."""
    run = context.planned
    if run and run.evaluates and run.keeps_best and run.save_steps % run.eval_steps:
        yield Finding(
            code="save_steps_not_multiple",
            severity="warning",
            summary=f"save_steps {run.save_steps} is no multiple of eval_steps {run.eval_steps}",
            count=run.save_steps,
            total=run.eval_steps,
            why="The best checkpoint is to be kept, and most checkpoints would have no held-out loss of their own.",
            remedy=f"Set {_fitting_steps(run)}; or training.load_best_model_at_end to false.",
        )


@rule("too_few_for_settings")
def too_few_for_settings(context: CheckContext) -> Iterator[Finding]:
    """One optimizer step takes more conversations than there are."""
    run, rendered = context.planned, context.dataset.rendered_train
    if run is None or rendered is None or run.examples_per_step is None:
        return
    count = len({sequence.conversation for sequence in rendered.sequences})
    if 0 < count < run.examples_per_step:
        yield Finding(
            code="too_few_for_settings",
            severity="warning",
            summary=f"an optimizer step takes {run.examples_per_step} conversations, and there are only {count}",
            count=count,
            total=run.examples_per_step,
            why="Each epoch is a single, smaller step.",
            remedy="Lower training.per_device_train_batch_size or training.gradient_accumulation_steps.",
        )


@rule("evaluated_once")
def evaluated_once(context: CheckContext) -> Iterator[Finding]:
    """The run ends before its first evaluation but the one at the end."""
    run = context.planned
    if run and run.evaluates and run.eval_steps >= run.total_steps:
        yield Finding(
            code="evaluated_once",
            severity="note",
            summary=f"held-out loss is measured every {counted(run.eval_steps, 'step')}, "
            f"and the run has {run.total_steps:,}: once, at its end",
            count=run.eval_steps,
            total=run.total_steps,
            why=_without_effect(run),
            remedy=f"Set {_fitting_steps(run)}." if run.total_steps > 1 else "Train for more steps.",
        )


@rule("warmup_long")
def warmup_long(context: CheckContext) -> Iterator[Finding]:
    """Most of the run is warm-up."""
    run = context.planned
    if run and run.uses_warmup and run.total_steps > run.num_warmup_steps > run.total_steps / 2:
        share = f"{100 * run.num_warmup_steps / run.total_steps:.0f} %"
        yield Finding(
            code="warmup_long",
            severity="warning",
            summary=f"the learning rate rises for {run.num_warmup_steps:,} of {run.total_steps:,} steps ({share})",
            count=run.num_warmup_steps,
            total=run.total_steps,
            why="Little of the run is left at the learning rate that was chosen.",
            remedy=f"Set training.num_warmup_steps to about {max(1, run.total_steps // 20)}, or train longer.",
        )


@rule("few_steps")
def few_steps(context: CheckContext) -> Iterator[Finding]:
    """The run ends after fewer optimizer steps than an adapter needs to move."""
    run, least = context.planned, context.config.min_steps
    if run and run.total_steps < least:
        yield Finding(
            code="few_steps",
            severity="warning",
            summary=f"the run ends after {counted(run.total_steps, 'step')}, fewer than {least} (checks.min_steps)",
            count=run.total_steps,
            total=least,
            why="An adapter starts at nothing and moves a little in each step: after so few it has learnt little.",
            remedy="Raise training.num_train_epochs, lower training.per_device_train_batch_size, or collect more rows.",
        )


@rule("many_epochs")
def many_epochs(context: CheckContext) -> Iterator[Finding]:
    """Each row is seen so often that it is learnt by heart."""
    run, allowed = context.planned, context.config.max_epochs
    if run and run.num_epochs > allowed:
        yield Finding(
            code="many_epochs",
            severity="note",
            summary=f"each training row is seen {run.num_epochs:,.0f} times",
            count=round(run.num_epochs),
            total=round(allowed),
            why="Rows that are seen so often are learnt by heart, and held-out loss rises again.",
            remedy="Lower training.num_train_epochs (or num_training_steps), and keep the best checkpoint.",
        )


@rule("no_held_out_rows")
def no_held_out_rows(context: CheckContext) -> Iterator[Finding]:
    """The recipe asks for held-out loss, and no row is held out."""
    run = context.planned
    if run and run.wants_evaluation and not context.dataset.held_out:
        yield Finding(
            code="no_held_out_rows",
            severity="warning",
            summary="no row is held out: nothing is evaluated, and the last weights are kept",
            count=0,
            total=len(context.dataset.train),
            why="Nothing shows whether the adapter learns the task or memorises the rows.",
            remedy="Set data.eval_fraction or data.eval_files; to go without, set training.eval_strategy to no.",
        )


def _without_effect(run: PlannedRun) -> str:
    features = ["early stopping"] * run.stops_early + ["the choice of the best checkpoint"] * run.keeps_best
    if not features:
        return "Nothing shows how the held-out loss changes over the run."
    text = " and ".join(features)
    return f"{text[0].upper()}{text[1:]} {'have' if len(features) > 1 else 'has'} no effect."


def _fitting_steps(run: PlannedRun) -> str:
    """Return values of save_steps and eval_steps that raise neither finding about them; save_steps if it is set."""
    eval_steps = run.eval_steps
    if eval_steps >= run.total_steps:
        eval_steps = max(1, run.total_steps // 4)
        if run.keeps_best and run.sets_save_steps and run.save_steps < run.total_steps:
            eval_steps = run.save_steps
    save_steps = run.save_steps
    if run.keeps_best and run.sets_save_steps:
        save_steps = max(1, round(save_steps / eval_steps)) * eval_steps
    settings = [f"training.eval_steps to {eval_steps:,}"] * (eval_steps != run.eval_steps)
    settings += [f"training.save_steps to {save_steps:,}"] * (save_steps != run.save_steps)
    return " and ".join(settings)
