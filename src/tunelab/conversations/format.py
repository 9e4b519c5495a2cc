"""The formats of rows: which there are, and which one some rows have."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from tunelab.conversations.chats import from_messages, from_session_line, from_turns, has_messages, has_turns
from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.field_types import fields_of
from tunelab.conversations.pairs import from_fields, from_prompt_completion
from tunelab.conversations.tables import from_columns, from_text, has_columns, has_text
from tunelab.errors import DataError, RecipeError, counted, guess, listed
from tunelab.sources import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One shape of rows."""

    name: FormatName
    """What `data.format` calls it."""
    shape: str
    """The shape in a few words, such as ``a "messages" list``."""
    recognises: Callable[[Row], bool]
    """Tells whether a row has this shape, whatever its values."""
    convert: Callable[[Row, ConversationConfig], Conversation]
    """Returns the conversation of a row that is recognised; a DataError names what is wrong in it."""


def _of_fields(
    name: FormatName, shape: str, convert: Callable[[Row, ConversationConfig], Conversation], *fields: set[str]
) -> Format:
    """Return a format that is known by some fields, all of one set."""
    return Format(
        name=name,
        shape=shape,
        recognises=lambda row: any(each <= fields_of(row).keys() for each in fields),
        convert=convert,
    )


def _query_and_response(row: Row, config: ConversationConfig) -> Conversation:
    named = ("query", ("response",)) if "query" in fields_of(row) else ("user", ("assistant",))
    return from_fields(*named, row, config, before=("prompt",))


_TURNS = 'a "conversations" list of "from" and "value"'
FORMATS: tuple[Format, ...] = (
    _of_fields("session", '"request" and "response"', from_session_line, {"request", "response"}),
    Format(name="sharegpt", shape=_TURNS, recognises=has_turns, convert=from_turns),
    Format(name="messages", shape='a "messages" list', recognises=has_messages, convert=from_messages),
    _of_fields("prompt_completion", '"prompt" and "completion"', from_prompt_completion, {"prompt", "completion"}),
    _of_fields(
        "instruction",
        '"instruction" and "output"',
        partial(from_fields, "instruction", ("output", "response"), after=("input", "context")),
        {"instruction", "output"},
        {"instruction", "response"},
    ),
    _of_fields(
        "query_response",
        '"query" and "response"',
        _query_and_response,
        {"query", "response"},
        {"user", "assistant"},
    ),
    _of_fields("input_output", '"input" and "output"', partial(from_fields, "input", ("output",)), {"input", "output"}),
    Format(name="text", shape="text to continue", recognises=has_text, convert=from_text),
    Format(name="table", shape="named columns", recognises=has_columns, convert=from_columns),
)
"""In the order in which they are tried: a row counts for the first that recognises it."""

_GUESSED_AT = 20
_KNOWN_FIELDS = (
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "query",
    "response",
    "request",
    "text",
)


def find_format(rows: list[Row], config: ConversationConfig) -> tuple[Format, str]:
    """Return the shape of some rows, and the evidence for it.

    Raises:
        DataError: no row, rows of no known shape, or preference pairs.
        RecipeError: a table without its templates, or templates for what is no table.
    """
    templates = [name for name in ("prompt_template", "completion_template") if getattr(config, name) is not None]
    named = "table" if templates and config.format == "auto" else config.format
    if named == "table" and config.field_map:
        remedy = "Name the columns as the files do, in the templates, and remove data.field_map."
        raise RecipeError("the templates of a table name its columns", where="data.field_map", remedy=remedy)
    if templates and named != "table":
        raise RecipeError(
            f"data.{templates[0]} is for tables, and data.format says {named}", where="data.format", expected="table"
        )
    if named != "auto":
        why = f"data.{templates[0]} is set" if config.format == "auto" else "named by data.format"
        return next(format for format in FORMATS if format.name == named), f"{named}: {why}"
    if not rows:
        raise DataError("there is no readable row", expected="at least one")
    votes = Counter(next((format.name for format in FORMATS if format.recognises(row)), "none") for row in rows)
    name, count = votes.most_common(1)[0]
    pairs = sum({"chosen", "rejected"} <= fields_of(row).keys() for row in rows)
    if pairs * 2 > len(rows):
        remedy = 'Keep "prompt" and "chosen", and name the latter "completion".'
        raise DataError(
            "the rows are preference pairs (chosen, rejected)",
            where=str(rows[0].origin),
            expected="one answer to train on",
            remedy=remedy,
        )
    if name in ("table", "none"):
        raise _unknown(rows[0])
    format = next(format for format in FORMATS if format.name == name)
    has = "has" if len(rows) == 1 else "have"
    return format, f"{name}: {count:,} of the first {counted(len(rows), 'row')} {has} {format.shape}"


def not_of(format: Format, row: Row, evidence: str) -> DataError:
    """Return the error of a row that the format of the others does not recognise."""
    other = next((each for each in FORMATS[:-1] if each.recognises(row)), None)
    seen = (
        f"looks like {other.name} ({other.shape})" if other else f"has the fields {listed(fields_of(row)) or 'of none'}"
    )
    return DataError(f"the row {seen}", where=str(row.origin), expected=f"{format.shape} ({evidence})")


def _unknown(row: Row) -> DataError:
    fields = fields_of(row)
    guesses = (guess(name, _KNOWN_FIELDS) for name in islice(fields, _GUESSED_AT) if name not in _KNOWN_FIELDS)
    meant = next((f"{each} " for each in guesses if each), "")
    shapes = "; ".join(f"{format.name} ({format.shape})" for format in FORMATS[:-1])
    first, *_, last = [*fields, "answer"] if len(fields) == 1 else fields or ("question", "answer")
    remedy = f'{meant}For other columns, set data.prompt_template (such as "{{{first}}}") '
    remedy += f'and data.completion_template (such as "{{{last}}}").'
    return DataError(
        f"the row has the fields {listed(fields) or '(none)'}",
        where=str(row.origin),
        expected=f"one of: {shapes}",
        remedy=remedy,
    )
