"""How fast models answer: one request at a time, and several, all models in turn so that a busy machine hits all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from tunelab.evaluation.reports.report import LatencyFigures
from tunelab.evaluation.statistics.interval import Interval
from tunelab.evaluation.statistics.quantiles import quantile
from tunelab.evaluation.suite.config import LatencyConfig
from tunelab.flows.evaluating.model import Model
from tunelab.generation.completion import Sampling
from tunelab.generation.responder import Responder
from tunelab.rendering.rendered import TokenIds

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(slots=True, kw_only=True)
class _Times:
    """Of one model at one number of requests at a time, in milliseconds."""

    first_token: list[float] = field(default_factory=list)
    request: list[float] = field(default_factory=list)
    num_tokens: int = 0
    busy_s: float = 0.0


def measure_latency(
    models: Sequence[Model], prompts: Sequence[TokenIds], config: LatencyConfig, sampling: Sampling
) -> list[tuple[LatencyFigures, ...]]:
    """Return the times of each model, for each number of requests at a time; nothing of it is kept for later.

    Args:
        models: they answer the same prompts in turn, after one answer each that is not measured.
        prompts: taken in their order, again and again.
        config: how many requests, and how many at a time.
        sampling: how tokens are chosen.

    Raises:
        ModelError: a model cannot be loaded, or computes NaN.
    """
    if not prompts:
        return [() for _ in models]
    responders = [model.responder(sampling) for model in models]
    for responder in responders:
        responder.answers(prompts[:1])
    found: list[list[LatencyFigures]] = [[] for _ in models]
    for at_a_time in config.concurrency:
        times = [_Times() for _ in models]
        for batch in _batches(prompts, config.requests, at_a_time):
            for responder, own in zip(responders, times, strict=True):
                _request(responder, batch, own)
        for figures, own in zip(found, times, strict=True):
            figures.append(_figures(own, at_a_time))
    return [tuple(each) for each in found]


def _batches(prompts: Sequence[TokenIds], requests: int, at_a_time: int) -> list[list[TokenIds]]:
    endless = cycle(prompts)
    return [list(islice(endless, at_a_time)) for _ in range(-(-requests // at_a_time))]


def _request(responder: Responder, batch: list[TokenIds], times: _Times) -> None:
    started = time.perf_counter()
    if len(batch) == 1:
        pieces = responder.stream(batch[0])
        next(pieces, None)
        times.first_token.append(1000 * (time.perf_counter() - started))
        text = "".join(pieces)
        times.request.append(1000 * (time.perf_counter() - started))
        times.num_tokens += len(responder.renderer.encode(text)) + 1
    else:
        for response in responder.answers(batch):
            times.request.append(1000 * response.completion.duration_s)
            times.num_tokens += len(response.completion.token_ids)
    times.busy_s += time.perf_counter() - started


def _figures(times: _Times, at_a_time: int) -> LatencyFigures:
    requests = {name: quantile(times.request, share) for name, share in _SHARES.items()}
    firsts = {name: quantile(times.first_token, share) for name, share in _SHARES.items()}
    intervals: dict[str, Interval | None] = {name: each.interval if each else None for name, each in requests.items()}
    return LatencyFigures(
        merged=False,
        concurrency=at_a_time,
        num_requests=len(times.request),
        first_token_ms={name: each.value if each else None for name, each in firsts.items()},
        request_ms={name: each.value if each else None for name, each in requests.items()},
        intervals_ms=intervals,
        tokens_per_s=times.num_tokens / times.busy_s if times.busy_s else 0.0,
    )
