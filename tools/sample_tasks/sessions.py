"""The sample task `agent-sessions`: an order desk that works through tools, logged as one line per model call."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from base_model.texts import as_json
from base_model.words import CITIES
from base_model.world import Order, digits, draw_order, letters
from sample_tasks.rows import Sample

SYSTEM = "You are the order desk. Look an order up before you change it. Close with the word DONE and the order number."

REASONS = ("broken", "too small", "too big", "wrong colour", "not needed")


def _tool(name: str, description: str, *arguments: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string"} for argument in arguments},
        "required": list(arguments),
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOL_CATALOGUE: tuple[dict[str, Any], ...] = (
    _tool("lookup_order", "Reads one order", "order_number"),
    _tool("start_return", "Opens a return", "order_number", "reason"),
    _tool("redirect_order", "Sends an order to another city", "order_number", "city"),
    _tool("refund_order", "Pays money back", "order_number", "amount"),
)


def draw_session_sample(chance: Random) -> Sample:
    """Return one session of two to four model calls, a row per call."""
    order = draw_order(chance)
    session_id = f"{letters(chance, 2)}{digits(chance, 6)}".lower()
    log = _Log(session_id)
    script = chance.choice((_ask_status, _return, _redirect, _refund))
    script(chance, log, order)
    return Sample(rows=tuple(log.rows), facts=frozenset({order.number, order.customer.name, session_id}))


class _Log:
    """The messages so far and a row for every answer of the model."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.messages: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []

    def user(self, content: str) -> None:
        self.messages.append({"role": "user", "content": content})

    def call(self, name: str, arguments: dict[str, str], result: dict[str, Any]) -> None:
        """Log a model call that asks for a tool, then the tool's result."""
        call_id = f"{self.session_id}_{len(self.rows)}"
        function = {"name": name, "arguments": json.dumps(arguments)}
        tool_calls = [{"id": call_id, "type": "function", "function": function}]
        self._answer({"role": "assistant", "content": None, "tool_calls": tool_calls})
        self.messages.append({"role": "tool", "tool_call_id": call_id, "name": name, "content": as_json(result)})

    def say(self, content: str) -> None:
        self._answer({"role": "assistant", "content": content})

    def _answer(self, response: dict[str, Any]) -> None:
        request = {"system": SYSTEM, "tools": None, "messages": list(self.messages)}
        self.rows.append({"session_id": self.session_id, "request": request, "response": response})
        self.messages.append(response)


def _look_up(log: _Log, order: Order) -> None:
    result = {"status": order.status[0], "city": order.customer.city, "total": order.total}
    log.call("lookup_order", {"order_number": order.number}, result)


def _ask_status(chance: Random, log: _Log, order: Order) -> None:
    log.user(chance.choice(("How is order {0} doing?", "Any news on {0}?")).format(order.number))
    _look_up(log, order)
    log.say(f"It is {order.status[0]} and goes to {order.customer.city}. DONE {order.number}")


def _return(chance: Random, log: _Log, order: Order) -> None:
    reason = chance.choice(REASONS)
    log.user(f"I am {order.customer.name}. Take {order.number} back, it is {reason}.")
    _look_up(log, order)
    ticket = f"R{digits(chance, 4)}"
    log.call("start_return", {"order_number": order.number, "reason": reason}, {"return": ticket})
    log.say(f"Your return is {ticket}. DONE {order.number}")


def _redirect(chance: Random, log: _Log, order: Order) -> None:
    city = chance.choice([name for name in CITIES if name != order.customer.city])
    _ask_status(chance, log, order)
    log.user(f"Then let it go to {city}.")
    log.call("redirect_order", {"order_number": order.number, "city": city}, {"city": city})
    log.say(f"It now goes to {city}. DONE {order.number}")


def _refund(chance: Random, log: _Log, order: Order) -> None:
    log.user(f"I am {order.customer.name}. I want my money for {order.number} back.")
    _look_up(log, order)
    log.call("refund_order", {"order_number": order.number, "amount": order.total}, {"paid": order.total})
    log.say(f"{order.total} euros come back to you. DONE {order.number}")
