import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tunelab.evaluation.comparison import compare
from tunelab.evaluation.report import ComparisonSetting, Report, read_report
from tunelab.evaluation.report_html import mark_differences, to_html
from tunelab.evaluation.report_words import headline, how_sure, totals_table
from tunelab.evaluation.samples import HeldOutLoss, Question, SampledAnswer, Side, UnaskedRows

from tunelab.errors import RunError

SETTING = ComparisonSetting(
    run="taxonomy-1",
    base_model="nano",
    adapter="LoRA, rank 16",
    data="20 held-out rows",
    max_new_tokens=16,
    temperature=0.0,
    seed=42,
)


def side(texts: list[str], *, loss: float | None = 1.0, stopped: bool = True) -> Side:
    answers = tuple(SampledAnswer(text=text, stopped=stopped, num_tokens=len(text)) for text in texts)
    return Side(answers=answers, loss=HeldOutLoss(mean=loss, num_sequences=len(texts), num_trained_tokens=99))


def questions(references: list[str], asked: str = "what?", prompt: str = "<user>what?") -> list[Question]:
    return [
        Question(origin=f"test.jsonl:{line}", group=str(line), asked=asked, prompt=prompt, reference=reference)
        for line, reference in enumerate(references, start=1)
    ]


def ordinary() -> Report:
    references = [f"answer {row}" for row in range(20)]
    tuned = [*references[:15], *(["nothing"] * 5)]
    base = [*(["no idea"] * 19), references[19]]
    return compare(
        side(base, loss=3.0, stopped=False), side(tuned, loss=0.5), questions(references), setting=SETTING,
        left_out=[UnaskedRows(reason="the reference was cut", count=2, example="test.jsonl:77")],
    )  # fmt: skip


def test_totals_add_up_the_rows():
    report = ordinary()
    assert (report.base.exact_match, report.tuned.exact_match) == (0.05, 0.75)
    assert (report.base.stopped, report.tuned.stopped) == (0.0, 1.0)
    assert report.outcomes == {"tuned": 15, "base": 1, "both": 0, "neither": 4}
    assert report.exact_match.value == pytest.approx(0.7)
    assert report.exact_match.low < 0.7 < report.exact_match.high
    assert report.exact_match.verdict == "better"
    assert report.tuned.chrf == pytest.approx(sum(row.tuned.chrf for row in report.rows) / 20)
    assert headline(report) == "The tuned model is better: exact match 5.0\u00a0% before, 75.0\u00a0% after."


def test_swapping_the_sides_turns_the_difference_round():
    references = [f"answer {row}" for row in range(20)]
    good, bad = side(references), side(["?"] * 20)
    report = compare(good, bad, questions(references), setting=SETTING)
    assert (report.exact_match.value, report.exact_match.low) == (-1.0, -1.0)
    assert report.exact_match.high == pytest.approx(-0.678, abs=0.001)  # twenty rows are no certainty
    assert headline(report).startswith("The tuned model is worse")


def test_equal_sides_are_not_shown_to_differ():
    references = [f"answer {row}" for row in range(20)]
    mixed = side([*references[:10], *(["?"] * 10)])
    report = compare(mixed, mixed, questions(references), setting=SETTING)
    assert report.exact_match.verdict == report.chrf.verdict == "open"
    assert "not shown" in headline(report)


@pytest.mark.parametrize("of_each", [1, 5])
def test_equal_answers_are_no_certainty_that_nothing_differs(of_each):
    rows = [replace(each, group=str(row // of_each)) for row, each in enumerate(questions(["yes"] * 12 * of_each))]
    same = side(["yes"] * len(rows))
    found = compare(same, same, rows, setting=SETTING).exact_match
    assert (found.low, found.high, found.method) == (
        pytest.approx(-0.2425, abs=1e-4),
        pytest.approx(0.2425, abs=1e-4),
        "Tango",
    )


@pytest.mark.parametrize(
    ("sessions", "method"), [(30, "10,000 resamples of 30 groups"), (12, "Student's t over 12 groups")]
)
def test_rows_of_sessions_are_judged_by_session_and_the_report_says_how(sessions, method):
    rows = [replace(each, group=str(row % sessions)) for row, each in enumerate(questions(["yes"] * 120))]
    report = compare(
        side(["no"] * 120), side(["yes" if row % 3 else "no" for row in range(120)]), rows, setting=SETTING
    )
    assert report.exact_match.method == method
    assert f"exact match: {method}" in how_sure(report)
    assert how_sure(report) in html.unescape(to_html(report))


def test_below_ten_sessions_there_is_no_interval_and_the_reason_is_said():
    rows = [replace(each, group=str(row % 9)) for row, each in enumerate(questions(["yes"] * 18))]
    report = compare(side(["no"] * 18), side(["yes" if row % 3 else "no" for row in range(18)]), rows, setting=SETTING)
    assert report.exact_match.low is report.exact_match.high is None
    assert "No interval for exact match and chrF: it needs rows of ten" in how_sure(report)


def test_without_an_exact_match_on_either_side_the_headline_speaks_of_chrf():
    references = [f"a long enough answer {row}" for row in range(20)]
    nearly = [reference + "!" for reference in references]
    report = compare(side(["?"] * 20), side(nearly), questions(references), setting=SETTING)
    assert "chrF" in headline(report)


def test_no_rows_give_no_result():
    report = compare(side([], loss=None), side([], loss=None), [], setting=SETTING)
    for totals in (report.base, report.tuned):
        assert {getattr(totals, name) for name in totals.__slots__} == {None}
    assert report.exact_match is report.chrf is None
    assert [line.tuned for line in totals_table(report)] == ["–"] * 6
    assert headline(report).startswith("Nothing was measured")
    assert "No row was answered" in to_html(report)


def test_text_without_answers_is_judged_by_its_loss():
    report = compare(side([], loss=4.0), side([], loss=2.0), [], setting=SETTING)
    assert "4.000 before, 2.000 after" in headline(report)


def test_a_side_that_misses_an_answer_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        compare(side(["a"]), side(["a", "b"]), questions(["a", "b"]), setting=SETTING)


def test_a_report_read_back_is_the_same_report():
    report = ordinary()
    text = report.to_json()
    assert read_report(text, where="report.json") == report
    assert read_report(text, where="report.json").to_json() == text
    assert json.loads(text)["rows"][0]["question"]["origin"] == "test.jsonl:1"


def test_a_report_says_of_sampling_what_is_not_the_default():
    plain = json.loads(ordinary().to_json())["setting"]
    assert list(plain) == ["run", "base_model", "adapter", "data", "max_new_tokens", "temperature", "seed"]
    assert "greedy, at most 16 tokens" in to_html(ordinary())
    same = replace(SETTING, top_p=float("1"), min_p=float("0"))  # as a recipe's own numbers: equal, not identical
    assert json.loads(replace(ordinary(), setting=same).to_json())["setting"] == plain
    setting = replace(SETTING, temperature=0.7, top_p=0.9, stop_strings=("\n\n", "<b>"))
    report = compare(side(["a"]), side(["a"]), questions(["a"]), setting=setting)
    assert json.loads(report.to_json())["setting"] == plain | {
        "temperature": 0.7,
        "top_p": 0.9,
        "stop_strings": ["\n\n", "<b>"],
    }
    assert read_report(report.to_json(), where="report.json") == report
    drawn = (
        "sampled at temperature 0.7, seed 42, top_p 0.9, stop_strings &#34;\\n\\n&#34;, &#34;&lt;b&gt;&#34;, at most"
    )
    assert drawn in to_html(report)


@pytest.mark.parametrize("text", ["", "{}", '{"rows": 3}', "[1]"])
def test_a_file_that_is_no_report_is_a_clear_error(text):
    with pytest.raises(RunError, match=r"runs/1/report\.json: this is no report"):
        read_report(text, where="runs/1/report.json")


HOSTILE = "<script>alert(1)</script> </p> \" onload='x' & <mark> {{ 7 * 7 }} {% raw %}"


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_hostile_text_stays_text_on_the_page():
    report = compare(
        side([HOSTILE, HOSTILE]), side([HOSTILE, "x"]), questions(["ref", HOSTILE], asked=HOSTILE, prompt=HOSTILE),
        setting=ComparisonSetting(
            run=HOSTILE, base_model=HOSTILE, adapter=HOSTILE, data=HOSTILE, max_new_tokens=1, temperature=0.7, seed=1
        ),
        left_out=[UnaskedRows(reason=HOSTILE, count=1, example=HOSTILE)],
    )  # fmt: skip
    plain = compare(
        side(["a", "a"]), side(["a", "x"]), questions(["ref", "a"]), setting=report.setting, left_out=report.left_out
    )
    seen, wanted = Seen(), Seen()
    seen.feed(to_html(report))
    wanted.feed(to_html(plain))
    assert sorted(set(seen.tags) - {"mark"}) == sorted(set(wanted.tags) - {"mark"})
    assert seen.text.count("<script>alert(1)</script>") > 8
    assert "{{ 7 * 7 }}" in seen.text
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "style", "action")]


def test_the_page_fetches_nothing_and_runs_nothing():
    page = to_html(ordinary())
    seen = Seen()
    seen.feed(page)
    assert {"script", "img", "link", "iframe", "object", "form"}.isdisjoint(seen.tags)
    assert not re.search(r"https?://|url\(|@import", page)
    assert all(value.startswith("#") for name, value in seen.attributes if name == "href")
    policy = re.search(r'content="(default-src[^"]+)"', page).group(1)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_each_row_can_be_filtered_by_its_outcome():
    page = to_html(ordinary())
    assert len(re.findall(r'<article class="row tuned"', page)) == 15
    assert len(re.findall(r'<article class="row base"', page)) == 1
    assert "#show-tuned:checked ~ .row:not(.tuned)" in page
    assert page.count('type="radio"') == 5


def test_words_that_miss_the_reference_are_marked():
    assert mark_differences("the red cat sat here", "the blue cat sat here") == "the <mark>red</mark> cat sat here"
    assert mark_differences("equal <b>", "equal <b>") == "equal &lt;b&gt;"
    assert "<mark>" not in mark_differences("nothing in common", "?")


def test_long_prompts_lose_their_middle_on_the_page_and_it_says_so():
    prompt = "start" + "x" * 20_000 + "end"
    report = compare(side(["a"]), side(["a"]), questions(["a"], prompt=prompt), setting=SETTING)
    page = to_html(report)
    assert len(page) < 20_000
    assert "14,008 characters left out here" in page
    assert report.rows[0].question.prompt == prompt
