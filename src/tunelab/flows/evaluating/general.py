"""What training costs on text that has nothing to do with the task: the loss of the base model's own answers.

The base model answers prompts that come with tunelab, once; then the loss of these answers is measured under it and
under the tuned model. No data set is needed, and nothing is judged but how far the tuned model has moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunelab.conversations import Conversation, Message
from tunelab.errors import DataError
from tunelab.evaluation.general.prompts import general_prompts
from tunelab.evaluation.rows.answer_cache import AnswerCache
from tunelab.evaluation.rows.evaluation_store import EvaluationFolder, GeneralLoss
from tunelab.evaluation.suite.config import GeneralConfig
from tunelab.files import sha256_text
from tunelab.flows.evaluating.ask import OnDone, as_continuation, ask_answers, ask_log_probs
from tunelab.flows.evaluating.model import Model, base_of
from tunelab.generation.completion import Sampling
from tunelab.rendering.rendered import TokenIds
from tunelab.rendering.renderer import Renderer
from tunelab.sources import Origin

GENERAL = "general"
_ANSWER_TOKENS = 64
_TEXT_TOKENS = 512
_MOST_TEXTS = 200


def general_losses(
    model: Model,
    config: GeneralConfig,
    folder: EvaluationFolder,
    cache: AnswerCache,
    *,
    on_done: OnDone = lambda done, total: None,
) -> tuple[GeneralLoss, ...]:
    """Return the losses of a model on general texts, each text by itself.

    Args:
        model: tuned, or a base model.
        config: which texts.
        folder: where the base model's answers are kept.
        cache: of the model.
        on_done: called as texts are done.

    Raises:
        DataError: a file that cannot be read, or holds nothing.
        ModelError: the network computes NaN.
    """
    found = [_prompts_answered(model, folder)] if config.prompts else []
    found += [_texts_of(Path(name), model.parts.renderer) for name in config.files]
    losses = []
    for name, pairs in found:
        continued = [as_continuation(*pair) for pair in pairs]
        scored = [pair for pair in continued if len(pair[1])]
        scores = ask_log_probs(
            model, [prompt for prompt, _ in scored], [[text] for _, text in scored], cache, on_done=on_done
        )
        losses.append(
            GeneralLoss(
                name=name,
                texts=tuple(_digest(pair) for pair in scored),
                nats=tuple(-some[0] for some in scores),
                num_tokens=tuple(len(text) for _, text in scored),
            )
        )
    return tuple(losses)


Pairs = list[tuple[TokenIds, TokenIds]]
"""Prompts, and what follows each."""


def _prompts_answered(model: Model, folder: EvaluationFolder) -> tuple[str, Pairs]:
    base = base_of(model) if model.tuned else model
    renderer = base.parts.renderer
    messages = [(Message(role="user", content=prompt.text),) for prompt in general_prompts()]
    prompts = [renderer.prompt_ids(each) for each in messages]
    cache = AnswerCache(folder.cache_file(base.record.weights_sha256))
    answers = ask_answers(base, prompts, Sampling(max_new_tokens=_ANSWER_TOKENS), cache)
    pairs = []
    for asked, answer in zip(messages, answers, strict=True):
        if answer.text.strip():
            pair = _rendered(asked, answer.text, renderer)
            # an answer that the token limit cut does not end there
            pairs.append(pair if answer.stopped else (pair[0], pair[1][: answer.num_tokens]))
    return GENERAL, pairs


def _rendered(asked: Sequence[Message], answer: str, renderer: Renderer) -> tuple[TokenIds, TokenIds]:
    origin = Origin(path=GENERAL, line=1)
    conversation = Conversation(messages=(*asked, Message(role="assistant", content=answer)), origin=origin)
    (sequence,) = renderer.render(conversation, index=0, max_length=2**31)
    return sequence.prompt_ids, sequence.completion_ids


def _texts_of(file: Path, renderer: Renderer) -> tuple[str, Pairs]:
    """Return the text of a file in pieces of some hundred tokens, at most so many."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read as text ({error})", where=str(file)) from error
    ids = renderer.encode(text)
    if len(ids) < 2:
        raise DataError("it holds no text", where=str(file), expected="some sentences")
    pieces = [ids[start : start + _TEXT_TOKENS] for start in range(0, len(ids), _TEXT_TOKENS)][:_MOST_TEXTS]
    empty = ids[:0]
    return file.name, [(empty, piece) for piece in pieces]


def _digest(pair: tuple[TokenIds, TokenIds]) -> str:
    return sha256_text("|".join(" ".join(map(str, ids.tolist())) for ids in pair))[:12]
