"""Near-duplicates: what is returned is as alike as the threshold says; what is so alike is returned."""

import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaned_files import clean, rejected, write_rows
from tunelab.texts.near_duplicates import Sketches, frame_of, near_duplicates, near_overlap
from tunelab.texts.shingles import shingles

WORDS = [f"word{number}" for number in range(400)]


def text_of(dice: random.Random, length: int = 60) -> str:
    return " ".join(dice.choices(WORDS, k=length))


def changed(dice: random.Random, text: str, changes: int) -> str:
    words = text.split()
    for place in dice.sample(range(len(words)), changes):
        words[place] = f"new{dice.randrange(10_000)}"
    return " ".join(words)


def jaccard(one: str, other: str) -> float:
    sets = []
    for text in (one, other):
        words = text.lower().split()
        size = min(3, len(words))
        sets.append({tuple(words[place : place + size]) for place in range(len(words) - size + 1)})
    return len(sets[0] & sets[1]) / max(len(sets[0] | sets[1]), 1)


def family(seed: int, num_texts: int = 300) -> list[str]:
    dice = random.Random(seed)
    texts: list[str] = []
    for _ in range(num_texts):
        near = texts and dice.random() < 0.5
        texts.append(changed(dice, dice.choice(texts), dice.randrange(6)) if near else text_of(dice))
    return texts


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_what_is_returned_is_as_alike_as_it_says_and_what_is_kept_is_not(threshold: float) -> None:
    texts = family(1)
    sketches = Sketches(threshold=threshold)
    sketches.add(texts)
    found = sketches.duplicates(lambda indices: [texts[index] for index in indices])
    assert len(found) > 20
    for near in found:
        assert near.of < near.index
        assert near.similarity == pytest.approx(jaccard(texts[near.of], texts[near.index]))
        assert near.similarity >= threshold
    gone = {near.index for near in found}
    kept = [index for index in range(len(texts)) if index not in gone]
    assert not gone & {near.of for near in found}
    alike = [(a, b) for a in kept for b in kept if a < b and jaccard(texts[a], texts[b]) >= threshold]
    assert len(alike) <= 0.02 * len(gone)


def test_what_is_as_alike_as_the_threshold_is_found_in_99_of_100_cases() -> None:
    dice = random.Random(6)
    found = 0
    for _ in range(5):
        texts = [text_of(dice) for _ in range(100)]
        texts += [changed(dice, text, 2) for text in texts]  # 0.83 to 0.87, or more where the changes stand together
        assert all(jaccard(text, twin) >= 0.8 for text, twin in zip(texts[:100], texts[100:], strict=True))
        found += len(near_duplicates(texts, threshold=0.8))
    assert found >= 495


def test_a_text_less_alike_in_between_hides_no_near_duplicate() -> None:
    dice = random.Random(8)
    found, wanted = 0, 600
    for _ in range(6):
        texts = [text_of(dice) for _ in range(100)]
        trios = [(text, changed(dice, text, 4), changed(dice, text, 2)) for text in texts]
        near = {each.index for each in near_duplicates([text for trio in trios for text in trio], threshold=0.8)}
        found += len(near & set(range(2, 300, 3)))
    assert found >= 0.995 * wanted


def test_overlap_names_the_text_that_was_seen() -> None:
    dice = random.Random(2)
    seen = [text_of(dice) for _ in range(200)]
    texts = [text_of(dice), changed(dice, seen[7], 2), text_of(dice), seen[120].upper() + "!"]
    found = near_overlap(texts, seen, threshold=0.8)
    assert [(near.index, near.of) for near in found] == [(1, 7), (3, 120)]
    assert found[1].similarity == 1


def test_an_instruction_around_each_text_makes_none_alike() -> None:
    dice = random.Random(3)
    frame = text_of(dice, 40)
    texts = [f"{frame} {text_of(dice, 5)}" for _ in range(100)]
    assert jaccard(texts[0], texts[1]) > 0.7
    assert near_duplicates(texts, threshold=0.7) == []
    assert [near.index for near in near_duplicates([*texts, texts[4] + "."], threshold=0.7)] == [100]


def test_a_text_that_is_nothing_but_frame_is_compared_whole() -> None:
    found = near_duplicates(["the same few words"] * 50, threshold=0.9)
    assert [(near.index, near.of) for near in found] == [(index, 0) for index in range(1, 50)]


def test_texts_without_words_and_no_texts_at_all_are_like_nothing() -> None:
    assert near_duplicates(["", " ", "?!", ""], threshold=0.8) == []
    assert near_duplicates([], threshold=0.8) == []
    assert near_overlap([], ["one two three"], threshold=0.8) == []


def test_texts_that_come_in_parts_give_what_all_at_once_gives() -> None:
    texts = family(4)
    parts = Sketches(threshold=0.8, frame=frame_of(texts))
    for start in range(0, len(texts), 37):
        parts.add(iter(texts[start : start + 37]))
    asked: list[int] = []

    def texts_of(indices: list[int]) -> list[str]:
        asked.extend(indices)
        return [texts[index] for index in indices]

    assert parts.duplicates(texts_of) == near_duplicates(texts, threshold=0.8)
    assert len(asked) == len(set(asked)) < len(texts)


def test_the_same_texts_give_the_same_answer_in_another_process() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from test_texts_near_duplicates import family; "
        "from tunelab.texts.near_duplicates import near_duplicates; print(near_duplicates(family(5), threshold=0.6))"
    )
    folder = Path(__file__).parent
    command = [sys.executable, "-c", code, str(folder), str(folder.parent)]
    printed = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert printed == {f"{near_duplicates(family(5), threshold=0.6)}\n"}


@pytest.mark.parametrize("has_id", [True, False])
def test_rows_of_one_session_are_no_near_duplicates_of_each_other_but_of_those_of_others(
    tmp_path: Path, has_id: bool
) -> None:
    dice = random.Random(7)
    rows = []
    for session in range(10):
        messages: list[dict[str, str]] = []
        for turn in range(4):
            said = [text_of(dice, 150 if turn == 0 else 8) for _ in range(2)]
            messages += [{"role": "user", "content": said[0]}, {"role": "assistant", "content": said[1]}]
            rows.append({"messages": [*messages], **({"session_id": session} if has_id else {})})
    again = [
        {**rows[3 * 4 + turn], "messages": [{"role": "user", "content": "well"}, *rows[3 * 4 + turn]["messages"]]}
        for turn in (1, 3)
    ]
    more = [{**row, **({"session_id": 99} if has_id else {})} for row in again]
    report = clean(write_rows(tmp_path / "in.jsonl", [*rows, *more]), near_duplicates=0.8)
    assert [each["where"] for each in rejected(tmp_path)] == ["in.jsonl:41", "in.jsonl:42"]
    assert report.num_kept == 40


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab é你, ", max_size=20), max_size=8), st.integers(1, 4))
def test_shingles_are_the_runs_of_words(texts: list[str], size: int) -> None:
    words = [re.findall(r"[你]|[^\W你]+", text.lower()) for text in texts]
    runs = [
        [tuple(each[place : place + size]) for place in range(max(len(each) - size + 1, min(len(each), 1)))]
        for each in words
    ]
    found = shingles(texts, size=size)
    assert np.diff(found.bounds_N1).tolist() == [len(each) for each in runs]
    flat = [run for each in runs for run in each]
    hashes = found.hashes_S.tolist()
    assert len(set(zip(flat, hashes, strict=True))) == len(set(flat)) == len(set(hashes))
