"""Generic chats of the sample world: answers that must be read off the context, small talk and shop support.

They teach a small model to copy names, numbers and JSON fields; none of them is one of the four sample tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from base_model.texts import (
    FINDING_EN,
    ORDER_EN,
    ORDER_PT,
    PRODUCT_EN,
    PRODUCT_PT,
    as_json,
    finding_fields,
    finding_record,
    order_fields,
    order_record,
    product_fields,
    product_record,
    sentences,
    some,
)
from base_model.words import DRILL_WORDS, ORDINAIS, ORDINALS
from base_model.world import digits, draw_finding, draw_order, draw_person, draw_product, letters

Message = dict[str, Any]
Maker = Callable[[Random], list[Message]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """Messages in OpenAI form and the tools at hand."""

    messages: list[Message]
    tools: list[dict[str, Any]] | None = field(default=None)


SYSTEMS = (
    "You are the assistant of a shop.", "You answer from the text you are given.", "Answer briefly.",
    "You are a careful assistant.", "És o assistente de uma loja.", "Responde de forma breve.",
    "You read records and report what they hold.", "You help customers with their orders.",
    "You copy numbers and names exactly.", "You work with personal-data detectors.",
)  # fmt: skip


def user(content: str) -> Message:
    """Return a user message."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """Return an assistant message."""
    return {"role": "assistant", "content": content}


def draw_chat(chance: Random) -> Chat:
    """Return one chat without tools, in a third of the cases with a system message."""
    messages = chance.choices(_MAKERS, _WEIGHTS)[0](chance)
    if chance.random() < 0.33:
        messages = [{"role": "system", "content": chance.choice(SYSTEMS)}, *messages]
    return Chat(messages=messages)


def _record(chance: Random) -> dict[str, Any]:
    shape = chance.random()
    if shape < 0.3:
        return product_record(chance, draw_product(chance))
    if shape < 0.6:
        return order_record(chance, draw_order(chance))
    return finding_record(draw_finding(chance))


def _word(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _field_questions(chance: Random) -> list[Message]:
    """A record, then questions on single fields."""
    record = _record(chance)
    lead = chance.choice(("Record: ", "Read this record: ", "Here is a record:\n", "", "JSON: ", "Registo: "))
    keys = chance.sample(list(record), min(len(record), chance.randint(1, 3)))
    messages: list[Message] = []
    for number, key in enumerate(keys):
        value = record[key]
        shown = as_json(value) if isinstance(value, float) else _word(value)
        question, answer = chance.choice(
            (
                (f"What is the {key}?", f"The {key} is {shown}."),
                (f"What is the value of {key}?", shown),
                (f"Give only the {key}.", shown),
                (f"Qual é o valor de {key}?", f"O valor de {key} é {shown}."),
                (f"Return the {key} as JSON.", as_json({key: value})),
            )
        )
        start = f"{lead}{as_json(record)}\n" if number == 0 else ""
        messages += [user(start + question), assistant(answer)]
    return messages


def _field_choice(chance: Random) -> list[Message]:
    """A record, of which some fields are wanted under the same or other names."""
    record = _record(chance)
    if chance.random() < 0.5:
        wanted = some(chance, record, 1, 3)
        return [user(f"Keep only {' and '.join(wanted)}: {as_json(record)}"), assistant(as_json(wanted))]
    key = chance.choice(list(record))
    name = chance.choice(("label", "item", "result", "entry", "mark", "note", "number", "rate", "weight", "field"))
    renamed = {name if old == key else old: value for old, value in record.items()}
    if chance.random() < 0.5:
        return [user(f"Rename {key} to {name}: {as_json(record)}"), assistant(as_json(renamed))]
    return [user(f"Give the {key} under the name {name}: {as_json(record)}"), assistant(as_json({name: record[key]}))]


def _finding_list(chance: Random) -> list[Message]:
    """Two to four findings, then questions by position."""
    findings = [draw_finding(chance) for _ in range(chance.randint(2, 4))]
    if chance.random() < 0.5:
        listing = "\n".join(as_json(finding_record(finding)) for finding in findings)
    else:
        listing = "\n".join(f"{n}. {f.type} {f.value} {f.score} ({f.detector})" for n, f in enumerate(findings, 1))
    messages: list[Message] = []
    for number in range(chance.randint(1, 3)):
        index = chance.randrange(len(findings))
        finding, ordinal = findings[index], ORDINALS[index]
        question, answer = chance.choice(
            (
                (
                    f"What is the score of the {ordinal} finding?",
                    f"The score of the {ordinal} finding is {finding.score}.",
                ),
                (f"What was the type of the {ordinal} finding?", f"The {ordinal} finding is of type {finding.type}."),
                (f"Which value does the {ordinal} finding have?", f"The value is {finding.value}."),
                (f"Which detector wrote the {ordinal} finding?", f"It was written by {finding.detector}."),
                (f"Which score does {finding.value} have?", f"{finding.value} has a score of {finding.score}."),
                (f"Qual é a nota do {ORDINAIS[index]} resultado?", f"A nota é {finding.score}."),
                ("How many findings are there?", f"There are {len(findings)} findings."),
                (f"Give the {ordinal} finding as JSON.", as_json(finding_record(finding))),
            )
        )
        messages += [user(f"Findings:\n{listing}\n{question}" if number == 0 else question), assistant(answer)]
    return messages


def _text_to_json(chance: Random) -> list[Message]:
    """A sentence in, its facts as JSON out."""
    if chance.random() < 0.5:
        order = draw_order(chance)
        text = "{customer} ordered {quantity} pieces of article {code}; the order is {number}.".format_map(
            order_fields(order)
        )
        facts = {"customer": order.customer.name, "quantity": order.quantity, "article": order.product.code,
                 "order": order.number}  # fmt: skip
        ask = chance.choice(("Give the order as JSON: ", "Write this as JSON: ", "Escreve em JSON: "))
        return [user(ask + text), assistant(as_json(facts))]
    finding = draw_finding(chance)
    text = chance.choice(FINDING_EN[:1] + FINDING_EN[1:2]).format_map(finding_fields(finding))
    facts = {"detector": finding.detector, "type": finding.type, "score": float(finding.score)}
    return [user(f"Give the finding as JSON: {text}"), assistant(as_json(facts))]


def _json_to_text(chance: Random) -> list[Message]:
    """JSON in, a sentence out."""
    if chance.random() < 0.5:
        finding = draw_finding(chance)
        record, pattern, fields = finding_record(finding), FINDING_EN[1], finding_fields(finding)
    else:
        order = draw_order(chance)
        record = {"order": order.number, "status": order.status[0], "total": float(order.total)}
        pattern, fields = ORDER_EN[1], order_fields(order)
    ask = chance.choice(("Say this in a sentence: ", "Put this record into words: ", "Explain: "))
    return [user(ask + as_json(record)), assistant(pattern.format_map(fields))]


def _order_questions(chance: Random) -> list[Message]:
    """A paragraph on an order or a product, then questions in either language."""
    fields = order_fields(draw_order(chance))
    english = chance.random() < 0.6
    facts, questions = (_ENGLISH_FACTS, _ENGLISH_ANSWERS) if english else (_PORTUGUESE_FACTS, _PORTUGUESE_ANSWERS)
    known = chance.sample(list(facts), chance.randint(2, 4))
    text = " ".join(facts[name].format_map(fields) for name in known)
    asked = chance.sample(known, chance.randint(1, 2))
    messages: list[Message] = []
    for number, name in enumerate(asked):
        question, answer = questions[name]
        start = text + "\n" if number == 0 else ""
        messages += [user(start + question.format_map(fields)), assistant(answer.format_map(fields))]
    return messages


_ENGLISH_FACTS = {"total": ORDER_EN[1], "tracking": ORDER_EN[2], "email": ORDER_EN[4], "phone": ORDER_EN[11],
                  "price": PRODUCT_EN[7], "stock": PRODUCT_EN[2]}  # fmt: skip
_PORTUGUESE_FACTS = {"total": ORDER_PT[0], "tracking": ORDER_PT[5], "phone": ORDER_PT[4], "price": PRODUCT_PT[0],
                     "stock": PRODUCT_PT[2]}  # fmt: skip
_ENGLISH_ANSWERS = {
    "total": ("What is the total of order {number}?", "The total of order {number} is {total} euros."),
    "tracking": ("Which parcel is it?", "It is parcel {tracking}, sent with {carrier}."),
    "email": ("How can I reach {customer}?", "You can reach {customer} at {email}."),
    "phone": ("What is the phone number?", "The phone number of {customer} is {phone}."),
    "price": ("How much does {code} cost?", "Article {code} costs {price} euros."),
    "stock": ("How many pieces do we have?", "We have {stock} pieces of the {brand} {kind}."),
}
_PORTUGUESE_ANSWERS = {
    "total": ("Qual é o total da encomenda {number}?", "O total da encomenda {number} é de {total} euros."),
    "tracking": ("Qual é o código de seguimento?", "O código de seguimento é {tracking}."),
    "phone": ("Qual é o telefone de {customer}?", "O telefone de {customer} é {phone}."),
    "price": ("Quanto custa o artigo {code}?", "O artigo {code} custa {price} euros."),
    "stock": ("Quantas peças há do artigo {code}?", "Há {stock} peças do artigo {code}."),
}


def _copy(chance: Random) -> list[Message]:
    """Things in, the same things out: all, one of them, or in another layout."""
    things: list[str] = []
    for _ in range(chance.randint(2, 6)):
        person, finding = draw_person(chance), draw_finding(chance)
        things.append(
            chance.choice(
                (
                    person.name,
                    person.email,
                    person.phone,
                    finding.value,
                    finding.score,
                    finding.type,
                    _plain_words(chance),
                    _plain_words(chance),
                    letters(chance, 3).lower() + digits(chance, 3),
                    f"{letters(chance, 1)}-{digits(chance, 5)}",
                )
            )
        )
    lines = "\n".join(things)
    shape = chance.random()
    if shape < 0.35:
        return [user(chance.choice(("Repeat:\n", "Copy these lines:\n", "Repete:\n")) + lines), assistant(lines)]
    if shape < 0.55:
        return [user(f"Put these lines into a JSON list:\n{lines}"), assistant(as_json(things))]
    if shape < 0.7:
        return [user(f"As bullet points: {'; '.join(things)}"), assistant("\n".join(f"- {thing}" for thing in things))]
    index = chance.randrange(min(len(things), len(ORDINALS)))
    return [user(f"{lines}\nWhat is the {ORDINALS[index]} line?"), assistant(things[index])]


def _pairs(chance: Random) -> list[Message]:
    """A small table of pairs, then a look-up."""
    rows = [(draw_person(chance).first, _pair_value(chance)) for _ in range(chance.randint(2, 5))]
    rows = list(dict(rows).items())
    listing = "\n".join(f"{name}: {value}" for name, value in rows)
    messages: list[Message] = []
    for number in range(chance.randint(1, 3)):
        name, value = chance.choice(rows)
        start = listing + "\n" if number == 0 else ""
        messages += [user(f"{start}What stands beside {name}?"), assistant(value)]
    return messages


def _pair_value(chance: Random) -> str:
    number, score, code = digits(chance, 4), f"0.{digits(chance, 2)}", letters(chance, 3)
    return chance.choice((number, score, code, draw_person(chance).email, _plain_words(chance)))


def _plain_words(chance: Random) -> str:
    """Return one to three plain words, sometimes with a capital letter."""
    words = " ".join(chance.sample(DRILL_WORDS, chance.randint(1, 3)))
    return words.capitalize() if chance.random() < 0.3 else words


def _product_talk(chance: Random) -> list[Message]:
    """Free talk about a product, in either language."""
    product = draw_product(chance)
    fields = product_fields(product)
    if chance.random() < 0.5:
        ask = chance.choice(("Tell me about the {title}.", "What do you know about article {code}, the {title}?"))
        return [user(ask.format_map(fields)), assistant(sentences(chance, PRODUCT_EN, fields, chance.randint(1, 3)))]
    ask = chance.choice(("Fala-me do artigo {titulo}.", "O que sabes sobre {titulo}, código {code}?"))
    return [user(ask.format_map(fields)), assistant(sentences(chance, PRODUCT_PT, fields, chance.randint(1, 3)))]


def _support(chance: Random) -> list[Message]:
    """A formal support dialogue on one order."""
    fields = order_fields(draw_order(chance)) | {"days": chance.randint(2, 9)}
    question, answer = chance.choice(_FORMAL)
    messages = [user(question.format_map(fields)), assistant(answer.format_map(fields))]
    if chance.random() < 0.4:
        thanks, welcome = chance.choice(_THANKS)
        messages += [user(thanks), assistant(welcome.format_map(fields))]
    return messages


_FORMAL = (
    ("Hello, my order {number} has not arrived. I am {customer}.",
     "Dear {customer}, thank you for contacting us. Order {number} was handed over to "
     "{carrier} and should be delivered within {days} working days."),
    ("I would like to return order {number}, please.",
     "Certainly. A return for order {number} has been registered; "
     "a confirmation will be sent to you within {days} working days."),
    ("The {kind} in order {number} arrived broken.",
     "We apologise for the inconvenience. A replacement for the {kind} of order "
     "{number} will be dispatched within {days} working days."),
    ("Can you send the invoice of order {number} to {email}?",
     "The invoice of order {number} has been forwarded to {email}."),
    ("Please change the address of order {number} to {city}.",
     "The delivery address of order {number} has been modified; it will now be delivered to {city}."),
    ("I want to cancel order {number}.",
     "Your cancellation request for order {number} has been accepted and {total} euros will be reimbursed."),
    ("My password does not work, my mail is {email}.",
     "A message with instructions regarding your password has been sent to {email}."),
    ("The payment of {total} euros for order {number} failed.",
     "We regret that the payment of {total} euros could not be processed; kindly verify your card details."),
    ("Onde está a encomenda {number}?",
     "Estimado cliente, a encomenda {number} segue com {carrier} e chega a {city} dentro de {days} dias úteis."),
    ("Quero devolver a encomenda {number}.",
     "A devolução da encomenda {number} foi registada; receberá {total} euros dentro de {days} dias úteis."),
    ("O artigo {code} da encomenda {number} veio partido.",
     "Lamentamos o sucedido. Um novo artigo {code} será enviado para {city}."),
)  # fmt: skip
_THANKS = (
    ("Thank you!", "You are welcome, {customer}."), ("Thanks, that helps.", "It was a pleasure to help you."),
    ("Obrigado!", "De nada, {customer}."), ("Good bye.", "Good bye, {customer}."),
)  # fmt: skip


def _small_talk(chance: Random) -> list[Message]:
    """A greeting, or a question about the assistant or the shop."""
    person = draw_person(chance)
    question, answer = chance.choice(
        (
            ("Hello!", "Hello! How can I help you?"),
            ("Olá!", "Olá! Em que posso ajudar?"),
            (f"Hi, I am {person.name}.", f"Hello {person.name}, how can I help you?"),
            (f"Olá, sou {person.name}.", f"Olá {person.name}, em que posso ajudar?"),
            ("Who are you?", "I am a small assistant for a shop."),
            ("What do you sell?", "We sell things for the home, for trips and for every day."),
            ("When do you open?", "The shop opens at nine and closes at seven."),
            (f"My name is {person.first}. What is my name?", f"Your name is {person.first}."),
            (f"My mail is {person.email}. Please repeat it.", f"Your mail is {person.email}."),
        )
    )
    return [user(question), assistant(answer)]


_WEIGHTED: tuple[tuple[Maker, float], ...] = (
    (_field_questions, 4), (_field_choice, 4), (_finding_list, 3), (_text_to_json, 2), (_json_to_text, 2),
    (_order_questions, 4), (_copy, 4), (_pairs, 2), (_product_talk, 2), (_support, 2), (_small_talk, 1),
)  # fmt: skip
_MAKERS = tuple(maker for maker, _ in _WEIGHTED)
_WEIGHTS = tuple(weight for _, weight in _WEIGHTED)
