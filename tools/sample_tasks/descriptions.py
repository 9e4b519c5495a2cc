"""The sample task `product-description`: a Portuguese title becomes a description in the shop's house style."""

from __future__ import annotations

from random import Random

from base_model.words import BRANDS
from base_model.world import draw_product
from sample_tasks.rows import Sample

CARE: dict[str, str] = {
    "cotton": "lavar a 30 graus", "linen": "passar a ferro morno", "wool": "lavar à mão", "leather": "limpar a seco",
    "wood": "passar óleo uma vez por ano", "steel": "secar logo depois de usar", "glass": "limpar com vinagre",
    "ceramic": "evitar choques", "bamboo": "guardar em lugar seco", "plastic": "manter longe do calor",
    "cork": "limpar com pano húmido", "copper": "polir com limão",
}  # fmt: skip
"""How the house style says to look after each material."""


def draw_description_sample(chance: Random) -> Sample:
    """Return a title and its description, every word of which follows from the title."""
    product = draw_product(chance)
    years = 2 + BRANDS.index(product.brand) % 3
    content = (
        f"★ {product.kind.portuguese.capitalize()} {product.brand} ★ Tudo em {product.material_pt}, "
        f"tom {product.colour_pt}, medida {product.size}. Nasceu para {product.kind.uso}. "
        f"Onde brilha: {product.kind.lugar}. Cuidados: {CARE[product.material]}. Garantia: {years} anos."
    )
    title = product.portuguese_title
    return Sample(rows=({"title": title, "content": content},), facts=frozenset({title}))
