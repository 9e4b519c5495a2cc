"""The loss over the steps, as a PNG and as text."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunelab.errors import MissingExtraError
from tunelab.events.event import EvaluationDone, StepDone
from tunelab.events.event_index import EventIndex, thinned
from tunelab.files import write_file

_TRAIN_COLOUR, _HELD_OUT_COLOUR = "#4477aa", "#cc6677"
_WIDTH_IN, _HEIGHT_IN, _PIXELS_PER_IN = 8, 4.5, 120
_PIXELS_PER_CELL = 2
"""Columns of dots in a braille character."""


def write_loss_plot(index: EventIndex, path: Path, *, title: str) -> None:
    """Write a PNG of training loss, its moving mean, and held-out loss over the optimizer steps.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra="train") from error
    columns = _WIDTH_IN * _PIXELS_PER_IN
    steps, losses = index.series(StepDone, "loss")
    measured = index.series(EvaluationDone, "eval_loss", columns=columns)
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*thinned(steps, losses, columns=columns), color=_TRAIN_COLOUR, alpha=0.3, linewidth=1)
    mean = thinned(steps, moving_mean(losses), columns=columns)
    axes.plot(*mean, color=_TRAIN_COLOUR, linewidth=2, label="training")
    if measured[0]:
        axes.plot(*measured, "o-", color=_HELD_OUT_COLOUR, linewidth=2, markersize=5, label="held out")
    axes.set(title=title, xlabel="optimizer step", ylabel="loss (nats per trained token)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_PIXELS_PER_IN)
    write_file(path, image.getvalue())


def terminal_plot(index: EventIndex, *, width: int = 72, height: int = 14) -> str:
    """Return the same picture in characters, without colours.

    Raises:
        MissingExtraError: plotext is not installed.
    """
    try:
        import plotext
    except ImportError as error:
        raise MissingExtraError("plotext", extra="train") from error
    columns = width * _PIXELS_PER_CELL
    steps, losses = index.series(StepDone, "loss")
    measured = index.series(EvaluationDone, "eval_loss", columns=columns)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height)
    mean = thinned(steps, moving_mean(losses), columns=columns)
    plotext.plot(*mean, label="training", marker="braille")
    if measured[0]:
        plotext.scatter(*measured, label="held out", marker="●")
    plotext.xlabel("optimizer step")
    plotext.xticks(sorted({round(1 + (steps[-1] - 1) * part / 4) for part in range(5)}) if steps else [])
    return str(plotext.uncolorize(plotext.build())).rstrip()


def moving_mean(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours, a fortieth of the run on either side as far as it goes."""
    numbers, side = np.arange(len(values)), len(values) // 40
    starts, ends = np.maximum(numbers - side, 0), np.minimum(numbers + side + 1, len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: list[float] = ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
    return means
