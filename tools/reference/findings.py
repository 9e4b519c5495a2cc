"""The page of findings, from the explanation of each code; in groups, as the files of the rules are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tunelab.checks.explanations import explanation
from tunelab.checks.rules import CODES, RULES
from tunelab.recipes.recipe import FIELDS

INTRODUCTION = """\
# Findings

What `tunelab check` and `tunelab train` can find, by the code that they print. `tunelab check --explain CODE` prints
the same in the terminal. An error blocks a run. The setting [`checks.fail_on`](settings.md#checks) can let warnings and
notes block, too; [`checks.ignore`](settings.md#checks) lets a finding pass, with a reason:
`checks: {ignore: {too_few_rows: "a trial run"}}`.

In the examples, `rows.jsonl` is a file of 20 ordinary rows.
"""


def findings_page() -> str:
    """Return a table of all codes, then the explanation of each under an anchor of its own name."""
    table = ["| code | severity | meaning |", "|---|---|---|", *map(_row, CODES), ""]
    return "\n".join([INTRODUCTION, *table, *(line for title, codes in _groups() for line in _group(title, codes))])


def _row(code: str) -> str:
    """Return the code, how grave it is (the first sentence of what it does) and its sentence."""
    _, sentence, _, what, *_ = explanation(code).split("\n\n")
    severity = re.sub(r"^An? ", "", re.split(r"\.(?: |$)", what)[0])
    return f"| [`{code}`](#{code}) | {severity} | {sentence} |"


def _groups() -> Iterator[tuple[str, list[str]]]:
    """Yield the codes of each file of rules; a code that several rules share is in the group of the first."""
    groups: dict[str, list[str]] = {}
    seen: set[str] = set()
    for rule in RULES:
        file = rule.look.__module__.rpartition(".")[2]
        groups.setdefault(file, []).extend(code for code in rule.codes if code not in seen)
        seen.update(rule.codes)
    for file, codes in groups.items():
        yield file.replace("_", " ").capitalize(), codes


def _group(title: str, codes: list[str]) -> Iterator[str]:
    yield from (f"## {title}", "")
    for code in codes:
        headed = re.sub("^## (.+)$", r"**\1**", f"##{explanation(code)}", flags=re.MULTILINE)
        yield re.sub("`([a-z_.]+)`", _linked, headed)


def _linked(name: re.Match[str]) -> str:
    """Return a code or a setting as a link to where it is described; other words as they are."""
    if name[1] in CODES:
        return f"[{name[0]}](#{name[1]})"
    if name[1] in FIELDS:
        return f"[{name[0]}](settings.md#{name[1].rpartition('.')[0].replace('.', '')})"
    return name[0]
