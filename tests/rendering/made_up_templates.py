"""Chat templates put together at random from what chat templates do: search, count, look back and ahead, compare."""

import random

BEFORE = (
    "{% set n.last = messages | length - 1 %}",
    "{% for m in messages %}{% if m.role == 'user' %}{% set n.last = loop.index0 %}{% endif %}{% endfor %}",
    "{% for m in messages[::-1] %}{% set place = messages | length - 1 - loop.index0 %}"
    "{% if not n.found and m.role == 'user' %}{% set n.found = true %}{% set n.last = place %}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if n.open and m.role == 'user' %}{% set n.open = false %}{% set n.x = loop.index0 %}"
    "{% endif %}{% endfor %}",
    "{% for i in range(messages | length) %}{% if messages[i].role == 'assistant' %}{% set n.last = i %}{% endif %}"
    "{% endfor %}",
    "{% for m in messages %}{% if m.role == 'tool' %}{% set n.last = loop.index %}{% break %}{% endif %}{% endfor %}",
    "{% for m in messages %}{% set n.text = n.text ~ m.role[0] %}{% endfor %}",
    "{% for m in messages %}{% set n.text = m.content %}{{ n.text }}{% endfor %}",
    "{% for m in messages %}{% if m.odd %}{{ m.content }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if not m.odd %}{{ m.content }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if m.odd %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if m.odd and n.open %}{% set n.open = false %}{{ m.content }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if loop.last and m.content %}{{ m.content }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if not loop.first %}{{ m.role }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if not n.found %}{% if m.odd %}{% set n.found = true %}{% endif %}{{ m.role }}"
    "{% endif %}{% endfor %}",
    "{% for m in messages %}{% set q = m %}{% if q.odd %}{{ loop.index }}{% endif %}{% endfor %}",
    "{% for n in messages %}{% if n.odd %}{{ n.content }}{% endif %}{% endfor %}",
    "{% set rest = messages[1:] %}",
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set rest = messages[1:] %}{% endif %}",
    "{% set end = messages[-1].role %}",
    "{% set count = messages | length %}",
    "{% set flag = add_generation_prompt %}",
    "{% set users = messages | selectattr('role', 'equalto', 'user') | list %}",
    "{% if messages | length > 3 %}{% set n.text = 'long' %}{% endif %}",
)
BODY = (
    "{{ m.content }}",
    "{{ loop.index0 }}",
    "{{ 'first' if loop.first }}{{ 'last' if loop.last }}",
    "{% if loop.index0 > n.last %}new{% else %}old{% endif %}",
    "{{ 'le' if n.last <= loop.index0 + 1 }}{{ 'lt' if n.last < loop.index0 }}",
    "{{ 'is' if n.last == loop.index0 }}",
    "{{ 'other' if loop.index0 != n.last }}",
    "{% if loop.index0 >= n.last and n.text != 'u' %}+{% endif %}",
    "{{ 'in' if 1 < n.last < 4 }}",
    "{% set n.x = n.x + 1 %}",
    "{% set n.last = loop.index0 %}",
    "{{ n.x }}",
    "{{ n.last }}",
    "{{ n.text }}",
    "{{ n.text == 'su' }}",
    "{% if n.x > 2 %}three{% endif %}",
    "{{ loop.nextitem.role if loop.nextitem is defined }}",
    "{{ loop.previtem.role if loop.previtem is defined }}",
    "{{ messages[loop.index0 + 1].role }}",
    "{{ messages[loop.index0 - 1].role if not loop.first }}",
    "{{ messages[n.last].role }}",
    "{{ messages[-1].role == m.role }}",
    "{{ messages | length }}",
    "{{ loop.revindex }}",
    "{% set q = namespace(found=false, role='') %}{% for j in range(loop.index0 + 1, messages | length) %}"
    "{% if not q.found and messages[j].role != 'tool' %}{% set q.found = true %}{% set q.role = messages[j].role %}"
    "{% endif %}{% endfor %}{{ q.role }}",
    "{% set q = namespace(done=false) %}{% for j in range(loop.index0 - 1, -1, -1) %}{% if q.done %}"
    "{% elif messages[j].role == 'user' %}{% set q.done = true %}{{ j }}{% endif %}{% endfor %}",
    "{% for other in messages %}{{ other.role[0] }}{{ loop.last }}{% endfor %}",
    "{% if m.role == 'system' %}{% continue %}{% endif %}",
    "{% for other in messages %}{% if other.odd %}{{ other.content }}{% endif %}{% endfor %}",
    "{% for other in messages %}{% if loop.last %}{{ other.content }}{% endif %}{% endfor %}",
    "{% if m.odd %}odd{% endif %}",
    "{% if m.role == 'tool' and loop.last %}{{ raise_exception('no') }}{% endif %}",
    "{{ show(m.role) }}",
    "{{ end }}{{ count }}",
    "{{ flag }}",
    "{{ add_generation_prompt }}",
    "{% if loop.last and add_generation_prompt %}open{% endif %}",
    "{{ users | length }}",
    "{{ rest | length }}",
    "{{ rest[loop.index0].role }}",
    "{% set c = m.content %}{% if loop.index0 > 1 %}{% set c = 'z' %}{% endif %}{{ c }}",
    "{% set seen = (seen | default('')) ~ m.role %}{{ seen }}",
    "{% if messages %}{{ messages[1:][0].role }}{% endif %}",
)
BEHIND = (
    "{% if add_generation_prompt %}go{% endif %}",
    "{% if add_generation_prompt %}go{% else %}end{% endif %}",
    "{% if add_generation_prompt and n.x > 1 %}{{ n.x }}{% endif %}",
    "{{ n.last }}{{ n.x }}{{ n.text }}{{ n.found }}",
    "{{ messages[-1].role }}",
    "{{ m is defined }}{{ loop is defined }}{{ seen is defined }}{{ q is defined }}",
)
MACROS = (
    "{% macro show(word) %}[{{ word }}]{% endmacro %}",
    "{% macro show(word) %}[{{ word }}{{ n.x }}{{ 'a' if n.last > 1 }}]{% endmacro %}",
    "{% macro show(word) %}{% set n.x = n.x + 1 %}{{ word }}{% endmacro %}",
)


def made_up_template(dice: random.Random) -> str:
    """Return a template; most can be rendered, some refuse."""
    start = "{% set n = namespace(x=0, last=-1, text='', found=false, open=true) %}"
    before = "".join(dice.sample(BEFORE, k=dice.randrange(4)))
    body = "".join(dice.sample(BODY, k=dice.randrange(1, 6)))
    name = dice.choice(["messages", "messages", "rest"])
    if name == "rest" and "set rest" not in before:
        before += "{% set rest = messages %}"
    behind = "".join(dice.sample(BEHIND, k=dice.randrange(3)))
    return f"{start}{dice.choice(MACROS)}{before}{{% for m in {name} %}}{body};{{% endfor %}}{behind}"


def made_up_messages(dice: random.Random) -> list[dict[str, object]]:
    """Return some messages, in any order of roles."""
    roles = dice.choices(("user", "assistant", "tool"), k=dice.randrange(1, 8))
    first = ["system"] if dice.random() < 0.4 else []
    return [
        {"role": role, "content": f"{role[0]}{place}", "odd": dice.random() < 0.5}
        for place, role in enumerate([*first, *roles])
    ]
