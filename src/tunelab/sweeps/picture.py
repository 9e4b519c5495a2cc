"""The trials of a sweep as lines through one axis a setting, and one for the held-out loss."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tunelab.errors import MissingExtraError
from tunelab.files import write_file
from tunelab.recipes.keys import shown
from tunelab.sweeps.noise import Noise
from tunelab.sweeps.space import Choice, Range
from tunelab.sweeps.sweep import Sweep
from tunelab.sweeps.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES_PER_AXIS, _HEIGHT_IN, _PIXELS_PER_IN = 1.9, 5, 120
_PRUNED, _BEST, _NOISE = "#cccccc", "#cc3311", "#88ccee"
_NUM_TICKS = 5


def draw(sweep: Sweep, trials: Mapping[str, Trial], noise: Noise, best: str | None) -> None:
    """Write a PNG of parallel coordinates; no picture of trials of which none has finished.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import colormaps
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra="sweep") from error
    numbered = [trial for trial in trials.values() if trial.number is not None]
    finished = [trial for trial in numbered if trial.loss is not None]
    if not finished:
        return
    losses = [*(trial.loss for trial in finished if trial.loss is not None), *noise.losses]
    scale = Normalize(min(losses), max(losses))
    space = sweep.plan.space
    figure = Figure(figsize=(_INCHES_PER_AXIS * (len(space) + 1) + 1, _HEIGHT_IN), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(space))
    for trial in sorted(numbered, key=lambda trial: (trial.loss is not None, -(trial.loss or 0.0))):
        heights = [_height(each, trial.settings[each.key]) for each in space]
        if trial.loss is None:
            axes.plot(places, heights, color=_PRUNED, linewidth=0.7, zorder=1)
            continue
        is_best = trial.label == best
        colour = _BEST if is_best else colormaps["viridis"](scale(trial.loss))
        line = [*heights, 1 - float(scale(trial.loss))]
        axes.plot(range(len(line)), line, color=colour, linewidth=3 if is_best else 1.2, zorder=3 if is_best else 2)
    _name_axes(axes, space, min(losses), max(losses), noise, scale)
    pruned = len(numbered) - len(finished)
    title = f"{sweep.name}: {len(finished)} finished trials in colour"
    title += f", {pruned} that were stopped early or failed in grey" if pruned else ""
    axes.set_title(title + (f"; {best} is the best" if best else ""), loc="left", fontsize=10)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_PIXELS_PER_IN)
    write_file(sweep.picture_file, image.getvalue())


def _name_axes(
    axes: Axes, space: Sequence[Range | Choice], low: float, high: float, noise: Noise, scale: object
) -> None:
    last = len(space)
    for place, each in enumerate(space):
        axes.axvline(place, color="black", linewidth=0.8, zorder=0)
        for height, text in _ticks(each):
            axes.text(place + 0.02, height, text, fontsize=8, va="center", zorder=4, bbox=_behind())
    axes.axvline(last, color="black", linewidth=0.8, zorder=0)
    for number in range(_NUM_TICKS):
        height = number / (_NUM_TICKS - 1)
        axes.text(last + 0.02, height, f"{high - height * (high - low):.4g}", fontsize=8, va="center", zorder=4)
    if high > low:
        of_recipe = [(high - loss) / (high - low) for loss in noise.losses]
        axes.plot([last] * len(of_recipe), of_recipe, "o", color=_NOISE, markeredgecolor="black", zorder=5)
    names = [each.key.partition(".")[2].replace("_", "_\u200b") for each in space]
    axes.set_xticks(range(last + 1), [*names, "held-out loss\n(dots: the recipe)"], fontsize=8)
    axes.set(xlim=(-0.1, last + 0.4), ylim=(-0.04, 1.04))
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _behind() -> dict[str, object]:
    return {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}


def _height(each: Range | Choice, value: object) -> float:
    """Return where a value is on its axis, from 0 to 1."""
    if isinstance(each, Choice):
        return each.values.index(value) / (len(each.values) - 1)
    assert isinstance(value, int | float)
    if each.log:
        return math.log(value / each.low) / math.log(each.high / each.low)
    return (value - each.low) / (each.high - each.low)


def _ticks(each: Range | Choice) -> list[tuple[float, str]]:
    if isinstance(each, Choice):
        return [(_height(each, value), shown(value).strip('"')) for value in each.values]
    shares = [number / (_NUM_TICKS - 1) for number in range(_NUM_TICKS)]
    if each.log:
        return [(share, f"{each.low * (each.high / each.low) ** share:.2g}") for share in shares]
    return [(share, f"{each.low + share * (each.high - each.low):.3g}") for share in shares]
