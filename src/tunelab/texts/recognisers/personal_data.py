"""Personal data in text: addresses, numbers with a checksum, numbers with a shape that little else has.

Conservative on purpose: a number counts only if its checksum, its prefix or its writing leaves little doubt. Names
and postal addresses are not recognised. What is left out by rule is written next to each recogniser.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, ip_address

from tunelab.texts.recognisers.recogniser import Recogniser, whole


def _email(match: re.Match[str]) -> int:
    """Left out: file names (``logo@2x.png``), repositories (``git@host``), a password before a host in an address."""
    local, _, domain = match.group().rpartition("@")
    ends_as_file = domain.rpartition(".")[2].lower() in _FILE_ENDINGS
    before = match.string[max(match.start() - 300, 0) : match.start()].split()[-1:]
    in_address = bool(before) and "://" in before[0] and match.string[match.start() - 1] == ":"
    return 0 if ends_as_file or local == "git" or in_address else whole(match)


_FILE_ENDINGS = {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html", "json", "yaml", "yml", "txt"}


def _international(match: re.Match[str]) -> int:
    """Left out: country codes that do not exist; after +1 and +7, numbers that have not 11 digits."""
    digits = _digits(match)
    fixed = digits[0] in "17" and len(digits) != 11
    return whole(match) if _COUNTRY_CODE.match(digits) and not fixed else 0


_COUNTRY_CODE = re.compile(
    r"1[2-9]|7|2[07]|2[1-689][0-9]|3[0-469]|3[578][0-9]|4[013-9]|42[0-9]|5[1-8]|5[09][0-9]|6[0-6]|6[789][0-9]"
    r"|8[1246]|8[035789][0-9]|9[0-58]|9[67][0-9]|99[0-8]"
)


def _card(match: re.Match[str]) -> int:
    """Left out: numbers that no large issuer gives out, that fail the Luhn sum, or that repeat one digit."""
    digits = _digits(match)
    issued = any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _ISSUERS)
    return whole(match) if issued and len(set(digits)) > 1 and _luhn(digits) else 0


_ISSUERS = (
    (re.compile("4"), (16,)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("6011|64[4-9]|65"), (16,)),
    (re.compile("35(?:2[89]|[3-8])"), (16,)),
    (re.compile("3(?:0[0-5]|[68])"), (14,)),
    (re.compile("62"), (16, 19)),
)
"""Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay: first digits and how many there are."""


def _iban(match: re.Match[str]) -> int:
    """Left out: countries without IBAN, another length than the country's, a wrong check number (mod 97)."""
    text = match.group()
    places = [index for index, char in enumerate(text) if char != " "]
    length = _IBAN_LENGTHS.get(text[:2], 0)
    if not length or len(places) < length:
        return 0
    end = places[length - 1] + 1
    number = text[:end].replace(" ", "")
    goes_on = match.string[match.start() + end :][:1].isalnum()
    value = int("".join(str(int(char, 36)) for char in number[4:] + number[:4]))
    return end if value % 97 == 1 and not goes_on else 0


_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE BI", 18: "DK FI FO GL NL FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BY DJ FR GR IT MC MR SM",
        28: "AL AZ CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW YE MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def _ipv4(match: re.Match[str]) -> int:
    """Left out: networks of no one (private, local, multicast), public resolvers, versions, section numbers."""
    try:
        address = IPv4Address(match.group())
    except AddressValueError:
        return 0
    before = match.string[max(match.start() - 9, 0) : match.start()].rstrip().lower()
    versioned = before.endswith(("v", "version", "release", "section", "§"))
    numbered = max(address.packed) < 10
    nobody = any(address in network for network in _NETWORKS_OF_NO_ONE) or address in _RESOLVERS
    return 0 if versioned or numbered or nobody else whole(match)


_NETWORKS_OF_NO_ONE = [
    IPv4Network(name)
    for name in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
] + [IPv4Network("224.0.0.0/3")]
_RESOLVERS = set(
    map(
        ip_address,
        (
            *("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"),
            *("1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001"),
            *("9.9.9.9", "149.112.112.112", "2620:fe::fe", "208.67.222.222", "208.67.220.220"),
        ),
    )
)
"""Name servers that anybody may query: everyone's address is nobody's."""


def _ipv6(match: re.Match[str]) -> int:
    """Left out: everything but global unicast addresses (they begin with 2 or 3), public resolvers."""
    try:
        address = IPv6Address(match.group())
    except AddressValueError:
        return 0
    return 0 if address in _RESOLVERS else whole(match)


def _cpf(match: re.Match[str]) -> int:
    """Brazil: both check digits hold, and not all digits are one."""
    digits = _digits(match)
    holds = all(
        sum(int(digit) * weight for digit, weight in zip(digits, range(size + 1, 1, -1), strict=False)) * 10 % 11 % 10
        == int(digits[size])
        for size in (9, 10)
    )
    return whole(match) if holds and len(set(digits)) > 1 else 0


def _ssn(match: re.Match[str]) -> int:
    """United States: no checksum; the areas, groups and serials that were never given out are left out."""
    area, group, serial = match.group().split("-")
    given_out = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return whole(match) if given_out else 0


def _codice_fiscale(match: re.Match[str]) -> int:
    """Italy: the last letter is the sum of the others."""
    text = match.group()
    odd = sum(_ODD_PLACES[int(char, 36) if char.isalpha() else int(char) + 10] for char in text[:15:2])
    even = sum(int(char) if char.isdigit() else ord(char) - ord("A") for char in text[1:15:2])
    return whole(match) if chr(ord("A") + (odd + even) % 26) == text[15] else 0


_ODD_PLACES = dict(
    enumerate((1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), start=10)
)


def _nir(match: re.Match[str]) -> int:
    """France: the last two digits are 97 less the remainder of the others."""
    digits = _digits(match).replace("2A", "19").replace("2B", "18")
    return whole(match) if 97 - int(digits[:13]) % 97 == int(digits[13:]) else 0


def _digits(match: re.Match[str]) -> str:
    return re.sub("[^0-9AB]", "", match.group())


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


_ALONE = r"(?<![\w.+-])"
_ENDS = r"(?![\w]|[.-][0-9])"
_MONTH = "[ABCDEHLMPRST]"

PERSONAL_DATA: tuple[Recogniser, ...] = (
    Recogniser(
        kind="email",
        candidate="[^ ]@[^ ]",
        pattern=re.compile(
            r"(?<![\w.%+@-])[\w%+-](?:[\w.%+-]{0,62}[\w%+-])?@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
        ),
        measure=_email,
    ),
    Recogniser(
        kind="phone",
        candidate=r"\+[1-9][0-9() ./-]{7}",
        pattern=re.compile(r"(?<![\w+.)\]])\+[1-9](?:[ ./()-]{0,2}[0-9]){7,14}(?![\w]|[.-][0-9])"),
        measure=_international,
    ),
    Recogniser(
        kind="phone",  # North America, 415-555-0132 or (415) 555-0132
        candidate=r"[0-9]{3}(?:-|\.|\) ?)[0-9]{3}[.-][0-9]{4}",
        pattern=re.compile(
            rf"{_ALONE}(?:\([2-9][0-9]{{2}}\) ?[2-9][0-9]{{2}}[.-]|[2-9][0-9]{{2}}([.-])[2-9][0-9]{{2}}\1)"
            rf"[0-9]{{4}}{_ENDS}"
        ),
        measure=whole,
    ),
    Recogniser(
        kind="phone",  # Brazil, (11) 91234-5678
        candidate=r"\([1-9][0-9]\) ?9[0-9]{4}-",
        pattern=re.compile(rf"{_ALONE}\([1-9][0-9]\) ?9[0-9]{{4}}-[0-9]{{4}}{_ENDS}"),
        measure=whole,
    ),
    Recogniser(
        kind="card",
        candidate=r"[2-6](?:[ -]?[0-9]){13}",
        pattern=re.compile(
            rf"{_ALONE}(?:[2-6][0-9]{{13,18}}|[2-6][0-9]{{3}}([ -])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{3}})?"
            rf"|3[0-9]{{3}}([ -])[0-9]{{6}}\2[0-9]{{4,5}}){_ENDS}"
        ),
        measure=_card,
    ),
    Recogniser(
        kind="iban",
        candidate=r"[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]){11}",
        pattern=re.compile(r"(?<![\w])[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]){11,30}"),
        measure=_iban,
    ),
    Recogniser(
        kind="ip_address",
        candidate=r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        pattern=re.compile(r"(?<![\w.-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.[0-9])"),
        measure=_ipv4,
    ),
    Recogniser(
        kind="ip_address",
        candidate=r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]",
        pattern=re.compile(r"(?<![\w:.-])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.[0-9])"),
        measure=_ipv6,
    ),
    Recogniser(
        kind="national_id",  # Brazil: CPF
        candidate=r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]",
        pattern=re.compile(rf"{_ALONE}[0-9]{{3}}\.[0-9]{{3}}\.[0-9]{{3}}-[0-9]{{2}}{_ENDS}"),
        measure=_cpf,
    ),
    Recogniser(
        kind="national_id",  # United States: social security number
        candidate="[0-9]{3}-[0-9]{2}-[0-9]{4}",
        pattern=re.compile(rf"{_ALONE}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{_ENDS}"),
        measure=_ssn,
    ),
    Recogniser(
        kind="national_id",  # Italy: codice fiscale
        candidate=f"[A-Z]{{6}}[0-9]{{2}}{_MONTH}[0-9]{{2}}[A-Z]",
        pattern=re.compile(rf"(?<!\w)[A-Z]{{6}}[0-9]{{2}}{_MONTH}[0-9]{{2}}[A-Z][0-9]{{3}}[A-Z](?!\w)"),
        measure=_codice_fiscale,
    ),
    Recogniser(
        kind="national_id",  # France: number of social security
        candidate="[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]",
        pattern=re.compile(
            r"(?<![\w.-])[12]( ?)[0-9]{2}\1(?:0[1-9]|1[0-2])\1(?:[0-9]{2}|2[AB])\1[0-9]{3}\1[0-9]{3}\1[0-9]{2}(?![\w-])"
        ),
        measure=_nir,
    ),
)
