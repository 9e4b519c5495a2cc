"""What holds for the whole house: settings declared once, no torch where none is needed, nothing dangerous imported."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer

import tunelab
from tunelab.cleaning.config import CleaningConfig
from tunelab.cli.clean import command as clean
from tunelab.cli.console import plain_app
from tunelab.cli.main import VERBS, run
from tunelab.conversations.config import ConversationConfig
from tunelab.recipes.recipe import FIELDS, SECTIONS, Recipe
from tunelab.rendering.config import RenderingConfig
from tunelab.settings import SettingMarks, kinds_of, marks_of, meaning_of
from tunelab.sources.config import SourceConfig

SOURCE = Path(tunelab.__file__).parent
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "matplotlib",
    "numpy",
    "tokenizers",
    "jinja2",
    "polars",
    "starlette",
    "uvicorn",
)

PROBE = """
import sys
from tunelab.cli.main import run
code = run(sys.argv[1:])
print(code, sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["check", "--help"],
        ["check", "--explain", "few_steps"],
        ["clean", "--help"],
        ["train", "--help"],
        ["jobs", "--help"],
        ["sweep", "--help"],
        ["sweep", "start", "--help"],
        ["jobs", "list", "--help"],
        ["models"],
        ["recipe", "explain", "{recipe}"],
    ],
)
def test_pain_24_what_needs_no_weights_and_no_rows_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data:\n  train_files: a.jsonl\n")
    command = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *(word.format(recipe=recipe) for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.stderr.strip() == "0 []"
    assert done.stdout


def test_help_names_every_verb_and_each_verb_has_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    for verb, summary in VERBS.items():
        assert f"  {verb} " in printed
        assert summary in printed
        assert (SOURCE / "cli" / f"{verb}.py").is_file()


SWEEP = ("start", "resume", "show", "stop", "best")
JOBS = ("submit", "list", "show", "logs", "cancel", "retry", "wait", "doctor", "serve")


@pytest.mark.parametrize(
    "words",
    [
        *([verb] for verb in VERBS),
        ["recipe", "explain"],
        *(["jobs", verb] for verb in JOBS),
        *(["sweep", verb] for verb in SWEEP),
    ],
    ids=" ".join,
)
def test_help_has_two_names_and_no_word_of_a_programmer(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == run([*words, "-h"]) == 0
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert rest.count(first) == 1
    text = re.sub(r"^  list  |jobs list", "", first + rest, flags=re.MULTILINE)  # the name of a command
    assert re.findall(r"<\w+|Path\b|\b(?:str|bool|int|float|list)\b", text) == []
    for argument in set(re.findall("[A-Z]{3,}", first)) - {"OPTIONS", "COMMAND", "ARGS"}:
        assert len(re.findall(rf"\b{argument}\b", rest)) >= 2  # in the other usage line, and in the words


def test_an_error_of_the_user_is_one_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["trian"]) == 2
    assert 'Did you mean "train"?' in capsys.readouterr().err
    assert run(["recipe", "explain", str(tmp_path / "no.yaml")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "no such recipe" in printed.err
    assert run(["recipe", "explain", "--no-such-option"]) == 2


def test_explain_prints_key_value_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "lora.yaml"
    recipe.write_text("finetune_dataset: mount/<run_id>/dataset\nseed: 7\n")
    assert run(["recipe", "explain", str(recipe), "--set", "lora.r=4"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["training.seed", "7", f"{recipe}:2", "(ModelLab", "seed)"] in lines
    assert ["lora.r", "4", "--set"] in lines


def test_a_missing_extra_names_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(_: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    monkeypatch.setattr("tunelab.cli.main._dispatch", absent)
    assert run(["train"]) == 2
    assert 'pip install "tunelab[train]"' in capsys.readouterr().err


def test_a_module_of_our_own_that_is_missing_stays_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'tunelab.nothing'", name="tunelab.nothing")

    monkeypatch.setattr("tunelab.cli.main._dispatch", absent)
    with pytest.raises(ModuleNotFoundError):
        run(["train"])


def test_every_setting_says_what_it_does() -> None:
    assert len(FIELDS) > 60
    assert not [key for key, field in FIELDS.items() if not (field.description or "").rstrip().endswith((".", ")"))]
    assert not [name for name, field in Recipe.model_fields.items() if not field.description]


def test_pain_23_a_setting_is_declared_once_and_unknown_ones_are_forbidden() -> None:
    rooms = (SourceConfig, ConversationConfig, RenderingConfig)
    counts = Counter(key for room in rooms for key in room.model_fields)
    assert not [key for key, count in counts.items() if count > 1]
    for config in (*SECTIONS.values(), *rooms):
        assert config.model_config.get("extra") == "forbid"
        assert config.model_config.get("frozen") is True


def test_some_twenty_settings_are_everyday_ones_and_logarithmic_scales_are_of_numbers() -> None:
    marked = {key: marks_of(field) for key, field in FIELDS.items()}
    assert 15 <= sum(marks.get("everyday", False) for marks in marked.values()) <= 25
    assert {name for marks in marked.values() for name in marks} == set(SettingMarks.__annotations__)
    counting = [key for key, marks in marked.items() if {"scale", "unit"} & set(marks)]
    assert [key for key in counting if not kinds_of(FIELDS[key].annotation) & {int, float, dict}] == []


def test_every_setting_of_cleaning_is_a_flag_of_the_command_and_every_other_flag_is_the_commands_own() -> None:
    configs = (CleaningConfig, ConversationConfig)
    fields = {name: field for config in configs for name, field in config.model_fields.items()}
    flags = {name: marks_of(field)["flag"].split()[0] for name, field in fields.items() if "flag" in marks_of(field)}
    assert set(CleaningConfig.model_fields) < set(flags)
    assert len(set(flags.values())) == len(flags)
    app = plain_app()
    app.command()(clean)
    offered = {name: each for each in typer.main.get_command(app).params for name in each.opts}
    own = {"data", "-o", "--out", "--test-size", "--overwrite", "--json"}
    assert set(offered) == own | set(flags.values())
    for name, flag in flags.items():
        assert offered[flag].name == name
        assert offered[flag].help.startswith(meaning_of(fields[name])[:20])


def _trees() -> list[tuple[Path, ast.Module]]:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 50
    return [(file, ast.parse(file.read_text())) for file in files]


def test_no_file_reads_pickle_runs_a_shell_or_evaluates_text() -> None:
    faults = []
    for file, tree in _trees():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if {name.partition(".")[0] for name in names} & {"pickle", "dill", "shelve", "marshal", "joblib", "yaml"}:
                faults.append(f"{file}:{node.lineno} imports {names}")
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("eval", "exec", "os.system", "os.popen", "torch.load", "yaml.load"):
                    faults.append(f"{file}:{node.lineno} calls {called}")
                for keyword in node.keywords:
                    if keyword.arg in ("shell", "trust_remote_code") and ast.unparse(keyword.value) != "False":
                        faults.append(f"{file}:{node.lineno} sets {keyword.arg}")
    assert faults == []
