"""Generic chats with tools: a call whose arguments are copied from the user, its result, and an answer read off it.

The tools at hand change from chat to chat and none of them is in the catalogue of the sample task `agent-sessions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from base_model.chats import SYSTEMS, Chat, Message, assistant, user
from base_model.texts import as_json, order_fields
from base_model.world import digits, draw_finding, draw_order, letters


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errand:
    """What a user may ask for and the tool that does it; all texts are filled from one order."""

    tool: str
    description: str
    arguments: dict[str, str]  # name -> the field it takes its value from
    asks: tuple[str, ...]
    results: dict[str, str]  # key -> field
    answer: str


_ERRANDS = (
    _Errand(tool="get_stock", description="Tells how many pieces are left", arguments={"article": "code"},
            asks=("How many pieces of {code} are left?", "Quantas peças há de {code}?"),
            results={"article": "code", "stock": "stock"}, answer="There are {stock} pieces of {code}."),
    _Errand(tool="track_parcel", description="Finds a parcel by its code", arguments={"tracking": "tracking"},
            asks=("Where is parcel {tracking}?", "Please track {tracking}."),
            results={"city": "city", "carrier": "carrier"}, answer="Parcel {tracking} is in {city} with {carrier}."),
    _Errand(tool="get_customer", description="Reads a customer by mail address", arguments={"email": "email"},
            asks=("Who has the mail {email}?", "Find the customer {email}."),
            results={"name": "customer", "phone": "phone"}, answer="It is {customer}, phone {phone}."),
    _Errand(tool="make_invoice", description="Writes an invoice", arguments={"order": "number", "email": "email"},
            asks=("Send the invoice of {number} to {email}.",), results={"total": "total", "sent": "email"},
            answer="The invoice of {total} euros was sent to {email}."),
    _Errand(tool="get_price", description="Gives the price of an article", arguments={"article": "code"},
            asks=("What does {code} cost?", "Quanto custa {code}?"), results={"price": "price"},
            answer="Article {code} costs {price} euros."),
    _Errand(tool="write_note", description="Keeps a note on a customer",
            arguments={"customer": "customer", "text": "status"},
            asks=("Note for {customer}: {status}.",), results={"note": "noteid"},
            answer="Note {noteid} was kept for {customer}."),
    _Errand(tool="call_back", description="Plans a phone call", arguments={"phone": "phone", "date": "date"},
            asks=("Call {phone} on {date}.", "Please plan a call to {phone} for {date}."),
            results={"call": "noteid"}, answer="Call {noteid} is planned for {date}."),
    _Errand(tool="mask_value", description="Hides a value that a detector found",
            arguments={"value": "value", "type": "type"},
            asks=("Hide {value}, it is {type}.",), results={"mask": "noteid"},
            answer="The value {value} is now {noteid}."),
    _Errand(tool="set_price", description="Changes the price of an article",
            arguments={"article": "code", "price": "price"},
            asks=("Set the price of {code} to {price}.",), results={"article": "code", "price": "price"},
            answer="{code} now costs {price} euros."),
)  # fmt: skip

_TYPES: dict[str, str] = {"stock": "integer"}


def draw_tool_chat(chance: Random) -> Chat:
    """Return one chat with one to three tools and one or two errands."""
    at_hand = chance.sample(_ERRANDS, chance.randint(1, 3))
    # Every other chat renames its tools, so that names are read off the list and not learnt by heart.
    rename = _renamer(chance) if chance.random() < 0.5 else str
    names = {errand.tool: rename(errand.tool) for errand in at_hand}
    tools = [_schema(errand, names[errand.tool]) for errand in at_hand]
    messages: list[Message] = []
    if chance.random() < 0.5:
        messages.append({"role": "system", "content": chance.choice(SYSTEMS)})
    for errand in chance.sample(at_hand, min(len(at_hand), chance.choice((1, 1, 2)))):
        messages += _errand_turns(chance, errand, names[errand.tool])
    return Chat(messages=messages, tools=tools)


def _renamer(chance: Random) -> Callable[[str], str]:
    prefix = chance.choice(("shop_", "do_", "my_", "svc_", "api_"))
    return lambda name: prefix + name


def _schema(errand: _Errand, name: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string"} for argument in errand.arguments},
        "required": list(errand.arguments),
    }
    function = {"name": name, "description": errand.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _errand_turns(chance: Random, errand: _Errand, name: str) -> list[Message]:
    finding = draw_finding(chance)
    fields = order_fields(draw_order(chance)) | {
        "noteid": f"{letters(chance, 1)}{digits(chance, 3)}", "value": finding.value, "type": finding.type,
    }  # fmt: skip
    call = {"name": name, "arguments": {key: str(fields[source]) for key, source in errand.arguments.items()}}
    result = {key: fields[source] for key, source in errand.results.items()}
    return [
        user(chance.choice(errand.asks).format_map(fields)),
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
        {"role": "tool", "content": as_json(result)},
        assistant(errand.answer.format_map(fields)),
    ]
