"""A rendered set as bytes, for the cache and for the processes that render next to this one: a `.npz` archive.

What many sequences share is held once, and of conversations only their places: who reads it back has them.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunelab.conversations.conversation import Conversation
from tunelab.errors import DataError
from tunelab.rendering.rendered import Dropped, LeftOut, Remark, Rendered, RenderedSet, TokenIds
from tunelab.sources import Origin


def stored(rendered: RenderedSet, faults: Sequence[DataError]) -> bytes:
    """Return what `restored` reads: a rendered set and the faults of its turns.

    Raises:
        ValueError: a place or a fault holds text that has no bytes, such as a broken surrogate.
    """
    account = _Account(
        num_cut=rendered.num_cut,
        num_cut_tokens=rendered.num_cut_tokens,
        dropped=rendered.dropped,
        left_out=rendered.left_out,
        remarks=rendered.remarks,
        look_alikes=rendered.look_alikes,
        faults=tuple(_Fault(each.what, each.where, each.expected, each.remedy) for each in faults),
    )
    token_ids, table = _laid_out(rendered.sequences)
    content = io.BytesIO()
    account_bytes = np.frombuffer(msgspec.json.encode(account), dtype=np.uint8)
    np.savez(content, token_ids=token_ids, table=table, account=account_bytes)
    return content.getvalue()


def restored(
    content: bytes, conversations: Sequence[Conversation], *, first: int = 0
) -> tuple[RenderedSet, list[DataError]]:
    """Return what was stored.

    Args:
        content: as `stored` returned it.
        conversations: those that were rendered.
        first: the place of the first of them in its data set.

    Raises:
        Exception: of zipfile, numpy or msgspec, where `content` is not whole.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        account = msgspec.json.decode(archive["account"].tobytes(), type=_Account)
        sequences = _sequences(archive["token_ids"], archive["table"], conversations, first)
    rendered = RenderedSet(
        sequences=sequences,
        num_cut=account.num_cut,
        num_cut_tokens=account.num_cut_tokens,
        dropped=account.dropped,
        left_out=account.left_out,
        remarks=account.remarks,
        look_alikes=account.look_alikes,
    )
    return rendered, [
        DataError(fault.what, where=fault.where, expected=fault.expected, remedy=fault.remedy)
        for fault in account.faults
    ]


class _Fault(msgspec.Struct, frozen=True):
    """A DataError as it is kept."""

    what: str
    where: str
    expected: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Everything of a rendered set but its sequences, and the faults that `on_bad` was given."""

    num_cut: int
    num_cut_tokens: int
    dropped: tuple[Dropped, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[Remark, ...]
    look_alikes: tuple[Origin, ...]
    faults: tuple[_Fault, ...]


def _sequences(
    token_ids: TokenIds, table: NDArray[np.int64], conversations: Sequence[Conversation], first: int
) -> tuple[Rendered, ...]:
    """Return the sequences as stretches of `token_ids`; `table` is laid out by `_laid_out`."""
    sequences = []
    for index, turn, start, trained, end, cut_prompt, cut_completion, seam, ends in table.tolist():
        conversation = conversations[index]
        sequences.append(
            Rendered(
                prompt_ids=token_ids[start:trained],
                completion_ids=token_ids[trained:end],
                origin=conversation.origin,
                conversation=first + index,
                turn=turn,
                group=conversation.session_id or str(conversation.origin),
                cut_prompt=cut_prompt,
                cut_completion=cut_completion,
                seam=bool(seam),
                ends=bool(ends),
            )
        )
    return tuple(sequences)


def _laid_out(sequences: Sequence[Rendered]) -> tuple[TokenIds, NDArray[np.int64]]:
    """Return all token ids, those with which a sequence repeats the one before it once, and a row for each sequence."""
    stretches: list[TokenIds] = []
    rows = []
    last, start, end = np.empty(0, dtype=np.int32), 0, 0
    for each in sequences:
        ids = np.concatenate([each.prompt_ids, each.completion_ids])
        if len(last) and len(ids) >= len(last) and np.array_equal(ids[: len(last)], last):
            stretches.append(ids[len(last) :])
        else:
            start = end
            stretches.append(ids)
        last, end = ids, start + len(ids)
        trained = start + len(each.prompt_ids)
        cuts = (each.cut_prompt, each.cut_completion)
        rows.append((each.conversation, each.turn, start, trained, end, *cuts, each.seam, each.ends))
    token_ids = np.concatenate([np.empty(0, dtype=np.int32), *stretches])
    return token_ids, np.array(rows, dtype=np.int64).reshape(len(rows), 9)
