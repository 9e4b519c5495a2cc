"""The four sample tasks: their rows, their recipes, and the gap between what is trained and what is tested."""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sample_tasks.taxonomy import TAXONOMY
from tunelab.errors import DataError
from tunelab.recipes import resolve_recipe
from tunelab.starter import NANO_FOLDER, SAMPLE_TASKS, SampleTaskFiles, write_sample_task

NAMES = ("taxonomy", "product-description", "simple-support", "agent-sessions")


def read_rows(files: SampleTaskFiles, side: str) -> list[dict[str, Any]]:
    (path,) = files.folder.glob(f"{side}.*")
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SampleTaskFiles]:
    folder = tmp_path_factory.mktemp("samples")
    return {name: write_sample_task(name, folder / name) for name in NAMES}


def test_there_are_four_tasks_and_each_says_what_it_is() -> None:
    assert set(SAMPLE_TASKS) == set(NAMES)
    for name, task in SAMPLE_TASKS.items():
        assert task.name == name
        assert task.title
        assert task.summary.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_names_only_files_that_lie_beside_it(name: str, written: dict[str, SampleTaskFiles]) -> None:
    files = written[name]
    recipe = YAML(typ="safe").load(files.recipe.read_text(encoding="utf-8"))
    assert recipe["model"] == {"base_model": "nano"}
    named = [*recipe["data"]["train_files"], *recipe["data"]["eval_files"]]
    if name == "agent-sessions":
        named.append(recipe["data"]["tool_catalog"])
    assert {files.folder / file for file in named} == {
        path for path in files.folder.iterdir() if path.suffix != ".yaml"
    }
    assert isinstance(recipe["training"]["learning_rate"], float)
    assert recipe["lora"]["target_modules"] == "all-linear"


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_rows_said_are_those_in_the_files(name: str, written: dict[str, SampleTaskFiles]) -> None:
    files = written[name]
    assert len(read_rows(files, "train")) == files.num_train_rows > 0
    assert len(read_rows(files, "test")) == files.num_test_rows > 0


FACTS = {
    "taxonomy": lambda row: {json.loads(row["input"].removeprefix("Detector output: "))["value"], row["input"]},
    "product-description": lambda row: {row["title"], row["content"]},
    "simple-support": lambda row: set(re.findall(r"[A-H]-\d{5}", str(row))) | set(names_in(row["messages"])),
    "agent-sessions": lambda row: {row["session_id"], *re.findall(r"[A-H]-\d{5}", str(row)),
                                   *names_in(row["request"]["messages"])},
}  # fmt: skip


def names_in(messages: list[dict[str, Any]]) -> list[str]:
    return re.findall(r"(?:I am|name is) ([A-Z]\w+ [A-Z]\w+)", messages[0]["content"])


@pytest.mark.parametrize("name", NAMES)
def test_no_fact_of_a_test_row_occurs_in_train(name: str, written: dict[str, SampleTaskFiles]) -> None:
    facts = FACTS[name]
    train = set().union(*(facts(row) for row in read_rows(written[name], "train")))
    test = set().union(*(facts(row) for row in read_rows(written[name], "test")))
    assert len(test) > 50
    assert not train & test


def test_a_simple_answer_greets_the_customer_who_asked(written: dict[str, SampleTaskFiles]) -> None:
    for row in read_rows(written["simple-support"], "test"):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        (name,) = names_in(row["messages"])
        answer = row["messages"][1]["content"]
        assert answer.startswith(f"Hi {name.split()[0]}! ")
        assert len(answer.split("\n")) == 4


def test_a_taxonomy_entry_follows_from_its_finding(written: dict[str, SampleTaskFiles]) -> None:
    seen = set()
    for row in read_rows(written["taxonomy"], "train"):
        finding = json.loads(row["input"].removeprefix("Detector output: "))
        entry = json.loads(row["output"])
        assert (entry["category"], entry["subcategory"]) == TAXONOMY[finding["type"]]
        assert entry["confidence"] == finding["score"]
        seen.add(finding["type"])
    assert seen == set(TAXONOMY)


def test_the_same_title_never_gives_two_descriptions_and_the_style_is_fixed(
    written: dict[str, SampleTaskFiles],
) -> None:
    style = re.compile(
        r"★ [^★]+ ★ Tudo em [^,]+, tom \w+, medida [^.]+\. Nasceu para [^.]+\. "
        r"Onde brilha: [^.]+\. Cuidados: [^.]+\. Garantia: [234] anos\."
    )
    rows = read_rows(written["product-description"], "train")
    assert all(style.fullmatch(row["content"]) for row in rows)
    assert len({row["title"] for row in rows}) == len(rows)
    assert {len(row) for row in rows} == {2}


def test_an_agent_session_grows_by_its_own_answers(written: dict[str, SampleTaskFiles]) -> None:
    sessions: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(written["agent-sessions"], "train"):
        sessions.setdefault(row["session_id"], []).append(row)
    assert {len(calls) for calls in sessions.values()} == {2, 3, 4}
    for calls in sessions.values():
        for earlier, later in pairwise(calls):
            before = [*earlier["request"]["messages"], earlier["response"]]
            assert later["request"]["messages"][: len(before)] == before


def test_an_agent_calls_only_tools_of_its_catalogue_with_the_arguments_they_ask_for(
    written: dict[str, SampleTaskFiles],
) -> None:
    files = written["agent-sessions"]
    catalogue = json.loads((files.folder / "tool_catalogue.json").read_text())
    tools = {tool["function"]["name"]: tool["function"] for tool in catalogue}
    called = set()
    for row in read_rows(files, "train"):
        assert row["request"]["tools"] is None
        for call in row["response"].get("tool_calls", []):
            arguments = json.loads(call["function"]["arguments"])
            assert list(arguments) == tools[call["function"]["name"]]["parameters"]["required"]
            called.add(call["function"]["name"])
    assert called == set(tools)


@pytest.mark.parametrize("name", ["taxonomy", "simple-support"])
def test_a_task_for_a_real_model_has_the_same_rows_and_a_recipe_of_its_own(name: str, tmp_path: Path) -> None:
    files = write_sample_task(name, tmp_path / "real", model="smollm2")
    nano = write_sample_task(name, tmp_path / "nano")
    assert {path.name for path in files.folder.iterdir()} == {path.name for path in nano.folder.iterdir()}
    recipe = resolve_recipe(files.recipe, environment={}).recipe
    assert recipe.model.base_model == "smollm2"
    assert 0 < (recipe.data.train_samples or 0) < files.num_train_rows
    assert 0 < (recipe.data.eval_samples or 0) < files.num_test_rows


def test_a_task_without_a_recipe_for_a_model_names_those_with_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no recipe for smollm2. Tasks for smollm2: taxonomy, simple-support"):
        write_sample_task("agent-sessions", tmp_path, model="smollm2")
    with pytest.raises(DataError, match=r'no recipe for smolm2. Did you mean "smollm2"\?'):
        write_sample_task("taxonomy", tmp_path, model="smolm2")
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'"taxonmy".*Did you mean "taxonomy"'):
        write_sample_task("taxonmy", tmp_path)


@pytest.mark.parametrize("name", ["taxonomy", "simple-support", "agent-sessions"])
def test_every_sample_conversation_renders_and_fits(name: str, written: dict[str, SampleTaskFiles]) -> None:
    nano = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(NANO_FOLDER)
    catalogue = written[name].folder / "tool_catalogue.json"
    tools = json.loads(catalogue.read_text()) if catalogue.exists() else None
    longest = 0
    for row in read_rows(written[name], "train")[:200]:
        if name == "taxonomy":
            messages = [{"role": "user", "content": row["input"]}, {"role": "assistant", "content": row["output"]}]
        elif name == "simple-support":
            messages = row["messages"]
        else:
            system = {"role": "system", "content": row["request"]["system"]}
            messages = [system, *row["request"]["messages"], row["response"]]
        longest = max(longest, len(nano.apply_chat_template(messages, tools=tools)["input_ids"]))
    limits = {"taxonomy": 90, "simple-support": 128, "agent-sessions": 560}
    assert 40 < longest <= limits[name]
