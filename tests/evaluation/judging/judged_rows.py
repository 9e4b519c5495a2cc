"""Rows with answers of two models, built anew in each test."""

from tunelab.evaluation.judging.asks import JudgedRow
from tunelab.evaluation.rows.evaluated_row import Item, WrittenAnswer


def answer(text: str) -> WrittenAnswer:
    return WrittenAnswer(text=text, num_tokens=3, stopped=True)


def judged_row(number: int, before: str | None, after: str, *, group: str = "", reference: str = "right") -> JudgedRow:
    item = Item(
        id=f"{number:08x}",
        task="rows",
        origin=f"test.jsonl:{number}",
        group=group or str(number),
        asked=f"question {number}?",
        prompt=f"<user>question {number}?",
        reference=reference,
        num_prompt_tokens=4,
    )
    return JudgedRow(item=item, before=None if before is None else answer(before), after=answer(after))
