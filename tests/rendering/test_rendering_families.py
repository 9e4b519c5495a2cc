"""The rule against transformers' own rendering and against the marks of the training templates that trl carries.

For every text family of trl and every case: the prompt's ids and the whole conversation's are those of
`apply_chat_template`, the completion is what the training template marks. Where it is not, `known_differences` says
so and who is right; a difference that comes or goes fails here.
"""

from collections import defaultdict
from pathlib import Path

import pytest
from family_cases import CASES, row_of, rows_with_control_words
from family_proof import Compared, compared, differences
from known_differences import CONTROL_WORDS, KNOWN, expected, table
from trl_families import FAMILIES, NAMES, TRL

pytestmark = pytest.mark.skipif(TRL is None, reason="trl is in the dev extra")
DOCS = Path(__file__).parents[2] / "docs" / "rendering.md"

NO_SYSTEM = {"gemma"}
CALLS_IN_WORDS = {
    *("cohere", "cohere2", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "idefics3", "lfm2", "llama3"),
    *("llava_next", "phi3", "phi3_5", "qwen2_5_vl", "smolvlm"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models of the families are written."""
    return tmp_path_factory.mktemp("families")


def control_words(family: Compared) -> tuple[list[str], list[str]]:
    """The strings of a family's special tokens, and of its markup."""
    tokens = family.renderer.tokens
    special = [text for text in tokens.id_of if tokens.is_special_text(text)]
    return special, [text for text in tokens.id_of if text not in special]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_transformers_and_completions_those_that_trl_marks(name: str, folder: Path) -> None:
    family = compared(name, folder / name)
    can = family.renderer.abilities
    assert can.system == (name not in NO_SYSTEM)
    assert can.tool_calls == (name not in CALLS_IN_WORDS)
    assert set(family.renderer.stop_ids) >= {family.oracle.convert_tokens_to_ids(FAMILIES[name].eos)}
    found: defaultdict[str, set[str]] = defaultdict(set)
    asked, trained = set(), set()
    special, markup = control_words(family)
    said = [*rows_with_control_words(special, markup, calls=can.tool_calls, together=True)]
    for case, some in [*((case, [row_of(case)]) for case in CASES), (CONTROL_WORDS, said)]:
        for kinds in [kinds for row in some for kinds in differences(family, row)]:
            if not kinds & {"asked by nothing", "refused by both"}:
                asked.add(case)
                if not any(kind.startswith("not trained") for kind in kinds):
                    trained.add(case)
            for kind in kinds:
                found[kind].add(case)
    assert found == expected(name, asked, trained)


def test_the_table_in_the_docs_is_the_one_that_is_tested() -> None:
    assert table() in DOCS.read_text(encoding="utf-8")
    assert {name for known in KNOWN for name in known.families.split()} == set(NAMES)
