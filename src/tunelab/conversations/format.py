"""The formats of rows: which there are, and which one some rows have."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from tunelab.conversations.chats import from_messages, from_session_line, from_turns, has_messages, has_turns
from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.describing_fields import describes
from tunelab.conversations.field_advice import map_of_pair, setting
from tunelab.conversations.field_map import LIST_FIELDS
from tunelab.conversations.field_types import fields_of
from tunelab.conversations.pairs import from_fields, from_prompt_completion
from tunelab.conversations.refused_rows import refuse_pairs_and_trees
from tunelab.conversations.tables import columns_next_to_text, from_columns, from_text, has_columns, has_text
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
    reads: frozenset[str] = frozenset()
    """Fields that hold what is said; what every format reads next to them is in `fields_read`."""
    lists: tuple[str, ...] = ()
    """Fields that may hold a list of messages."""
    takes_response: bool = False
    """Whether ``response`` is an assistant's message, or a whole response of an API."""


def _of_fields(
    name: FormatName,
    shape: str,
    convert: Callable[[Row, ConversationConfig], Conversation],
    *fields: set[str],
    also: tuple[str, ...] = (),
    lists: tuple[str, ...] = (),
) -> Format:
    """Return a format that is known by some fields, all of one set; it reads others `also`."""
    return Format(
        name=name,
        shape=shape,
        recognises=lambda row: any(each <= fields_of(row).keys() for each in fields),
        convert=convert,
        reads=frozenset().union(*fields, also),
        lists=lists,
        takes_response=name == "session",
    )


def _query_and_response(row: Row, config: ConversationConfig) -> Conversation:
    named = ("query", ("response",)) if "query" in fields_of(row) else ("user", ("assistant",))
    return from_fields(*named, row, config, before=("prompt",))


FORMATS: tuple[Format, ...] = (
    _of_fields("session", '"request" and "response"', from_session_line, {"request", "response"}),
    Format(
        name="sharegpt",
        shape='a "conversations" list of "from" and "value"',
        recognises=has_turns,
        convert=from_turns,
        lists=LIST_FIELDS,
        takes_response=True,
    ),
    Format(
        name="messages",
        shape='a "messages" list',
        recognises=has_messages,
        convert=from_messages,
        lists=LIST_FIELDS,
        takes_response=True,
    ),
    _of_fields(
        "prompt_completion",
        '"prompt" and "completion"',
        from_prompt_completion,
        {"prompt", "completion"},
        lists=("prompt", "completion", "history"),
    ),
    _of_fields(
        "instruction",
        '"instruction" and "output" or "response"',
        partial(from_fields, "instruction", ("output", "response"), after=("input", "context")),
        {"instruction", "output"},
        {"instruction", "response"},
        also=("input", "context"),
        lists=("history",),
    ),
    _of_fields(
        "query_response",
        '"query" and "response", or "user" and "assistant"',
        _query_and_response,
        {"query", "response"},
        {"user", "assistant"},
        also=("prompt",),
        lists=("history",),
    ),
    _of_fields(
        "input_output",
        '"input" and "output"',
        partial(from_fields, "input", ("output",)),
        {"input", "output"},
        lists=("history",),
    ),
    Format(name="text", shape="text to continue", recognises=has_text, convert=from_text, reads=frozenset({"text"})),
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
        DataError: no row, rows of no known format, preference pairs, or trees of messages.
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
        format = next(format for format in FORMATS if format.name == named)
        return format, f"{named}: {why}{_trained_alone(format, rows)}"
    if not rows:
        raise DataError("there is no readable row", expected="at least one")
    votes = Counter(next((format.name for format in FORMATS if format.recognises(row)), "none") for row in rows)
    name, count = votes.most_common(1)[0]
    refuse_pairs_and_trees(rows, config)
    if name in ("table", "none"):
        raise _unknown(rows[0], config)
    if name == "text" and (row := next((row for row in rows if columns_next_to_text(row)), None)):
        raise _text_and_columns(row)
    format = next(format for format in FORMATS if format.name == name)
    has = "has" if len(rows) == 1 else "have"
    seen = f"{name}: {count:,} of the first {counted(len(rows), 'row')} {has} {format.shape}"
    return format, f"{seen}{_trained_alone(format, rows)}"


def _trained_alone(format: Format, rows: list[Row]) -> str:
    """Return what to say of a ``response`` next to a list of messages: no answer in the list is trained."""
    has_response = any(fields_of(row).get("response") is not None for row in rows)
    if not has_response or not format.takes_response or not format.lists:
        return ""
    return '; where a "response" lies next to the list, it alone is trained, and no answer in the list'


def _text_and_columns(row: Row) -> DataError:
    first, *_ = others = columns_next_to_text(row)
    remedy = 'For a table, set data.prompt_template (such as "{text}") and data.completion_template (such as '
    remedy += f'"{{{first}}}"); to train on the text alone, set data.format: text.'
    what, expected = f"next to text there is {listed(others)}", "text alone, or a table with templates"
    return DataError(what, where=str(row.origin), expected=expected, remedy=remedy)


def not_of(format: Format, row: Row, evidence: str) -> DataError:
    """Return the error of a row that the format of the others does not recognise."""
    other = next((each for each in FORMATS[:-1] if each.recognises(row)), None)
    seen = (
        f"looks like {other.name} ({other.shape})" if other else f"has the fields {listed(fields_of(row)) or 'of none'}"
    )
    return DataError(f"the row {seen}", where=str(row.origin), expected=f"{format.shape} ({evidence})")


def _unknown(row: Row, config: ConversationConfig) -> DataError:
    fields = fields_of(row)
    pair = map_of_pair(fields)
    guesses = (guess(name, _KNOWN_FIELDS) for name in islice(fields, _GUESSED_AT) if name not in _KNOWN_FIELDS)
    meant = f"Set {setting(pair, config)}. " if pair else next((f"{each} " for each in guesses if each), "")
    shapes = "; ".join(f"{format.name} ({format.shape})" for format in FORMATS[:-1])
    columns = list(pair.values()) or [name for name in fields if not describes(name)] or list(fields)
    first, *_, last = [*columns, "answer"] if len(columns) == 1 else columns or ("question", "answer")
    remedy = f'{meant}For other columns, set data.prompt_template (such as "{{{first}}}") '
    remedy += f'and data.completion_template (such as "{{{last}}}").'
    return DataError(
        f"the row has the fields {listed(fields) or '(none)'}",
        where=str(row.origin),
        expected=f"one of: {shapes}",
        remedy=remedy,
    )
