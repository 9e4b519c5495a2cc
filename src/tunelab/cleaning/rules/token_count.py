"""How many tokens texts have."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tunelab.errors import DataError
from tunelab.starter import NANO_FOLDER


def token_counter(name: str) -> Callable[[Sequence[str]], list[int]]:
    """Return what counts the tokens of texts, without special tokens.

    Args:
        name: ``nano``, a ``tokenizer.json``, or a folder that holds one.

    Raises:
        DataError: there is no such file, or it is no tokenizer.
    """
    from tokenizers import Tokenizer

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

    def count(texts: Sequence[str]) -> list[int]:
        return [len(each.ids) for each in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count
