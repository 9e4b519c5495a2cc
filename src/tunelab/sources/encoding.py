"""What to do about bytes that are not UTF-8: which encoding they look like, and how they would read."""

import re

_SAMPLE_BYTES = 2**15
_ASCII = 0x7F
_SURE_BYTES = 60
"""Fewer bytes than this above ASCII are read well by several encodings."""
_PREVIEW_CHARS = 24
_FAMILY_NAMES = {
    "gb18030": "GB18030",
    "big5": "Big5",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
    "cp949": "EUC-KR",
    "cp1251": "Windows-1251",
    "koi8_r": "KOI8-R",
    "cp1253": "Windows-1253",
    "cp1255": "Windows-1255",
    "cp1256": "Windows-1256",
}
"""Encodings of scripts without Latin letters, by Python's names, as iconv and editors call them."""
_ICONV_NAMES = {"cp949": "CP949", "cp932": "CP932", **{f"cp{page}": f"CP{page}" for page in range(1250, 1257)}}
_LATIN = "Windows-1252 (Western Europe) or Windows-1250 (Central Europe)"
_HIGH = re.compile(rb"[A-Za-z]?[\x80-\xff]+[A-Za-z]?")
_LATIN_WORD = re.compile(rb"[A-Za-z][\x80-\xff]{1,2}[A-Za-z]?|[\x80-\xff]{1,2}[A-Za-z]")
_PASSAGE = re.compile(rb'[^{}":\n]*[\x80-\xff][^{}":\n]*')


def encoding_remedy(sample: bytes) -> str:
    """Return what `sample`, bytes that are not UTF-8, looks like, and the command that converts a file of it."""
    sample = sample[:_SAMPLE_BYTES]
    if _is_damaged_utf8(sample):
        return "The rest is UTF-8: correct the text there, or fetch the file again."
    groups = _HIGH.findall(sample)
    if sum(_LATIN_WORD.fullmatch(group) is not None for group in groups) >= len(groups) / 2:
        return f"It looks like {_LATIN}. Save the file again as UTF-8, or convert it: {_command('cp1252')}"
    passages = b"\n".join(_PASSAGE.findall(sample))
    likely = _likely(passages)
    if not likely:
        return "It looks like no text in any common encoding. Save the file again as UTF-8, or fetch it again."
    best, *others = likely[: 1 if sum(byte > _ASCII for byte in passages) >= _SURE_BYTES else 2]
    doubt = f", or {_FAMILY_NAMES[others[0]]}: there is too little text to be sure" if others else ""
    preview = passages.decode(best, errors="replace").strip()[:_PREVIEW_CHARS].split("\n")[0]
    return f'It looks like {_FAMILY_NAMES[best]} ("{preview}"){doubt}. Convert it: {_command(best)}'


def _is_damaged_utf8(sample: bytes) -> bool:
    """Tell whether more characters above ASCII are whole than broken; a sample may end within one."""
    text = sample.decode(errors="replace").removesuffix("\ufffd")
    num_broken = text.count("\ufffd")
    return sum(char > "\x7f" for char in text) - num_broken > num_broken


def _likely(passages: bytes) -> list[str]:
    """Return the encodings that read the passages well, the best first."""
    from charset_normalizer import from_bytes

    return [match.encoding for match in from_bytes(passages, cp_isolation=list(_FAMILY_NAMES), threshold=0.5)]


def _command(encoding: str) -> str:
    return f"iconv -f {_ICONV_NAMES.get(encoding, _FAMILY_NAMES.get(encoding, encoding))} -t UTF-8 FILE > NEW_FILE."
