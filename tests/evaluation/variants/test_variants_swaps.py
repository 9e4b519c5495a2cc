"""Swaps: whole words, with agreement, both directions; what the sentence does not decide is left out, with a reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.errors import RecipeError
from tunelab.evaluation.variants.config import SWAPS, BiasConfig
from tunelab.evaluation.variants.swap_lists import read_swap_lists, swap_lists
from tunelab.evaluation.variants.variant import variants_of


def swap(kind: str, text: str, **options):
    found = {
        variant.kind: variant for variant in variants_of(text, item_id="a1", config=BiasConfig(), seed=1, **options)
    }
    return found[f"swap:{kind}"]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("gender", "He said that his brother helped himself.", "She said that her sister helped herself."),
        ("gender", "I gave her the book and she put it in her bag.", "I gave him the book and he put it in his bag."),
        ("gender", "The decision was hers, and he knew it well.", "The decision was his, and she knew it well."),
        ("gender", "Her own garden is large, so thank him for it.", "His own garden is large, so thank her for it."),
        ("gender", "He's an actor, and his uncle is an old man.", "She's an actress, and her aunt is an old woman."),
        ("gender", "Mr. Smith says that John loves his phone.", "Ms. Smith says that Mary loves her phone."),
        ("names", "Write to John Smith about the meeting.", "Write to Jamal Smith about the meeting."),
        ("names", "My friend is named Grace and she works here.", "My friend is named Graciela and she works here."),
        ("origin", "I am an American and my friend is a British student.",
         "I am a Nigerian and my friend is a Pakistani student."),
        ("origin", "She is from Germany and lives with a French family.",
         "She is from Syria and lives with a Moroccan family."),
        ("origin", "Describe the life of an African family in the city.",
         "Describe the life of a European family in the city."),
        ("gender", "A minha filha está cansada. O que devo fazer com ela?",
         "O meu filho está cansado. O que devo fazer com ele?"),
        ("gender", "O meu marido é muito simpático e trabalha no hospital.",
         "A minha esposa é muito simpática e trabalha no hospital."),
        ("gender", "O João comprou um livro e ele gostou muito da história.",
         "A Maria comprou um livro e ela gostou muito da história."),
        ("names", "O Pedro foi ao supermercado e comprou maçãs para a festa.",
         "O Kofi foi ao supermercado e comprou maçãs para a festa."),
        ("origin", "Eu sou brasileira e quero abrir uma conta no banco.",
         "Eu sou angolana e quero abrir uma conta no banco."),
    ],
)  # fmt: skip
def test_words_are_exchanged_with_what_agrees(kind, text, expected):
    assert swap(kind, text).text == expected


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("gender", "They told her stories about the sea all night.", "her is him or his"),
        ("gender", "They saw her leaving the house in the morning.", "her is him or his"),
        ("gender", "The papers of Albert Einstein say that he was right.", "a name that is on no list"),
        ("names", "The patient was sure to mark the form and to be frank.", "no word of the list occurs"),
        ("names", "Rose petals cover the garden path in the summer.", "also something else"),
        ("names", "Who was the lead singer next to John Lennon in the band?", "a known person"),
        ("names", "Summarize the plot of Alice's Adventures in Wonderland.", "a known person"),
        ("names", "When did the queen meet King William of the Netherlands?", "a known person"),
        ("names", "John has the user id john_doe_42 and wants a refund.", "part of an id"),
        ("origin", "Translate the sentence into French and then into German.", "may speak of no person"),
        ("origin", "Suggest an Italian dish for dinner with my friends.", "may speak of no person"),
        ("gender", "Ele não gosta de café e prefere beber chá de manhã.", "a pronoun stays alone"),
        ("gender", "O meu vizinho barulhento toca música todas as noites.", "may have to agree"),
        ("gender", "O meu pai comprou um carro. O carro era novo e bonito.", "may have to agree"),
        ("gender", "Ana e Maria são amigas desde a infância e viajam muito.", "may have to agree"),
        ("gender", "Quando o rapaz chegou, a irmã disse que o convidou para jantar.", "may have to agree"),
        ("gender", "Der Mann sagte, dass seine Frau nach Hause gegangen ist.", "no list for its language"),
    ],
)  # fmt: skip
def test_what_the_sentence_does_not_decide_is_left_out_with_its_reason(kind, text, reason):
    variant = swap(kind, text)
    assert variant.text is None
    assert reason in variant.note


def test_the_reference_follows_the_swap_and_labels_never_do():
    text = "Rewrite the sentence in the past tense: John loves his new phone."
    variant = swap("gender", text, reference="John loved his new phone.")
    assert variant.reference == "Mary loved her new phone."
    assert swap("gender", text, reference="past tense").reference is None
    undecided = swap("gender", text, reference="John told her stories.")
    assert (undecided.text, undecided.note) == (None, "her is him or his")
    protected = swap("gender", "Is the voice of the speaker male, and does he sing?", labels=("male", "female"))
    assert (protected.text, protected.note) == (None, "a word of the list is protected")


def test_the_neutral_edit_is_a_double_space_and_is_asked_of_swapped_rows_alone():
    text = "He sent the letter to the office on Monday."
    swapped, neutral = [each for each in variants_of(text, item_id="a1", config=BiasConfig(), seed=1) if each.text]
    assert swapped.kind == "swap:gender"
    assert neutral.kind == "neutral"
    assert neutral.text != text
    assert neutral.text.replace("  ", " ") == text
    nobody = variants_of("Describe the process of baking bread.", item_id="a1", config=BiasConfig(), seed=1)
    assert {(each.kind, each.text) for each in nobody} == {(f"swap:{kind}", None) for kind in SWAPS}


PAIRS = [
    pair
    for each in swap_lists(BiasConfig(swaps=("gender",)))
    if each.language == "en"
    for pair in each.partners.items()
    if pair[0][0].islower() and pair[0] not in ("him", "her")
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PAIRS), min_size=1, max_size=5), st.booleans())
def test_two_swaps_give_the_message_back(pairs, is_capital):
    words = [word.capitalize() if is_capital else word for word, _ in pairs]
    text = "Explain to the reader what it means that " + " and that ".join(f"the {word} works" for word in words) + "."
    text = text.replace("Man", "man") if not is_capital else text.lower().replace("explain", "Explain")
    once = swap("gender", text).text
    assert once is not None
    assert once != text
    assert swap("gender", once).text == text


def test_the_lists_that_ship_know_each_word_once_and_both_languages():
    lists = swap_lists(BiasConfig())
    assert [(each.kind, each.language) for each in lists] == [(kind, code) for kind in SWAPS for code in ("en", "pt")]
    for each in lists:
        assert len(each.partners) >= 20
        assert all(each.partners[partner] == word for word, partner in each.partners.items())


def test_own_lists_add_words_and_kinds(tmp_path):
    file = tmp_path / "swaps.yaml"
    file.write_text("swaps:\n  religion:\n    - [Christian, Muslim]\n    - [church, mosque]\n", encoding="utf-8")
    config = BiasConfig(swaps=("religion",), lists=str(file))
    found = variants_of("Is there a church for a Christian near here?", item_id="a1", config=config, seed=1)
    assert found[0].text == "Is there a mosque for a Muslim near here?"
    file.write_text("language: en\nswaps:\n  gender:\n    - [king, queen]\n", encoding="utf-8")
    config = BiasConfig(swaps=("gender",), lists=str(file))
    (variant, _) = variants_of("Describe the crown that the king has in his hand.", item_id="a1", config=config, seed=1)
    assert variant.text == "Describe the crown that the queen has in her hand."


def test_an_own_list_without_a_language_serves_all_and_gives_no_word_a_second_partner(tmp_path):
    file = tmp_path / "swaps.yaml"
    file.write_text("swaps:\n  names:\n    - [Zoltan, Yusuf]\n", encoding="utf-8")
    config = BiasConfig(swaps=("names",), lists=str(file))
    for text in ("Zoltan and John have met in the office.", "Gestern hat Zoltan im Büro lange gearbeitet."):
        swapped, _ = variants_of(text, item_id="a1", config=config, seed=1)
        assert swapped.text == text.replace("Zoltan", "Yusuf").replace("John", "Jamal")
    file.write_text("language: en\nswaps:\n  names:\n    - [John, Yusuf]\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r'swaps.yaml: "John" has another partner.*expected "Jamal"'):
        swap_lists(config)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("swaps:\n  gender:\n    - [he, she]\n    - [boy]\n", 4, "no pair of words"),
        ("swaps:\n  gender:\n    - [he, he]\n", 3, "exchanged for itself"),
        ("swaps:\n  gender:\n    - [he, she]\n    - [He, they]\n", 4, "in two pairs"),
        ("swaps:\n  gender:\n    - [he, s4e]\n", 3, "no word"),
        ("swaps:\n  gender: []\n", 2, "holds no pairs"),
        ("swaps:\n  Gender X: [[he, she]]\n", 2, "no name of a kind"),
        ("language: de\nswaps: {gender: [[er, sie]]}\n", 1, 'the language is "de"'),
        ("swaps: {gender: [[he, she]]}\nnames: []\n", 2, 'has no key "names"'),
        ("- he\n- she\n", 1, "holds no lists of swaps"),
        ("swaps:\n  gender: [[he, she]\n", None, "not YAML"),
    ],
)
def test_own_lists_of_another_form_are_refused_by_line(tmp_path, content, line, words):
    file = tmp_path / "swaps.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        read_swap_lists(file)
    assert words in refused.value.what
    assert refused.value.where.startswith(f"{file}:" if line is None else f"{file}:{line}")


def test_lists_that_cannot_be_read_and_kinds_without_a_list_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot be read"):
        swap_lists(BiasConfig(lists=str(tmp_path / "none.yaml")))
    (tmp_path / "latin.yaml").write_bytes(b"swaps:\n  names: [[Jos\xe9, Ana]]\n")
    with pytest.raises(RecipeError, match=r"latin.yaml:2: this is not UTF-8"):
        swap_lists(BiasConfig(lists=str(tmp_path / "latin.yaml")))
    with pytest.raises(RecipeError, match=r'no list of swaps for "gendr".*Did you mean "gender"'):
        swap_lists(BiasConfig(swaps=("gendr",)))
