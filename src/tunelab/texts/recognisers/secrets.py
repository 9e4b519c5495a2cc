"""Secrets in text: private keys, tokens of well-known shapes, passwords in addresses, values given to a secret's name.

Placeholders are no secrets: what has few different characters, says "your", or is a variable is left out.
"""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable

from tunelab.texts.recognisers.recogniser import Recogniser, whole


def _token(match: re.Match[str]) -> int:
    """Left out: placeholders, by their words or by how few different characters they have."""
    return 0 if _is_placeholder(match.group(), least_different=8) else whole(match)


def _mixed_token(match: re.Match[str]) -> int:
    """Left out: words with hyphens between them (``sk-…``), and placeholders."""
    return _token(match) if any(char.isdigit() for char in match.group()) else 0


def _web_token(match: re.Match[str]) -> int:
    """Left out: what does not open with a JSON object that names an algorithm."""
    head = match.group().partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return 0
    return whole(match) if isinstance(header, dict) and "alg" in header else 0


def _url_password(match: re.Match[str]) -> int:
    """Left out: placeholders and the words that examples use."""
    password = match["value"]
    return 0 if password.lower() in _NO_PASSWORDS or _is_placeholder(password, least_different=3) else len(password)


_NO_PASSWORDS = {"password", "passwd", "pass", "pwd", "pw", "secret", "token", "user", "changeme", "x-oauth-basic"}


def _assigned(match: re.Match[str]) -> int:
    """Left out: words, placeholders. A value has letters, digits and 3.5 bits a character; a short one alternates."""
    value = match["value"]
    is_short = len(value) < 16
    return len(value) if _is_random(value, least_bits=3.0 if is_short else 3.5, alternates=is_short) else 0


def _assigned_bare(match: re.Match[str]) -> int:
    """Left out: what a quoted value is not, names in code, addresses, the point after a sentence."""
    value = match["value"].rstrip(".,:!?")
    is_other = len(value) < 12 or "://" in value or _CODE_NAME.fullmatch(value) is not None
    return len(value) if not is_other and _is_random(value, least_bits=3.0, alternates=True) else 0


def _is_random(value: str, *, least_bits: float, alternates: bool) -> bool:
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    made_up = _EXAMPLE.search(value) is not None or _is_placeholder(value, least_different=8)
    return mixed and not made_up and _bits_a_char(value) >= least_bits and (_alternates(value) or not alternates)


def _alternates(value: str) -> bool:
    """Tell whether letters and digits, small and large ones, change as often as they do if nobody chose them."""
    signs = re.sub("[^A-Za-z0-9]", "", value)
    return len(_CHANGE.findall(signs)) >= 0.25 * (len(signs) - 1)


_CHANGE = re.compile("[a-z](?=[A-Z])|[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z])")
_CODE_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[A-Z]+(?:_[A-Z0-9]+)+")


_EXAMPLE = re.compile("example|placeholder|redacted|dummy|fake|sample|changeme|12345678|abcdef", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"your|xxxx|\*\*\*|\.\.\.|[<>{}]|^\$|^%\w+%$|^\[[A-Z_]+\]$", re.IGNORECASE)


def _is_placeholder(value: str, *, least_different: int) -> bool:
    return len(set(value)) < least_different or _PLACEHOLDER.search(value) is not None


def _bits_a_char(value: str) -> float:
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)


def _shape(kind: str, head: str, body: str, measure: Callable[[re.Match[str]], int] = _token) -> Recogniser:
    """Return the recogniser of a token that is known by itself: a head that gives it away, and a body."""
    # the head is searched first: that is twice as fast
    pattern = re.compile(rf"(?={head})(?:(?<![A-Za-z0-9_-])|{_AFTER_ESCAPE})(?:{head})(?:{body})(?![A-Za-z0-9_])")
    return Recogniser(kind=kind, candidate=f"(?:{head})", pattern=pattern, measure=measure)


_NAMES = "(?:api|access|secret|private|encryption|signing|master)[_-]?key|password|passwd|passphrase|pwd|secret|token"
_QUOTE = r"(?:\\{0,7}[\"'`]|\\{1,7}u0022)"
"""A quote, or one that is escaped, once or more: in JSON inside a text of JSON."""
_AFTER_ESCAPE = r"(?<=\\[nrt])"
"""After a line break or a tab that is written so."""
_ASSIGNMENT = rf"(?i:{_NAMES}){_QUOTE}?[ \t\r\n]{{0,9}}:?[:=]"
_LINE_END = r"(?:\r?\n|(?:\\{1,7}r)?\\{1,7}n)"
_JWT_BODY = r"[A-Za-z0-9_-]{0,2000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{16,1000}"

SECRETS: tuple[Recogniser, ...] = (
    Recogniser(
        kind="private_key",  # in PEM; inside a JSON text a line ends with a written \n
        candidate="-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY",
        pattern=re.compile(
            r"-----BEGIN ([A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?)-----[ \t]*"
            rf"(?:{_LINE_END}(?:[A-Z][A-Za-z-]{{1,30}}: [^\n\\]{{0,200}})?){{0,9}}\s{{0,9}}[A-Za-z0-9+/]{{30}}"
            r"(?:[A-Za-z0-9+/=\s]|\\{1,7}[nr]){0,20000}?(?:-----END \1-----|(?![A-Za-z0-9+/=\s\\]))"
        ),
        measure=whole,
    ),
    _shape("jwt", "eyJ[A-Za-z0-9_-]{8}", _JWT_BODY, _web_token),
    _shape("cloud_key", "AKIA|ASIA|ABIA|ACCA", "[A-Z0-9]{16}"),
    _shape("cloud_key", "AIza", "[A-Za-z0-9_-]{35}"),
    _shape("cloud_key", "AccountKey=", "[A-Za-z0-9+/]{86}=="),
    _shape("source_host_token", "gh[pousr]_", "[A-Za-z0-9]{36,251}"),
    _shape("source_host_token", "github_pat_", "[A-Za-z0-9_]{60,250}"),
    _shape("source_host_token", "glpat-", "[A-Za-z0-9_-]{20,100}"),
    _shape("package_host_token", "npm_", "[A-Za-z0-9]{36}"),
    _shape("package_host_token", "pypi-", "[A-Za-z0-9_-]{80,400}"),
    _shape("chat_token", "xox[abeoprs]-", "[A-Za-z0-9-]{20,250}"),
    _shape("chat_token", "xapp-[0-9]-", "[A-Za-z0-9-]{20,250}"),
    _shape("chat_token", r"hooks\.slack\.com/services/", "T[A-Za-z0-9]{8,14}/B[A-Za-z0-9]{8,14}/[A-Za-z0-9]{20,30}"),
    _shape("chat_token", "[0-9]{8,10}:AA", "[A-Za-z0-9_-]{33}"),
    _shape("chat_token", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.", "[A-Za-z0-9_-]{27,38}"),
    _shape("payment_key", "[rs]k_(?:live|test)_", "[A-Za-z0-9]{20,250}"),
    _shape("model_key", "sk-", "[A-Za-z0-9_-]{32,250}", _mixed_token),
    _shape("model_key", "hf_", "[A-Za-z0-9]{30,50}"),
    _shape("mail_key", r"SG\.[A-Za-z0-9_-]{22}\.", "[A-Za-z0-9_-]{43}"),
    Recogniser(
        kind="url_password",
        candidate=r"[A-Za-z]://[^\s/@:]{1,100}:[^\s/@]{3}",
        pattern=re.compile(
            r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/@:]{1,100}:(?P<value>[^\s/@]{3,200})@(?=[A-Za-z0-9\[])"
        ),
        measure=_url_password,
    ),
    Recogniser(
        kind="assigned_secret",
        candidate=_ASSIGNMENT,
        pattern=re.compile(
            rf"{_ASSIGNMENT}[ \t\r\n]{{0,9}}(?P<quote>{_QUOTE})(?P<value>[^\"'`\s]{{12,200}}?)(?P=quote)"
        ),
        measure=_assigned,
    ),
    Recogniser(
        kind="assigned_secret",  # as in a file of environment variables, or in YAML
        candidate=_ASSIGNMENT,
        pattern=re.compile(
            rf"{_ASSIGNMENT}[ \t]{{0,9}}(?P<value>[A-Za-z0-9_+/=.~!@#%^*:?-]{{12,200}}+)(?=[\s\"'`,;&)\]}}|<\\]|$)"
        ),
        measure=_assigned_bare,
    ),
)

GUESSED_KINDS = frozenset({"url_password", "assigned_secret"})
"""Kinds that are known by what is around them; the others have a shape that nothing else has."""
