"""The order of cleaning: batches are judged one by one; what is kept is written, or spooled for rules that need all."""

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunelab.cleaning.clean_plan import RULE_NAMES, Plan
from tunelab.cleaning.clean_report import CleanReport, Tally
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.readers.batch import RECORD, Batch, json_of
from tunelab.cleaning.rules.apply import Judge
from tunelab.cleaning.rules.setting_names import refuse_unseen
from tunelab.cleaning.rules.text_rules import changes
from tunelab.cleaning.selection.sampling import priorities, sample, sessions_of, split
from tunelab.cleaning.selection.spool import Spool
from tunelab.errors import counted
from tunelab.texts.near_duplicates import Sketches, frame_of

_REASON = {"where": pl.String, "reason": pl.String, "rule": pl.String, "detail": pl.String}
_FRAME_TEXTS = 5_000

Rejecting = Callable[[pl.DataFrame, pl.Series], None]
"""Takes refused rows: `where`, `reason`, `rule`, `detail`, and the JSON text of each."""
Keeping = Callable[[pl.DataFrame, pl.DataFrame, bool], None]
"""Takes kept rows, their notes (`file`, `line`), and whether they are test rows."""


class Cleaner:
    """Cleans batches; counts all that happens to rows."""

    def __init__(self, plan: Plan, judge: Judge, spool: Spool | None, *, keep: Keeping, reject: Rejecting) -> None:
        self._plan, self._judge, self._spool, self._keep, self._reject = plan, judge, spool, keep, reject
        self._rejected, self._not_sampled, self._unlabelled = Tally(), Tally(), Tally()
        self._num_read = self._num_train = self._num_test = 0
        self._classes: dict[str, tuple[int, int]] = {}
        self._keeps_originals = _refuses_changed_rows_late(plan.config)

    def clean(self, batches: Iterable[Batch]) -> CleanReport:
        """Clean all batches and return what was done.

        Every row is kept, rejected or not sampled: that their sum is what was read is a promise of this function.

        Raises:
            RecipeError: a setting names a field or role that no row has.
        """
        for batch in batches:
            self._take(batch)
        if self._num_read:
            refuse_unseen(self._judge.unseen, self._judge.fields)
        if self._spool is not None:
            self._decide(self._spool)
        num_kept = self._num_train + self._num_test
        assert self._num_read == num_kept + self._rejected.total + self._not_sampled.total
        return CleanReport(
            num_read=self._num_read,
            num_kept=num_kept,
            num_rejected=self._rejected.total,
            num_not_sampled=self._not_sampled.total,
            num_train=self._num_train,
            num_test=self._num_test,
            rejected=self._rejected.counts(RULE_NAMES),
            not_sampled=self._not_sampled.counts(RULE_NAMES),
            changed=self._judge.changed.counts(RULE_NAMES),
            reported=self._judge.reported.counts(RULE_NAMES),
            unlabelled=self._unlabelled.counts(RULE_NAMES),
            classes=dict(sorted(self._classes.items())),
            format=self._plan.format,
            notes=self._plan.notes,
            compared=self._compared_with(),
            lacks=self._lacks(num_kept),
        )

    def _lacks(self, num_kept: int) -> str:
        if not num_kept:
            return "no row is kept"
        if self._plan.test_size and not self._num_test:
            return "no row is left for the test file"
        return "" if self._num_train else "no row is left for the training file"

    def _compared_with(self) -> str:
        if not self._plan.compared:
            return ""
        met = sum(map(self._rejected.count, ("exclude_files", "near_overlap")))
        return f"{self._plan.compared}: {counted(met, 'row')} rejected for it"

    def _take(self, batch: Batch) -> None:
        first_index = self._num_read
        self._num_read += len(batch.lines) + len(batch.unreadable)
        name = self._plan.names[batch.file]
        reasons, shown = pl.DataFrame(schema=_REASON), pl.Series(dtype=pl.String)
        if batch.unreadable:
            faults = [(f"{name}:{each.line}", each.fault, "unreadable", "") for each in batch.unreadable]
            texts = pl.Series([each.text for each in batch.unreadable], dtype=pl.String)
            quoted = pl.DataFrame({"t": texts}).select(pl.struct("t").struct.json_encode().str.slice(5).str.head(-1))
            reasons, shown = pl.DataFrame(faults, schema=_REASON, orient="row"), quoted.to_series()
        judged = self._judge.judge(batch)
        if judged.refused.height:
            rows = judged.refused["row"]
            where = (f"{name}:" + batch.lines.gather(rows).cast(pl.String)).alias("where")
            reasons = reasons.vstack(judged.refused.select(where, "reason", "rule", "detail"))
            shown = pl.concat([shown, batch.shown(rows)])
            if batch.unreadable:
                bad = pl.Series([each.line for each in batch.unreadable], dtype=pl.UInt64)
                lines = pl.concat([bad, batch.lines.gather(rows)])
                order = lines.to_frame("line").select(pl.arg_sort_by("line", maintain_order=True)).to_series()
                reasons, shown = reasons[order], shown[order]
        if reasons.height:
            self._refuse(reasons, shown)
        if self._spool is None:
            self._see_labels(judged.facts)
            self._write(batch.kept(judged.rows), judged.facts, None)
            return
        index = (judged.rows.cast(pl.UInt64) + first_index).alias("index")
        notes = judged.facts.hstack([index, priorities(index, self._plan.config.seed)])
        if self._keeps_originals:
            was, now = batch.shown(judged.rows), _shown(batch.kept(judged.rows))
            notes = notes.with_columns(original=pl.select(pl.when(was.ne_missing(now)).then(was)).to_series())
        if judged.links is not None:
            chains = [link if isinstance(link, tuple) else None for link in judged.links]
            notes = notes.with_columns(
                session=pl.Series([link if isinstance(link, str) else None for link in judged.links], dtype=pl.String),
                chain=pl.Series(chains, dtype=pl.List(pl.Int64)),
            )
        admitted = self._spool.admitted(notes)
        left_N = np.flatnonzero(~admitted.to_numpy())
        if len(left_N):
            self._leave("max_samples", notes[left_N])
        gone = self._spool.add(batch.kept(judged.rows.filter(admitted)), notes.filter(admitted))
        self._leave("max_samples", gone)

    def _decide(self, spool: Spool) -> None:
        ledger = spool.ledger.with_row_index("place")
        refused = self._compared(ledger, spool)
        remaining = ledger.filter(~pl.col("index").is_in(refused["index"].implode()))
        self._see_labels(remaining)
        sampled, left = sample(remaining, self._plan.config)
        for rule, indices in left.items():
            self._leave(rule, ledger.filter(pl.col("index").is_in(indices.implode())))
        is_test = pl.Series([False] * sampled.height, dtype=pl.Boolean)
        if self._plan.test_size:
            is_test = split(sampled, self._plan.config, self._plan.test_size)
        is_test_of = sampled.select("index", is_test=is_test)
        for rows, notes in spool.chunks():
            numbered = notes.select("index").with_row_index("row")
            bad = numbered.join(refused, on="index", maintain_order="left")
            if bad.height:
                shown = _shown(rows[bad["row"]])
                if "original" in notes.columns:
                    shown = pl.select(pl.coalesce(notes["original"].gather(bad["row"]), shown)).to_series()
                self._refuse(bad.select("where", "reason", "rule", "detail"), shown)
            kept = numbered.join(is_test_of, on="index", maintain_order="left")
            for test_rows in (False, True):
                places = kept.filter(pl.col("is_test") == test_rows)["row"]
                if len(places):
                    self._write(rows[places], notes[places], test_rows)

    def _compared(self, ledger: pl.DataFrame, spool: Spool) -> pl.DataFrame:
        """Return `index`, `where`, `reason`, `rule`, `detail` of rows that others are a reason to refuse."""
        config = self._plan.config
        refused = pl.DataFrame(schema={"index": pl.UInt64, **_REASON})
        remaining = ledger
        if config.conflicts == "drop":
            several = pl.col("answer").n_unique().over("prompt") > 1
            first = pl.col("place").first().over("prompt")
            is_other = pl.col("answer") != pl.col("answer").first().over("prompt")
            other = pl.when(is_other).then(pl.col("place")).min().over("prompt")
            bad = remaining.with_columns(first=first, against=pl.when(is_other).then(first).otherwise(other))
            bad = bad.filter(several)
            reason = "its prompt has several answers"
            refused = pl.concat([refused, self._reasons(ledger, bad, bad["against"], "conflicts", reason)])
            remaining = remaining.filter(~several)
            if config.drop_duplicates == "prompt":
                again = ~pl.col("prompt").is_first_distinct()
                bad = remaining.with_columns(first=first).filter(again)
                reason = "the prompt is that of an earlier row"
                refused = pl.concat([refused, self._reasons(ledger, bad, bad["first"], "drop_duplicates", reason)])
                remaining = remaining.filter(~again)
        for rule, threshold, seen in (
            ("near_overlap", config.near_overlap, self._plan.excluded_texts),
            ("near_duplicates", config.near_duplicates, ()),
        ):
            if threshold is None or not remaining.height:
                continue
            more = self._nearly(ledger, remaining, spool, rule, threshold, seen)
            refused = pl.concat([refused, more])
            remaining = remaining.filter(~pl.col("index").is_in(more["index"].implode()))
        return refused

    def _nearly(
        self,
        ledger: pl.DataFrame,
        remaining: pl.DataFrame,
        spool: Spool,
        rule: str,
        threshold: float,
        seen: Sequence[str],
    ) -> pl.DataFrame:
        places = remaining["place"].to_list()
        sample = places[:: -(-len(places) // _FRAME_TEXTS)]
        sketches = Sketches(threshold=threshold, frame=frame_of([*seen, *spool.texts_of(sample)]))
        sketches.add(seen)
        for start in range(0, len(places), _FRAME_TEXTS):
            sketches.add(spool.texts_of(places[start : start + _FRAME_TEXTS]))

        def texts_of(indices: Sequence[int]) -> Sequence[str]:
            rest = iter(spool.texts_of([places[index - len(seen)] for index in indices if index >= len(seen)]))
            return [seen[index] if index < len(seen) else next(rest) for index in indices]

        found = (
            sketches.overlap(len(seen), texts_of)
            if seen
            else sketches.duplicates(texts_of, _numbered(sessions_of(remaining)))
        )
        bad = remaining[[near.index for near in found]]
        alike = [f"{near.similarity:.2f}" for near in found]
        if seen:
            return self._reasons(ledger, bad, None, rule, pl.Series(alike, dtype=pl.String) + " like a test row")
        reasons = pl.Series(alike, dtype=pl.String) + " like an earlier row"
        first = pl.Series([places[near.of] for near in found], dtype=pl.UInt32)
        return self._reasons(ledger, bad, first, rule, reasons)

    def _reasons(
        self, ledger: pl.DataFrame, bad: pl.DataFrame, first: pl.Series | None, rule: str, reason: str | pl.Series
    ) -> pl.DataFrame:
        detail = pl.lit("") if first is None else self._where(ledger[first])
        return bad.select(
            "index",
            where=self._where(bad),
            reason=pl.lit(reason) if isinstance(reason, str) else reason,
            rule=pl.lit(rule),
            detail=detail,
        )

    def _where(self, notes: pl.DataFrame) -> pl.Series:
        names = pl.Series(self._plan.names, dtype=pl.String)
        return names.gather(notes["file"]) + ":" + notes["line"].cast(pl.String)

    def _refuse(self, reasons: pl.DataFrame, rows: pl.Series) -> None:
        self._reject(reasons, rows)
        for rule in reasons["rule"].unique(maintain_order=True):
            places_N = np.flatnonzero((reasons["rule"] == rule).to_numpy())
            shown = reasons.select("where", "reason", "detail")[places_N[: self._rejected.room_for(rule)]]
            lines = [f"{where}: {reason}{_in_brackets(detail)}" for where, reason, detail in shown.iter_rows()]
            self._rejected.add(rule, len(places_N), lines)

    def _see_labels(self, notes: pl.DataFrame) -> None:
        """Count the rows that are kept and have no label."""
        if "label" in notes.columns:
            rule, bare = self._plan.label_setting, notes.filter(pl.col("label") == "")
            self._unlabelled.add(rule, bare.height, self._where(bare.head(self._unlabelled.room_for(rule))).to_list())

    def _leave(self, rule: str, notes: pl.DataFrame) -> None:
        some = notes.head(self._not_sampled.room_for(rule))
        examples = self._where(some).to_list() if some.height else []
        self._not_sampled.add(rule, notes.height, examples)

    def _write(self, rows: pl.DataFrame, notes: pl.DataFrame, is_test: bool | None) -> None:
        self._keep(rows, notes, bool(is_test))
        if is_test:
            self._num_test += rows.height
        else:
            self._num_train += rows.height
        if "label" in notes.columns:
            for label, count in notes["label"].value_counts().iter_rows():
                train, test = self._classes.get(label, (0, 0))
                self._classes[label] = (train, test + count) if is_test else (train + count, test)


def _numbered(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _refuses_changed_rows_late(config: CleaningConfig) -> bool:
    """Tell whether rows whose texts were changed may be refused after their batch is gone."""
    is_late = config.conflicts == "drop" or config.near_duplicates is not None or config.near_overlap is not None
    redacts = "redact" in (config.personal_data, config.secrets)
    return is_late and (redacts or next(changes(config), None) is not None)


def _shown(rows: pl.DataFrame) -> pl.Series:
    """Return rows as JSON text."""
    return rows[RECORD] if RECORD in rows.columns else json_of(rows)


def _in_brackets(detail: str) -> str:
    """Return a place that a reason refers to; a field is in the reason already."""
    return f" ({detail})" if ":" in detail else ""
