"""Rows of an evaluation, as tests of figures need them."""

from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, Item, WrittenAnswer


def evaluated(
    answer: str | None,
    reference: str = "",
    *,
    number: int = 0,
    group: str | None = None,
    stopped: bool = True,
    num_tokens: int = 2,
    log_probs: tuple[float, ...] = (),
    nats: float | None = None,
    num_scored_tokens: int = 0,
    **item: object,
) -> EvaluatedRow:
    """Return a row of its own group, unless one is named; `item` holds more fields of the item."""
    return EvaluatedRow(
        item=Item(
            id=f"{number:x}",
            task="rows",
            origin=f"rows.jsonl:{number + 1}",
            group=str(number) if group is None else group,
            asked="?",
            prompt="?",
            reference=reference,
            num_prompt_tokens=1,
            **item,
        ),
        answer=None if answer is None else WrittenAnswer(text=answer, num_tokens=num_tokens, stopped=stopped),
        choice_log_probs=log_probs,
        nats=nats,
        num_scored_tokens=num_scored_tokens,
    )


def groups_of(rows: list[EvaluatedRow]) -> list[str]:
    """Return the group of each row."""
    return [row.item.group for row in rows]
