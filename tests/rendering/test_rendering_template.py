"""Chat templates run in a sandbox, bounded, and write what transformers' own environment writes."""

import threading
import time
from datetime import date

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunelab.errors import ModelError
from tunelab.rendering.templates import engine as room
from tunelab.rendering.templates.engine import ChatTemplate, TemplateLimitError

MESSAGES = [
    {"role": "user", "content": "<b>&é"},
    {"role": "assistant", "content": "ok", "tool_calls": [{"n": 1234567}]},
]


def render(source: str, **variables: object) -> str:
    """The text of a template."""
    template = ChatTemplate(source, where="t.jinja", variables=variables, today=date(2024, 7, 26))
    return template.render(MESSAGES, add_generation_prompt=True)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% for i in range(90000) %}{{ f(n) if i > 89990 }}{% endfor %}{% endmacro %}{{ f(1) }}",
    ],
)
def test_an_endless_template_is_stopped_by_the_clock_in_any_thread(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_SECONDS", 0.2)
    seen: list[BaseException] = []

    def run() -> None:
        try:
            render(source)
        except BaseException as error:
            seen.append(error)

    start = time.monotonic()
    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [type(error) for error in seen] == [TemplateLimitError] * 2
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 'a'.center(10**10) }}",
        "{{ 'a' | center(10**10) }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '%0999999999d' | format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{% set ns = namespace(x='aaaa') %}{% for i in range(90) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aaaa') %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] | join %}{% endfor %}",
        "{% set x %}{{ 'a' * 100000 }}{% endset %}{{ x | replace('a', x) }}",
        "{% set x = 'a' * 100000 %}{{ x.replace('a', x) }}",
        "{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('abc') }}",
        "{% for i in range(1000) %}{{ 'a' * 100000 }}{% endfor %}",
    ],
)
def test_a_template_cannot_ask_for_ever_more(source: str) -> None:
    with pytest.raises(TemplateLimitError):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ raise_exception.__globals__.x }}",
        "{{ strftime_now.__self__.__class__.now() }}",
        "{{ ''.format.__wrapped__.__self__.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ 'a'.translate({97: 'b'}) }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_reaches_nothing_outside(source: str) -> None:
    before = repr(MESSAGES)
    with pytest.raises(Exception, match=r"unsafe|no loader"):
        render(source)
    assert repr(MESSAGES) == before


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ messages[0].content }}",
        "{{ strftime_now('%d %b %Y') }}",
        "{%- if true -%}  x  \n {%- endif %}\n  {% if true %}\n  y\n  {% endif %}\n z",
        "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% break %}{% endfor %}",
        "{% for m in messages %}{% generation %}{% set s = 1 %}{{ m.content }}{% endgeneration %}{{ s }}{% endfor %}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
        "{% macro m(x, y=2) %}{{ x }}{{ y }}{{ caller() }}{% endmacro %}{% call m('a') %}c{% endcall %}",
        "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ unknown }}{{ word }}",
        "{% set x = messages[1].tool_calls[0].n %}{{ x }}{{ '%s|%d' % ('a', 3) }}{{ 'ab' * 3 }}{{ 2 ** 3 }}{{ 7 % 4 }}",
        "{% set t %} a {% endset %}{{ t | trim }}{{ 'a,b'.split(',') | join('-') }}{{ '{}'.format(1) }}",
        "{{ dict(a=1) | items | list }}{{ 'x'.startswith('x') }}{{ messages | map(attribute='role') | list }}",
        "{% for m in messages recursive %}{{ m.role }}{{ loop([]) }}{% endfor %}{{ 'a' | indent(2, true) }}",
    ],
)
def test_the_text_is_that_of_transformers(source: str) -> None:
    from datetime import datetime
    from unittest.mock import patch

    from transformers.utils import chat_template_utils as oracle

    with patch.object(oracle, "datetime") as clock:
        clock.now.return_value = datetime(2024, 7, 26)
        (expected,), _ = oracle.render_jinja_template(
            [MESSAGES], chat_template=source, add_generation_prompt=True, word="w"
        )
    assert render(source, word="w") == expected


def test_a_source_that_is_no_jinja_names_file_and_line() -> None:
    with pytest.raises(ModelError, match=r"t\.jinja:2: the chat template is not valid jinja"):
        render("a\n{% if %}")


def test_a_source_above_the_limit_or_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ModelError, match="100,001 characters"):
        render("a" * 100_001)
    with pytest.raises(ModelError, match="nested too deeply"):
        render("{% for i in x %}" * 30 + "{% endfor %}" * 30)
    with pytest.raises(ModelError, match="nested too deeply"):
        render("{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}")


def test_what_stands_behind_a_dot_is_what_jinjas_own_sandbox_finds_there() -> None:
    held = {"items": 1, "foo": "bar", "__class__": 2, "_x": 3, "update": 4, "none": None}
    for name in [*held, "keys", "missing", "__doc__", "copy", "pop"]:
        source = f"{{{{ d.{name} is defined }}}} {{{{ d.{name} is callable }}}} {{{{ d.{name} is string }}}}"
        assert render(source, d=held) == ImmutableSandboxedEnvironment().from_string(source).render(d=held)
