"""The sample world: people, products, orders and personal-data findings, drawn from a given source of chance.

No draw reads global state: the same `random.Random` in the same state gives the same thing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from base_model.words import (
    BRANDS,
    CARRIERS,
    CITIES,
    COLOURS,
    DETECTORS,
    FIRST_NAMES,
    KINDS,
    MAIL_DOMAINS,
    MATERIALS,
    MONTHS,
    NAME_ENDINGS,
    NAME_SYLLABLES,
    STATUSES,
    Kind,
)

_PORTUGUESE_MATERIAL = dict(MATERIALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An invented customer."""

    first: str
    last: str
    email: str
    phone: str
    city: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One article of the shop."""

    kind: Kind
    brand: str
    material: str
    colour: int  # index into COLOURS
    size: str
    price: str  # such as "48.90"
    weight_g: int
    code: str  # such as "KX-204"
    stock: int

    @property
    def english_title(self) -> str:
        """Such as "Norvik black leather backpack 20 L"."""
        return f"{self.brand} {COLOURS[self.colour][0]} {self.material} {self.kind.english} {self.size}"

    @property
    def portuguese_title(self) -> str:
        """Such as "Mochila Norvik de couro preta 20 L"."""
        return f"{self.kind.portuguese.capitalize()} {self.brand} de {self.material_pt} {self.colour_pt} {self.size}"

    @property
    def material_pt(self) -> str:
        """The material in Portuguese."""
        return _PORTUGUESE_MATERIAL[self.material]

    @property
    def colour_pt(self) -> str:
        """The colour in Portuguese, agreeing with the product's gender."""
        return COLOURS[self.colour][1][1 if self.kind.feminine else 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One customer's purchase of one article."""

    number: str  # such as "A-48213"
    customer: Person
    product: Product
    quantity: int
    total: str
    status: tuple[str, str]  # English, Portuguese
    date: str  # such as "12 March"
    carrier: str
    tracking: str  # such as "TR5520817"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a detector says it found in a text."""

    detector: str
    type: str
    value: str
    score: str  # two decimals, such as "0.87"
    line: int


def digits(chance: Random, count: int) -> str:
    """Return `count` digits, the first not zero."""
    return str(chance.randint(10 ** (count - 1), 10**count - 1))


def letters(chance: Random, count: int) -> str:
    """Return `count` capital letters without the easily confused I and O."""
    return "".join(chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))


def draw_person(chance: Random) -> Person:
    """Return an invented person with a mail address at example.com or example.org."""
    first = chance.choice(FIRST_NAMES)
    syllables = [chance.choice(NAME_SYLLABLES) for _ in range(chance.randint(1, 2))]
    last = "".join([*syllables, chance.choice(NAME_ENDINGS)]).capitalize()
    local = chance.choice((f"{first}.{last}", f"{last}.{first}", f"{first}{digits(chance, 2)}", f"{first}_{last}"))
    return Person(
        first=first,
        last=last,
        email=f"{_plain(local.lower())}@{chance.choice(MAIL_DOMAINS)}",
        phone=f"555-{digits(chance, 4)}",
        city=chance.choice(CITIES),
    )


def draw_product(chance: Random) -> Product:
    """Return an article: kind, brand, material and size drawn freely within what the kind allows."""
    kind = chance.choice(KINDS)
    return Product(
        kind=kind,
        brand=chance.choice(BRANDS),
        material=chance.choice(kind.materials.split()),
        colour=chance.randrange(len(COLOURS)),
        size=chance.choice(kind.sizes.split(",")),
        price=f"{chance.randint(4, 240)}.{chance.choice(('00', '50', '90', '95', '49', '20'))}",
        weight_g=chance.randint(5, 180) * 10,
        code=f"{letters(chance, 2)}-{digits(chance, 3)}",
        stock=chance.randint(1, 99),
    )


def draw_order(chance: Random) -> Order:
    """Return an order of one article by one customer."""
    product, quantity = draw_product(chance), chance.randint(1, 4)
    cents = round(float(product.price) * 100) * quantity
    return Order(
        number=f"{chance.choice('ABCDEFGH')}-{digits(chance, 5)}",
        customer=draw_person(chance),
        product=product,
        quantity=quantity,
        total=f"{cents // 100}.{cents % 100:02d}",
        status=chance.choice(STATUSES),
        date=f"{chance.randint(1, 28)} {chance.choice(MONTHS)}",
        carrier=chance.choice(CARRIERS),
        tracking=f"TR{digits(chance, 7)}",
    )


def draw_finding(chance: Random) -> Finding:
    """Return a finding of any of the known types, its value fitting the type."""
    type_name = chance.choice(TYPE_NAMES)
    return Finding(
        detector=chance.choice(DETECTORS),
        type=type_name,
        value=FINDING_VALUES[type_name](chance),
        score=f"0.{chance.randint(30, 99)}" if chance.random() < 0.95 else "1.00",
        line=chance.randint(1, 400),
    )


def _mail(chance: Random) -> str:
    return draw_person(chance).email


def _name(chance: Random) -> str:
    return draw_person(chance).name


def _phone(chance: Random) -> str:
    return f"555-{digits(chance, 4)}"


def _card(chance: Random) -> str:
    return f"**** {digits(chance, 4)}"


def _iban(chance: Random) -> str:
    return f"{chance.choice(('PT', 'DE', 'GB', 'FR'))}50 {digits(chance, 4)}"


def _address(chance: Random) -> str:
    return f"{digits(chance, 2)} {draw_person(chance).last} Street"


def _network(chance: Random) -> str:
    return f"10.0.{chance.randint(0, 255)}.{chance.randint(1, 254)}"


def _day(chance: Random) -> str:
    return f"19{digits(chance, 2)}-0{chance.randint(1, 9)}-{chance.randint(10, 28)}"


def _document(chance: Random) -> str:
    return f"{letters(chance, 2)}{digits(chance, 5)}"


def _number(chance: Random) -> str:
    return f"{digits(chance, 3)}-{digits(chance, 3)}"


def _link(chance: Random) -> str:
    return f"example.com/{draw_person(chance).last.lower()}"


def _secret(chance: Random) -> str:
    return f"sk-{letters(chance, 3).lower()}{digits(chance, 3)}"


FINDING_VALUES: dict[str, Callable[[Random], str]] = {
    "EMAIL_ADDRESS": _mail,
    "EMAIL": _mail,
    "PERSON": _name,
    "FULL_NAME": _name,
    "PHONE_NUMBER": _phone,
    "MOBILE": _phone,
    "CREDIT_CARD": _card,
    "CARD_NUMBER": _card,
    "IBAN": _iban,
    "BANK_ACCOUNT": _iban,
    "STREET_ADDRESS": _address,
    "IP_ADDRESS": _network,
    "DATE_OF_BIRTH": _day,
    "PASSPORT": _document,
    "DRIVER_LICENSE": _document,
    "TAX_ID": _number,
    "URL": _link,
    "API_KEY": _secret,
}
"""What a value of each entity type looks like; two detectors may name the same thing differently."""

TYPE_NAMES: tuple[str, ...] = tuple(FINDING_VALUES)


def _plain(text: str) -> str:
    """Return `text` without accents, as mail addresses want it."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
