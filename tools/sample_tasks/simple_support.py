"""The sample task `simple-support`: support questions answered in simplified language, in steps a child can follow."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from base_model.texts import order_fields
from base_model.world import draw_order
from sample_tasks.rows import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topic:
    """What a customer may ask, in several ways, and the one answer."""

    questions: tuple[str, ...]
    opening: str
    steps: tuple[str, str, str]


_TOPICS = (
    _Topic(
        questions=(
            "Where is my order {number}? It comes with {carrier}. My name is {customer}.",
            "Order {number} is not here yet. It comes with {carrier}. I am {customer}.",
        ),
        opening="Your box is on its way.",
        steps=("Look for code {number}.", "Wait {days} days.", "Open the door."),
    ),
    _Topic(
        questions=(
            "I want to return order {number}. I am {customer}.",
            "How do I send back order {number}? My name is {customer}.",
        ),
        opening="You can send it back.",
        steps=("Put it in a box.", "Write {number} on it.", "Drop it at the shop."),
    ),
    _Topic(
        questions=(
            "I am {customer} and the {kind} of order {number} is broken.",
            "The {kind} in {number} came broken. I am {customer}.",
        ),
        opening="Oh no, a broken {kind}.",
        steps=("Take a photo.", "Send it with {number}.", "You get a new one."),
    ),
    _Topic(
        questions=(
            "Please cancel order {number}. I am {customer} and I paid {total} euros.",
            "I am {customer}. I paid {total} euros. Can I stop order {number}?",
        ),
        opening="We can stop it.",
        steps=("Open {number}.", "Press the red button.", "You get {total} euros back."),
    ),
    _Topic(
        questions=(
            "I am {customer}. I need the invoice of {number}.",
            "Can I have the invoice of order {number}? I am {customer}.",
        ),
        opening="The invoice is a paper with the price.",
        steps=("Open {number}.", "Press print.", "Keep the paper."),
    ),
    _Topic(
        questions=(
            "I am {customer}. My order {number} must go to {city}.",
            "Send order {number} to {city}, please. I am {customer}.",
        ),
        opening="We can send it to {city}.",
        steps=("Open {number}.", "Write {city}.", "Press save."),
    ),
    _Topic(
        questions=(
            "My card does not work for order {number}. I am {customer}.",
            "I am {customer}. I could not pay order {number}.",
        ),
        opening="The money did not move.",
        steps=("Look at your card.", "Open {number}.", "Try again."),
    ),
    _Topic(
        questions=(
            "I got the wrong thing in order {number}. I am {customer}.",
            "I am {customer}. Order {number} holds the wrong article.",
        ),
        opening="We sent the wrong thing. Sorry!",
        steps=("Keep it shut.", "Tell us {number}.", "We swap it."),
    ),
)

_DAYS = {"Fastline": 2, "Swift Post": 2, "Parcel North": 3, "Rota Sul": 4, "Correio Azul": 5, "Ligeiro": 3}


def draw_support_sample(chance: Random) -> Sample:
    """Return a question that names customer and order, and its answer in short words, which follows from it."""
    order = draw_order(chance)
    topic = chance.choice(_TOPICS)
    fields = order_fields(order) | {"first": order.customer.first, "days": _DAYS[order.carrier]}
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(topic.steps, 1))
    answer = f"Hi {{first}}! {topic.opening}\n{steps} That is all!"
    messages = [
        {"role": "user", "content": chance.choice(topic.questions).format_map(fields)},
        {"role": "assistant", "content": answer.format_map(fields)},
    ]
    return Sample(rows=({"messages": messages},), facts=frozenset({order.number, order.customer.name}))
