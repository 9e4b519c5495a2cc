"""The rows of a file that base and tuned model are compared on. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path

from tunelab.conversations import Conversation
from tunelab.dataset.config import DataConfig
from tunelab.dataset.gather import read_side
from tunelab.errors import DataError
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer
from tunelab.sources import SourceFile, read_rows, refuse

_NO_TABLE = {"format": "auto", "prompt_template": None, "completion_template": None}


def read_compare_file(
    file: Path, data: DataConfig, renderer: Renderer, *, base: Path
) -> tuple[Sequence[Conversation], tuple[Rendered, ...]]:
    """Return the conversations in a file and their sequences.

    Args:
        file: of rows; questions and answers may have another format than the training rows.
        data: the settings of the training rows.
        renderer: makes the token ids.
        base: the folder that relative names in `data` start from.

    Raises:
        DataError: there is no such file, a row cannot be read, or no row is left.
    """
    source = SourceFile(name=str(file), path=file)

    def read(data: DataConfig) -> Sequence[Conversation]:
        tokenizer = renderer.tokens.tokenizer
        return read_side(read_rows([source]), data, base=base, tokenizer=tokenizer, draws=False)[0].items

    try:
        items = read(data)
    except DataError as as_trained:
        try:
            items = read(data.model_copy(update=_NO_TABLE))
        except DataError:
            raise as_trained from None
    rendered = render_all(items, renderer, max_length=data.eval_max_length, on_too_long=data.on_too_long, on_bad=refuse)
    if not rendered.sequences:
        remedy = "Name a file with questions and answers that fit data.eval_max_length."
        raise DataError("no row of this file can be compared on", where=str(file), remedy=remedy)
    return items, rendered.sequences
