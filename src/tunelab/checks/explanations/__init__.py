"""Explanations: a page in Markdown for each finding code: what it does, why it is bad, an example, its settings."""

from pathlib import Path

from tunelab.errors import UserError, did_you_mean

FOLDER = Path(__file__).parent
"""Where the pages are, each named for its code."""


def explanation(code: str) -> str:
    """Return the page of a finding code, in Markdown; no rule is imported for it.

    Raises:
        UserError: no finding has this code.
    """
    codes = sorted(page.stem for page in FOLDER.glob("*.md"))
    if code not in codes:
        hint = did_you_mean(code, codes) or "tunelab check prints the code of each finding."
        raise UserError(f'no finding has the code "{code}"', remedy=hint)
    return (FOLDER / f"{code}.md").read_text(encoding="utf-8")
