"""`make pictures`: the check page and a report as PNGs for README and docs, from a quickstart of this moment.

Needs Chromium on the PATH and playwright, which is in the dev extra. Everything else is made in a temporary folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH = 1100
COLORS = 64
"""Flat pages of text look the same in so many colours, at a quarter of the size."""


def main() -> None:
    """Run the quickstart, and take a picture of a conversation on the check page and of the top of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tunelab("quickstart", cwd=folder)
        tunelab("check", "quickstart/taxonomy/recipe.yaml", "--html", "check.html", cwd=folder)
        report = next((folder / "runs").glob("*/report.html"))
        photograph((folder / "check.html").as_uri() + "#examples", height=525, picture=PICTURES / "check-page.png")
        photograph(report.as_uri(), height=830, picture=PICTURES / "report.png")


def tunelab(*words: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "tunelab", *words], cwd=cwd, check=True)


def photograph(address: str, *, height: int, picture: Path) -> None:
    """Write what a window of this height shows of a page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("No Chromium on the PATH: install it, for example with `apt-get install chromium`.")
    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
        page.goto(address)
        page.screenshot(path=picture)
        chromium.close()
    shrink(picture)


def shrink(picture: Path) -> None:
    """Store a PNG anew with a palette of few colours."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLORS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
