"""`tunelab clean`, and `data.cleaning` in a recipe: the same rules over the same rows."""

import json
from pathlib import Path

import polars as pl
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tunelab.cli.main import run
from tunelab.dataset.cleaned import Rejected, clean_for
from tunelab.dataset.config import DataConfig
from tunelab.dataset.gather import gather
from tunelab.errors import DataError
from tunelab.recipes import resolve_recipe
from tunelab.recipes.recipe import to_yaml
from tunelab.rendering.load_renderer import load_renderer
from tunelab.sources import SourceFile, read_rows
from tunelab.starter import NANO_FOLDER

ROWS = [
    *({"prompt": f"question {n}", "completion": f"<p>answer {n}</p>"} for n in range(12)),
    {"prompt": "question 3", "completion": "<p>answer 3</p>"},
    {"prompt": None, "completion": "x"},
    {"prompt": "q", "completion": "x"},
]
RECIPE = """\
data:
  train_files: [train.jsonl]
  eval_fraction: 0
  cleaning:
    strip_html: true
    drop_duplicates: row
    min_chars: {prompt: 5}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gathered(folder: Path, *overrides: str):
    resolved = resolve_recipe(folder / "recipe.yaml", overrides=overrides, environment={})
    renderer = load_renderer(NANO_FOLDER, resolved.recipe.data, base=folder)
    return gather(resolved.anchored.data, base=resolved.base, seed=resolved.recipe.training.seed, renderer=renderer)


def test_a_recipe_trains_on_what_the_command_would_write(folder: Path) -> None:
    options = ["--strip-html", "--drop-duplicates", "row", "--min-chars", "prompt=5"]
    assert run(["clean", "train.jsonl", "-o", "out.jsonl", *options]) == 0
    written = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    found = gathered(folder)
    asked = [{"prompt": item.messages[0].content, "completion": item.messages[1].content} for item in found.train]
    assert asked == written == [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(12)]
    assert [str(item.origin) for item in found.train] == [f"train.jsonl:{n}" for n in range(1, 13)]
    assert any("cleaning rejected 1 row (drop_duplicates; the first: train.jsonl:13" in note for note in found.notes)
    assert any("no_conversation; the first: train.jsonl:14: prompt is null" in note for note in found.notes)


def test_a_recipe_without_cleaning_changes_nothing(folder: Path) -> None:
    with pytest.raises(DataError, match=r"train\.jsonl:14"):
        gathered(folder, "data.cleaning.strip_html=false", *OFF)
    found = gathered(folder, "data.cleaning.strip_html=false", *OFF, "data.bad_rows=skip")
    assert len(found.train) == 14
    assert found.train[0].messages[1].content == "<p>answer 0</p>"


OFF = ("data.cleaning.drop_duplicates=null", "data.cleaning.min_chars={}")


def test_a_recipe_that_rejects_every_row_says_by_which_rule(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no row is left \(.*min_chars"):
        gathered(folder, "data.cleaning.min_chars={prompt: 500}")


def test_held_out_files_are_cleaned_and_never_drawn_from(folder: Path) -> None:
    (folder / "test.jsonl").write_text(json.dumps({"prompt": "question x", "completion": "<b>a</b>"}) + "\n")
    found = gathered(folder, "data.eval_files=[test.jsonl]", "data.cleaning.max_samples=5")
    assert len(found.train) == 5
    assert [item.messages[1].content for item in found.held_out] == ["a"]


def test_rows_that_ask_what_a_file_beside_the_data_asks_are_left_out(folder: Path) -> None:
    (folder / "test.jsonl").write_text(json.dumps({"prompt": "question 4", "completion": "z"}) + "\n")
    found = gathered(folder, "data.cleaning.exclude_files=[test.jsonl]")
    assert "question 4" not in {item.messages[0].content for item in found.train}
    assert len(found.train) == 11
    assert "cleaning compared with 1 row of test.jsonl: 1 row rejected for it" in found.notes


def test_a_file_beside_the_data_that_can_never_ask_the_same_is_refused_in_a_recipe(folder: Path) -> None:
    (folder / "test.jsonl").write_text(json.dumps({"text": "question 4"}) + "\n")
    with pytest.raises(DataError, match=r"test\.jsonl: the rows are plain texts .*expected conversations"):
        gathered(folder, "data.cleaning.exclude_files=[test.jsonl]")


def test_settings_of_cleaning_are_set_from_everywhere_and_read_back(folder: Path) -> None:
    resolved = resolve_recipe(
        folder / "recipe.yaml",
        overrides=["data.cleaning.seed=7"],
        environment={"LLM_DATA__CLEANING__MAX_SAMPLES": "9"},
    )
    cleaning = resolved.recipe.data.cleaning
    assert (cleaning.seed, cleaning.max_samples, cleaning.strip_html) == (7, 9, True)
    assert resolved.sources["data.cleaning.strip_html"].endswith("recipe.yaml:5")
    assert resolved.sources["data.cleaning.max_samples"] == "environment LLM_DATA__CLEANING__MAX_SAMPLES"
    (folder / "again.yaml").write_text(to_yaml(resolved.recipe))
    assert resolve_recipe(folder / "again.yaml", environment={}).recipe == resolved.recipe


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("strip_htlm: true", 'Did you mean "data.cleaning.strip_html"?'),
        ("min_chars: {title: -1}", "recipe.yaml:4: data.cleaning.min_chars is"),
        ("conflicts: last", "keep, first or drop"),
    ],
)
def test_pain_23_a_wrong_setting_of_cleaning_is_refused_with_line_and_good_name(
    folder: Path, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "recipe.yaml").write_text(f"data:\n  train_files: train.jsonl\n  cleaning:\n    {line}\n")
    assert run(["check", "recipe.yaml"]) == 2
    assert told in capsys.readouterr().err


def test_the_command_tells_what_it_did_and_refuses_what_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["clean", "train.jsonl", "-o", "out", "--test-size", "0.25", "--drop-duplicates", "row"]) == 0
    printed = capsys.readouterr().out
    assert "15 rows read: 13 kept (10 to train on, 3 to test with), 2 rejected." in printed
    assert "train.jsonl:13: the row is equal to an earlier one (train.jsonl:4)" in printed
    assert run(["clean", "train.jsonl", "-o", "out", "--test-size", "0.25"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    for wrong in (["--conflicts", "last"], ["--min-chars", "title=x"], ["--personal-data", "eat"]):
        assert run(["clean", "train.jsonl", "-o", "o.jsonl", *wrong]) == 2
        assert wrong[0] in capsys.readouterr().err
    assert run(["clean", "train.jsonl", "-o", "o.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_read"] == 15


CELLS = [
    ("a plain title", "what it is, in some words"),
    ("", "no title here at all"),
    ("another title", ""),
    ("short", "what it is, in other words"),
    ("a title of spaces", "   "),
    ("a plain title", "what it is, in some words"),
]
PAIRS = ("prompt", "completion", "system")


def write_table(path: Path, names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if path.suffix in (".csv", ".tsv"):
        sign = "," if path.suffix == ".csv" else "\t"
        lines = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in (names, *rows)]
        path.write_text("".join(sign.join(line) + "\n" for line in lines))
        return
    nulls = [{name: cell or None for name, cell in zip(names, row, strict=True)} for row in rows]
    if path.suffix == ".parquet":
        counted = [{**row, "stock": None if number == 0 else number} for number, row in enumerate(nulls)]
        pl.DataFrame(counted).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in nulls))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("is_pair", [False, True])
def test_a_recipe_rejects_the_rows_that_the_command_rejects_by_the_same_rules(
    folder: Path, suffix: str, is_pair: bool
) -> None:
    """Over a table with a template and over pairs, in which the column `system` may be empty."""
    path = folder / f"rows.{suffix}"
    names = PAIRS if is_pair else ("title", "content")
    write_table(path, names, [(*row, "") if is_pair else row for row in CELLS])
    limits, field = {names[0]: 6, names[1]: 4}, names[0]
    options = ["--drop-nulls", "--drop-duplicates", "row"]
    options += [word for name, limit in limits.items() for word in ("--min-chars", f"{name}={limit}")]
    assert run(["clean", path.name, "-o", "out.jsonl" if suffix == "jsonl" else f"out.{suffix}", *options]) == 0
    by_command = json.loads((folder / "out.report.json").read_text())
    cleaning = {"drop_nulls": True, "drop_duplicates": "row", "min_chars": limits}
    data: dict[str, object] = {"train_files": [path.name], "eval_fraction": 0, "cleaning": cleaning}
    if not is_pair:
        data |= {"prompt_template": "{title}", "completion_template": "{content}"}
    config = DataConfig.model_validate(data)
    rows = read_rows([SourceFile(name=path.name, path=path)])
    stand, report = clean_for(rows, config, base=folder, draws=True, rejected=Rejected())
    told = [(each["rule"], each["count"], each["examples"]) for each in by_command["rejected"]]
    assert [(each.rule, each.count, list(each.examples)) for each in report.rejected] == told
    assert sum(count for _, count, _ in told) == by_command["num_rejected"] >= 4
    assert len(stand) == by_command["num_kept"] > 0
    assert stand[0].value[field] == "a plain title"


def test_a_recipe_counts_the_tokens_of_its_base_model_and_the_command_those_of_nano(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"[UNK]": 0, "<|im_end|>": 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (folder / "base").mkdir()
    tokenizer.save(str(folder / "base" / "tokenizer.json"))
    rows = [{"prompt": f"ask {n}", "completion": "internationalisation " * n} for n in (2, 20)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(
        "data:\n  train_files: train.jsonl\n  eval_fraction: 0\n  cleaning: {max_tokens: 22}\n"
    )
    resolved = resolve_recipe(folder / "recipe.yaml", environment={})
    renderer = load_renderer(folder / "base", resolved.recipe.data, base=folder)
    data = resolved.anchored.data
    assert len(gather(data, base=folder, seed=1, renderer=renderer).conversations) == 2
    told = resolve_recipe(folder / "recipe.yaml", overrides=["data.cleaning.tokenizer=nano"], environment={})
    assert len(gather(told.anchored.data, base=folder, seed=1, renderer=renderer).conversations) == 1
    assert run(["clean", "train.jsonl", "-o", "out.jsonl", "--max-tokens", "22"]) == 0
    assert len((folder / "out.jsonl").read_text().splitlines()) == 1
    assert "tokens are counted by the tokenizer nano" in capsys.readouterr().out


def test_rows_of_several_files_keep_the_name_of_their_file(folder: Path) -> None:
    (folder / "more.csv").write_text("prompt,completion\nquestion of a table,good\nanother question,\n")
    found = gathered(folder, "data.train_files=[train.jsonl, more.csv]", "data.cleaning.drop_nulls=true")
    assert str(found.train[-1].origin) == "more.csv:2"
    assert any("more.csv:3" in note for note in found.notes)


def test_an_output_or_a_side_without_rows_is_told_and_is_no_success(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["clean", "train.jsonl", "-o", "none/out.jsonl", "--min-chars", "500"]) == 1
    assert "No row is kept. none/out.rejected.jsonl holds each rejected row with its reason." in capsys.readouterr().err
    assert len((folder / "none" / "out.rejected.jsonl").read_text().splitlines()) == len(ROWS)
    (folder / "one.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    assert run(["clean", "one.jsonl", "-o", "sides", "--test-size", "0.1"]) == 1
    printed = capsys.readouterr()
    assert "No row is left for the test file." in printed.err or "No row is left for the training file." in printed.err
    assert json.loads((folder / "sides" / "report.json").read_text())["lacks"]


def test_pain_23_a_recipe_that_names_what_no_row_has_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "recipe.yaml", "--set", "data.cleaning.min_chars={promt: 5}"]) == 2
    assert 'no row has the field or role "promt"' in capsys.readouterr().err
    assert run(["clean", "train.jsonl", "-o", "o.jsonl", "--language", "english"]) == 2
    assert 'Did you mean "en"?' in capsys.readouterr().err
    assert run(["clean", "train.jsonl", "-o", "o.jsonl", "--min-chars", "10", "--max-chars", "5"]) == 2
    assert "at least 10, the fewest that --min-chars allows" in capsys.readouterr().err
