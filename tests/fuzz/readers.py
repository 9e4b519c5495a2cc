"""Everything that reads what a user hands in, as functions of bytes. Only a TunelabError comes out, whatever they are.

Good inputs stand in `seeds/<reader>/`; what failed once and was mended stands in `corpus/<reader>/`.
"""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from fuzz.rows import as_chat_row, rows_test
from tunelab.cleaning.clean import clean_files
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.output.output_files import companion_files
from tunelab.conversations import ConversationConfig, read_conversations, split_conversations
from tunelab.conversations.tools import read_catalog
from tunelab.errors import DataError, TunelabError
from tunelab.models.architecture import running_kinds_in
from tunelab.models.config import ModelConfig
from tunelab.models.locate_model import locate_model, max_positions
from tunelab.recipes import explain, resolve_recipe, to_yaml
from tunelab.recipes.overrides import from_dotenv
from tunelab.rendering.capabilities import find_abilities
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.templates.engine import ChatTemplate
from tunelab.sources import SourceConfig, SourceFile, locate_data, read_rows
from tunelab.starter import NANO_FOLDER

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One read_plan in."""

    feed: Callable[[bytes, Path], None]
    """Reads the bytes, with an empty folder to put them into; raises nothing but TunelabErrors."""
    words: str = ""
    """The list in `words/` of what stands in such inputs."""
    share: float = 1.0
    """How many of all inputs it gets, against the others."""
    max_seconds: float = 2.0
    """Of processor time for one input; more is a fault."""


def read_file(name: str) -> Callable[[bytes, Path], None]:
    """Return the feeding of a file of rows: read, made conversations, split."""

    def feed(data: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(data)
        bad: list[DataError] = []
        rows = read_rows([SourceFile(name=name, path=path)], on_bad=bad.append)
        found = read_conversations(rows, ConversationConfig(), base=folder, on_bad=bad.append)
        split_conversations(found.items, fraction=0.5, seed=1)
        for error in bad:
            assert len(str(error)) < 10_000, "a message that nobody reads"

    return feed


def clean_file(name: str) -> Callable[[bytes, Path], None]:
    """Return the feeding of `tunelab clean`: a file of rows goes in, and what goes in comes out or is rejected."""

    def feed(data: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(data)
        source = SourceFile(name=name, path=path)
        report = clean_files(
            [source], folder / f"out-{name}", CleaningConfig(), conversation=ConversationConfig(), overwrite=True
        )
        assert report.num_read == report.num_kept + report.num_rejected + report.num_not_sampled
        assert path.read_bytes() == data, "a file is never changed"

    return feed


def clean_by_rules(data: bytes, folder: Path) -> None:
    """Clean rows by rules: the first four bytes draw them and the kinds of the files, a line is a label's pattern."""
    chance = random.Random(data[:4])
    pattern, _, rows = data[4:].partition(b"\n")
    names = ["*", "title", "content", "text", "prompt", "a", "user", "assistant"]
    answers = ["keep", "report", "redact", "drop"]
    lengths: list[dict[str, int]] = [{}, {"*": 2}, {chance.choice(names): chance.randrange(20)}]
    shares = [None, 0.1, 0.5, 0.8, 1.0]
    wanted: dict[str, list[Any]] = {
        "text_fields": [(), (chance.choice(names[1:]),)],
        **dict.fromkeys(("strip_html", "remove_control_characters", "drop_nulls", "drop_blank", "stratified"), FLAGS),
        "unicode_normalization": [None, "NFC", "NFKC"],
        "personal_data": answers,
        "secrets": answers,
        "min_chars": lengths,
        "max_chars": [{}, {"*": 40}],
        "min_tokens": [None, 1, 3],
        "max_tokens": [None, 50],
        "languages": [(), ("en",), ("pt", "de")],
        "drop_duplicates": [None, "row", "prompt"],
        "prompt_fields": [(), (chance.choice(names[1:]),)],
        "conflicts": ["keep", "first", "drop"],
        "near_duplicates": shares,
        "near_overlap": [*[None] * 9, 0.5],
        "max_per_class": [None, 1, 2],
        "max_samples": [None, 1, 5],
        "seed": [0, 7],
    }
    plain = chance.random()  # each rule on its own, too: where all are on, little is left for the later ones
    rules = {name: chance.choice(values) for name, values in wanted.items() if chance.random() < plain}
    kind = chance.choice(["jsonl", "jsonl", "jsonl", "json"] if rows[:1] in b"{[" else ["csv", "csv", "tsv", "txt"])
    if b"title" in rows and chance.random() < 0.8:  # a table: mostly with what its rules ask for
        rules["prompt_fields"] = ("title",)
    path, test_rows = folder / f"t.{kind}", folder / f"test.{kind}"
    path.write_bytes(rows)
    test_rows.write_bytes(rows[: len(rows) // 2])
    label: dict[str, Any] = {}
    if rules.get("stratified") or rules.get("max_per_class"):
        shown = pattern.decode(errors="replace")
        label = chance.choice([{}, {"label_field": "a"}, {"label_pattern": shown}, {"label_pattern": shown}])
        label = {"label_field": "content"} if "prompt_fields" in rules else label
    try:
        config, conversation = CleaningConfig(**rules), ConversationConfig(**label)
    except ValidationError as error:
        raise DataError(str(error)) from error
    test_size = chance.choice([0.0, 0.0, 0.3])
    out = folder / ("sides" if test_size else f"out.{chance.choice(OUT_KINDS)}")
    source = SourceFile(name=path.name, path=path)
    excludes = rules.get("near_overlap") or chance.random() < 0.2
    excluded = [SourceFile(name=test_rows.name, path=test_rows)] if excludes else []
    report = clean_files(
        [source], out, config, conversation=conversation, test_size=test_size, excluded=excluded, overwrite=True
    )
    assert report.num_read == report.num_kept + report.num_rejected + report.num_not_sampled
    assert report.num_kept == report.num_train + report.num_test
    assert path.read_bytes() == rows, "a file is never changed"
    rejected, told = companion_files(out, splits=test_size > 0)
    lines = [json.loads(line) for line in rejected.read_text().split("\n") if line]
    assert len(lines) == report.num_rejected == sum(each.count for each in report.rejected)
    assert json.loads(told.read_text())["num_read"] == report.num_read
    written = sorted(out.glob("t*.*")) if test_size else [out]
    sides = [SourceFile(name=each.name, path=each) for each in written if report.num_kept and each.stat().st_size]
    if out.suffix == ".parquet":  # which `read_rows` would start a process for
        assert (pl.read_parquet(out).height if sides else 0) == report.num_kept
        return
    assert sum(1 for _ in read_rows(sides)) == report.num_kept, "what is written is read again, row by row"


FLAGS = [False, True]
OUT_KINDS = ["jsonl", "jsonl", "csv", "parquet", "tsv.gz"]


def read_recipe(data: bytes, folder: Path) -> None:
    """Read the bytes as a recipe."""
    path = folder / "recipe.yaml"
    path.write_bytes(data)
    resolved = resolve_recipe(path, environment={})
    explain(resolved)
    to_yaml(resolved.recipe)
    locate_data(resolved.anchored.data, base=folder)


def read_dotenv(data: bytes, folder: Path) -> None:
    """Read the bytes as the `.env` file beside a recipe."""
    (folder / ".env").write_bytes(data)
    for dotted, setting in from_dotenv(folder / ".env").items():
        resolve_recipe(None, overrides=[f"{dotted}={setting.value}"], environment=None)


def read_overrides(data: bytes, folder: Path) -> None:
    """Take each line as a `--set`, and those with two underscores as variables."""
    lines = data.decode("utf-8", "surrogateescape").replace("\0", "").split("\n")
    variables = dict(line.split("=", 1) for line in lines if line.startswith("LLM_") and "=" in line)
    resolved = resolve_recipe(
        None, overrides=[line for line in lines if line and line[:4] != "LLM_"], environment=variables
    )
    to_yaml(resolved.recipe)
    explain(resolved)


def read_names(data: bytes, folder: Path) -> None:
    """Take each line as the name of data, and of a model."""
    (folder / "train.jsonl").write_text("{}\n")
    for name in data.decode("utf-8", "surrogateescape").split("\n")[:4]:
        if ".." in name or (name.startswith(("/", "~")) and "*" in name) or "[" in name:
            continue  # not through the whole disk; and not to the Hub
        with suppress(TunelabError):
            locate_data(SourceConfig(train_files=(name,)), base=folder)
        with suppress(TunelabError):
            locate_model(ModelConfig(base_model=name), base=folder)


def read_tools(data: bytes, folder: Path) -> None:
    """Read the bytes as a tool catalogue."""
    path = folder / "tools.json"
    path.write_bytes(data)
    tools = read_catalog(path)
    nano().render(as_chat_row(tools), index=0, max_length=512)


def read_template(data: bytes, folder: Path) -> None:
    """Compile the bytes as a chat template, try what it can and render with it, as loading a model does."""
    source = data.decode("utf-8", "replace")
    template = ChatTemplate(source, where="t.jinja", variables={"bos_token": "<s>"}, today=date(2024, 7, 26))
    find_abilities({"default": template}, nano().tokens, where="t.jinja")
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    with suppress(Exception):  # a template may raise anything; who renders takes it for the fault of one answer
        if (prefixes := template.prefixes(messages)) is not None:
            assert len(prefixes.text.text) <= 20_000_000
            for count, end in prefixes.ends.items():
                text = template.render(messages[:count], add_generation_prompt=True)
                assert text == prefixes.text.text[:end] + prefixes.opening


def read_model_folder(data: bytes, folder: Path) -> None:
    """Take the bytes for one small file of a model's folder, the first of them saying which."""
    names = (
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "config.json",
        "chat_template.json",
        "chat_template.jinja",
    )
    (folder / "tokenizer.json").write_bytes(_small_tokenizer())
    (folder / "tokenizer_config.json").write_text('{"eos_token": "</s>", "chat_template": "{{ messages }}</s>"}')
    (folder / names[data[0] % len(names) if data else 0]).write_bytes(data[1:])
    renderer = load_renderer(folder, RenderingConfig(), base=folder, today=date(2024, 7, 26))
    renderer.render(as_chat_row(()), index=0, max_length=64)
    running_kinds_in(folder)
    if (folder / "config.json").exists():
        max_positions(folder)


def read_tokenizer(data: bytes, folder: Path) -> None:
    """Take the bytes for a tokenizer.json."""
    (folder / "tokenizer.json").write_bytes(data)
    renderer = load_renderer(folder, RenderingConfig(), base=folder, today=date(2024, 7, 26))
    renderer.render(as_chat_row(()), index=0, max_length=64)


def read_rows_of_any_shape(data: bytes, folder: Path) -> None:
    """Let hypothesis make rows of the bytes; read them as conversations of every format and render those."""
    _rows_test()(data)


@cache
def nano() -> Renderer:
    """Return the renderer of the embedded model."""
    return load_renderer(NANO_FOLDER, RenderingConfig(), base=Path())


@cache
def _small_tokenizer() -> bytes:
    return (FOLDER / "seeds" / "tokenizer" / "0").read_bytes()


@cache
def _rows_test() -> Callable[[bytes], object]:
    return rows_test(nano()).hypothesis.fuzz_one_input  # type: ignore[attr-defined]


READERS: dict[str, Reader] = {
    "jsonl": Reader(feed=read_file("t.jsonl"), words="json"),
    "json": Reader(feed=read_file("t.json"), words="json"),
    "csv": Reader(feed=read_file("t.csv"), words="csv"),
    "tsv": Reader(feed=read_file("t.tsv"), words="csv"),
    "text": Reader(feed=read_file("t.txt")),
    "parquet": Reader(feed=read_file("t.parquet"), share=0.01),  # each starts a process
    "gzip": Reader(feed=read_file("t.jsonl.gz")),
    "zstd": Reader(feed=read_file("t.jsonl.zst")),
    "rows": Reader(feed=read_rows_of_any_shape, share=2),
    "clean-jsonl": Reader(feed=clean_file("t.jsonl"), words="json", share=0.2),
    "clean-csv": Reader(feed=clean_file("t.csv"), words="csv", share=0.2),
    "clean-rules": Reader(feed=clean_by_rules, words="json", share=0.2, max_seconds=4),
    "catalogue": Reader(feed=read_tools, words="json", share=2),
    "recipe": Reader(feed=read_recipe, words="yaml"),
    "overrides": Reader(feed=read_overrides, words="yaml", share=0.5),
    "dotenv": Reader(feed=read_dotenv, words="yaml", share=0.5),
    "names": Reader(feed=read_names, words="names", share=0.2),
    "template": Reader(feed=read_template, words="jinja", max_seconds=60),
    "model-folder": Reader(feed=read_model_folder, words="json", share=0.3, max_seconds=60),
    "tokenizer": Reader(feed=read_tokenizer, words="json", share=0.2),
}
