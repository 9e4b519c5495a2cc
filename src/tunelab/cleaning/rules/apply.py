"""One batch after the other: text changed, rows refused, what later decisions need noted."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tunelab.cleaning.clean_plan import Plan
from tunelab.cleaning.clean_report import Tally
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.conversation_facts import ConversationFacts, Shape
from tunelab.cleaning.readers.batch import Batch
from tunelab.cleaning.rules.batch_state import BatchState
from tunelab.cleaning.rules.privacy import privacy_rules
from tunelab.cleaning.rules.text_rules import TEXT, changes, refusals
from tunelab.conversations.label import as_label
from tunelab.conversations.split import Link
from tunelab.texts.language import language_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a batch."""

    rows: pl.Series
    """Numbers of the rows that stay, rising."""
    refused: pl.DataFrame
    """`row`, `rule`, `reason`, `detail` of the others."""
    facts: pl.DataFrame
    """Of the rows that stay: `file`, `line`, and if they are needed `prompt`, `answer`, `label`, `text`."""
    links: list[Link] | None
    """Of the rows that stay: what ties them to a session, if that is needed."""


class Judge:
    """Applies the rules that need no more than the rows before.

    Args:
        shape: the conversation format of the rows; None for tables.
        excluded: hashes of the prompts of test rows, or of whole rows, of a table without prompts.
        count_tokens: returns the tokens of some texts; None if nobody needs them.
    """

    def __init__(
        self,
        plan: Plan,
        shape: Shape | None,
        excluded: Collection[int] | None = None,
        count_tokens: Callable[[Sequence[str]], list[int]] | None = None,
    ) -> None:
        config = plan.config
        self._config, self._names, self._shape, self._excluded = config, plan.names, shape, excluded
        self._count_tokens, self._splits = count_tokens, plan.test_size > 0
        self._needs_links = self._splits or config.near_duplicates is not None
        self._label_field = plan.label_field
        self.unseen = plan.names_to_find
        """Settings and the names in them of which no row has had a text so far."""
        self.fields: set[str] = set()
        """Fields and roles of the texts that were met while a name was missing."""
        self._rows, self._prompts, self._answers = dict[int, int](), dict[int, int](), dict[int, int]()
        self._changes, self._privacy_rules, self._refusals = (
            list(changes(config)),
            list(privacy_rules(config)),
            list(refusals(config)),
        )
        self.changed, self.reported = Tally(), Tally()

    def judge(self, batch: Batch) -> Judged:
        """Return what becomes of a batch; its texts are changed in place."""
        state = BatchState(batch, self._names[batch.file])
        shape = self._shape
        is_table = shape is not None and shape.format.name == "table"
        if shape is not None and not is_table:
            self._refuse_what_is_no_conversation(state, shape)
        self._judge_text(state)
        if shape is not None and is_table:  # a template requires its columns in what the rules for columns have left
            self._refuse_what_is_no_conversation(state, shape)
        self._refuse_duplicates(state)
        facts, links = self._facts(state)
        return Judged(rows=state.rows, refused=state.refused(), facts=facts, links=links)

    def _refuse_what_is_no_conversation(self, state: BatchState, shape: Shape) -> None:
        batch = state.batch
        rows = pl.int_range(len(batch.lines), dtype=pl.UInt32, eager=True)
        found = shape.judge(batch.values(rows), self._names[batch.file], batch.lines.to_list())
        bad = [(row, each.reason) for row, each in enumerate(found) if each is not None]
        state.refuse("no_conversation", [row for row, _ in bad], [reason for _, reason in bad])

    def _judge_text(self, state: BatchState) -> None:
        config = self._config
        needs_text = self._changes or self._refusals or config.languages or self._count_tokens or self.unseen
        if (
            not needs_text
            and not self._privacy_rules
            and config.near_duplicates is None
            and config.near_overlap is None
        ):
            return
        text_fields = state.batch.text_fields(is_searched=bool(self._privacy_rules))
        self._see(text_fields)
        text_fields = _selected(text_fields, config)
        before = text_fields.select("text_field", was=TEXT)
        for change in self._changes:
            done = text_fields.with_columns(new=pl.when("is_prose").then(change.changed).otherwise(TEXT))
            touched = done.filter(pl.col("new").ne_missing(TEXT))
            self._count_changes(state, change.rule, touched["row"])
            text_fields = done.select(pl.exclude("text", "new"), text="new") if touched.height else text_fields
        for rule in self._privacy_rules:
            text_fields = rule.applied(state, text_fields, self.changed, self.reported)
        if self._changes or self._privacy_rules:
            moved = text_fields.join(before, on="text_field").filter(TEXT.ne_missing(pl.col("was")))
            if moved.height:
                state.batch.change(moved.sort("text_field"))
        self._refuse_texts(state, text_fields)
        state.text_fields = text_fields
        self._refuse_by_tokens(state, text_fields)
        self._refuse_by_language(state, text_fields)

    def _see(self, text_fields: pl.DataFrame) -> None:
        """Note which fields there are, until every name in the settings has been met."""
        if self.unseen:
            self.fields.update(text_fields["field"].unique())
            self.unseen = tuple(named for named in self.unseen if named[1] not in self.fields)

    def _count_changes(self, state: BatchState, rule: str, rows: pl.Series) -> None:
        rows = rows.unique().sort()
        self.changed.add(rule, len(rows), [state.where(row) for row in rows[: self.changed.room_for(rule)]])

    def _refuse_texts(self, state: BatchState, text_fields: pl.DataFrame) -> None:
        if not self._refusals:
            return
        for refusal in self._refusals:
            bad = state.still(text_fields.filter(refusal.may_be_bad).filter(refusal.is_bad))
            if bad.height:
                _, first_N = np.unique(bad["row"].to_numpy(), return_index=True)
                refused = bad[first_N].select("row", "field", reason=refusal.reason)
                state.refuse(refusal.rule, refused["row"], refused["reason"], refused["field"])

    def _refuse_by_tokens(self, state: BatchState, text_fields: pl.DataFrame) -> None:
        if self._count_tokens is None:
            return
        texts = state.texts(text_fields)
        least, most = self._config.min_tokens, self._config.max_tokens
        counts = self._count_tokens(texts["text"].to_list())
        for rule, limit, words in (("min_tokens", least, "fewer"), ("max_tokens", most, "more")):
            if limit is None:
                continue
            beyond = [
                (row, f"its text has {count} tokens, {words} than {limit}")
                for row, count in zip(texts["row"], counts, strict=True)
                if (count < limit if words == "fewer" else count > limit)
            ]
            state.refuse(rule, [row for row, _ in beyond], [reason for _, reason in beyond])

    def _refuse_by_language(self, state: BatchState, text_fields: pl.DataFrame) -> None:
        """Refuse rows in another language; what is too short or not clear stays."""
        languages = set(self._config.languages)
        if not languages:
            return
        texts = state.texts(text_fields)
        found = ((row, language_of(text)) for row, text in texts.select("row", "text").iter_rows())
        others = [(row, language) for row, language in found if language not in languages and language != "unknown"]
        state.refuse("languages", [row for row, _ in others], [f"the language looks like {each}" for _, each in others])

    def _refuse_duplicates(self, state: BatchState) -> None:
        """Refuse prompts of test rows, rows that are equal, other answers to one prompt, and the same prompt again."""
        config, fields = self._config, self._config.prompt_fields
        needs_said = self._shape is not None and (
            self._excluded is not None
            or config.drop_duplicates == "prompt"
            or config.conflicts != "keep"
            or config.by_class
            or self._needs_links
        )
        if needs_said:
            state.said = self._said(state)
        if self._excluded is not None:
            self._refuse_excluded(state, self._excluded)
        if config.drop_duplicates == "row":
            keys = state.batch.keys(config.text_fields).gather(state.rows)
            again = _earlier(self._rows, keys, state.places())
            state.refuse_again("drop_duplicates", again, "the row is equal to an earlier one", self._names)
        if config.drop_duplicates != "prompt" and config.conflicts == "keep":
            return
        state.prompts = state.of_said(lambda said: said.prompts[-1], "prompt", fields)
        if config.conflicts != "keep":
            others = [name for name in state.columns() if name not in fields]
            state.answers = state.of_said(lambda said: said.answer, "answer", others)
        if config.conflicts == "first":
            rows = state.rows
            prompts, answers = state.prompts.gather(rows), state.answers.gather(rows)
            first_answer = _earlier(self._answers, prompts, answers)
            again = _earlier(self._prompts, prompts, state.places())
            other = pl.select(pl.when(first_answer.ne_missing(answers) & first_answer.is_not_null()).then(again))
            reason = "it answers an earlier prompt differently"
            state.refuse_again("conflicts", other.to_series(), reason, self._names)
        if config.drop_duplicates == "prompt" and config.conflicts != "drop":
            again = _earlier(self._rows, state.prompts.gather(state.rows), state.places())
            state.refuse_again("drop_duplicates", again, "the prompt is that of an earlier row", self._names)

    def _refuse_excluded(self, state: BatchState, excluded: Collection[int]) -> None:
        if state.said is not None:
            pairs = [(row, key) for row in state.rows for key in state.said[row].prompts]
            frame = pl.DataFrame(pairs, schema={"row": pl.UInt32, "key": pl.UInt64}, orient="row")
        else:
            keys = state.batch.keys(self._config.prompt_fields or self._config.text_fields)
            frame = pl.DataFrame({"row": state.rows, "key": keys.gather(state.rows)})
        is_known = pl.Series([key in excluded for key in frame["key"].to_list()], dtype=pl.Boolean)
        rows = frame["row"].filter(is_known).unique(maintain_order=True)
        state.refuse("exclude_files", rows, "its prompt is that of a test row (contamination)")

    def _said(self, state: BatchState) -> dict[int, ConversationFacts]:
        assert self._shape is not None
        rows, batch = state.rows, state.batch
        said = self._shape.said(batch.values(rows), state.name, batch.lines.gather(rows).to_list())
        return dict(zip(rows, said, strict=True))

    def _facts(self, state: BatchState) -> tuple[pl.DataFrame, list[Link] | None]:
        rows, said = state.rows, state.said
        file = pl.Series([state.batch.file], dtype=pl.UInt16).new_from_index(0, len(rows))
        facts = pl.DataFrame({"file": file, "line": state.batch.lines.gather(rows)})
        more = {}
        if self._config.conflicts == "drop":
            more = {"prompt": state.prompts.gather(rows), "answer": state.answers.gather(rows)}
        elif self._splits and (said is not None or self._config.prompt_fields):
            prompts = state.of_said(lambda each: each.prompts[-1], "prompt", self._config.prompt_fields)
            more = {"prompt": prompts.gather(rows)}
        if self._config.by_class:
            if said is not None:
                labels = [said[row].label for row in rows]
            else:
                labels = [as_label(value.get(self._label_field)) for value in state.batch.values(rows)]  # type: ignore[attr-defined]
            more["label"] = pl.Series(labels, dtype=pl.String)
        if self._config.near_duplicates is not None or self._config.near_overlap is not None:
            texts = state.texts(state.text_fields)
            more["text"] = pl.DataFrame({"row": rows}).join(texts, on="row", how="left", maintain_order="left")["text"]
        links = [said[row].link for row in rows] if self._needs_links and said is not None else None
        return facts.with_columns(**more) if more else facts, links


def texts_of(batch: Batch, config: CleaningConfig) -> list[str]:
    """Return all text of each row that has any, as `Judge` compares it."""
    return BatchState(batch, "").texts(_selected(batch.text_fields(), config))["text"].to_list()


def _earlier(seen: dict[int, int], keys: pl.Series, places: pl.Series) -> pl.Series:
    """Take in keys in order; return for each the place of an equal one before it, or null."""
    first = pl.Series(list(map(seen.setdefault, keys.to_list(), places.to_list())), dtype=pl.UInt64)
    return first.set(first == places, None)


def _selected(text_fields: pl.DataFrame, config: CleaningConfig) -> pl.DataFrame:
    return text_fields.filter(pl.col("field").is_in(config.text_fields)) if config.text_fields else text_fields
