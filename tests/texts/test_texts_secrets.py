"""Secrets are found by their shape; placeholders are none. The fakes are put together here: no scanner sees one."""

import base64
import json
import random
import string
from functools import partial

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.texts.recognisers import CANDIDATES, RECOGNISERS, find
from tunelab.texts.redaction import redact_spans

find_secrets = partial(find, "secrets")

_DICE = random.Random(7)


def redact_secrets(text: str) -> str:
    return redact_spans(text, find_secrets(text))


def chars(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_DICE.choices(alphabet, k=count))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def key_block(name: str, *, newline: str = "\n", head: str = "") -> str:
    lines = [f"-----BEGIN {name}-----", *([head, ""] if head else []), *(chars(64) for _ in range(5)), chars(20) + "=="]
    return newline.join([*lines, f"-----END {name}-----"])


UPPER = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"
SECRETS = {
    "private_key": [
        key_block("RSA PRIVATE" + " KEY"),
        key_block("PRIVATE" + " KEY", newline="\\n"),
        key_block("OPENSSH PRIVATE" + " KEY", newline="\r\n"),
        key_block("PGP PRIVATE" + " KEY BLOCK", head="Version: 2.6"),
    ],
    "jwt": [".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": "1234", "name": "x"}), chars(43)])],
    "cloud_key": ["AK" + "IA" + chars(16, UPPER), "AI" + "za" + chars(35), "Account" + "Key=" + chars(86) + "=="],
    "source_host_token": [
        "gh" + "p_" + chars(36),
        "github" + "_pat_" + chars(22) + "_" + chars(59),
        "gl" + "pat-" + chars(20),
    ],
    "package_host_token": ["np" + "m_" + chars(36), "py" + "pi-" + chars(120)],
    "chat_token": [
        "xo" + "xb-" + "-".join([chars(12, string.digits), chars(12, string.digits), chars(24)]),
        "xa" + "pp-1-A0" + chars(9, UPPER) + "-" + chars(13, string.digits) + "-" + chars(64, HEX),
        "hooks.slack" + ".com/services/T" + chars(9, UPPER) + "/B" + chars(9, UPPER) + "/" + chars(24),
        chars(9, "123456789") + ":A" + "A" + chars(33),
        "M" + chars(23) + "." + chars(6) + "." + chars(27),
    ],
    "payment_key": ["sk" + "_live_" + chars(24)],
    "model_key": ["s" + "k-" + chars(47) + "1", "s" + "k-proj-" + chars(60) + "1", "h" + "f_" + chars(34)],
    "mail_key": ["S" + "G." + chars(22) + "." + chars(43)],
    "url_password": ["postgres://admin:" + "s3cr3t-hunter2" + "@"],
    "assigned_secret": [
        'api_key = "' + chars(31) + '7"',
        "PASSWORD: '" + chars(20) + "!8'",
        '"client_secret": "' + chars(40, HEX) + '"',
        "AWS_SECRET" + "_ACCESS_KEY=" + "wJalrXUtnFEMIzK7" + "MDENGzbPxRfiCYzq8LmKe1Qw",
        "DB_PASS" + "WORD=" + "Zk9fPq27Lm" + "Xw81vTq0Rn",
        "client_secret: " + "9f86d081" + "884c7d65",
        "export TOKEN=" + "k3J9x0Qp" + "Z7vL",
        'password = "' + "Som7er2024" + "!Kq9" + '"',
    ],
}
NO_SECRETS = [
    "-----BEGIN PRIVATE KEY----- is the line a key opens with, and it closes with -----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----",
    "gh" + "p_" + "x" * 36,
    "AK" + "IA" + "A" * 16,
    "sk-" + "a-slug-of-many-words-that-goes-on-and-on-and-on",
    "eyJhbGciOiJub25l.eyJzdWIi.x",
    ".".join([part({"typ": "no algorithm"}), part({"sub": "1234"}), chars(43)]),
    'token = "' + "a" * 25 + 'xkqzwmp7"',
    "https://user:password@host.org/ and https://user:${PASSWORD}@host.org and http://a.org:8080/b@c",
    'api_key = "YOUR_API_KEY_GOES_HERE_1" and token = "<your token 1234567890>"',
    'password = "correct horse battery" and secret: "a-name-without-any-digit-in-it"',
    'token = "aaaaaaaaaaaaaaaa1111"',
    "token=string, password: required, secret=<YOUR_TOKEN>, PASSWORD=${DB_PASSWORD_1}, api_key=xxxxxxxxxxxx1",
    "token = self.v2.oauth2Key and api_key: process.env.OPENAI_API_KEY_2 and token=get_token2(value1)",
    "secret: https://host.org/a1B2c3D4e5F6 and token: gpt-4o-mini-2024-07-18 and password=example1A2b3C4d",
    "token: 2024-01-01T00:00:00Z and secret = /var/lib/secrets2/token and password: 123456789012",
    "tokens: 4096, max_tokens = 128, tokenizer('hello world')",
    r"{\"api_key\": \"YOUR_API_KEY_GOES_HERE_1\", \"token\": \"string\", \"password\": \"123456789012\"}",
    r"{\"token\": \"\", \"next\": \"a1B2c3D4e5F6\"}",
    "task-0123456789abcdefghijklmnopqrstuvwxyz is a name",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts])
def test_each_kind_is_found_and_nothing_of_it_is_left_when_redacted(kind: str, text: str) -> None:
    around = f"see: {text}db.example.org" if kind == "url_password" else f"see: {text} (end)"
    assert [span.kind for span in find_secrets(around)] == [kind]
    redacted = redact_secrets(around)
    assert f"[{kind.upper()}]" in redacted
    assert redacted.startswith("see: ")
    (span,) = find_secrets(around)
    secret = around[span.start : span.end]
    assert redacted == around.replace(secret, f"[{kind.upper()}]")
    assert secret in text
    assert find_secrets(redacted) == []
    assert pl.Series([around]).str.contains(CANDIDATES["secrets"]).item()


def test_every_kind_has_an_example_here() -> None:
    assert set(SECRETS) == {each.kind for each in RECOGNISERS["secrets"]}


@pytest.mark.parametrize("text", NO_SECRETS)
def test_placeholders_and_words_are_no_secrets(text: str) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in find_secrets(text)] == []


PIECES = st.one_of(
    st.sampled_from([text for texts in SECRETS.values() for text in texts] + NO_SECRETS),
    st.text(alphabet="AKIaz09_-.:/@=\"' \n\x1c", max_size=8),
)


def test_the_name_and_the_quotes_of_a_secret_stay() -> None:
    value = "9f86d081" + "884c7d659a2f"
    assert redact_secrets(f'db_password = "{value}"') == 'db_password = "[ASSIGNED_SECRET]"'
    assert redact_secrets(f"It is DB_PASSWORD={value}.\n") == "It is DB_PASSWORD=[ASSIGNED_SECRET].\n"
    assert redact_secrets(f"https://a.org/x?token={value}&n=1") == "https://a.org/x?token=[ASSIGNED_SECRET]&n=1"
    url = "postgres://admin:{}@db.internal/x"
    assert redact_secrets(url.format("s3cr3t" + "-pw")) == url.format("[URL_PASSWORD]")


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("quote", ['"', "u0022"])
@pytest.mark.parametrize(
    "around", ['{"api_key": "VALUE", "a": "VALUE2"}', "see:\n\"Password\":'VALUE'", 'a "token" = "VALUE"']
)
def test_a_secret_in_json_that_is_written_into_a_text_is_found_and_only_its_value_goes(
    depth: int, quote: str, around: str
) -> None:
    value = "9f86d081" + "884c7d659a2f"
    text = around
    for _ in range(depth):
        text = json.dumps(text).replace('\\"', f"\\{quote}")
    (span,) = find_secrets(text.replace("VALUE", value, 1))
    assert (span.kind, text.index("VALUE"), span.end - span.start) == ("assigned_secret", span.start, len(value))
    assert pl.Series([text.replace("VALUE", value, 1)]).str.contains(CANDIDATES["secrets"]).item()
    redacted = redact_secrets(text.replace("VALUE", value, 1))
    assert redacted == text.replace("VALUE", "[ASSIGNED_SECRET]", 1)
    assert find_secrets(redacted) == []


@pytest.mark.parametrize("kind", sorted(set(SECRETS) - {"assigned_secret", "url_password"}))
def test_a_token_behind_a_line_break_that_is_written_as_an_escape_is_found(kind: str) -> None:
    for text in SECRETS[kind]:
        written = json.dumps(f"first line\n{text}\n\tlast line")
        assert [each.kind for each in find_secrets(written)] == [kind]


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=5).map("".join))
def test_every_text_with_a_secret_is_a_candidate_of_the_fast_scan(text: str) -> None:
    assert not find_secrets(text) or pl.Series([text]).str.contains(CANDIDATES["secrets"]).item()


def test_long_texts_without_secrets_are_read_in_linear_time() -> None:
    opening = "-----BEGIN " + "PRIVATE KEY-----"
    for text in (
        "eyJ" * 15_000,
        "token = '" * 5_000,
        "token=" * 8_000,
        'token\\": \\"' * 4_000,
        "token" + "\\" * 40_000 + '"',
        "token\\u0022:\\u0022" + "aB3" * 20_000,
        "\\nAKIA" * 8_000,
        "token=" + "aB3" * 20_000,
        "a://b:" * 8_000,
        opening * 2_000,
        opening + "\\n" + "A" * 30 + "\\" * 40_000,
        opening + "\nAa: Bb: " * 5_000,
    ):
        assert find_secrets(text) == []
