"""Personal data are found by shape, prefix and checksum; what only looks like them is left alone."""

import re
from collections.abc import Collection
from functools import partial

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.texts.recognisers import CANDIDATES, RECOGNISERS, find
from tunelab.texts.redaction import redact_spans

find_personal = partial(find, "personal_data")

HITS = {
    "email": [
        "jane.doe+news@mail.example.co.uk",
        "josé_1@exemplo.com.br",
        "x@y.io",
        "JANE@EXAMPLE.COM",
    ],
    "phone": [
        "+1 (415) 555-0132",
        "+14155550132",
        "+55 11 91234-5678",
        "+44 20 7946 0958",
        "+49 (0)30 123456",
        "(415) 555-0132",
        "415-555-0132",
        "415.555.0132",
        "(11) 91234-5678",
    ],
    "card": [
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0055-5555-5559",
        "3782 822463 10005",
        "2221000000000009",
        "6011000990139424",
    ],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "BR1500000000000010932840814P2",
        "NO9386011117947",
    ],
    "ip_address": ["203.0.113.77", "81.2.69.160", "2001:db8::8a2e:370:7334", "2a00:1450:4001:81b:0:0:0:200e"],
    "national_id": ["529.982.247-25", "219-09-9998", "RSSMRA85T10A562S", "1 85 05 78 006 084 91", "185057800608491"],
}
MISSES = [
    "call @app.route('/x') or see logo@2x.png, git@host.org:team/repo and https://user:pass@host.com/x",
    "npm install pack@1.2.3 and mail me @ home",
    "4111 1111 1111 1112 fails its sum, 0000 0000 0000 0000 is no card, 1234567812345678 has no issuer",
    "order 20231105123456, time 1700000000123, id 9876543210987654",
    "DE89 3704 0044 0532 0130 01 has a wrong check number, ZZ89 3704 0044 0532 0130 00 no country",
    "version 10.15.7.1, v192.0.2.1, section 12.2.3.4, clause 1.2.3.4, 256.300.1.1, 255.255.255.0, 8.8.8.8",
    "192.168.1.1, 10.0.0.1, 127.0.0.1, 169.254.0.7",
    "resolvers: 8.8.4.4, 1.0.0.1, 208.67.222.222, 149.112.112.112, 2001:4860:4860::8888, 2606:4700:4700:0::1111",
    "std::vector, 12:34:56, 2023:10:11 12:30, 1.2.3.4.5.6",
    "529.982.247-26, 111.111.111-11, 000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
    "2024-05-15, 555-1234, 1+22222222, x = 5 +12345678, +999 12345678, 3.14159265358979",
    "RSSMRA85T10A562T and 185057800608492",
    "(2019) 123-4567 and pages 100-200-3000, ISBN 978-3-16-148410-0",
]


def redact_personal(text: str, kinds: Collection[str] | None = None) -> str:
    return redact_spans(text, find_personal(text, kinds))


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in HITS.items() for text in texts])
def test_each_kind_is_found_whole_and_redacted_to_its_name(kind: str, text: str) -> None:
    around = f"Reach me: {text}, thanks. ({text})"
    spans = find_personal(around)
    assert [(span.kind, around[span.start : span.end]) for span in spans] == [(kind, text), (kind, text)]
    assert redact_personal(around) == f"Reach me: [{kind.upper()}], thanks. ([{kind.upper()}])"


def test_every_kind_has_an_example_here() -> None:
    assert set(HITS) == {each.kind for each in RECOGNISERS["personal_data"]}


@pytest.mark.parametrize("text", MISSES)
def test_what_only_looks_like_personal_data_is_left_alone(text: str) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in find_personal(text)] == []


def test_an_iban_ends_where_its_country_says() -> None:
    assert redact_personal("IBAN GB82 WEST 1234 5698 7654 32 THANKS A LOT") == "IBAN [IBAN] THANKS A LOT"


def test_only_the_kinds_that_are_asked_for_are_redacted() -> None:
    text = "a@b.org from 81.2.69.160"
    assert redact_personal(text, ["email"]) == "[EMAIL] from 81.2.69.160"
    assert redact_personal(text, []) == text


PIECES = st.one_of(
    st.sampled_from([text for texts in HITS.values() for text in texts] + MISSES),
    st.text(alphabet="0123456789 +-.()@:/aAbBzZé\x1c\n", max_size=12),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_every_text_with_a_hit_is_a_candidate_of_the_fast_scan(text: str) -> None:
    scanned = pl.Series([text]).str.contains(CANDIDATES["personal_data"]).item()
    assert scanned == (re.search(CANDIDATES["personal_data"], text) is not None)
    assert scanned or not find_personal(text)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_spans_lie_apart_in_order_and_redaction_leaves_the_rest_as_it_was(text: str) -> None:
    spans, rebuilt, end = find_personal(text), "", 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        rebuilt += text[end : span.start] + f"[{span.kind.upper()}]"
        end = span.end
    assert redact_personal(text) == rebuilt + text[end:]


def test_long_texts_without_hits_are_read_in_linear_time() -> None:
    for text in ("a" * 50_000, "1" * 50_000, "a." * 25_000 + "@", "+1 2" * 12_000, "A1" * 25_000, "1.2." * 12_000):
        assert len(find_personal(text)) >= 0
