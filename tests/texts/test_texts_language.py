"""The language of a text is told where it is long and clear enough."""

import subprocess
import sys

import pytest

from tunelab.texts.language import UNKNOWN, language_of

SENTENCES = {
    "en": "Please find attached the invoice for the month of May.",
    "de": "Guten Tag, wir haben Ihre Rechnung heute erhalten.",
    "pt": "Bom dia, o pedido chegou ontem e está tudo bem com ele.",
    "es": "Buenos días, el pedido llegó ayer y todo está muy bien.",
    "fr": "Bonjour, la commande est arrivée hier et tout va bien.",
    "ru": "Добрый день, ваш заказ пришёл вчера, и всё хорошо.",
    "uk": "Добрий день, ваше замовлення прийшло вчора, і ми дуже цьому раді.",
    "ar": "صباح الخير، وصل الطلب أمس وكل شيء على ما يرام.",
    "zh": "您好，订单昨天已经到了，一切都很好，谢谢。",
    "ja": "こんにちは、ご注文の品は昨日届きました。",
    "ko": "안녕하세요, 주문하신 물건이 어제 도착했습니다.",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_the_language_of_a_sentence_is_told(language: str) -> None:
    assert language_of(SENTENCES[language]) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "12345 67890 12345 67890 12345",
        "yes, no",
        "John Smith, Paris, Microsoft, Toyota, Nokia",
        "https://example.com/a/very/long/address/that/goes/on",
    ],
)
def test_what_is_too_short_or_no_language_is_unknown(text: str) -> None:
    assert language_of(text) == UNKNOWN


def test_code_and_addresses_have_no_say() -> None:
    code = "```python\n" + "for item in the_list_of_all_english_words: print(item)\n" * 5 + "```\n"
    assert language_of(code + SENTENCES["de"] + " https://example.com/this/is/english/and/long") == "de"


def test_the_model_is_loaded_only_when_a_text_asks_for_it() -> None:
    code = (
        "import sys; from tunelab.texts.language import language_of; language_of('ok'); "
        "print('py3langid' in sys.modules); language_of('This one is long enough to be looked at'); "
        "print('py3langid' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
