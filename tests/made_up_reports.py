"""Reports as an evaluation would make them, for tests of what is said of them."""

from __future__ import annotations

import random
from dataclasses import replace

from tunelab.evaluation.figures.measure import FigureChange, Measured
from tunelab.evaluation.gates.config import GateConfig
from tunelab.evaluation.gates.judge import Evidence, GateVerdict, judge
from tunelab.evaluation.judging.figures import Agreement, JudgeReport, PairFigures
from tunelab.evaluation.reports.report import (
    Calibration,
    ComparedRow,
    Confusion,
    GeneralChange,
    LatencyFigures,
    ModelRecord,
    OtherModel,
    Outcome,
    Report,
    SliceCalibration,
    SliceChange,
    TaskReport,
    UnaskedRows,
    VariantChange,
    Verdict,
)
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, Item, WrittenAnswer
from tunelab.evaluation.statistics.calibration import BrierParts, CalibrationError, ReliabilityBin
from tunelab.evaluation.statistics.gaps import Gap, GroupRate
from tunelab.evaluation.statistics.interval import Interval

LABELS = ("billing", "delivery", "refund", "other")
BASE = ModelRecord(name="smol", base_model="smol", adapter="", template_sha256="ab" * 32, weights_sha256="cd" * 32)
TUNED = ModelRecord(
    name="intents-20261201-1",
    base_model="smol",
    adapter="LoRA, rank 16",
    template_sha256="ab" * 32,
    weights_sha256="ef" * 32,
    size_bytes=3_412_000,
)


def interval(low: float, high: float, method: str = "10,000 resamples of 40 groups") -> Interval:
    return Interval(low=low, high=high, method=method)


def measured(name: str, value: float, *, rows: int = 200, wide: float = 0.05) -> Measured:
    within = interval(value - wide, value + wide)
    return Measured(name=name, value=value, interval=within, num_rows=rows, num_groups=40)


def change(name: str, before: float, after: float, *, wide: float = 0.06, rows: int = 200) -> FigureChange:
    difference = after - before
    return FigureChange(
        name=name,
        before=measured(name, before, rows=rows, wide=wide),
        after=measured(name, after, rows=rows, wide=wide),
        value=difference,
        interval=interval(difference - wide, difference + wide),
        p=0.001,
    )


def unmeasured(name: str) -> FigureChange:
    nothing = Measured(name=name, value=None, interval=None, num_rows=0, num_groups=0)
    return FigureChange(name=name, before=nothing, after=nothing, value=None, interval=None, p=None)


def plain_task(name: str = "intents", before: float = 0.61, after: float = 0.875) -> TaskReport:
    """Return a task of which only one figure was measured."""
    verdict: Verdict = "better" if after > before else "worse" if after < before else "not shown"
    return TaskReport(
        name=name,
        kinds=("labels",),
        num_rows=200,
        num_groups=40,
        labels=LABELS,
        first_figure="accuracy",
        figures=(change("accuracy", before, after),),
        verdicts={"accuracy": verdict},
    )


def plain_report(*tasks: TaskReport) -> Report:
    """Return a report that holds nothing but tasks."""
    return Report(
        suite="0123456789ab",
        data="200 held-out rows of the run",
        before=BASE,
        after=TUNED,
        sampling={"max_new_tokens": 32, "temperature": 0.0, "seed": 42},
        tasks=tasks or (plain_task(),),
    )


def whole_task() -> TaskReport:
    """Return a task with everything that can be measured of it."""
    return replace(
        plain_task(),
        kinds=("labels", "loss"),
        figures=(
            change("accuracy", 0.61, 0.875),
            change("macro_f1", 0.55, 0.842, wide=0.08),
            change("f1:refund", 0.74, 0.58, wide=0.09),
            unmeasured("choice_accuracy"),
            change("off_list", 0.93, 0.021, wide=0.01),
            change("loss", 2.41, 0.212, wide=0.05),
        ),
        verdicts={"accuracy": "better", "macro_f1": "better", "loss": "better", "off_list": "better"},
        slices=tuple(slices()),
        calibration={
            "before": calibration(0.31, 0.09, off_list=0.93),
            "after": calibration(0.06, 0.088, off_list=0.021),
        },
        confusion={"before": confusion(20), "after": confusion(44)},
        robustness={
            "before": (variant("typos", 0.05), variant("case", 0.01)),
            "after": (variant("typos", 0.12), variant("case", 0.0), variant("injected instruction", 0.31)),
        },
        swaps={"after": (variant("names", 0.004),)},
        gaps={"language": gap()},
        calibration_slices=(calibration_slice("en", 0.03), calibration_slice("pt", 0.21)),
        shown_difference=0.088,
    )


def slices() -> list[SliceChange]:
    changes = [("language", "en", 0.31, True), ("language", "pt", -0.12, True), ("label", "billing", 0.2, False)]
    changes += [("label", "refund", -0.05, False), ("prompt length", "long", 0.14, False), ("turn", "1", 0.3, True)]
    return [
        SliceChange(
            slice_field=name, value=value, change=change("accuracy", 0.6, 0.6 + up, rows=50), is_worth_a_look=worth
        )
        for name, value, up, worth in changes
    ]


def calibration(error: float, by_luck: float, *, off_list: float) -> Calibration:
    bins = [
        ReliabilityBin(
            low=low / 15, high=(low + 1) / 15, num_rows=4 * low, confidence=(low + 0.5) / 15, num_right=3 * low
        )
        for low in range(5, 15)
    ]
    return Calibration(
        error=CalibrationError(value=error, by_luck=by_luck, p=0.2),
        brier=BrierParts(score=0.11, miscalibration=0.02, discrimination=0.16, uncertainty=0.25),
        bins=tuple(bins),
        off_list=off_list,
        temperature=1.3,
        error_at_temperature=0.041,
    )


def calibration_slice(language: str, error: float) -> SliceCalibration:
    return SliceCalibration(
        slice_field="language",
        value=language,
        num_rows=80,
        error=CalibrationError(value=error, by_luck=0.1, p=0.01),
        is_worth_a_look=error > 0.1,
    )


def confusion(right: int) -> Confusion:
    counts = [[3] * 5 for _ in LABELS]
    for place, row in enumerate(counts):
        row[place] = right
    return Confusion(labels=LABELS, counts=tuple(map(tuple, counts)))


def variant(kind: str, loss: float) -> VariantChange:
    within = interval(loss - 0.02, loss + 0.02)
    return VariantChange(kind=kind, num_rows=60, num_tried=200, loss=loss, interval=within, flips=7, example="id0")


def gap() -> Gap:
    groups = [GroupRate(name=name, num_rows=80, num_right=right, interval=interval(right / 80 - 0.1, right / 80 + 0.1))
              for name, right in (("en", 74), ("pt", 61))]  # fmt: skip
    small = GroupRate(name="de", num_rows=4, num_right=3, interval=None)
    return Gap(value=0.1625, by_luck=0.11, p=0.004, groups=tuple(groups), too_small=(small,))


def whole_report() -> Report:
    """Return a report with everything that can be measured."""
    return replace(
        plain_report(whole_task()),
        general=(
            general("general", 60, 0.03, interval(0.02, 0.04)),
            general("wiki.txt", 4, 0.01, None),
        ),
        latency={"before": (latency(140.0),), "after": (latency(151.0), latency(None, concurrency=8, requests=40))},
        noise_floor=0.005,
        left_out=(UnaskedRows(reason="the prompt leaves no room for an answer", count=3, example="test.jsonl:17"),),
        num_in_training=2,
        num_cut=1,
        others=(production(),),
        judge=JudgeReport(model="judge-1", host="localhost", pairs=(judged_pairs(),), num_calls=420),
        command="tunelab compare base intents-20261201-1 --html report.html",
    )


def general(name: str, num_texts: int, increase: float, within: Interval | None) -> GeneralChange:
    return GeneralChange(
        name=name, num_texts=num_texts, before=1.1, after=1.1 + increase, increase=increase, interval=within
    )


def production() -> OtherModel:
    model = replace(TUNED, name="intents v3")
    return OtherModel(role="production", model=model, figures={"intents": measured("accuracy", 0.82)})


def judged_pairs() -> PairFigures:
    return PairFigures(
        criterion="relevance",
        num_rows=200,
        wins=120,
        losses=60,
        ties=20,
        win_rate=0.65,
        interval=interval(0.58, 0.72),
        controlled_win_rate=0.6,
        controlled_interval=interval(0.52, 0.67),
        flip_rate=0.1,
        first_place_share=0.56,
        repeat_rate=0.95,
        agreement=Agreement(num_rows=12),
    )


def latency(p95: float | None, *, concurrency: int = 1, requests: int = 100) -> LatencyFigures:
    within = None if p95 is None else interval(p95 - 8, p95 + 14)
    return LatencyFigures(
        merged=False,
        concurrency=concurrency,
        num_requests=requests,
        first_token_ms={"p50": 31.0, "p95": p95 and p95 / 3, "p99": None},
        request_ms={"p50": 118.0, "p95": p95, "p99": None},
        intervals_ms={"p95": within},
        tokens_per_s=41.3,
    )


def verdicts() -> list[GateVerdict]:
    """Return the verdicts of gates that pass, fail and cannot be decided."""
    gates = [
        GateConfig(figure="accuracy", min=0.85),
        GateConfig(figure="macro_f1", against="production", margin=0.01),
        GateConfig(figure="ece", max=0.05),
        GateConfig(figure="general_loss_increase", max=0.02, confident=True),
        GateConfig(figure="latency_p95_ms", max=200),
        GateConfig(figure="robustness_loss", max=0.1),
        GateConfig(figure="accuracy", min=0.9, confident=True),
    ]
    evidences = [
        Evidence(value=0.875, interval=interval(0.825, 0.913), num_rows=200, is_share=True),
        Evidence(value=0.004, interval=interval(-0.03, 0.038), num_rows=200),
        Evidence(value=0.06, interval=None, num_rows=200, by_luck=0.088, p=0.3),
        Evidence(value=0.03, interval=interval(0.025, 0.035), num_rows=60, lower_is_better=True),
        Evidence(value=151.0, interval=interval(143, 165), num_rows=100, lower_is_better=True),
        Evidence(value=None, interval=None, num_rows=0, note="the suite asks for no robustness"),
        Evidence(value=0.875, interval=interval(0.825, 0.913), num_rows=200, is_share=True),
    ]
    return judge(gates, evidences)


def row(
    number: int,
    outcome: Outcome = "fixed",
    *,
    asked: str = "Where is my parcel?",
    reference: str = "delivery",
    before: str = "Your parcel is late.",
    after: str = "delivery",
    prompt: str = "<user>Where is my parcel?",
    task: str = "intents",
    **fields: str,
) -> ComparedRow:
    item = Item(
        id=f"id{number}",
        task=task,
        origin=f"test.jsonl:{number}",
        group=str(number),
        asked=asked,
        prompt=prompt,
        reference=reference,
        num_prompt_tokens=9,
        label="delivery",
        fields=fields,
    )
    own, other = (
        EvaluatedRow(item=item, answer=WrittenAnswer(text=text, num_tokens=4, stopped=True)) for text in (before, after)
    )
    return ComparedRow(item=item, before=own, after=other, outcome=outcome)


def ordinary_rows(count: int = 200, *, words: int = 12, seed: int = 7) -> list[ComparedRow]:
    """Return rows of all outcomes with texts of ordinary length."""
    draws = random.Random(seed)
    vocabulary = [
        "the",
        "parcel",
        "of",
        "last",
        "week",
        "arrived",
        "broken",
        "at",
        "my",
        "door",
        "please",
        "refund",
        "it",
        "before",
        "Friday",
        "thanks",
    ]

    def text() -> str:
        return " ".join(draws.choices(vocabulary, k=words))

    names: list[Outcome] = ["fixed", "broken", "right", "wrong"]
    outcomes = draws.choices(names, [60, 8, 120, 20], k=count)
    return [
        row(
            number, outcome, asked=text(), reference=text(), before=text(), after=text(), prompt=f"<user>{text()}",
            language=draws.choice(["en", "pt"]), turn=str(draws.randint(1, 3)),
        )
        for number, outcome in enumerate(outcomes)
    ]  # fmt: skip
