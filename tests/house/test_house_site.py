"""The site is built without a warning, every link in it leads somewhere, and its pages fetch nothing."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
FETCHES = {"src", "srcset", "poster", "data", "action"}
"""Attributes whose address a browser opens by itself; of a link element it is href, too."""


class Addresses(HTMLParser):
    """What a page fetches, where its links lead, and the names that links can lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.names = {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names.add(given.get("id", ""))
        self.fetched += [given[name] for name in FETCHES & set(given)]
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.fetched.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built in a folder of its own; a link to no page, or to no heading of one, ends the build."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Addresses]:
    return {page: Addresses(page) for page in site.rglob("*.html")}


def test_every_page_of_docs_is_a_page_of_the_site(site: Path) -> None:
    expected = [page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")]
    assert len(expected) > 20
    homes = {site / name.parent if name.name == "index" else site / name for name in expected}
    assert [home for home in homes if not (home / "index.html").is_file()] == []


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(pages_of(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]))
    assert sorted(named) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))


def pages_of(entries: list[object]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, dict):
            for below in entry.values():
                yield from pages_of(below)
        else:
            yield str(entry)


def test_no_page_fetches_anything_from_another_host(site: Path, pages: dict[Path, Addresses]) -> None:
    foreign = {address for page in pages.values() for address in page.fetched if urlsplit(address).netloc}
    assert foreign == set()
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)\"']+", styles) == []


def test_every_link_between_pages_leads_to_a_place_that_exists(site: Path, pages: dict[Path, Addresses]) -> None:
    lost = []
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.netloc or parts.scheme or page.name == "404.html":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (target in pages and unquote(parts.fragment) not in pages[target].names):
                lost.append(f"{page.relative_to(site)}: {link}")
    assert lost == []
