"""Every answer of a conversation against transformers' rendering of it and the marks of trl's training template.

What must be equal is asserted here; where the three are known to differ, a kind of difference is named.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from family_cases import as_transformers_takes_them
from trl_families import SOURCES, oracle_of, renderer_of_family

from tunelab.conversations.conversation import Conversation
from tunelab.errors import DataError
from tunelab.rendering.renderer import Renderer, Turn
from tunelab.rendering.template_errors import CONTINUATION
from tunelab.rendering.tokens.lookalikes import look_alikes

HAS_MARKS = re.compile(r"\{%-?\s*generation")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A family's model, read by tunelab and by transformers."""

    name: str
    renderer: Renderer
    oracle: Any
    """transformers' tokenizer with the same chat template."""
    marking: str | None
    """The training template; None where trl carries none for the family."""


def compared(name: str, folder: Path) -> Compared:
    """Return a family, its model written into `folder`."""
    marking = SOURCES.get(f"{name}_training", SOURCES[name])
    renderer = renderer_of_family(name, folder)
    return Compared(
        name=name,
        renderer=renderer,
        oracle=oracle_of(name, folder),
        marking=marking if HAS_MARKS.search(marking) else None,
    )


def differences(family: Compared, row: Conversation) -> Iterator[set[str]]:
    """Yield, for each answer of a row, the kinds in which the three differ."""
    answers = [index for index, message in enumerate(row.messages) if message.role == "assistant"]
    for index, turn in zip(answers, family.renderer.turns(row), strict=True):
        before, whole = (replace(row, messages=row.messages[:end]) for end in (index, index + 1))
        asked = _Asked(family, before, whole)
        if not index:
            assert isinstance(turn, DataError)
            yield {"no prompt"}
        elif isinstance(turn, DataError):
            yield {_fault(asked, turn)}
        else:
            yield _of_answer(family, asked, turn, whole)


class _Asked:
    """What transformers makes of a prompt and of the same with its answer."""

    def __init__(self, family: Compared, before: Conversation, whole: Conversation) -> None:
        self.prompt_messages, self.tools = as_transformers_takes_them(before, family.renderer)
        self.messages, _ = as_transformers_takes_them(whole, family.renderer)
        self._oracle = family.oracle
        self.has_look_alikes = bool(look_alikes(self.messages, self.tools or (), family.renderer.tokens))

    def prompt(self, **options: Any) -> Any:
        return self._apply(self.prompt_messages, add_generation_prompt=True, **options)

    def whole(self, **options: Any) -> Any:
        return self._apply(self.messages, **options)

    def _apply(self, messages: Any, *, tokenize: bool = True, **options: Any) -> Any:
        words = {"sanitize_control_tokens": True} if tokenize and self.has_look_alikes else {}
        return self._oracle.apply_chat_template(
            messages, tools=self.tools, tokenize=tokenize, **{"return_dict": False, **words, **options}
        )


def _fault(asked: _Asked, fault: DataError) -> str:
    """Name the fault of an answer that is not trained, for which transformers has to give evidence."""
    try:
        prompt, whole = asked.prompt(tokenize=False), asked.whole(tokenize=False)
    except Exception:  # jinja2's, ValueError: whatever a template or transformers raises
        return "refused by both"
    if asked.has_look_alikes and fault.expected != CONTINUATION:
        told = ("look like control tokens", "cannot be kept apart from the control token")
        assert any(words in fault.what for words in told), str(fault)
        return "not trained: the template reads such words"
    assert fault.expected == CONTINUATION, str(fault)
    assert not whole.startswith(prompt)
    return "not trained: no continuation"


def _of_answer(family: Compared, asked: _Asked, turn: Turn, row: Conversation) -> set[str]:
    oracle, kinds = family.oracle, {f"{part.part} left out" for part in turn.left_out}
    (sequence,) = family.renderer.sequences([(turn, row, 0)], max_length=10**6)
    assert not isinstance(sequence, DataError), str(sequence)
    prompt, completion = sequence.prompt_ids.tolist(), sequence.completion_ids.tolist()
    text, whole = asked.whole(tokenize=False), asked.whole()
    written = completion[:-1] if turn.lacks_end else completion
    rest: list[int] = []
    if turn.lacks_end:
        kinds.add("end appended")
    is_rewritten = not text.startswith(asked.prompt(tokenize=False))
    if asked.has_look_alikes:
        ours, theirs = (prompt, asked.prompt()) if is_rewritten or sequence.seam else (prompt + written, whole)
        if ours != theirs[: len(ours)]:
            rendered = asked.prompt(tokenize=False) if is_rewritten or sequence.seam else text
            return kinds | {_words_otherwise(oracle, rendered, ours, theirs)}
    assert prompt == asked.prompt()
    if is_rewritten:
        kinds.add("thoughts kept in the prompt")
        assert whole[-len(written) :] == written
    elif sequence.seam:
        kinds.add("seam")
        # Beside words that look like control tokens, transformers cuts at the seam as well.
        assert asked.has_look_alikes or whole[: len(prompt) + len(written)] != prompt + written
        assert text.startswith(turn.text.text[: turn.end])
        text = normalize("NFC", turn.text.text[turn.prompt_end : turn.end])
        assert normalize("NFC", oracle.decode(prompt + written)) == normalize("NFC", oracle.decode(prompt)) + text
    else:
        rest = whole[len(prompt) + len(written) :]
        assert whole == prompt + written + rest
        assert oracle.decode(rest).strip() in ("", "<|endoftext|>")
        _continued(family, asked, turn, row, prompt + written)
    if family.marking and not asked.has_look_alikes:
        marked = asked.whole(chat_template=family.marking, return_dict=True, return_assistant_tokens_mask=True)
        if sequence.seam:
            kinds |= _by_text(oracle, marked, prompt, completion)
        else:
            kinds |= _by_place(oracle, marked, prompt, completion, rest)
    return kinds


def _words_otherwise(oracle: Any, text: str, ids: list[int], theirs: list[int]) -> str:
    """Name what transformers does otherwise with words that look like control tokens."""
    ours, others = ([token for token in oracle.convert_ids_to_tokens(each) if token != "▁"] for each in (ids, theirs))
    if ours == others[: len(ours)]:
        return "no space mark before such words"
    said = normalize("NFC", text)
    assert said.startswith(normalize("NFC", oracle.decode(ids)))
    return "such words are encoded apart" if oracle.decode(theirs) == said else "such words shield white space"


def _continued(family: Compared, asked: _Asked, turn: Turn, row: Conversation, ids: list[int]) -> None:
    """The answer without its end is what transformers lets a model continue; behind it stands nothing but the end."""
    message = row.messages[turn.index]
    words = message.content or ""  # transformers cannot follow white space behind them, nor thoughts that are moved
    if (
        not words.strip()
        or words != words.rstrip()
        or "</think>" in words
        or message.tool_calls
        or asked.has_look_alikes
        or turn.left_out
    ):
        return
    begun = asked.whole(continue_final_message=True)
    assert ids[: len(begun)] == begun
    end = family.oracle.decode(ids[len(begun) :])
    assert not turn.text.text[: turn.end].removesuffix(end).endswith(end or "\0")
    assert not end or all(family.renderer.tokens.is_special(id_) for id_ in ids[len(begun) :])


def _by_place(oracle: Any, marked: Any, prompt: list[int], completion: list[int], rest: list[int]) -> set[str]:
    """Compare a mask with a completion, token by token; the texts agree from the answer on."""
    ids, mask = marked["input_ids"], marked["assistant_masks"]
    kinds = set() if ids == prompt + completion + rest else {"history written otherwise"}
    start = len(ids) - len(completion) - len(rest)
    end = start + len(completion)
    assert ids[start:] == completion + rest, (oracle.decode(ids[start:]), oracle.decode(completion + rest))
    first = start
    while first and mask[first - 1]:
        first -= 1
    if first < start:
        assert prompt[first - start :] == ids[first:start]
        kinds.add("marks the end of the prompt")
    if any(mask[end:]):
        assert all(mask[end:])
        kinds.add("marks what comes after the end" if oracle.decode(rest).strip() else "marks the line end")
    return kinds | _unmarked(oracle, [place for place in range(start, end) if not mask[place]], start, end, ids)


def _unmarked(oracle: Any, places: list[int], start: int, end: int, ids: list[int]) -> set[str]:
    """Name what is trained and not marked."""
    texts = oracle.convert_ids_to_tokens([ids[place] for place in places])
    if not texts:
        return set()
    if texts == ["<|tool_response>"] and places == [end - 1]:
        return {"marks no token that hands over to a tool"}
    kinds = set()
    if texts[0] == "<|turn>" and places[0] == start:
        kinds.add("marks no opening that the prompt lacks")
        texts = texts[texts.index("<0x0A>") + 1 :]  # behind it, the line end
    assert all(re.fullmatch("<0x[0-9A-F]{2}>", text) for text in texts), texts
    return kinds | ({"marks not all bytes of a character"} if texts else set())


def _by_text(oracle: Any, marked: Any, prompt: list[int], completion: list[int]) -> set[str]:
    """Compare the last marked stretch with a completion, as texts: at a seam they are cut into other tokens."""
    mask = "".join(map(str, marked["assistant_masks"]))
    start, end = list(re.finditer("1+", mask))[-1].span()
    theirs, mine = oracle.decode(marked["input_ids"][start:end]), oracle.decode(completion)
    front, found, behind = theirs.partition(mine)
    assert found, (theirs, mine)
    assert oracle.decode(prompt).endswith(front)
    assert not behind.strip()
    return {kind for kind, there in (("marks the end of the prompt", front), ("marks the line end", behind)) if there}
