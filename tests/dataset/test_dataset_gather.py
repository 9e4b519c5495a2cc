"""Data are gathered in one way, and every row is on one side, left out aloud, or refused."""

import json
from pathlib import Path

import pytest

from flows_files import row, rows, write_recipe, write_rows
from tunelab.dataset.dataset import Dataset
from tunelab.dataset.gather import gather
from tunelab.errors import DataError
from tunelab.events import SILENT, AnyEvent, EventLog, Found
from tunelab.models.locate_model import locate_model
from tunelab.recipes import resolve_recipe
from tunelab.rendering.load_renderer import load_renderer


def gathered(folder: Path, *settings: str, events: EventLog = SILENT, reserved: bool = False) -> Dataset:
    resolved = resolve_recipe(
        write_recipe(folder, "data:\n  train_files: train.jsonl\n"), overrides=settings, environment={}
    )
    recipe = resolved.anchored
    renderer = load_renderer(locate_model(recipe.model, base=resolved.base), recipe.data, base=resolved.base)
    return gather(
        resolved.anchored.data,
        base=resolved.base,
        seed=resolved.recipe.training.seed,
        renderer=renderer,
        events=events,
        reserved=reserved,
    )


def lines(side: object) -> list[int]:
    return [item.origin.line for item in side]  # type: ignore[attr-defined]


def test_a_share_is_held_out_by_seed_and_no_row_is_lost(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(40))
    first = gathered(tmp_path, "data.eval_fraction=0.25")
    again = gathered(tmp_path, "data.eval_fraction=0.25")
    other = gathered(tmp_path, "data.eval_fraction=0.25", "training.seed=7")
    assert (len(first.train), len(first.held_out)) == (30, 10)
    assert sorted(lines(first.train) + lines(first.held_out)) == list(range(1, 41))
    assert lines(first.held_out) == lines(again.held_out) != lines(other.held_out)
    assert "10 rows of 40 held out" in first.notes


@pytest.mark.parametrize("settings", [(), ("data.cleaning.drop_duplicates=row",)])
def test_rows_of_an_array_on_one_line_are_conversations_of_their_own(tmp_path: Path, settings: tuple[str, ...]) -> None:
    sets = []
    for indent in (None, 1):
        (tmp_path / "train.json").write_text(json.dumps(rows(12), indent=indent))
        sets.append(gathered(tmp_path, "data.train_files=train.json", "data.eval_fraction=0", *settings))
    on_one_line, indented = sets
    assert len({sequence.group for sequence in on_one_line.train_sequences}) == 12
    assert lines(on_one_line.train) == list(range(1, 13)) != lines(indented.train)


@pytest.mark.parametrize("eval_files", ["[]", "test.jsonl"])
def test_reserved_rows_are_held_out_and_measured_by_no_run(tmp_path: Path, eval_files: str) -> None:
    sessions = [each | {"session_id": str(place // 3)} for place, each in enumerate(rows(60))]
    write_rows(tmp_path / "train.jsonl", sessions)
    write_rows(tmp_path / "test.jsonl", [each | {"session_id": f"t{each['session_id']}"} for each in sessions])
    settings = (f"data.eval_files={eval_files}", "data.eval_fraction=0.4")
    every, found = gathered(tmp_path, *settings), gathered(tmp_path, *settings, "data.eval_reserved=0.5")
    kept = gathered(tmp_path, *settings, "data.eval_reserved=0.5", reserved=True)
    assert lines(found.train) == lines(kept.train) == lines(every.train)
    assert sorted(lines(found.held_out) + lines(kept.held_out)) == lines(every.held_out)
    assert not {item.session_id for item in found.held_out} & {item.session_id for item in kept.held_out}
    assert abs(len(kept.held_out) - len(every.held_out) / 2) <= 3
    assert f"{len(kept.held_out)} of {len(every.held_out)} held-out rows reserved for a last figure" in found.notes


def test_runs_of_several_seeds_have_the_same_rows_if_the_split_has_a_seed_of_its_own(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(60))
    settings = ("data.eval_fraction=0.4", "data.eval_reserved=0.5", "data.train_samples=20", "data.eval_samples=8")
    first, second = (
        gathered(tmp_path, *settings, "data.split_seed=1", f"training.seed={seed}", reserved=True) for seed in (2, 3)
    )
    assert (lines(first.train), lines(first.held_out)) == (lines(second.train), lines(second.held_out))
    as_seed = gathered(tmp_path, *settings, "training.seed=1", reserved=True)
    assert (lines(first.train), lines(first.held_out)) == (lines(as_seed.train), lines(as_seed.held_out))


def test_a_row_that_stands_twice_stands_on_one_side(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [*rows(30), *rows(30)])
    found = gathered(tmp_path, "data.eval_fraction=0.3")
    assert len(found.held_out) == 18
    assert not {item.messages for item in found.train} & {item.messages for item in found.held_out}


def test_questions_that_are_answered_twice_never_measure_what_was_trained(tmp_path: Path) -> None:
    again = [row(f"row {number}: is the lamp in stock?", "Let me see.") for number in range(30)]
    write_rows(tmp_path / "train.jsonl", [*rows(30), *again])
    found = gathered(tmp_path, "data.eval_fraction=0.3")
    asked = {item.messages[0].content for item in found.train}
    assert not asked & {item.messages[0].content for item in found.held_out}
    drawn = 18
    left_out = drawn - len(found.held_out)
    assert left_out
    assert (
        f"{left_out} of these {drawn} have the prompt of a training row (contamination) and were left out"
        in found.notes[-1]
    )


def test_rows_of_a_test_file_are_held_out_as_they_stand(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(12))
    write_rows(tmp_path / "test.jsonl", [row("row 3: is the lamp in stock?")])
    found = gathered(tmp_path, "data.eval_files=test.jsonl")
    assert (len(found.train), len(found.held_out)) == (12, 1)


def test_the_share_held_out_is_of_all_rows_and_samples_are_drawn_behind_the_split(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(40))
    found = gathered(tmp_path, "data.train_samples=20", "data.eval_samples=2", "data.eval_fraction=0.25")
    assert (len(found.train), len(found.held_out), found.num_train_found) == (20, 2, 30)
    assert found.notes == (
        "10 rows of 40 held out",
        "20 training rows sampled from 30",
        "2 held-out rows sampled from 10",
    )
    whole = gathered(tmp_path, "data.train_samples=5", "data.eval_fraction=0.1")
    assert (len(whole.train), len(whole.held_out)) == (5, 4)


def test_a_held_out_side_of_another_shape_is_read_and_said(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(12))
    write_rows(tmp_path / "test.jsonl", [{"query": "how much?", "response": "ten"}])
    found = gathered(tmp_path, "data.eval_files=test.jsonl")
    assert found.held_out[0].messages[-1].content == "ten"
    assert any("another format" in note and "query_response" in note for note in found.notes)


def test_each_side_has_its_own_longest_sequence(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [row(f"{n}?", "a long answer, " * 40) for n in range(20)])
    both = gathered(tmp_path, "data.max_length=64", "data.eval_fraction=0.2")
    assert {item.num_tokens for item in both.rendered_train.sequences} == {64}
    assert {item.num_tokens for item in both.rendered_held_out.sequences} == {64}
    longer = gathered(tmp_path, "data.max_length=64", "data.eval_max_length=80", "data.eval_fraction=0.2")
    assert {item.num_tokens for item in longer.rendered_train.sequences} == {64}
    assert {item.num_tokens for item in longer.rendered_held_out.sequences} == {80}


def test_pain_13_a_broken_line_is_refused_by_file_and_line_unless_the_recipe_skips(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [*rows(6), '{"messages": [', *rows(6, word="more")])
    with pytest.raises(DataError, match=r"train\.jsonl:7: "):
        gathered(tmp_path)
    found = gathered(tmp_path, "data.bad_rows=skip", "data.eval_fraction=0")
    assert [error.where for error in found.bad_rows] == [f"{tmp_path / 'train.jsonl'}:7"]
    assert len(found.train) == 12


@pytest.mark.parametrize("num_bad", [2, 30])
def test_the_first_rows_that_are_left_out_are_told_and_all_are_kept(tmp_path: Path, num_bad: int) -> None:
    write_rows(tmp_path / "train.jsonl", ["{broken", *rows(3), *["[broken too"] * (num_bad - 1)])
    told: list[AnyEvent] = []
    with EventLog(None, [told.append]) as events:
        found = gathered(tmp_path, "data.bad_rows=skip", events=events)
    errors = [f"{event.place}: {event.text}" for event in told if isinstance(event, Found)]
    assert errors == [str(error) for error in found.bad_rows[:20]]
    assert len(found.bad_rows) == num_bad


def test_a_file_of_which_no_row_can_be_read_gives_its_errors_and_no_conversation(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", ["{broken"] * 3)
    found = gathered(tmp_path, "data.bad_rows=skip")
    assert (len(found.bad_rows), found.train, found.held_out) == (3, (), ())


def test_a_turn_that_the_template_refuses_is_kept_apart_from_rows_that_cannot_be_read(tmp_path: Path) -> None:
    template = "{% if messages[0].content == 'no' %}{{ raise_exception('never!') }}{% endif %}"
    template += "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    template += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    (tmp_path / "own.jinja").write_text(template)
    write_rows(tmp_path / "train.jsonl", [row("no"), *rows(3)])
    settings = ("data.chat_template=own.jinja", "data.eval_fraction=0")
    found = gathered(tmp_path, *settings, "data.bad_rows=skip")
    assert found.bad_rows == ()
    assert [("never!" in str(error), "train.jsonl:1: " in error.where) for error in found.bad_turns] == [(True, True)]
    with pytest.raises(DataError, match="never!"):
        gathered(tmp_path, *settings)


def test_files_are_named_as_they_open_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write_rows(tmp_path / "task" / "train.jsonl", rows(12))
    for folder in (tmp_path, tmp_path / "task", tmp_path / "elsewhere"):
        monkeypatch.chdir(folder)
        found = gathered(tmp_path / "task")
        names = {item.origin.path for item in (*found.train, *found.held_out)}
        assert [Path(name).samefile(tmp_path / "task" / "train.jsonl") for name in names] == [True]
    monkeypatch.chdir(tmp_path)
    assert gathered(tmp_path / "task").train[0].origin.path == "task/train.jsonl"


def test_an_answer_that_is_marked_is_seen_in_prompts_and_never_trained(tmp_path: Path) -> None:
    def chat(number: int, **mark: object) -> dict[str, object]:
        said = [("user", f"where is {number}?"), ("assistant", "no idea"), ("user", "look"), ("assistant", "here")]
        messages: list[dict[str, object]] = [{"role": role, "content": text} for role, text in said]
        messages[1] |= mark
        return {"messages": messages}

    write_rows(tmp_path / "train.jsonl", [chat(n) for n in range(12)])
    plain = gathered(tmp_path).train_sequences
    write_rows(tmp_path / "train.jsonl", [chat(n, weight=0) for n in range(12)])
    marked = gathered(tmp_path).train_sequences
    last = [each for each in plain if each.turn == 3]
    assert (len(plain), len(marked)) == (2 * len(last), len(last)) != (0, 0)
    for one, other in zip(last, marked, strict=True):
        assert (one.prompt_ids.tolist(), one.completion_ids.tolist()) == (
            other.prompt_ids.tolist(),
            other.completion_ids.tolist(),
        )


@pytest.mark.parametrize("cleaning", [[], ["data.cleaning.strip_html=true"]])
def test_a_row_of_marked_answers_alone_is_in_no_sequence_and_stops_nothing(tmp_path: Path, cleaning: list[str]) -> None:
    write_rows(tmp_path / "train.jsonl", [*rows(20), {**row("why?", "who knows"), "train": False}])
    found = gathered(tmp_path, "data.eval_fraction=0", *cleaning)
    assert (len(found.train), len(found.train_sequences)) == (21, 20)


def test_what_nobody_reads_is_counted_over_both_sides(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [{**each, "mood": "glad"} for each in rows(12)])
    write_rows(tmp_path / "test.jsonl", [{**row("how much?", "ten"), "mood": "sad"}])
    (found,) = gathered(tmp_path, "data.eval_files=test.jsonl").unread
    assert (found.path, found.num_rows, found.example) == ("mood", 13, "glad")


def test_cleaning_reaches_fields_that_the_recipe_maps(tmp_path: Path) -> None:
    mapped = [{"question": f"{n}?", "answer": f"<b>{n}</b> it is &amp; so"} for n in range(12)]
    write_rows(tmp_path / "train.jsonl", mapped)
    names = "data.field_map={prompt: question, completion: answer}"
    found = gathered(tmp_path, names, "data.cleaning.strip_html=true", "data.eval_fraction=0")
    assert found.train[3].messages[1].content == "3 it is & so"
