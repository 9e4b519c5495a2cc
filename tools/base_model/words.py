"""The closed vocabulary of the sample world: what its shop sells, to whom, and what its detectors look for.

Everything here is a plain table. Each Portuguese adjective is a pair (masculine, feminine), so that sentences agree.
"""

from __future__ import annotations

from dataclasses import dataclass

BRANDS = (
    "Alvero", "Bremma", "Cordali", "Dunvik", "Estrelar", "Fjalla", "Gaviota", "Hollin", "Ibera", "Jaspo", "Kestrel",
    "Lumira", "Marenda", "Norvik", "Oliva", "Pampa", "Quintal", "Ribalta", "Serrana", "Tondela", "Umbra", "Velmo",
    "Wexford", "Ximena", "Yarrow", "Zelia",
)  # fmt: skip

FIRST_NAMES = (
    "Ana", "Bruno", "Carla", "Diego", "Elisa", "Fabio", "Gina", "Hugo", "Ines", "Joel", "Karen", "Luis", "Marta",
    "Nuno", "Olga", "Paulo", "Rita", "Samuel", "Teresa", "Vera", "Alice", "Brian", "Clara", "David", "Emma", "Frank",
    "Grace", "Henry", "Irene", "James", "Laura", "Martin", "Nora", "Oscar", "Paula", "Robert", "Sarah", "Thomas",
)  # fmt: skip

NAME_SYLLABLES = (
    "ba", "bre", "ca", "cor", "da", "del", "do", "fa", "fer", "ga", "gri", "la", "len", "lo", "ma", "mer", "mo", "na",
    "nes", "no", "pa", "pel", "ra", "ri", "sa", "sil", "so", "ta", "tor", "va", "ves", "vi", "zan", "ze",
)  # fmt: skip
NAME_ENDINGS = ("des", "do", "la", "lho", "ma", "mann", "nes", "ni", "ra", "res", "ro", "son", "ta", "tes", "va", "vin")

CITIES = (
    "Porto", "Lisbon", "Coimbra", "Braga", "Recife", "Curitiba", "Salvador", "Leeds", "Bristol", "Dublin", "Boston",
    "Denver", "Toronto", "Madrid", "Lyon", "Turin", "Faro", "Natal", "Oxford", "Galway",
)  # fmt: skip

CARRIERS = ("Fastline", "Correio Azul", "Parcel North", "Ligeiro", "Swift Post", "Rota Sul")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
MAIL_DOMAINS = ("example.com", "example.org")

STATUSES = (
    ("paid", "pago"), ("packed", "embalado"), ("shipped", "enviado"), ("delivered", "entregue"),
    ("cancelled", "cancelado"), ("returned", "devolvido"), ("delayed", "atrasado"), ("waiting", "em espera"),
)  # fmt: skip

# English, Portuguese (masculine, feminine)
COLOURS: tuple[tuple[str, tuple[str, str]], ...] = (
    ("black", ("preto", "preta")), ("white", ("branco", "branca")), ("red", ("vermelho", "vermelha")),
    ("blue", ("azul", "azul")), ("green", ("verde", "verde")), ("yellow", ("amarelo", "amarela")),
    ("grey", ("cinza", "cinza")), ("brown", ("castanho", "castanha")), ("pink", ("rosa", "rosa")),
    ("orange", ("laranja", "laranja")), ("purple", ("roxo", "roxa")), ("beige", ("bege", "bege")),
)  # fmt: skip

MATERIALS: tuple[tuple[str, str], ...] = (
    ("cotton", "algodão"), ("linen", "linho"), ("wool", "lã"), ("leather", "couro"), ("wood", "madeira"),
    ("steel", "aço"), ("glass", "vidro"), ("ceramic", "cerâmica"), ("bamboo", "bambu"), ("plastic", "plástico"),
    ("cork", "cortiça"), ("copper", "cobre"),
)  # fmt: skip


PLACES: dict[str, str] = {
    "hall": "corredor", "kitchen": "cozinha", "study": "escritório", "dining room": "sala de jantar", "bedroom":
    "quarto", "living room": "sala", "bathroom": "casa de banho", "garden": "jardim",
}  # fmt: skip
"""Where a product stands, English to Portuguese."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of product, with the words that sentences about it need."""

    english: str
    portuguese: str
    feminine: bool
    materials: str  # names of MATERIALS it may be made of, parted by spaces
    sizes: str  # sizes it is sold in, parted by commas
    use: str  # what it is good for, English
    uso: str  # the same in Portuguese
    place: str  # where it stands, English
    lugar: str  # the same in Portuguese


def _kind(line: str) -> Kind:
    english, portuguese, gender, materials, sizes, use, uso, place = (part.strip() for part in line.split("|"))
    return Kind(english=english, portuguese=portuguese, feminine=gender == "f", materials=materials, sizes=sizes,
                use=use, uso=uso, place=place, lugar=PLACES[place])  # fmt: skip


KINDS: tuple[Kind, ...] = tuple(
    _kind(line)
    for line in """
backpack | mochila | f | cotton leather plastic | 12 L,20 L,28 L,35 L | long walks | longas caminhadas | hall
mug | caneca | f | ceramic glass steel | 250 ml,300 ml,400 ml | hot coffee | café quente | kitchen
lamp | candeeiro | m | wood steel glass bamboo | 30 cm,45 cm,60 cm | reading at night | leitura à noite | study
chair | cadeira | f | wood steel plastic bamboo | 80 cm,90 cm,95 cm | long dinners | jantares longos | dining room
blanket | manta | f | cotton wool linen | 120 cm,150 cm,200 cm | cold evenings | noites frias | bedroom
notebook | caderno | m | leather cork linen | A4,A5,A6 | daily notes | notas diárias | study
bottle | garrafa | f | steel glass plastic | 500 ml,750 ml,1 L | cold water | água fresca | kitchen
shirt | camisa | f | cotton linen | S,M,L,XL | warm days | dias quentes | bedroom
jacket | casaco | m | wool leather cotton | S,M,L,XL | windy days | dias de vento | hall
wallet | carteira | f | leather cork cotton | 9 cm,11 cm,13 cm | cards and coins | cartões e moedas | hall
basket | cesto | m | bamboo wood cotton | 25 cm,35 cm,45 cm | fruit and bread | fruta e pão | kitchen
shelf | estante | f | wood steel bamboo | 60 cm,90 cm,120 cm | books and plants | livros e plantas | living room
table | mesa | f | wood glass steel | 80 cm,120 cm,160 cm | family meals | refeições em família | dining room
vase | jarra | f | ceramic glass copper | 15 cm,25 cm,35 cm | fresh flowers | flores frescas | living room
pan | panela | f | steel copper ceramic | 18 cm,22 cm,28 cm | slow soups | sopas lentas | kitchen
belt | cinto | m | leather cotton cork | 85 cm,95 cm,105 cm | formal clothes | roupa formal | bedroom
hat | chapéu | m | wool cotton linen | S,M,L | sunny days | dias de sol | hall
scarf | cachecol | m | wool cotton linen | 140 cm,160 cm,180 cm | winter mornings | manhãs de inverno | hall
towel | toalha | f | cotton linen bamboo | 50 cm,70 cm,100 cm | the beach | a praia | bathroom
clock | relógio | m | wood steel glass | 20 cm,30 cm,40 cm | busy mornings | manhãs ocupadas | living room
mirror | espelho | m | wood steel glass | 40 cm,60 cm,90 cm | narrow rooms | divisões estreitas | bathroom
pillow | almofada | f | cotton linen wool | 40 cm,50 cm,60 cm | deep sleep | sono profundo | bedroom
tray | tabuleiro | m | wood steel bamboo cork | 30 cm,40 cm,50 cm | breakfast in bed | pequeno-almoço na cama | kitchen
bag | saco | m | cotton leather linen | 10 L,15 L,25 L | the market | o mercado | hall
plate | prato | m | ceramic glass wood | 18 cm,24 cm,28 cm | everyday meals | refeições diárias | kitchen
bench | banco | m | wood steel bamboo | 45 cm,90 cm,120 cm | small gardens | jardins pequenos | garden
rug | tapete | m | wool cotton linen | 80 cm,140 cm,200 cm | quiet rooms | divisões calmas | living room
kettle | chaleira | f | steel glass copper | 1 L,2 L | green tea | chá verde | kitchen
""".strip().splitlines()
)

DETECTORS = ("presidio", "regex-hub", "name-tagger", "card-scan", "leak-watch")

ORDINALS = ("first", "second", "third", "fourth", "fifth")
ORDINAIS = ("primeiro", "segundo", "terceiro", "quarto", "quinto")

_DRILL_WORDS = """
    category subcategory confidence contact identity financial network secret machine document address name birth tax
    card bank link key email phone detector output input label entry order number lookup return redirect refund amount
    reason start open read send city status total box door paper press button photo money card code shop wait days press
    print keep save stop wrong broken simple words done news desk description title product
    descreva produto seguinte descrição cuidados garantia anos medida tom nasceu onde brilha tudo lavar limpar secar
    guardar evitar polir passar pano húmido vinagre limão graus mão calor lugar seco choques óleo vez depois usar longe
"""

DRILL_WORDS: tuple[str, ...] = tuple(_DRILL_WORDS.split())
"""Plain words that lists are copied from, so that the tokenizer and the model know them as words."""
