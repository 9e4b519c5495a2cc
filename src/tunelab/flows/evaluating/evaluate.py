"""Evaluate: models answer the items of a suite, and their rows are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import get_args

import msgspec

from tunelab.evaluation.figures.answer_figures import with_counts
from tunelab.evaluation.judging.asks import can_be_judged
from tunelab.evaluation.reports.report import LatencyFigures, UnaskedRows
from tunelab.evaluation.rows.answer_cache import AnswerCache
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder, GeneralLoss
from tunelab.evaluation.suite.config import LatencyConfig, Part, SuiteConfig
from tunelab.evaluation.variants.config import BiasConfig, RobustnessConfig
from tunelab.events import SILENT, EventLog, Notice, Planned, Progress
from tunelab.files import canonical_json, sha256_text
from tunelab.flows.evaluating.ask import OnDone, as_continuation, ask_answers, ask_log_probs
from tunelab.flows.evaluating.changed_items import with_changed_items
from tunelab.flows.evaluating.general import general_losses
from tunelab.flows.evaluating.items import Asked, AskedTask, items_of
from tunelab.flows.evaluating.latency import measure_latency
from tunelab.flows.evaluating.model import Model
from tunelab.flows.evaluating.slice_fields import slice_fields
from tunelab.flows.evaluating.task_rows import SuiteRows, read_suite_rows
from tunelab.workspace import Workspace

PARTS: tuple[Part, ...] = get_args(Part)
"""What is measured unless a command names some of it; robustness, bias and latency only if the suite has a section."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationPlan:
    """What models are to be asked, before any is."""

    suite: SuiteConfig
    suite_id: str
    rows: SuiteRows
    tasks: tuple[AskedTask, ...]
    """As the first model sees them."""
    parts: Collection[Part]

    @property
    def asked(self) -> list[Asked]:
        """The items of all tasks."""
        return [each for task in self.tasks for each in task.asked]

    @property
    def num_judged(self) -> int:
        """Rows that a judge is asked about, if there is one."""
        return sum(each.is_answered and can_be_judged(each.item) for each in self.asked)


def plan_evaluation(
    model: Model, suite: SuiteConfig, *, parts: Collection[Part] = PARTS, events: EventLog = SILENT
) -> EvaluationPlan:
    """Return what a model is to be asked; no weights come into memory.

    Args:
        model: by its recipe the rows are read and rendered.
        suite: which rows, and what is measured of them.
        parts: what of it is measured now.
        events: of how far reading and rendering have come.

    Raises:
        DataError: rows that cannot be read, labels that cannot be distinguished, a field that no row has.
        RunError: the run held out no rows, and the suite names none.
    """
    for remark in suite.remarks():
        events.emit(Notice(code="evaluation", text=remark))
    rows = read_suite_rows(suite, model.parts, events)
    suite = _with_sections(suite, parts)
    fields = (*suite.slices, *(suite.bias.groups if suite.bias else ()))
    tasks = items_of(
        rows,
        model.parts.renderer,
        num_rows=suite.num_rows,
        longest_prompt=model.longest_prompt,
        fields=slice_fields(fields, rows, model.parts),
    )
    tasks = [_of_parts(task, parts) for task in _with_changed(tasks, rows, model, suite)]
    suite_id = _suite_id(suite, tasks, parts)
    return EvaluationPlan(suite=suite, suite_id=suite_id, rows=rows, tasks=tuple(tasks), parts=parts)


def evaluate(
    plan: EvaluationPlan, models: Sequence[Model], workspace: Workspace, *, events: EventLog = SILENT
) -> list[Evaluation]:
    """Return the evaluations of models by one plan, in their order; they are stored, and answers are asked only once.

    Raises:
        ModelError, AdapterError: a model cannot be loaded, or computes NaN.
        StorageError: the workspace cannot be written to.
    """
    folder = EvaluationFolder(workspace=workspace.path)
    items = [each.item for each in plan.asked]
    folder.write_items(plan.suite_id, items, config=canonical_json(plan.suite.model_dump(mode="json")))
    answered = {each.item.id for each in plan.asked if each.is_answered}
    num_answers = len(answered) * _answers_are_asked(plan.tasks)
    amounts = {"answers": len(models) * num_answers, "sequences": len(models) * len(items)}
    events.emit(Planned(stage="comparing", amounts=amounts))
    latencies = _latencies(models, plan)
    evaluations = []
    for model, latency in zip(models, latencies, strict=True):
        tasks = _tasks_of(model, plan, answered)
        cache = AnswerCache(folder.cache_file(model.record.weights_sha256))
        rows = _ask(model, tasks, plan, cache, events)
        evaluation = Evaluation(
            suite=plan.suite_id,
            data=plan.rows.description,
            model=model.record,
            sampling=asdict(plan.suite.sampling(seed=plan.suite.seed)),
            seed=plan.suite.seed,
            tasks=tuple(task.record for task in plan.tasks),
            slices=(*plan.suite.slices, *(plan.suite.bias.groups if plan.suite.bias else ())),
            perturbations=plan.suite.robustness.kinds if plan.suite.robustness else (),
            swaps=plan.suite.bias.swaps if plan.suite.bias else (),
            left_out=_left_out(tasks, plan, answered),
            general=_general(model, plan, folder, cache, events),
            noise_floor=_noise_floor(model, tasks, plan, cache, rows),
            latency=latency,
        )
        folder.write(evaluation, rows)
        evaluations.append(evaluation)
    return evaluations


def _with_sections(suite: SuiteConfig, parts: Collection[Part]) -> SuiteConfig:
    """Return a suite with the sections of the parts: those that are asked for at their defaults, the others gone."""
    is_asked = set(parts) != set(PARTS)
    robustness = suite.robustness or (RobustnessConfig() if is_asked else None)
    bias = suite.bias or (BiasConfig() if is_asked else None)
    latency = suite.latency or (LatencyConfig() if is_asked else None)
    return suite.model_copy(
        update={
            "robustness": robustness if "robustness" in parts else None,
            "bias": bias if "bias" in parts else None,
            "latency": latency if "latency" in parts else None,
        }
    )


def _of_parts(task: AskedTask, parts: Collection[Part]) -> AskedTask:
    """Return a task with the kinds of figures that are measured now; all, if none of its own is named."""
    kinds = tuple(kind for kind in task.record.kinds if kind in parts) or task.record.kinds
    return replace(task, record=replace(task.record, kinds=kinds))


def _answers_are_asked(tasks: Sequence[AskedTask]) -> bool:
    return any(kind != "loss" for task in tasks for kind in task.record.kinds)


def _with_changed(tasks: Sequence[AskedTask], rows: SuiteRows, model: Model, suite: SuiteConfig) -> list[AskedTask]:
    renderer = model.parts.renderer
    return [with_changed_items(task, own, renderer, suite) for task, own in zip(tasks, rows.tasks, strict=True)]


def _latencies(models: Sequence[Model], plan: EvaluationPlan) -> Sequence[tuple[LatencyFigures, ...]]:
    """Return the times of each model; none if the suite asks for none."""
    if plan.suite.latency is None:
        return [() for _ in models]
    prompts = [each.prompt_ids for each in plan.asked if each.is_answered and not each.item.variant]
    return measure_latency(models, prompts, plan.suite.latency, plan.suite.sampling(seed=plan.suite.seed))


def _suite_id(suite: SuiteConfig, tasks: Sequence[AskedTask], parts: Collection[Part]) -> str:
    """Return a hash of what is asked, wherever the rows lie."""
    settings = suite.model_dump(mode="json", exclude={"tasks", "general", "judge", "latency"})
    asked = [(each.item.id, each.is_answered) for task in tasks for each in task.asked]
    records = [msgspec.to_builtins(task.record) for task in tasks]
    return sha256_text(canonical_json([settings, records, asked, sorted(parts)]))[:12]


def _tasks_of(model: Model, plan: EvaluationPlan, answered: Collection[str]) -> Sequence[AskedTask]:
    """Return the tasks as a model sees them: those of the plan, unless it renders otherwise."""
    first = plan.tasks
    if model.parts.renderer.template_hash == plan.rows.template_sha256:
        return first
    rows = plan.rows.rendered_for(model.parts)
    tasks = items_of(
        rows,
        model.parts.renderer,
        num_rows=plan.suite.num_rows,
        longest_prompt=model.longest_prompt,
        answered=answered,
    )
    return _with_changed(tasks, rows, model, plan.suite)


def _ask(
    model: Model, tasks: Sequence[AskedTask], plan: EvaluationPlan, cache: AnswerCache, events: EventLog
) -> list[EvaluatedRow]:
    """Return a model's rows, in the order of the plan's items."""
    asked = [each for task in tasks for each in task.asked]
    to_answer = [each for each in asked if each.is_answered] if _answers_are_asked(plan.tasks) else []
    answers = ask_answers(
        model,
        [each.prompt_ids for each in to_answer],
        plan.suite.sampling(seed=plan.suite.seed),
        cache,
        on_done=_reports(events, model.record.name, "answers"),
    )
    prompts, completions = [], []
    for each in asked:
        prompt, reference = as_continuation(each.prompt_ids, each.reference_ids)
        prompts.append(prompt)
        completions.append([*each.label_ids, *([reference] if len(reference) else [])])
    scorable = [place for place, some in enumerate(completions) if some and len(prompts[place])]
    scores = ask_log_probs(
        model,
        [prompts[place] for place in scorable],
        [completions[place] for place in scorable],
        cache,
        on_done=_reports(events, model.record.name, "sequences"),
    )
    answer_of = {each.item.id: answer for each, answer in zip(to_answer, answers, strict=True)}
    scores_of = {asked[place].item.id: some for place, some in zip(scorable, scores, strict=True)}
    rows = {}
    for each, some in zip(asked, completions, strict=True):
        own, num_labels = scores_of.get(each.item.id, ()), len(each.label_ids)
        has_reference = len(own) > num_labels
        row = EvaluatedRow(
            item=each.item,
            answer=answer_of.get(each.item.id),
            choice_log_probs=tuple(own[:num_labels]),
            nats=-own[-1] if has_reference else None,
            num_scored_tokens=len(some[-1]) if has_reference else 0,
            in_training=each.in_training and model.tuned,
        )
        rows[each.item.id] = row if each.item.variant else with_counts(row)
    return [rows[each.item.id] for each in plan.asked if each.item.id in rows]


def _noise_floor(
    model: Model, tasks: Sequence[AskedTask], plan: EvaluationPlan, cache: AnswerCache, rows: Sequence[EvaluatedRow]
) -> float | None:
    """Return the share of some rows that are answered otherwise when they are asked among others."""
    answer_of = {row.item.id: row.answer for row in rows if row.answer is not None}
    able = [each for task in tasks for each in task.asked if each.item.id in answer_of and not each.item.variant]
    number = min(plan.suite.noise_rows, len(able))
    if not number:
        return None
    some = [able[place * len(able) // number] for place in range(number)]
    sampling = plan.suite.sampling(seed=plan.suite.seed)
    again = ask_answers(model, [each.prompt_ids for each in some], sampling, cache, repeat=1)
    changed = sum(
        answer.text != own.text
        for each, answer in zip(some, again, strict=True)
        if (own := answer_of[each.item.id]) is not None
    )
    return changed / number


def _general(
    model: Model, plan: EvaluationPlan, folder: EvaluationFolder, cache: AnswerCache, events: EventLog
) -> tuple[GeneralLoss, ...]:
    if "general" not in plan.parts:
        return ()
    return general_losses(
        model, plan.suite.general, folder, cache, on_done=_reports(events, model.record.name, "general texts")
    )


def _left_out(tasks: Sequence[AskedTask], plan: EvaluationPlan, answered: Collection[str]) -> tuple[UnaskedRows, ...]:
    left_out = [each for task in tasks for each in task.left_out]
    seen = {each.item.id for task in tasks for each in task.asked}
    missing = [each.item for each in plan.asked if each.item.id in answered and each.item.id not in seen]
    if missing:
        reason = "this model's template or length leaves no room for it"
        left_out.append(UnaskedRows(reason=reason, count=len(missing), example=missing[0].origin))
    return tuple(left_out)


def _reports(events: EventLog, name: str, unit: str) -> OnDone:
    return lambda done, total: events.emit(Progress(stage=name, done=done, total=total, unit=unit))
