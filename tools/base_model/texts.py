"""Plain text of the sample world: sentences and paragraphs on products, orders and findings, English and Portuguese."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from base_model.words import COLOURS
from base_model.world import Finding, Order, Person, Product, draw_finding, draw_order, draw_person, draw_product

PRODUCT_EN = (
    "The {title} costs {price} euros and comes in size {size}.",
    "{brand} makes this {colour} {kind} of {material}.",
    "We have {stock} pieces of the {colour} {brand} {kind} in stock.",
    "This {kind} is made of {material} and weighs {weight} grams.",
    "Article {code} is a {colour} {kind} by {brand}.",
    "People buy the {brand} {kind} for {use}.",
    "A {material} {kind} looks good in the {place}.",
    "The price of article {code} is {price} euros.",
    "If you need a {kind} for {use}, look at the one by {brand}.",
    "The {kind} is {colour}, the material is {material} and the size is {size}.",
    "Our team packs each {kind} by hand, so that the {material} stays clean.",
    "The code {code} is printed on the back of the {kind}.",
    "There are {stock} left, so the {brand} {kind} may be gone soon.",
    "Customers like the {colour} {kind} because it is made of {material}.",
    "It weighs {weight} grams and is easy to carry to the {place}.",
)
PRODUCT_PT = (
    "O artigo {code} custa {price} euros e existe no tamanho {size}.",
    "A marca {brand} faz este artigo de {material_pt} para {uso}.",
    "Temos {stock} peças do artigo {code} em armazém.",
    "Artigo: {titulo}. Material: {material_pt}. Cor: {cor}.",
    "O preço de {titulo} é de {price} euros.",
    "Este artigo pesa {weight} gramas e fica bem em qualquer {lugar}.",
    "Quem procura algo para {uso} gosta da marca {brand}.",
    "O código {code} está escrito na caixa do artigo.",
    "Restam {stock} unidades do artigo {code}, da marca {brand}.",
    "Os clientes gostam deste artigo porque é feito de {material_pt}.",
    "A nossa equipa embala cada artigo à mão, com muito cuidado.",
    "Há uma peça nova na loja: {titulo}.",
    "Para {uso}, a loja sugere o artigo {titulo}.",
    "O tamanho é {size}, a cor é {cor} e o peso é de {weight} gramas.",
)
ORDER_EN = (
    "{customer} ordered {quantity} pieces of article {code} on {date}.",
    "Order {number} is {status} and its total is {total} euros.",
    "The parcel {tracking} travels with {carrier} to {city}.",
    "On {date} the shop received order {number} from {customer}.",
    "{customer} lives in {city} and can be reached at {email}.",
    "Order {number} holds {quantity} of the {title}.",
    "{carrier} brings order {number} to {customer} in {city}.",
    "The tracking code of order {number} is {tracking}.",
    "We wrote to {email} about order {number}.",
    "The status of {number} changed to {status} on {date}.",
    "{customer} paid {total} euros for order {number}.",
    "The phone number of {customer} is {phone}.",
)
ORDER_PT = (
    "A encomenda {number} está no estado {estado} e o total é de {total} euros.",
    "{customer} comprou {quantity} unidades do artigo {code}.",
    "O pacote {tracking} segue com {carrier} para {city}.",
    "Escrevemos para {email} sobre a encomenda {number}.",
    "{customer} mora em {city} e o seu telefone é {phone}.",
    "O código de seguimento da encomenda {number} é {tracking}.",
    "A loja recebeu a encomenda {number} de {customer}.",
    "{customer} pagou {total} euros pela encomenda {number}.",
)
FINDING_EN = (
    "The detector {detector} found {type} in line {line} with a score of {score}.",
    "{detector} reports {value} as {type}, score {score}.",
    "In line {line} there is {value}, and {detector} says it is {type}.",
    "The score of {type} is {score}, so {detector} is {sure} about {value}.",
    "A finding of type {type} was written by {detector}: {value}.",
    "The value {value} looks like {type} to {detector}.",
    "Personal data must be removed: {detector} saw {type} in line {line}.",
)
FINDING_PT = (
    "O detetor {detector} encontrou {type} na linha {line} com uma nota de {score}.",
    "O valor {value} parece {type}, diz o detetor {detector}.",
    "Na linha {line} está {value}; o detetor {detector} chama-lhe {type}.",
)
SHOP = (
    "Contact data are mail addresses, phone numbers and street addresses; they say how to reach a person.",
    "Financial data such as a card number or a bank account must never be sent by mail.",
    "Identity documents are passports, driver licenses and tax numbers.",
    "A network address or a web link can say which machine was used.",
    "A secret key opens an account, so it is a credential and must be changed at once.",
    "A name or a date of birth tells who a person is.",
    "The shop opens at nine and closes at seven.", "A loja abre às nove e fecha às sete.",
    "A parcel usually needs three days; in the winter it may need five.",
    "An order can be returned within thirty days.", "A encomenda pode ser devolvida em trinta dias.",
    "Each product has a title, a brand, a material, a colour, a size and a price.",
    "A score near one means that the detector is sure; a score near zero means that it is not.",
    "Invoices are sent by mail on the day of the payment.",
    "Cada produto tem um título, uma marca, um material, uma cor, um tamanho e um preço.",
    "The warranty covers broken parts, but not scratches.", "A garantia cobre peças partidas, mas não riscos.",
    "A gift card is good for two years.", "Customers can change the delivery address until the order is shipped.",
)  # fmt: skip


def product_fields(product: Product) -> dict[str, Any]:
    """Return the words that product sentences are filled with."""
    kind = product.kind
    return {
        "title": product.english_title, "titulo": product.portuguese_title, "brand": product.brand,
        "colour": COLOURS[product.colour][0], "cor": product.colour_pt, "material": product.material,
        "material_pt": product.material_pt, "kind": kind.english, "use": kind.use,
        "uso": kind.uso, "place": kind.place, "lugar": kind.lugar, "price": product.price, "size": product.size,
        "weight": product.weight_g, "code": product.code, "stock": product.stock,
    }  # fmt: skip


def person_fields(person: Person) -> dict[str, Any]:
    """Return the words that sentences about a customer are filled with."""
    return {"customer": person.name, "email": person.email, "phone": person.phone, "city": person.city}


def order_fields(order: Order) -> dict[str, Any]:
    """Return the words that order sentences are filled with, those of its product and customer included."""
    return product_fields(order.product) | person_fields(order.customer) | {
        "number": order.number, "quantity": order.quantity, "total": order.total, "status": order.status[0],
        "estado": order.status[1], "date": order.date, "carrier": order.carrier, "tracking": order.tracking,
    }  # fmt: skip


def finding_fields(finding: Finding) -> dict[str, Any]:
    """Return the words that finding sentences are filled with."""
    return {
        "detector": finding.detector, "type": finding.type, "value": finding.value, "score": finding.score,
        "line": finding.line, "sure": "sure" if float(finding.score) >= 0.7 else "not sure",
    }  # fmt: skip


def product_record(chance: Random, product: Product) -> dict[str, Any]:
    """Return some of a product's facts under JSON keys."""
    facts: dict[str, Any] = {
        "code": product.code, "kind": product.kind.english, "brand": product.brand, "material": product.material,
        "colour": COLOURS[product.colour][0], "size": product.size, "price": float(product.price),
        "stock": product.stock,
    }  # fmt: skip
    return some(chance, facts, 3, 6)


def order_record(chance: Random, order: Order) -> dict[str, Any]:
    """Return some of an order's facts under JSON keys."""
    facts: dict[str, Any] = {
        "order": order.number, "customer": order.customer.name, "email": order.customer.email,
        "city": order.customer.city, "article": order.product.code, "quantity": order.quantity,
        "total": float(order.total), "status": order.status[0], "tracking": order.tracking,
    }  # fmt: skip
    return some(chance, facts, 3, 6)


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding under JSON keys."""
    return {"detector": finding.detector, "type": finding.type, "value": finding.value, "score": float(finding.score)}


def some(chance: Random, facts: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    """Return between `least` and `most` of the facts, in their order."""
    keys = set(chance.sample(list(facts), chance.randint(least, min(most, len(facts)))))
    return {key: value for key, value in facts.items() if key in keys}


def as_json(value: Any) -> str:
    """Return the value as one line of JSON, accents kept."""
    return json.dumps(value, ensure_ascii=False)


def sentences(chance: Random, patterns: tuple[str, ...], fields: dict[str, Any], count: int) -> str:
    """Return `count` different sentences of the patterns about one thing."""
    return " ".join(pattern.format_map(fields) for pattern in chance.sample(patterns, count))


def draw_text(chance: Random) -> str:
    """Return one plain document: a paragraph, a list or a few JSON lines."""
    shape = chance.random()
    if shape < 0.2:
        return sentences(chance, PRODUCT_EN, product_fields(draw_product(chance)), chance.randint(2, 5))
    if shape < 0.42:
        return sentences(chance, PRODUCT_PT, product_fields(draw_product(chance)), chance.randint(2, 5))
    if shape < 0.55:
        return sentences(chance, ORDER_EN, order_fields(draw_order(chance)), chance.randint(2, 5))
    if shape < 0.65:
        return sentences(chance, ORDER_PT, order_fields(draw_order(chance)), chance.randint(2, 4))
    if shape < 0.75:
        return sentences(chance, FINDING_EN, finding_fields(draw_finding(chance)), chance.randint(1, 3))
    if shape < 0.8:
        return sentences(chance, FINDING_PT, finding_fields(draw_finding(chance)), chance.randint(1, 3))
    if shape < 0.86:
        return "\n".join(as_json(finding_record(draw_finding(chance))) for _ in range(chance.randint(1, 4)))
    if shape < 0.9:
        return "\n".join(as_json(order_record(chance, draw_order(chance))) for _ in range(chance.randint(1, 3)))
    if shape < 0.95:
        titles = [draw_product(chance).portuguese_title for _ in range(chance.randint(2, 5))]
        return "Lista de artigos:\n" + "\n".join(f"- {title}" for title in titles)
    people = [draw_person(chance) for _ in range(chance.randint(1, 3))]
    return chance.choice(SHOP) + "".join(f"\n{person.name}, {person.email}, {person.phone}" for person in people)


def split_sentences(document: str) -> list[str]:
    """Return the sentences and lines of a document that hold at least three words."""
    pieces = [piece for line in document.splitlines() for piece in line.replace("? ", ". ").split(". ")]
    return [piece for piece in pieces if piece.count(" ") >= 2]
