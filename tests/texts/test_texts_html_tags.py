"""Tags of HTML go; comparisons, generics and addresses that look like them stay as they are."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.rules.text_rules import changes

NAMES = ["a", "b", "i", "p", "q", "s", "u", "var", "map", "object", "time", "option", "table", "label", "T", "u8", "x1"]
NAME = st.sampled_from(NAMES)
CODE = st.one_of(
    st.builds("{}<{} {} {}>{}".format, NAME, NAME, st.sampled_from(["AND", "and", "or", "&&", "||"]), NAME, NAME),
    st.builds("{}<{}>".format, NAME, NAME),
    st.builds("{}<{}, {}<{}>> {};".format, NAME, NAME, NAME, NAME, NAME),
    st.builds("{}<{} && {}>{}".format, NAME, NAME, NAME, NAME),
    st.builds("{} < {} and {} > {}".format, NAME, NAME, NAME, NAME),
    st.builds("{} <- {}; {}->{}".format, NAME, NAME, NAME, NAME),
    st.builds("for ({}=0; {}<{}; {}++)".format, NAME, NAME, NAME, NAME),
    st.builds("{} <{}> {}".format, NAME, NAME, NAME),
    st.sampled_from(["<https://example.com/a>", "<a@example.com>", "<unk>", "<|end|>", "<=>", "<>", "<3", "a<b@c.d>"]),
)
ATTRIBUTE = st.sampled_from(
    ["", ' class="x y"', " id=z", " hidden", " data-n='1' title=\"a > b\"", " checked disabled"]
)
PAIRED = st.sampled_from(
    ["a", "b", "i", "p", "q", "s", "u", "span", "code", "table", "object", "H2", "DIV", "ul", "li"]
)


def without_html(text: str) -> str:
    (rule,) = changes(CleaningConfig(strip_html=True))
    return str(pl.DataFrame({"text": [text]}).select(rule.changed).item())


@given(st.lists(CODE, min_size=1, max_size=6).map(" \n ".join))
def test_text_of_comparisons_generics_and_addresses_is_left_as_it_is(text):
    assert without_html(text) == text


@given(name=PAIRED, attributes=ATTRIBUTE, before=st.sampled_from(["", "x ", "x"]))
def test_an_element_loses_its_tags_and_keeps_its_text(name, attributes, before):
    assert without_html(f"{before}<{name}{attributes}>word</{name} >").split() == f"{before}word".split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<p>One.<p>Two", "One.Two"),
        ("<ul><li>One<li>Two</ul>", "OneTwo"),
        ('<img src="a.png"><input type=checkbox checked>x', "x"),
        ("<!DOCTYPE html><!-- a<b> -->x<script>if (a<b) {}</script><style>p > a {}</style>", "x"),
        ("<b>Use</b> Vec<u8>, List<object> or x <u> y", "Use Vec<u8>, List<object> or x <u> y"),
        ("SELECT * FROM t WHERE a<i AND b>j <i>fast</i>", "SELECT * FROM t WHERE a<i AND b>j fast"),
        ("&lt;div&gt; is markup, &amp; a<b&&c>d stays", "<div> is markup, & a<b&&c>d stays"),
    ],
)
def test_tags_are_told_from_what_looks_like_them(text, expected):
    assert without_html(text) == expected
