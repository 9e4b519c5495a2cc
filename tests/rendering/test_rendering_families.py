"""The rule against transformers' own rendering and against the marks of the training templates that trl carries.

For every text family of trl and every case: the prompt's ids and the whole conversation's are those of
`apply_chat_template`, the completion is what the training template marks. Where it is not, `known_differences` says
so and who is right; a difference that comes or goes fails here.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from family_cases import CASES, row_of, rows_with_control_words
from family_proof import Compared, compared, differences
from hypothesis import Phase, given, settings
from known_differences import CONTROL_WORDS, KNOWN, OF_TEXTS, expected, table
from made_up_texts import rows
from small_models import user
from trl_families import FAMILIES, NAMES, TRL, renderer_of_family

from tunelab.conversations.conversation import Conversation
from tunelab.errors import DataError
from tunelab.rendering.config import RenderingConfig

pytestmark = pytest.mark.skipif(TRL is None, reason="trl is in the dev extra")
DOCS = Path(__file__).parents[2] / "docs" / "concepts" / "chat-templates.md"

NO_SYSTEM = {"gemma"}
CALLS_IN_WORDS = {
    *("cohere", "cohere2", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "idefics3", "lfm2", "llama3"),
    *("llava_next", "phi3", "phi3_5", "qwen2_5_vl", "smolvlm"),
}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Compared]:
    """Each family, loaded once."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: compared(name, folder / name))


def control_words(family: Compared) -> tuple[list[str], list[str]]:
    """The strings of a family's special tokens, and of its markup."""
    tokens = family.renderer.tokens
    special = [text for text in tokens.id_of if tokens.is_special_text(text)]
    return special, [text for text in tokens.id_of if text not in special]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_transformers_and_completions_those_that_trl_marks(
    name: str, families: Callable[[str], Compared]
) -> None:
    family = families(name)
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
            if not kinds & {"no prompt", "refused by both"}:
                asked.add(case)
                if not any(kind.startswith("not trained") for kind in kinds):
                    trained.add(case)
            for kind in kinds:
                found[kind].add(case)
    assert found == expected(name, asked, trained)


@pytest.mark.parametrize("name", NAMES)
def test_made_up_texts_differ_in_known_ways_only(name: str, families: Callable[[str], Compared]) -> None:
    _prove(families(name), max_examples=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_made_up_texts_and_each_control_token_differ_in_known_ways_only(
    name: str, families: Callable[[str], Compared]
) -> None:
    family = families(name)
    _prove(family, max_examples=200)
    special, markup = control_words(family)
    for row in rows_with_control_words(special, markup, calls=family.renderer.abilities.tool_calls, together=False):
        for kinds in differences(family, row):
            assert kinds <= _known(name)


def _prove(family: Compared, *, max_examples: int) -> None:
    special, markup = control_words(family)
    made_up = rows([*special, *markup], calls=family.renderer.abilities.tool_calls)

    # Explaining a failure would take minutes and say less than the row.
    @settings(max_examples=max_examples, deadline=None, phases=[Phase.generate, Phase.shrink])
    @given(row=made_up)
    def prove(row: Conversation) -> None:
        for kinds in differences(family, row):
            assert kinds <= _known(family.name)

    prove()


def _known(name: str) -> set[str]:
    return OF_TEXTS | {known.kind for known in KNOWN if name in known.families.split()}


REMEDIES = {"qwen3_5_nothink": True, **{name: False for name in NAMES if name.startswith("nemotron")}}


@pytest.mark.parametrize("name", REMEDIES)
def test_the_switch_that_the_table_names_opens_the_turn_as_the_rows_do(name: str, tmp_path: Path) -> None:
    row = row_of("reasoning" if REMEDIES[name] else "turns")
    plain = renderer_of_family(name, tmp_path)
    assert all(isinstance(turn, DataError) for turn in plain.turns(row))
    config = RenderingConfig(chat_template_kwargs={"enable_thinking": REMEDIES[name]})
    mended = renderer_of_family(name, tmp_path, config)
    assert not any(isinstance(turn, DataError) for turn in mended.turns(row))


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.sees])
def test_what_stands_for_a_picture_stays_words_in_a_text(name: str, families: Callable[[str], Compared]) -> None:
    renderer, oracle = families(name).renderer, families(name).oracle
    sees = FAMILIES[name].sees
    asked = renderer.prompt_ids([user(f"a {sees} b")])
    assert sees in oracle.decode(asked)
    assert not {*asked.tolist()} & {*oracle.encode(sees, add_special_tokens=False)}


def test_the_table_in_the_docs_is_the_one_that_is_tested() -> None:
    assert table() in DOCS.read_text(encoding="utf-8")
    assert {name for known in KNOWN for name in known.families.split()} == set(NAMES)
