"""Which parts of a text are HTML tags. Comparisons and generics look like them: ``a<i AND b>j``, ``List<object>``.

A tag has the name of an element of the HTML standard. One with attributes has a value for each, or a known name without
one; ``<i AND b>`` has neither. A bare opening tag, such as ``<u>``, needs its closing tag later in the text, unless
elements of its name are seldom closed or its name is no word of programs.
"""

import re

_SELDOM_CLOSED = "br|hr|wbr|li|tr|td|th|dt|dd|tbody|thead|tfoot"
_NO_WORD_OF_PROGRAMS = "blockquote|body|div|em|h[1-6]|html|ol|script|strong|style|ul"
_OFTEN_A_TYPE = (
    "a|abbr|acronym|address|area|article|aside|audio|b|base|bdi|bdo|big|button|canvas|caption|center|cite|code|col"
    "|colgroup|data|datalist|del|details|dfn|dialog|dl|embed|fieldset|figcaption|figure|font|footer|form|head|header"
    "|hgroup|i|iframe|img|input|ins|kbd|label|legend|link|main|map|mark|menu|meta|meter|nav|noscript|object|optgroup"
    "|option|output|p|param|picture|pre|progress|q|rp|rt|ruby|s|samp|search|section|select|slot|small|source"
    "|span|strike|sub|summary|sup|svg|table|template|textarea|time|title|track|tt|u|var|video"
)
_BARE_NAMES = f"{_SELDOM_CLOSED}|{_NO_WORD_OF_PROGRAMS}"
_NAMES = f"{_BARE_NAMES}|{_OFTEN_A_TYPE}"
_WITHOUT_VALUE = (
    "allowfullscreen|async|autofocus|autoplay|checked|controls|default|defer|disabled|download|formnovalidate|hidden"
    "|inert|ismap|itemscope|loop|multiple|muted|nomodule|noshade|novalidate|nowrap|open|playsinline|readonly|required"
    "|reversed|selected"
)
_SPACE = r"[ \t\r\n\f]"
_ATTRIBUTE = (
    rf"{_SPACE}+(?:[a-z_:@][a-z0-9_:.@-]*{_SPACE}*={_SPACE}*(?:\"[^\"]*\"|'[^']*'|[^ \t\r\n\f\"'<>=`]+)"
    rf"|(?:{_WITHOUT_VALUE}))"
)

DROPPED = r"(?is)<(script|style)\b[^>]*>.*?</(?:script|style)\s*>|<!--.*?-->|<!doctype\b[^>]*>"
"""Elements that hold no text of the page, comments, and the line that names the document type."""
BREAKS = r"(?i)<br\s*/?>|</(?:p|div|li|tr|h[1-6]|ul|ol|table|blockquote)\s*>"
"""Tags after which a line ends."""
TAGS = (
    rf"(?i)<(?:/(?:{_NAMES}){_SPACE}*>|(?:{_BARE_NAMES}){_SPACE}*>"
    rf"|(?:{_NAMES})(?:(?:{_ATTRIBUTE})+{_SPACE}*/?|{_SPACE}*/)>)"
)
"""Tags that are known by themselves. All patterns are read alike by Rust, which scans many texts at once."""
BARE = rf"(?i)<({_OFTEN_A_TYPE}){_SPACE}*>"
"""Opening tags, or types: see `without_bare_tags`."""
_BARE_TAG = re.compile(rf"<(/?)([A-Za-z]+){_SPACE}*>")
_TYPES = frozenset(_OFTEN_A_TYPE.split("|"))
_OPENS_PARAGRAPH = re.compile(r"(?:^|[\n>.!?])[ \t]*\Z")


def without_bare_tags(text: str) -> str:
    """Return the text without bare opening tags: those whose closing tag follows, and ``<p>`` where a paragraph opens.

    >>> without_bare_tags("<b>Use</b> Vec<u8>, List<object> or x <u> y")
    'Use</b> Vec<u8>, List<object> or x <u> y'
    """
    last_closing = {tag[2].lower(): tag.start() for tag in _BARE_TAG.finditer(text) if tag[1]}

    def kept(tag: re.Match[str]) -> str:
        name = tag[2].lower()
        if tag[1] or name not in _TYPES:
            return tag[0]
        if last_closing.get(name, -1) > tag.start():
            return ""
        opens = name == "p" and _OPENS_PARAGRAPH.search(text[max(tag.start() - 80, 0) : tag.start()])
        return "" if opens else tag[0]

    return _BARE_TAG.sub(kept, text)
