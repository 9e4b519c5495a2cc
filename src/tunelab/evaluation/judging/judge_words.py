"""What is said of a judge: before it is asked, and of its figures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tunelab.errors import counted
from tunelab.evaluation.judging.asks import Ask
from tunelab.evaluation.judging.figures import FEWEST_HUMAN_RATINGS, Agreement, JudgeReport, PairFigures, RatingFigures
from tunelab.evaluation.statistics.interval import Interval


def cost(asks: Sequence[Ask], kept: Collection[str]) -> str:
    """Return what asking costs, e.g. ``judge: 400 calls; 120 more are kept``.

    Args:
        asks: all calls.
        kept: keys of judgements that are kept.
    """
    num_kept = sum(ask.key in kept for ask in asks)
    more = f"; {num_kept:,} more are kept" if num_kept else ""
    return f"judge: {counted(len(asks) - num_kept, 'call')}{more}"


def judge_lines(report: JudgeReport) -> Iterator[str]:
    """Yield the figures of a judge in sentences, one criterion a line, and what is to be known of it."""
    for figures in report.by_criterion:
        yield f"{figures.criterion}: {criterion_in_words(figures)}"
    yield from judge_caveats(report)


def criterion_in_words(figures: PairFigures | RatingFigures) -> str:
    """Return what a judge said by one criterion, and what that is worth."""
    said = _pair(figures) if isinstance(figures, PairFigures) else _rating(figures)
    return f"{said}; {_trust(figures.agreement)}"


def judge_caveats(report: JudgeReport) -> Iterator[str]:
    """Yield what is to be known of a judge, whatever it said."""
    if report.num_without_judgement:
        reasons = "".join(f"; {counted(count, 'call')}: {reason}" for reason, count in report.faults.items())
        missing = f"{report.num_without_judgement:,} of {counted(report.num_calls, 'call')}"
        yield f"no judgement in {missing}, which count nowhere{reasons}"
    for name, count in report.other_models.items():
        yield f'the endpoint answered as "{name}", not as "{report.model}", in {counted(count, "call")}'
    if report.is_same_family:
        yield f"{report.model} seems to be of the family that it judges: judges prefer their own kind"


def _pair(pair: PairFigures) -> str:
    if pair.win_rate is None:
        return "no row was judged in both orders"
    counts = f"{pair.wins:,} won, {pair.losses:,} lost, {pair.ties:,} ties"
    parts = [f"win rate {_rate(pair.win_rate, pair.interval, counts)}"]
    if pair.controlled_win_rate is not None:
        parts.append(f"at equal length {_rate(pair.controlled_win_rate, pair.controlled_interval)}")
    if pair.flip_rate is not None:
        parts.append(f"the order decides {_percent(pair.flip_rate)} of rows")
    if pair.first_place_share is not None:
        parts.append(f"the answer shown first wins {_percent(pair.first_place_share)} of decided calls")
    return "; ".join(parts + _repeated(pair.repeat_rate))


def _rating(rated: RatingFigures) -> str:
    if rated.after is None:
        return "no row was rated"
    if rated.before is None or rated.difference is None:
        return "; ".join([f"mean rating {rated.after:.2f}{_ends(rated.interval)}", *_repeated(rated.repeat_rate)])
    change = f"mean rating {rated.before:.2f} before, {rated.after:.2f} after"
    return "; ".join([f"{change}: {rated.difference:+.2f}{_ends(rated.interval)}", *_repeated(rated.repeat_rate)])


def _repeated(rate: float | None) -> list[str]:
    return [] if rate is None else [f"the same again in {_percent(rate)} of repeated calls"]


def _trust(agreement: Agreement) -> str:
    if not agreement.is_checked:
        return f"unchecked: {agreement.num_rows:,} of {FEWEST_HUMAN_RATINGS} human ratings"
    if agreement.kappa is None:
        return f"agreement with people has no figure: all {agreement.num_rows:,} ratings are the same"
    kappa = f"kappa {agreement.kappa:.2f}{_ends(agreement.interval)}"
    return f"{kappa} with people on {counted(agreement.num_rows, 'row')}"


def _rate(rate: float, interval: Interval | None, counts: str = "") -> str:
    ends = "" if interval is None else f"{_percent(interval.low)} to {_percent(interval.high)}"
    details = "; ".join(filter(None, (ends, counts)))
    return _percent(rate) + (f" ({details})" if details else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval.low:.2f} to {interval.high:.2f})"
