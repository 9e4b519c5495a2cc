"""Names in settings that must be found in the data: columns of a table, fields and roles of conversations."""

from collections.abc import Iterable, Iterator, Sequence

from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.readers.batch import Batch
from tunelab.cleaning.readers.table_batch import TableBatch
from tunelab.conversations import ConversationConfig
from tunelab.conversations.field_types import fields_of
from tunelab.errors import DataError, RecipeError, guess, listed
from tunelab.sources import Row

_EVERY = "*"


def refuse_unknown_columns(config: CleaningConfig, conversation: ConversationConfig, columns: Sequence[str]) -> None:
    """Raise a RecipeError for the first setting that names a column which a table with `columns` has not."""
    for setting, name in (*names_of_texts(config), *_names_of_fields(config, conversation.label_field)):
        if columns and name not in columns:
            raise _unknown(setting, name, "column", columns)


def names_of_texts(config: CleaningConfig) -> tuple[tuple[str, str], ...]:
    """Return each setting that names texts with each name: columns, or fields and roles of conversations."""
    named = (("text_fields", config.text_fields), ("min_chars", config.min_chars), ("max_chars", config.max_chars))
    return tuple((setting, name) for setting, names in named for name in names if name != _EVERY)


def refuse_unseen(named: Iterable[tuple[str, str]], seen: Iterable[str]) -> None:
    """Raise a RecipeError for the first setting and name of which no row had a text."""
    for setting, name in named:
        raise _unknown(setting, name, "field or role", sorted(seen))


def refuse_unknown_fields(rows: Sequence[Row], config: CleaningConfig, conversation: ConversationConfig) -> None:
    """Raise a RecipeError for a field of the label or of the prompt that none of the first rows has."""
    fields = dict.fromkeys(field for row in rows for field in fields_of(row))
    for setting, name in _names_of_fields(config, conversation.label_field):
        if fields and name not in fields:
            raise _unknown(setting, name, "field", fields)


def with_columns(
    batches: Iterable[Batch], files: Sequence[str], config: CleaningConfig, label_field: str
) -> Iterator[Batch]:
    """Yield batches; a table of a later file must have the columns that rows are compared and sampled by, too.

    Raises:
        DataError: it has not.
    """
    named = (name for _, name in _names_of_fields(config, label_field or None))
    required = dict.fromkeys((*named, *config.text_fields))
    for batch in batches:
        if isinstance(batch, TableBatch) and batch.columns.height:
            for name in required:
                if name not in batch.columns.columns:
                    raise DataError(
                        f'the table has no column "{name}"',
                        where=files[batch.file],
                        expected=f"one of {listed(batch.columns.columns)}",
                        remedy=guess(name, batch.columns.columns),
                    )
        yield batch


def _names_of_fields(config: CleaningConfig, label_field: str | None) -> Iterator[tuple[str, str]]:
    """Yield each setting that names a field of rows with each name: the prompt's, and the label's if it counts."""
    yield from (("prompt_fields", name) for name in config.prompt_fields)
    if config.by_class and label_field is not None:
        yield "label_field", label_field


def _unknown(setting: str, name: str, kind: str, known: Iterable[str]) -> RecipeError:
    every = list(known)
    return RecipeError(
        f'no row has the {kind} "{name}"',
        where=setting,
        expected=f"one of {listed(every)}",
        remedy=guess(name, every),
    )
