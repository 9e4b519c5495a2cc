"""Asking a judge: every call once, judgements kept as they come, so that a killed evaluation goes on."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from tunelab.errors import UserError
from tunelab.evaluation.judging.asks import Ask
from tunelab.evaluation.judging.client import JudgeClient, NoReply
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.line_file import LineFile
from tunelab.evaluation.judging.prompt import answer_schema, messages_of, value_in, visible

JUDGEMENTS_FILE = "judgements.jsonl"
"""In the folder of a model's evaluation."""
_MOST_BUSY = 20
"""How often one call waits for a server that asks for patience."""
_MOST_FAULTS_IN_A_ROW = 8
_MOST_REASON_CHARS = 300
_MOST_MODEL_CHARS = 100


class Judgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a judge said to one call, as it is on disk."""

    key: str
    item: str
    criterion: str
    shown: str
    repeat: int = 0
    value: int | None = None
    """1 if the later model's answer is better, -1 the earlier one's, 0 neither; or the rating; None: no judgement."""
    reason: str = ""
    """In the judge's words, shortened."""
    model: str = ""
    """Under which name the endpoint answered."""

    @property
    def order(self) -> tuple[str, str, str, int, str]:
        """Where it is in the file."""
        return self.item, self.criterion, self.shown, self.repeat, self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAnswers:
    """All that is known after calls."""

    judgements: Mapping[str, Judgement]
    """By key, of the calls that were answered."""
    num_asked: int
    """Calls that were made now; the others were kept from before."""
    faults: Mapping[str, int]
    """Calls without any answer, by reason; the next run makes them again."""


OnDone = Callable[[int, int], None]
"""Called with how many calls are done, and how many there are."""


def kept_judgements(asks: Sequence[Ask], file: Path) -> dict[str, Judgement]:
    """Return what is kept of these calls, by key; the first of one key counts.

    Raises:
        RunError: the file is damaged.
    """
    needed = {ask.key for ask in asks}
    kept: dict[str, Judgement] = {}
    for judgement in LineFile(file, Judgement).read():
        if judgement.key in needed:
            kept.setdefault(judgement.key, judgement)
    return kept


def make_calls(
    asks: Sequence[Ask],
    config: JudgeConfig,
    file: Path,
    client: JudgeClient,
    *,
    on_done: OnDone = lambda done, total: None,
    first_wait_s: float = 1.0,
) -> JudgeAnswers:
    """Return the judgements of all calls; those that are kept are not made again.

    Args:
        asks: as `plan_asks` returns them.
        config: of the judge.
        file: where judgements are kept.
        client: what the calls are made with.
        on_done: called after each call.
        first_wait_s: how long a failed call waits before it is made again unless the server says; doubled each time.

    Raises:
        UserError: no call will succeed, or many in a row had no answer. What was answered is kept.
        RunError: the file is damaged, or another process judges.
        StorageError: a judgement cannot be kept.
    """
    lines = LineFile(file, Judgement)
    with lines.appending() as append:
        kept = kept_judgements(asks, file)
        missing = [ask for ask in asks if ask.key not in kept]
        caller = _Caller(config, client, first_wait_s)
        faults: Counter[str] = Counter()
        num_done = len(asks) - len(missing)
        on_done(num_done, len(asks))
        with closing(_in_parallel(caller, missing, config.concurrency)) as answers:
            for answered in answers:
                if isinstance(answered, Judgement):
                    append(answered)
                    kept[answered.key] = answered
                else:
                    faults[answered] += 1
                num_done += 1
                on_done(num_done, len(asks))
        if missing:
            lines.sort(lambda judgement: judgement.order)
    return JudgeAnswers(judgements=kept, num_asked=len(missing), faults=faults)


def _in_parallel(caller: _Caller, asks: Sequence[Ask], concurrency: int) -> Generator[Judgement | str]:
    """Yield what comes of the calls as it comes; so many are on their way at a time."""
    left = iter(asks)
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="judge")
    try:
        running: set[Future[Judgement | str]] = {pool.submit(caller.call, ask) for ask in islice(left, concurrency)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in sorted(done, key=lambda each: each.exception() is not None):  # answers are kept before an error
                yield each.result()
            running |= {pool.submit(caller.call, ask) for ask in islice(left, len(done))}
    except BaseException:
        caller.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Caller:
    """Makes calls, again if it helps, and gives up if nothing does."""

    def __init__(self, config: JudgeConfig, client: JudgeClient, first_wait_s: float) -> None:
        self._config, self._client, self._first_wait_s = config, client, first_wait_s
        self._stopped = threading.Event()
        self._faults_in_a_row = 0

    def call(self, ask: Ask) -> Judgement | str:
        """Return the judgement, or why there was no answer at all."""
        try:
            judged = self._tried(ask)
        except NoReply as fault:
            self._faults_in_a_row += 1
            if self._faults_in_a_row >= _MOST_FAULTS_IN_A_ROW and not self._stopped.is_set():
                remedy = "Run the same command again when it does: what was judged is kept."
                what = f"it does not answer ({fault.reason}, {self._faults_in_a_row} calls in a row)"
                raise UserError(what, where=f"the judge at {self._config.host}", remedy=remedy) from fault
            return fault.reason
        self._faults_in_a_row = 0
        return judged

    def stop(self) -> None:
        """End what is on its way."""
        self._stopped.set()
        self._client.close()

    def _tried(self, ask: Ask) -> Judgement:
        num_busy = num_failed = num_unread = 0
        while True:
            try:
                reply = self._client.send(messages_of(ask, again=num_unread > 0), answer_schema(ask))
            except NoReply as fault:
                num_busy, num_failed = num_busy + fault.is_busy, num_failed + (not fault.is_busy)
                if self._stopped.is_set() or num_failed > self._config.max_retries or num_busy > _MOST_BUSY:
                    raise
                wait_s = self._first_wait_s * 2 ** min(num_failed + num_busy - 1, 5)
                self._stopped.wait(wait_s if fault.wait_s is None else fault.wait_s)
                continue
            said = _parsed(reply.text)
            value = value_in(ask, said)
            if value is None and num_unread < self._config.max_retries:
                num_unread += 1
                continue
            reason = said.get("reason") if value is not None and isinstance(said, dict) else None
            return Judgement(
                key=ask.key,
                item=ask.row.item.id,
                criterion=ask.criterion.name,
                shown=ask.shown,
                repeat=ask.repeat,
                value=value,
                reason=visible(reason, most_chars=_MOST_REASON_CHARS) if isinstance(reason, str) else "",
                model=visible(reply.model, most_chars=_MOST_MODEL_CHARS),
            )


def _parsed(text: str) -> object:
    """Return the JSON that a judge wrote, which may lie in a code fence or after what it was thinking."""
    text = text.rpartition("</think>")[2].strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
