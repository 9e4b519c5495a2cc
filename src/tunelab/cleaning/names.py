"""Names in settings that must stand for something: columns of a table, fields and roles of conversations."""

from collections.abc import Iterable, Iterator, Sequence

from tunelab.cleaning.batches import Batch, TableBatch
from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations import ConversationConfig
from tunelab.errors import DataError, RecipeError, guess, listed

_EVERY = "*"


def refuse_unknown_columns(config: CleaningConfig, conversation: ConversationConfig, columns: Sequence[str]) -> None:
    """Raise a RecipeError for the first setting that names a column which a table with `columns` has not."""
    label = (conversation.label_field,) if config.by_class and conversation.label_field is not None else ()
    for setting, names in (*_named(config), ("prompt_fields", config.prompt_fields), ("label_field", label)):
        for name in names:
            if columns and name not in columns:
                raise _unknown(setting, name, "column", columns)


def with_columns(
    batches: Iterable[Batch], files: Sequence[str], config: CleaningConfig, label_field: str
) -> Iterator[Batch]:
    """Yield batches; a table of a later file must have the columns that rows are compared and drawn by, too.

    Raises:
        DataError: it has not.
    """
    label = (label_field,) if config.by_class and label_field else ()
    wanted = dict.fromkeys((*config.prompt_fields, *label, *config.text_fields))
    for batch in batches:
        if isinstance(batch, TableBatch) and batch.columns.height:
            for name in wanted:
                if name not in batch.columns.columns:
                    raise DataError(
                        f'the table has no column "{name}"',
                        where=files[batch.file],
                        expected=f"one of {listed(batch.columns.columns)}",
                        remedy=guess(name, batch.columns.columns),
                    )
        yield batch


def _named(config: CleaningConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each setting that names texts, with the names."""
    yield "text_fields", config.text_fields
    for setting in ("min_chars", "max_chars"):
        yield setting, tuple(name for name in getattr(config, setting) if name != _EVERY)


def _unknown(setting: str, name: str, kind: str, known: Iterable[str]) -> RecipeError:
    every = list(known)
    return RecipeError(
        f'no row has the {kind} "{name}"',
        where=setting,
        expected=f"one of {listed(every)}",
        remedy=guess(name, every),
    )
