"""The language a text is written in."""

import re
import threading
from collections.abc import Callable
from functools import cache

UNKNOWN = "unknown"

_CODES = (
    "af am ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu ha he hi hr ht hu hy id ig is it ja jv"
    " ka kk km kn ko ku ky la lb lo lt lv mg mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru rw si sk sl sn so sq"
    " sr st su sv sw ta te tg th tk tl tr tt ug uk ur uz vi xh yo yue zh zu zxx"
)
_NO_LANGUAGE = "zxx"
LANGUAGES = tuple(code for code in _CODES.split() if code != _NO_LANGUAGE)
"""The codes that `language_of` returns."""
_PROBED_BYTES = 300
_LETTERS = 20
_LETTERS_UNSPACED = 6
_CONFIDENCE = 0.7


def language_of(text: str) -> str:
    """Return the ISO 639 code of the language of `text`, e.g. ``pt``; `UNKNOWN` where it is too short or not clear.

    Code blocks and addresses left out, the first 300 characters are read. They must hold 20 letters, or 6 of a script
    without spaces. The first call loads a model of 5 MB, which takes about a second and 120 MB of memory.
    """
    prose = _NOT_PROSE.sub(" ", text[: 10 * _PROBED_BYTES])[:_PROBED_BYTES]
    if len(_UNSPACED.findall(prose)) < _LETTERS_UNSPACED and len(_LETTER.findall(prose)) < _LETTERS:
        return UNKNOWN
    language, confidence = _classifier()(prose)
    return language if confidence >= _CONFIDENCE and language != _NO_LANGUAGE else UNKNOWN


_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|https?://\S+", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def load_beside() -> None:
    """Load the model in a thread: it is unpacked without Python's lock, so other work goes on."""
    threading.Thread(target=_classifier, name="loading languages", daemon=True).start()


def _classifier() -> Callable[[str], tuple[str, float]]:
    with _LOADING:
        return _loaded()


_LOADING = threading.Lock()


@cache
def _loaded() -> Callable[[str], tuple[str, float]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted({*LANGUAGES, _NO_LANGUAGE} & set(identifier.labels)))
    return identifier.classify  # type: ignore[no-any-return]
