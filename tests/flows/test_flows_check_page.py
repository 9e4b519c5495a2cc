"""The page of `check`: one file, no script, nothing fetched, all text of rows escaped."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows_files import row, rows, write_recipe, write_rows
from tunelab.cli.main import run

EVIL = '<script>alert(1)</script><img src="https://evil.example/a.png" onerror="x()">\x1b[2J</pre></style>'
WHOLE = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and refuses tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in WHOLE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(tmp_path: Path, lines: list[dict[str, object] | str], *arguments: str) -> str:
    file = write_rows(tmp_path / "train.jsonl", lines)
    page = tmp_path / "check.html"
    assert run(["check", str(file), "--html", str(page), "--fail-on", "never", *arguments]) == 0
    return page.read_text(encoding="utf-8")


def talk(question: str) -> dict[str, object]:
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "look_up", "arguments": '{"what": "lamp"}'}}]}
    return {"messages": [{"role": "user", "content": question}, call]}


def test_the_page_holds_findings_lengths_and_conversations(tmp_path: Path) -> None:
    page = Reader(page_of(tmp_path, [*rows(12), row("same"), row("same"), talk("is it there?")], "--show", "20"))
    for told in (
        "Nothing blocks a run",
        "duplicates",
        "Loss falls on",
        "max_length",
        "Tokens by loss",
        "look_up",
        '"what": "lamp"',
    ):
        assert told in page.text, told
    names = [tag for tag, _ in page.tags]
    assert names.count("article") > 15  # conversations and findings
    assert "rect" in names
    assert any("trained" in (attributes.get("class") or "").split() for tag, attributes in page.tags if tag == "span")


def test_nothing_is_run_or_fetched_and_the_policy_says_so(tmp_path: Path) -> None:
    text = page_of(tmp_path, [*rows(11), row(EVIL, EVIL), talk(EVIL), '{"messages": "<script>"}'], "--show", "20")
    page = Reader(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "form", "object"} == set()
    attributes = {name for _, each in page.tags for name in each}
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")]
    assert {value for _, each in page.tags if (value := each.get("href")) and not value.startswith("#")} == set()
    assert "https:" not in re.sub(r"https://evil\.example", "", text)
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in text
    (policy,) = [each["content"] for _, each in page.tags if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_recipe_shows_its_plan_and_a_blocking_finding_is_the_headline(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [*rows(12), "{"])
    recipe = write_recipe(tmp_path, "data: {train_files: train.jsonl}\n")
    assert run(["check", str(recipe), "--html", str(tmp_path / "check.html")]) == 1
    page = Reader((tmp_path / "check.html").read_text(encoding="utf-8"))
    assert "1 finding blocks a run" in page.text
    assert "The planned run" in page.text
    assert "trainable weights over" in page.text


def test_without_a_conversation_there_is_still_a_page(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", ["{", "["])
    assert run(["check", str(file), "--html", str(tmp_path / "check.html")]) == 1
    assert "cannot be read as a conversation" in Reader((tmp_path / "check.html").read_text(encoding="utf-8")).text


def test_the_page_and_the_document_can_be_had_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page_of(tmp_path, [*rows(12)], "--json")
    assert json.loads(capsys.readouterr().out)["blocks"] is False
    assert (tmp_path / "check.html").is_file()


def test_a_page_that_cannot_be_written_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12)])
    (tmp_path / "taken").write_text("")
    assert run(["check", str(file), "--html", str(tmp_path / "taken" / "check.html")]) == 2
    assert capsys.readouterr().err.startswith("tunelab: ")


@pytest.mark.parametrize("name", ["train.jsonl", "notes.html", "folder.html"])
def test_a_page_takes_the_place_of_an_earlier_page_alone(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12)])
    (tmp_path / "notes.html").write_text("<title>Not to be lost</title>")
    (tmp_path / "folder.html").mkdir()
    before = file.read_bytes()
    assert run(["check", str(file), "--html", str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err
    assert file.read_bytes() == before
    assert (tmp_path / "notes.html").read_text() == "<title>Not to be lost</title>"
    page = tmp_path / "check.html"
    for _ in range(2):
        assert run(["check", str(file), "--html", str(page)]) == 0
    assert "tunelab check</title>" in page.read_text(encoding="utf-8")


def test_the_page_of_a_recipe_tells_of_the_run_in_whole_sentences(tmp_path: Path) -> None:
    recipe = planned(tmp_path)
    assert run(["check", str(recipe), "--html", str(tmp_path / "check.html"), "--fail-on", "never"]) == 0
    page = Reader((tmp_path / "check.html").read_text(encoding="utf-8"))
    assert "1 pass over the training rows" in page.text
    assert "\nlora.target_modules: q_proj_x matches no layer" in page.text  # a key of the recipe stays as it is
    heads = re.findall(r"<h3>(.)", (tmp_path / "check.html").read_text(encoding="utf-8"))
    assert [each for each in heads if each.islower()] == ["l"]


def planned(folder: Path) -> Path:
    """Write a recipe whose rows stand in a file of a long name, and repeat."""
    name = "n" * 90
    write_rows(folder / f"{name}.jsonl", [*rows(11), *[row("same")] * 9, row(EVIL, "word " * 300), talk("x" * 500)])
    data = f"{{train_files: {name}.jsonl, eval_fraction: 0.4, cleaning: {{drop_duplicates: row}}}}"
    return write_recipe(
        folder, f"data: {data}\nlora: {{target_modules: [q_proj_x]}}\ntraining: {{num_train_epochs: 1}}\n"
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_draws_it_without_complaint_at_desktop_and_phone_width(width: int, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser is here")
    sync_api = pytest.importorskip("playwright.sync_api")
    recipe = planned(tmp_path)
    options = ["--html", str(tmp_path / "check.html"), "--fail-on", "never", "--show", "20"]
    assert run(["check", str(recipe), *options]) == 0
    with sync_api.sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 800})
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("request", lambda request: told.append(request.url))
        page.goto((tmp_path / "check.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("getComputedStyle(document.querySelector('.finding, .example')).borderTopStyle") == "solid"
        assert told == [(tmp_path / "check.html").as_uri()]
        chromium.close()
