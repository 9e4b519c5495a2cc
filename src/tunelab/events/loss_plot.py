"""The course of the loss, as a PNG and as text."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunelab.errors import MissingExtraError
from tunelab.events.event import AnyEvent, EvaluationDone
from tunelab.events.log import steps
from tunelab.files import write_file

_TRAIN_COLOUR, _HELD_OUT_COLOUR = "#4477aa", "#cc6677"


def write_loss_plot(events: Sequence[AnyEvent], path: Path, *, title: str) -> None:
    """Write a PNG of training loss, its moving mean, and held-out loss over the optimizer steps.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra="train") from error
    done, measured = steps(events), _measured(events)
    numbers, losses = [step.step for step in done], [step.loss for step in done]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(numbers, losses, color=_TRAIN_COLOUR, alpha=0.3, linewidth=1)
    axes.plot(numbers, moving_mean(losses), color=_TRAIN_COLOUR, linewidth=2, label="training")
    if measured:
        at, values = zip(*measured, strict=True)
        axes.plot(at, values, "o-", color=_HELD_OUT_COLOUR, linewidth=2, markersize=5, label="held out")
    axes.set(title=title, xlabel="optimizer step", ylabel="loss (nats per trained token)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_file(path, image.getvalue())


def terminal_plot(events: Sequence[AnyEvent], *, width: int = 72, height: int = 14) -> str:
    """Return the same picture in characters, without colours.

    Raises:
        MissingExtraError: plotext is not installed.
    """
    try:
        import plotext
    except ImportError as error:
        raise MissingExtraError("plotext", extra="train") from error
    done, measured = steps(events), _measured(events)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height)
    losses = moving_mean([step.loss for step in done])
    plotext.plot([step.step for step in done], losses, label="training", marker="braille")
    if measured:
        at, values = zip(*measured, strict=True)
        plotext.scatter(list(at), list(values), label="held out", marker="●")
    plotext.xlabel("optimizer step")
    plotext.xticks(sorted({round(1 + (done[-1].step - 1) * part / 4) for part in range(5)}) if done else [])
    return str(plotext.uncolorize(plotext.build())).rstrip()


def moving_mean(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and those before it, over a twentieth of the run."""
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - max(1, len(values) // 20), 0)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: list[float] = ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
    return means


def _measured(events: Sequence[AnyEvent]) -> list[tuple[int, float]]:
    return [(event.step, event.eval_loss) for event in events if isinstance(event, EvaluationDone)]
