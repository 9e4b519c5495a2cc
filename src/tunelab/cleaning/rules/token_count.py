"""How many tokens texts have."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from tunelab.cleaning.config import BASE_MODEL
from tunelab.errors import DataError
from tunelab.starter import NANO_FOLDER


def token_counter(name: str, *, of_base_model: Tokenizer | None = None) -> Callable[[Sequence[str]], list[int]]:
    """Return what counts the tokens of texts, without special tokens.

    Args:
        name: ``base_model``, ``nano``, a ``tokenizer.json``, or a folder that holds one.
        of_base_model: the tokenizer of the recipe's base model; None outside a recipe.

    Raises:
        DataError: there is no such file, or it is no tokenizer.
    """
    tokenizer = of_base_model if of_base_model is not None and name == BASE_MODEL else _tokenizer_of(name)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(each.ids) for each in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count


def _tokenizer_of(name: str) -> Tokenizer:
    path = NANO_FOLDER if name == "nano" else Path(name).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise DataError(
            "there is no such tokenizer", where=name, expected="nano, a tokenizer.json, or a folder that holds one"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise DataError(f"this is no tokenizer ({error})", where=str(path)) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
