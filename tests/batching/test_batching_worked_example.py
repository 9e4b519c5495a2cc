"""The worked example of docs/concepts/forest.md is what the code does."""

import re
from pathlib import Path

from networks import sequence
from tunelab.batching.forest import build_forest, paths_of

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "forest.md"
ROW = re.compile(r"^\| \d \| (.+) \*\*(.+)\*\* \| (\d+) of (\d+) \|$", re.MULTILINE)


def test_the_worked_example_of_the_page_is_the_forest_that_is_built() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = ROW.findall(text)
    words = sorted({word for prompt, answer, _, _ in rows for word in f"{prompt} {answer}".split()})
    ids = {word: number for number, word in enumerate(words)}
    sequences = [
        sequence([ids[word] for word in prompt.split()], [ids[word] for word in answer.split()])
        for prompt, answer, _, _ in rows
    ]
    assert [(len(each.completion_ids), each.num_tokens) for each in sequences] == [(2, 6), (2, 9), (3, 7)]
    assert [(int(trained), int(tokens)) for _, _, trained, tokens in rows] == [(2, 6), (2, 9), (3, 7)]
    forest = build_forest(paths_of(sequences))
    assert (forest.num_real_tokens, forest.num_nodes) == (22, 13)
    assert "6 + 9 + 7 = 22 tokens, 3 + 3 + 3 + 4 = 13 of them distinct" in text
    depths = {(words[token], int(depth)) for token, depth in zip(forest.token_ids_N, forest.depths_N, strict=True)}
    assert {("Hi", 3), ("Bye", 3), ("Hello", 4), ("Because", 7), ("long", 5)} <= depths
    assert forest.weights_M.tolist() == [1.0] * 7
    again = build_forest(paths_of([*sequences, sequences[2]]))
    assert (again.num_nodes, again.num_trained) == (13, 10)
    assert sorted(again.weights_M.tolist()) == [1.0] * 4 + [2.0] * 3
