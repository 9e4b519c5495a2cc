"""Which of the remaining rows are kept, and in which file: classes capped, rows sampled, test rows split off."""

from collections.abc import Hashable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations.split import chain_origins, hold_out


def priorities(indices: pl.Series, seed: int) -> pl.Series:
    """Return a number for each row that seed and index alone decide; the lowest are sampled first."""
    mixed_N = indices.to_numpy().astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed_N = (mixed_N ^ (mixed_N >> np.uint64(shift))) * np.uint64(factor)
    return pl.Series("priority", mixed_N, dtype=pl.UInt64)


def sample(ledger: pl.DataFrame, config: CleaningConfig) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """Return the rows that are sampled, in their order, and the indices of those that are not, by setting.

    Args:
        ledger: `index`, `priority`, and `label` if classes are read.
    """
    left: dict[str, pl.Series] = {}
    if config.max_per_class is not None:
        rank = pl.col("priority").rank("ordinal").over("label")
        left["max_per_class"] = ledger.filter(rank > config.max_per_class)["index"]
        ledger = ledger.filter(rank <= config.max_per_class)
    if config.max_samples is not None and config.max_samples < ledger.height:
        if config.stratified:
            places = _shares(ledger["label"], config.max_samples)
            rank = pl.col("priority").rank("ordinal").over("label")
            limit = pl.col("label").replace_strict(places, return_dtype=pl.UInt64)
        else:
            rank, limit = pl.col("priority").rank("ordinal"), pl.lit(config.max_samples)
        left["max_samples"] = ledger.filter(rank > limit)["index"]
        ledger = ledger.filter(rank <= limit)
    return ledger, left


def split(ledger: pl.DataFrame, config: CleaningConfig, test_size: float) -> pl.Series:
    """Return for each row whether it is a test row.

    Rows of one session stay together, rows that continue each other, and rows with the same prompt. With `stratified`,
    each class gives its share.
    """
    keys = _groups(ledger)
    if not config.stratified:
        held = hold_out(keys, fraction=test_size, seed=config.seed)
        return pl.Series([index in held for index in range(len(keys))], dtype=pl.Boolean)
    label_of: dict[Hashable, str] = {}
    for key, label in zip(keys, ledger["label"], strict=True):
        label_of.setdefault(key, label)
    members: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(label_of[key], []).append(index)
    held = set()
    for label in sorted(members):
        inside = members[label]
        chosen = hold_out([keys[index] for index in inside], fraction=test_size, seed=config.seed)
        held |= {inside[place] for place in chosen}
    return pl.Series([index in held for index in range(len(keys))], dtype=pl.Boolean)


def sessions_of(ledger: pl.DataFrame) -> list[Hashable]:
    """Return what equals for rows of one session, and for rows that continue each other; a place for each other row.

    Args:
        ledger: `session` (an id, or null) and `chain` (hashes of beginnings), if rows are conversations.
    """
    if "chain" not in ledger.columns:
        return list(range(ledger.height))
    return _sessions(ledger, _origins(ledger))


def _sessions(ledger: pl.DataFrame, origins_N: NDArray[np.int64]) -> list[Hashable]:
    return [origin if id_ is None else id_ for id_, origin in zip(ledger["session"], origins_N.tolist(), strict=True)]


def _origins(ledger: pl.DataFrame) -> NDArray[np.int64]:
    hashes = ledger["chain"].explode(empty_as_null=False, keep_nulls=False)
    return chain_origins(hashes.to_numpy(), ledger["chain"].list.len().fill_null(0).to_numpy().astype(np.int64))


def _groups(ledger: pl.DataFrame) -> list[Hashable]:
    """Return what equals for rows that stay together: a session; of the others, those with the same prompt.

    A row with the prompt of a row of a chat goes with that chat. Chats with the same prompt (a greeting, mostly) do not
    go together: the first answer of one would tie all of them.
    """
    if "prompt" not in ledger.columns:
        return sessions_of(ledger)
    if "chain" not in ledger.columns:
        return [row if prompt is None else ("prompt", prompt) for row, prompt in enumerate(ledger["prompt"])]
    lengths_N, origins_N = ledger["chain"].list.len().fill_null(0).to_numpy(), _origins(ledger)
    keys = _sessions(ledger, origins_N)
    chats = set(np.unique(origins_N[lengths_N != lengths_N[origins_N]]).tolist())
    chat_of: dict[object, Hashable] = {}
    for key, prompt in zip(keys, ledger["prompt"], strict=True):
        if key in chats:
            chat_of.setdefault(prompt, key)
    return [
        key if isinstance(key, str) or key in chats or prompt is None else chat_of.get(prompt, ("prompt", prompt))
        for key, prompt in zip(keys, ledger["prompt"], strict=True)
    ]


def _shares(labels: pl.Series, count: int) -> dict[str, int]:
    """Return how many rows of each class are sampled: its share, whole rows given to the largest remainders."""
    sizes = labels.value_counts(name="size").sort("size", labels.name, descending=[True, False])
    exact = [(label, size * count / len(labels)) for label, size in sizes.iter_rows()]
    places = {label: int(share) for label, share in exact}
    rest = count - sum(places.values())
    for label, _ in sorted(exact, key=lambda each: each[1] - int(each[1]), reverse=True)[:rest]:
        places[label] += 1
    return places
