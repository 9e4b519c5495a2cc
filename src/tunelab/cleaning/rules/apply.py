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
from tunelab.cleaning.rules.batch_state import Standing
from tunelab.cleaning.rules.privacy import looks
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
    """Of the rows that stay: `file`, `line`, and where they are needed `prompt`, `answer`, `label`, `text`."""
    links: list[Link] | None
    """Of the rows that stay: what ties them to a session, where that is needed."""


class Judge:
    """Applies the rules that need no more than the rows before.

    Args:
        shape: the conversation format of the rows; None for tables.
        excluded: hashes of what test rows ask, or of whole rows, of a table without prompts.
        count_tokens: returns the tokens of some texts; None where nobody asks.
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
        self._wants_links = self._splits or config.near_duplicates is not None
        self._label_field = plan.label_field
        self.unseen = plan.names_to_find
        """Settings and the names in them of which no row has had a text so far."""
        self.fields: set[str] = set()
        """Fields and roles of the texts that were met while a name was missing."""
        self._rows, self._prompts, self._answers = dict[int, int](), dict[int, int](), dict[int, int]()
        self._changes, self._looks, self._refusals = list(changes(config)), list(looks(config)), list(refusals(config))
        self.changed, self.reported = Tally(), Tally()

    def judge(self, batch: Batch) -> Judged:
        """Return what becomes of a batch; its texts are changed in place."""
        standing = Standing(batch, self._names[batch.file])
        shape = self._shape
        is_table = shape is not None and shape.format.name == "table"
        if shape is not None and not is_table:
            self._refuse_what_is_no_conversation(standing, shape)
        self._judge_text(standing)
        if shape is not None and is_table:  # a template wants its columns of what the rules for columns have left
            self._refuse_what_is_no_conversation(standing, shape)
        self._refuse_duplicates(standing)
        facts, links = self._facts(standing)
        return Judged(rows=standing.rows, refused=standing.refused(), facts=facts, links=links)

    def _refuse_what_is_no_conversation(self, standing: Standing, shape: Shape) -> None:
        batch = standing.batch
        rows = pl.int_range(len(batch.lines), dtype=pl.UInt32, eager=True)
        found = shape.judge(batch.values(rows), self._names[batch.file], batch.lines.to_list())
        bad = [(row, each.reason) for row, each in enumerate(found) if each is not None]
        standing.refuse("no_conversation", [row for row, _ in bad], [reason for _, reason in bad])

    def _judge_text(self, standing: Standing) -> None:
        config = self._config
        wants_text = self._changes or self._refusals or config.languages or self._count_tokens or self.unseen
        if not wants_text and not self._looks and config.near_duplicates is None and config.near_overlap is None:
            return
        leaves = standing.batch.leaves(is_searched=bool(self._looks))
        self._see(leaves)
        leaves = _looked_at(leaves, config)
        before = leaves.select("leaf", was=TEXT)
        for change in self._changes:
            done = leaves.with_columns(new=pl.when("is_prose").then(change.changed).otherwise(TEXT))
            touched = done.filter(pl.col("new").ne_missing(TEXT))
            self._count_changes(standing, change.rule, touched["row"])
            leaves = done.select(pl.exclude("text", "new"), text="new") if touched.height else leaves
        for look in self._looks:
            leaves = look.applied(standing, leaves, self.changed, self.reported)
        if self._changes or self._looks:
            moved = leaves.join(before, on="leaf").filter(TEXT.ne_missing(pl.col("was")))
            if moved.height:
                standing.batch.change(moved.sort("leaf"))
        self._refuse_texts(standing, leaves)
        standing.leaves = leaves
        self._refuse_by_tokens(standing, leaves)
        self._refuse_by_language(standing, leaves)

    def _see(self, leaves: pl.DataFrame) -> None:
        """Note which fields there are, until every name in the settings has been met."""
        if self.unseen:
            self.fields.update(leaves["field"].unique())
            self.unseen = tuple(named for named in self.unseen if named[1] not in self.fields)

    def _count_changes(self, standing: Standing, rule: str, rows: pl.Series) -> None:
        rows = rows.unique().sort()
        self.changed.add(rule, len(rows), [standing.where(row) for row in rows[: self.changed.wants(rule)]])

    def _refuse_texts(self, standing: Standing, leaves: pl.DataFrame) -> None:
        if not self._refusals:
            return
        for refusal in self._refusals:
            bad = standing.still(leaves.filter(refusal.may_be_bad).filter(refusal.is_bad))
            if bad.height:
                _, first_N = np.unique(bad["row"].to_numpy(), return_index=True)
                told = bad[first_N].select("row", "field", reason=refusal.reason)
                standing.refuse(refusal.rule, told["row"], told["reason"], told["field"])

    def _refuse_by_tokens(self, standing: Standing, leaves: pl.DataFrame) -> None:
        if self._count_tokens is None:
            return
        texts = standing.texts(leaves)
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
            standing.refuse(rule, [row for row, _ in beyond], [reason for _, reason in beyond])

    def _refuse_by_language(self, standing: Standing, leaves: pl.DataFrame) -> None:
        """Refuse rows in another language; what is too short or not clear stays."""
        wanted = set(self._config.languages)
        if not wanted:
            return
        texts = standing.texts(leaves)
        found = ((row, language_of(text)) for row, text in texts.select("row", "text").iter_rows())
        others = [(row, language) for row, language in found if language not in wanted and language != "unknown"]
        standing.refuse(
            "languages", [row for row, _ in others], [f"the language looks like {each}" for _, each in others]
        )

    def _refuse_duplicates(self, standing: Standing) -> None:
        """Refuse what test rows ask, rows that are equal, other answers to one prompt, and the same prompt again."""
        config, fields = self._config, self._config.prompt_fields
        wants_said = self._shape is not None and (
            self._excluded is not None
            or config.drop_duplicates == "prompt"
            or config.conflicts != "keep"
            or config.by_class
            or self._wants_links
        )
        if wants_said:
            standing.said = self._said(standing)
        if self._excluded is not None:
            self._refuse_excluded(standing, self._excluded)
        if config.drop_duplicates == "row":
            keys = standing.batch.keys(config.text_fields).gather(standing.rows)
            again = _earlier(self._rows, keys, standing.places())
            standing.refuse_again("drop_duplicates", again, "the row is equal to an earlier one", self._names)
        if config.drop_duplicates != "prompt" and config.conflicts == "keep":
            return
        standing.prompts = standing.of_said(lambda said: said.prompts[-1], "prompt", fields)
        if config.conflicts != "keep":
            others = [name for name in standing.columns() if name not in fields]
            standing.answers = standing.of_said(lambda said: said.answer, "answer", others)
        if config.conflicts == "first":
            rows = standing.rows
            asked, answered = standing.prompts.gather(rows), standing.answers.gather(rows)
            first_answer = _earlier(self._answers, asked, answered)
            again = _earlier(self._prompts, asked, standing.places())
            other = pl.select(pl.when(first_answer.ne_missing(answered) & first_answer.is_not_null()).then(again))
            reason = "it answers an earlier prompt differently"
            standing.refuse_again("conflicts", other.to_series(), reason, self._names)
        if config.drop_duplicates == "prompt" and config.conflicts != "drop":
            again = _earlier(self._rows, standing.prompts.gather(standing.rows), standing.places())
            standing.refuse_again("drop_duplicates", again, "the prompt is that of an earlier row", self._names)

    def _refuse_excluded(self, standing: Standing, excluded: Collection[int]) -> None:
        if standing.said is not None:
            asked = [(row, key) for row in standing.rows for key in standing.said[row].prompts]
            frame = pl.DataFrame(asked, schema={"row": pl.UInt32, "key": pl.UInt64}, orient="row")
        else:
            keys = standing.batch.keys(self._config.prompt_fields or self._config.text_fields)
            frame = pl.DataFrame({"row": standing.rows, "key": keys.gather(standing.rows)})
        is_known = pl.Series([key in excluded for key in frame["key"].to_list()], dtype=pl.Boolean)
        rows = frame["row"].filter(is_known).unique(maintain_order=True)
        standing.refuse("exclude_files", rows, "it asks what a test row asks")

    def _said(self, standing: Standing) -> dict[int, ConversationFacts]:
        assert self._shape is not None
        rows, batch = standing.rows, standing.batch
        said = self._shape.said(batch.values(rows), standing.name, batch.lines.gather(rows).to_list())
        return dict(zip(rows, said, strict=True))

    def _facts(self, standing: Standing) -> tuple[pl.DataFrame, list[Link] | None]:
        rows, said = standing.rows, standing.said
        file = pl.Series([standing.batch.file], dtype=pl.UInt16).new_from_index(0, len(rows))
        facts = pl.DataFrame({"file": file, "line": standing.batch.lines.gather(rows)})
        more = {}
        if self._config.conflicts == "drop":
            more = {"prompt": standing.prompts.gather(rows), "answer": standing.answers.gather(rows)}
        elif self._splits and (said is not None or self._config.prompt_fields):
            prompts = standing.of_said(lambda each: each.prompts[-1], "prompt", self._config.prompt_fields)
            more = {"prompt": prompts.gather(rows)}
        if self._config.by_class:
            if said is not None:
                labels = [said[row].label for row in rows]
            else:
                labels = [as_label(value.get(self._label_field)) for value in standing.batch.values(rows)]  # type: ignore[attr-defined]
            more["label"] = pl.Series(labels, dtype=pl.String)
        if self._config.near_duplicates is not None or self._config.near_overlap is not None:
            texts = standing.texts(standing.leaves)
            more["text"] = pl.DataFrame({"row": rows}).join(texts, on="row", how="left", maintain_order="left")["text"]
        links = [said[row].link for row in rows] if self._wants_links and said is not None else None
        return facts.with_columns(**more) if more else facts, links


def texts_of(batch: Batch, config: CleaningConfig) -> list[str]:
    """Return all text of each row that has any, as `Judge` compares it."""
    return Standing(batch, "").texts(_looked_at(batch.leaves(), config))["text"].to_list()


def _earlier(seen: dict[int, int], keys: pl.Series, places: pl.Series) -> pl.Series:
    """Take in keys in order; return for each the place of an equal one before it, or null."""
    first = pl.Series(list(map(seen.setdefault, keys.to_list(), places.to_list())), dtype=pl.UInt64)
    return first.set(first == places, None)


def _looked_at(leaves: pl.DataFrame, config: CleaningConfig) -> pl.DataFrame:
    return leaves.filter(pl.col("field").is_in(config.text_fields)) if config.text_fields else leaves
