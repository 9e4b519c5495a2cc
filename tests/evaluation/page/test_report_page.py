"""The report page: one file, no script, nothing fetched, all text of rows escaped, small whatever the rows hold."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from made_up_reports import (
    ordinary_rows,
    plain_report,
    plain_task,
    row,
    unmeasured,
    verdicts,
    whole_report,
    whole_task,
)
from tunelab.evaluation.reports.page.shown_rows import mark_differences
from tunelab.evaluation.reports.page.to_html import to_html

WHOLE = {"meta", "br", "input"}
EVIL = '</style></title><script>alert(1)</script><img src="https://evil.example/a.png" onerror="x()">\x1b[2J\u202egnp.'
MOST_BYTES = 3_000_000


class Reader(HTMLParser):
    """Collects tags, attributes and text, and refuses tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in WHOLE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [each for _, each in self.tags if name in (each.get("class") or "").split()]


@pytest.fixture(scope="module")
def whole() -> str:
    return to_html(whole_report(), ordinary_rows(60), verdicts())


def test_the_page_holds_verdict_gates_tiles_grounds_slices_details_and_command(whole: str) -> None:
    page = Reader(whole)
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for expected in (
        "The tuned model is better: accuracy 61.0 % before, 87.5 % after.",
        "Of 7 gates 1 fails, 4 cannot be decided, 2 pass",
        "production",
        "−12.0 points",
        "+0.020 to +0.040",
        "p95 151 ms",
        "3.4 MB",
        "200 rows in 40 sessions; a difference of 8.8 points can be shown",
        "language: pt, 80 rows: ECE 0.210, by luck up to 0.100 worth a look",
        "0.5 % of answers change",
        "2 rows with a prompt that the model was trained on",
        "judge-1 on relevance",
        "win rate 65 % (58 % to 72 %; 120 won, 60 lost, 20 ties)",
        "unchecked: 12 of 30 human ratings",
        "a calibrated model has up to 0.088 by luck",
        "2.1 % of the probability is on answers that are no label",
        "worth a look",
        "injected instruction",
        "60 of 200",
        "too few to be judged",
        "3 × the prompt leaves no room for an answer",
        "tunelab compare base intents-20261201-1 --html report.html",
    ):
        assert expected in text, expected
    assert len(page.of_class("tile")) == 4
    assert len(page.of_class("gate")) == 7


def test_slices_are_sorted_with_the_greatest_loss_on_top(whole: str) -> None:
    names = re.findall(r'<span class="of">(\w[\w ]*: \w+)', whole)
    assert names[:2] == ["language: pt", "label: refund"]
    assert names[5] == "language: en"


def test_of_a_figure_whose_lower_values_are_better_a_rise_is_a_loss() -> None:
    task = replace(plain_task(), kinds=("loss",), first_figure="loss", figures=(), verdicts={})
    for_loss = [replace(each, change=replace(each.change, name="loss")) for each in whole_task().slices]
    page = to_html(plain_report(replace(task, slices=tuple(for_loss))), [], [])
    assert re.findall(r'<span class="of">(\w[\w ]*: \w+)', page)[0] == "language: en"


def test_nothing_runs_or_is_fetched_whatever_names_and_rows_hold() -> None:
    task = replace(
        whole_task(), name=EVIL, labels=(EVIL, "b"), slices=tuple(replace(s, value=EVIL) for s in whole_task().slices)
    )
    report = whole_report()
    report = replace(
        report,
        tasks=(task, plain_task("other")),
        after=replace(report.after, name=EVIL, adapter=EVIL),
        data=EVIL,
        command=EVIL,
        left_out=tuple(replace(each, reason=EVIL, example=EVIL) for each in report.left_out),
        general=tuple(replace(each, name=EVIL) for each in report.general),
        sampling={"stop_strings": EVIL},
    )
    evil = row(
        1, "broken", asked=EVIL, reference=EVIL, before=EVIL, after=EVIL + "!", prompt=EVIL, task=EVIL, language=EVIL
    )
    text = to_html(report, [evil], verdicts())
    page = Reader(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "form", "object"} == set()
    attributes = {name for _, each in page.tags for name in each}
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")]
    assert all(value.startswith("#") for _, each in page.tags if (value := each.get("href")))
    assert "https:" not in re.sub("https:/( …|/evil)", "", text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "<script>alert(1)</script>" in page.text
    assert "⟨U+202E⟩" in page.text


def test_the_policy_allows_the_style_of_the_page_alone(whole: str) -> None:
    (policy,) = [
        each["content"] for _, each in Reader(whole).tags if each.get("http-equiv") == "Content-Security-Policy"
    ]
    (style,) = re.findall(r"<style>(.*?)</style>", whole, flags=re.DOTALL)
    assert policy is not None
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_lone_surrogate_and_a_line_of_a_megabyte_still_make_a_page() -> None:
    long = "\ud800" + "<x> &" * 200_000
    rows = [
        row(n, "broken", asked=long, reference=long, before=long, after=long, prompt=long, field=long)
        for n in range(300)
    ]
    text = to_html(plain_report(), rows, [])
    assert len(text.encode()) < MOST_BYTES  # and it can be encoded
    assert "⟨U+D800⟩" in text
    assert "characters left out" in text


@pytest.mark.parametrize("words", [12, 200])
def test_five_thousand_rows_stay_under_three_megabytes_and_none_goes_uncounted(words: int) -> None:
    rows = ordinary_rows(5_000, words=words)
    text = to_html(whole_report(), rows, verdicts())
    assert len(text.encode()) < MOST_BYTES
    page = Reader(text)
    shown = page.of_class("one")
    assert len({each.get("id") for each in shown if each.get("id")}) >= 200
    left_out = re.search(r"and ([\d,]+) are left out here", page.text)
    assert len(shown) + (int(left_out[1].replace(",", "")) if left_out else 0) == 5_000
    assert "rows.jsonl has all of them" in page.text
    broken = [each for each in page.of_class("row") if "broken" in (each["class"] or "")]
    assert len(broken) == min(200, sum(each.outcome == "broken" for each in rows))


def test_broken_rows_come_first_and_are_what_the_page_opens_with() -> None:
    page = Reader(to_html(plain_report(), [row(1, "right"), row(2, "fixed"), row(3, "broken")], []))
    assert page.of_class("one")[0]["id"] == "row-id3"
    (checked,) = [each for _, each in page.tags if each.get("name") == "outcome" and "checked" in each]
    assert checked["id"] == "show-broken"


def test_every_filter_has_its_rule_and_every_rule_its_rows() -> None:
    report = plain_report(whole_task(), plain_task("tools", 0.8, 0.7))
    rows = [row(1, "broken", language="pt"), row(2, "broken", task="tools")]
    text = to_html(report, rows, [])
    page = Reader(text)
    filters = [each["id"] for tag, each in page.tags if tag == "input"]
    for name in filters:
        assert name is not None
        assert name.startswith(("show-all", "show-every")) or f"#{name}:checked)" in text
    classes = {each["id"]: (each["class"] or "").split() for each in page.of_class("row")}
    assert {"t0", "s0"} <= set(classes["row-id1"])
    assert "t1" in classes["row-id2"]
    assert not {"s0", "t0"} & set(classes["row-id2"])


def test_what_was_not_measured_is_absent_or_said_to_be_so() -> None:
    text = Reader(to_html(plain_report(), [], [])).text
    for expected in ("Noise floor", "not measured", "suite asks for no general text", "Latency was not measured"):
        assert expected in text
    for absent in (
        "Gates",
        "Slices",
        "Calibration",
        "Confusion",
        "Robustness",
        "Swaps",
        "Judge",
        "kappa",
        "The same again",
    ):
        assert absent not in text, absent
    bare = replace(plain_task(), figures=(unmeasured("accuracy"),), verdicts={}, num_rows=0, num_groups=0)
    assert "Nothing was measured" in Reader(to_html(plain_report(bare), [], [])).text
    assert "Nothing was measured" in Reader(to_html(replace(plain_report(), tasks=()), [], [])).text


def test_an_example_can_be_reached_whatever_the_filters_hide(whole: str) -> None:
    assert ".rows .one:target { display: block !important; }" in whole
    assert 'href="#row-id0"' in whole
    assert 'id="row-id0"' in whole


def test_every_picture_says_in_words_what_it_shows(whole: str) -> None:
    pictures = [each for tag, each in Reader(whole).tags if tag == "svg"]
    assert len(pictures) > 15
    assert all(each.get("role") == "img" and each.get("aria-label") for each in pictures)


def test_a_difference_is_marked_where_the_answer_misses_the_reference() -> None:
    assert mark_differences("ship <b> today", "ship <b> tomorrow") == "ship &lt;b&gt; <mark>today</mark>"
    assert mark_differences("a b c", "a c") == "a <mark>b </mark>c"
    assert "<mark>" not in mark_differences("same", "same ")
    assert "<mark>" not in mark_differences("nothing alike", "quite other words here")
