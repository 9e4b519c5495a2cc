"""The report as one page: no script, nothing fetched, everything escaped."""

import base64
import difflib
import hashlib
import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from tunelab.evaluation.report import Report
from tunelab.evaluation.report_words import headline, how_drawn, how_sure, totals_table

# Longer prompts lose their middle on the page (report.json keeps them whole): agents' prompts fill megabytes.
_PROMPT_CHARACTERS = 6000
# Finding differences takes time with the product of the lengths.
_MARKED_WORDS = 1500
# Below this similarity (0 to 1) nearly every word would be marked, which points at nothing.
_MARKED_FROM = 0.4


def to_html(report: Report) -> str:
    """Return the page: verdict, totals, and every row with both answers side by side."""
    style = files("tunelab.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    return _template().render(
        report=report,
        headline=headline(report),
        lines=totals_table(report),
        intervals=how_sure(report),
        how_drawn=how_drawn(report.setting),
        outcomes=report.outcomes,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def mark_differences(answer: str, reference: str) -> Markup:
    """Return the escaped answer, the words by which it misses the reference in <mark>."""
    words, wanted = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (answer, reference))
    if answer.strip() == reference.strip() or max(len(words), len(wanted)) > _MARKED_WORDS:
        return Markup.escape(answer)
    matcher = difflib.SequenceMatcher(None, words, wanted, autojunk=False)
    if matcher.ratio() < _MARKED_FROM:
        return Markup.escape(answer)
    parts = []
    for kind, start, end, _, _ in matcher.get_opcodes():
        text = Markup.escape("".join(words[start:end]))
        parts.append(text if kind == "equal" or not text else Markup("<mark>{}</mark>").format(text))
    return Markup("").join(parts)


def _shortened(prompt: str) -> str:
    if len(prompt) <= _PROMPT_CHARACTERS:
        return prompt
    half = _PROMPT_CHARACTERS // 2
    left_out = len(prompt) - 2 * half
    return f"{prompt[:half]}\n… {left_out:,} characters left out here; report.json has them …\n{prompt[-half:]}"


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(marked=mark_differences, shortened=_shortened)
    source = files("tunelab.evaluation").joinpath("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)
