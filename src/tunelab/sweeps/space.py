"""What a sweep searches: ranges and choices of settings, read from texts and checked by the settings' own declarations.

training.learning_rate=1e-4..1e-2:log      lora.r=4,8,16      lora.lora_dropout=0..0.5
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunelab.errors import RecipeError, did_you_mean
from tunelab.recipes import ResolvedRecipe
from tunelab.recipes.keys import kinds, shown
from tunelab.recipes.places import PLACES
from tunelab.recipes.recipe import FIELDS, settings_of
from tunelab.recipes.resolve import with_setting

NAMED: dict[str, dict[str, str]] = {
    "phi-silica": {
        "training.learning_rate": "1e-4..1e-2:log",
        "training.weight_decay": "1e-5..1e-1:log",
        "training.adam_beta1": "0.9..0.99",
        "training.adam_beta2": "0.9..0.999",
        "training.adam_epsilon": "1e-9..1e-6:log",
        "training.num_warmup_steps": "0..10000",
        "lora.lora_dropout": "0..0.5",
        "training.lr_scheduler_type": "linear_with_warmup,cosine_with_warmup",
    }
}
"""Spaces by name, each setting written as `--over` takes it."""

WARMUP, SCHEDULE = "training.num_warmup_steps", "training.lr_scheduler_type"
_OF_THE_SWEEP = ("data.split_seed", "data.eval_reserved")
_ONLY_TRAINING_ROWS = ("data.train_samples", "data.max_length")
_RANGE = re.compile(r"(.+?)(?<!\.)\.\.(?!\.)(.+?)(:log)?")
_BETWEEN_BRACKETS = re.compile(r",(?![^\[{]*[\]}])")
_OVER = "--over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A setting that takes any number between two."""

    key: str
    low: float
    """The least; a whole number if the setting takes only these, and so is `high`."""
    high: float
    log: bool = False
    """True if its logarithm is evenly distributed, else it is itself."""

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def describe(self) -> str:
        """Return it in words."""
        scale = ", log-uniform" if self.log else ", uniform"
        return f"{shown(self.low)} to {shown(self.high)}{', whole numbers' if self.is_whole else ''}{scale}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A setting that takes one of some values."""

    key: str
    values: tuple[Any, ...]

    def describe(self) -> str:
        """Return it in words."""
        return ", ".join(map(shown, self.values))


Space = tuple[Range | Choice, ...]


def read_space(over: Sequence[str], resolved: ResolvedRecipe, *, name: str | None = None) -> tuple[Space, list[str]]:
    """Return what is searched, in the order of the named space and then of `over`, and what to say of it.

    Args:
        over: texts as after `--over`; one replaces the named space's range of its setting.
        resolved: the recipe whose settings are searched.
        name: one of `NAMED`.

    Raises:
        RecipeError: a setting that is none or cannot be searched, an empty range, an impossible value.
    """
    texts, notes = _named(name, resolved)
    given: set[str] = set()
    for text in over:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals:
            what = f'"{text}" has no equals sign'
            raise RecipeError(what, where=_OVER, expected="SETTING=LOW..HIGH, SETTING=LOW..HIGH:log or SETTING=A,B,C")
        if key in given:
            raise RecipeError(f"{key} is given twice", where=_OVER, expected="each setting once")
        given.add(key)
        texts[key] = values
    if not texts:
        remedy = "Name settings with --over, such as --over training.learning_rate=1e-4..1e-2:log, or --space "
        raise RecipeError("there is nothing to search", remedy=f"{remedy}{' or '.join(NAMED)}.")
    space = tuple(_dimension(key, values.strip(), resolved) for key, values in texts.items())
    _refuse_unused_warmup(space, resolved)
    return space, [*notes, *_remarks(space)]


def cut_warmup(space: Space, *, total_steps: int) -> tuple[Space, list[str]]:
    """Return the space with no more warm-up steps than a run of so many steps can have, and what to say of it.

    Raises:
        RecipeError: the fewest are too many.
    """
    most = total_steps - 1
    cut, notes = [], []
    for each in space:
        if isinstance(each, Range) and each.key == WARMUP and each.is_whole and each.high > most:
            if each.low >= most:
                what = f"{WARMUP} begins at {each.low:,}, and the run has {total_steps:,} steps"
                raise RecipeError(what, where=_OVER, expected="fewer warm-up steps than steps")
            notes.append(f"{WARMUP} goes up to {most:,} instead of {each.high:,}: the run has {total_steps:,} steps")
            each = replace(each, high=most)
        cut.append(each)
    return tuple(cut), notes


def num_points(space: Space) -> float:
    """Return how many different points a space has; infinite if a range takes numbers that are not whole."""
    counts = (
        len(each.values) if isinstance(each, Choice) else each.high - each.low + 1 if each.is_whole else math.inf
        for each in space
    )
    return math.prod(counts)


def _named(name: str | None, resolved: ResolvedRecipe) -> tuple[dict[str, str], list[str]]:
    if name is None:
        return {}, []
    if name not in NAMED:
        raise RecipeError(f'there is no space "{name}"', where="--space", remedy=did_you_mean(name, NAMED))
    method = resolved.recipe.adapter.section
    texts, notes = {}, []
    for key, values in NAMED[name].items():
        own = key.replace("lora.", f"{method}.", 1)
        if own in FIELDS:
            texts[own] = values
        else:
            notes.append(f"the space {name} also has {key}, which {method} does not have")
    return texts, notes


def _dimension(key: str, text: str, resolved: ResolvedRecipe) -> Range | Choice:
    _refuse_unsearchable(key, resolved)
    numbers = bool(kinds(key) & {int, float}) if key in FIELDS else True
    if numbers and (match := _RANGE.fullmatch(text)):
        return _range(key, match[1], match[2], resolved, log=match[3] is not None)
    parts = [part.strip() for part in _BETWEEN_BRACKETS.split(text) if part.strip()]
    if torn := next((part for part in parts if _is_torn(part)), ""):
        what = f"{key} has a bracket without its other half: {torn}"
        raise RecipeError(what, where=_OVER, expected="such as [q_proj, v_proj],[q_proj]")
    values = tuple(_value(key, part, resolved) for part in parts)
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise RecipeError(f"{key} has {shown(twice)} twice", where=_OVER, expected="each value once")
    if len(values) < 2:
        what = f"{key} has {'one value' if values else 'no value'} to try"
        remedy = f"A value that is the same in every trial is given with --set {key}={text}." if values else ""
        raise RecipeError(what, where=_OVER, expected="two values or more, or a range such as 1..8", remedy=remedy)
    return Choice(key=key, values=values)


def _is_torn(part: str) -> bool:
    return part.count("[") != part.count("]") or part.count("{") != part.count("}")


def _range(key: str, first: str, last: str, resolved: ResolvedRecipe, *, log: bool) -> Range:
    low, high = (_value(key, text.strip(), resolved) for text in (first, last))
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise RecipeError(f"{key} has a range that does not end in numbers", where=_OVER, expected="such as 1..8")
    if low > high:
        what = f"{key} begins at {shown(low)} and ends at {shown(high)}"
        raise RecipeError(what, where=_OVER, expected="the lower end first")
    if low == high:
        what, remedy = f"{key} has an empty range", f"A value that is the same in every trial: --set {key}={first}."
        raise RecipeError(what, where=_OVER, expected="two different ends", remedy=remedy)
    if log and low <= 0:
        what = f"{key} begins at {shown(low)}, which has no logarithm"
        raise RecipeError(what, where=_OVER, expected="a lower end above 0, or no :log")
    if not (isinstance(low, int) and isinstance(high, int)):
        low, high = float(low), float(high)
        _value(key, repr((low + high) / 2), resolved)  # what lies between may be impossible although the ends are not
    return Range(key=key, low=low, high=high, log=log)


def _value(key: str, text: str, resolved: ResolvedRecipe) -> Any:
    """Return the value that a text means for a setting, as a recipe with it has it."""
    return settings_of(with_setting(resolved, key, text, where=_OVER))[key]


def _refuse_unsearchable(key: str, resolved: ResolvedRecipe) -> None:
    if key in PLACES:
        what, expected_ = f"{key} says where data or models are", "a setting of training or of the adapter"
        remedy = "The loss per token of other rows or of another tokenizer is not comparable. Make a recipe for each."
        raise RecipeError(what, where=_OVER, expected=expected_, remedy=remedy)
    if key in _OF_THE_SWEEP:
        raise RecipeError(f"{key} is set by the sweep itself", where=_OVER, remedy="Give it with --set, once for all.")
    if key.startswith(("evaluation.", "checks.")):
        raise RecipeError(f"{key} has no effect on what is trained", where=_OVER, remedy="Leave it out.")
    if key == "training.seed":
        what, remedy = "training.seed is no setting to search", "--seeds N runs the recipe itself with N seeds."
        raise RecipeError(what, where=_OVER, remedy=remedy)
    method = resolved.recipe.adapter.section
    if key in FIELDS and key not in settings_of(resolved.recipe):
        what = f"{key} is no setting of this recipe, which trains {method}"
        raise RecipeError(what, where=_OVER, remedy=f"Its own begin with {method}.")


def _refuse_unused_warmup(space: Space, resolved: ResolvedRecipe) -> None:
    schedule = resolved.recipe.training.lr_scheduler_type
    keys = {each.key for each in space}
    if WARMUP in keys and SCHEDULE not in keys and not schedule.endswith("_with_warmup"):
        what = f"{WARMUP} has no effect: the scheduler {schedule} has no warm-up"
        raise RecipeError(what, where=_OVER, remedy=f"Add --set {SCHEDULE}={schedule}_with_warmup.")


def _remarks(space: Space) -> Iterator[str]:
    for each in space:
        if each.key.startswith("data.") and each.key not in _ONLY_TRAINING_ROWS:
            what = f"{each.key} changes which rows are held out or what is measured on them"
            yield f"{what}: figures of trials with different values are not comparable"
