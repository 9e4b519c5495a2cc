"""From values of other tools to ours."""

from __future__ import annotations

from typing import Any

from tunelab.recipes.peers.key import LEFT, OFF, NoEffectError, NoTwinError, words

ADAMW = sorted(
    words(
        "adamw adamw_torch adamw_torch_fused adamw_torch_xla adamw_torch_npu_fused adamw_hf adamw_apex_fused "
        "paged_adamw paged_adamw_32bit"
    )
)
"""AdamW in its implementations with moments in float32."""
SMALLER_ADAMW = sorted(
    words(
        "adamw_8bit adamw_bnb_8bit adamw_torch_4bit adamw_torch_8bit adamw_anyprec paged_adamw_8bit ao_adamw_4bit "
        "ao_adamw_8bit ao_adamw_fp8"
    )
)
"""AdamW whose moments take fewer bits."""


def is_on(value: object) -> bool:
    """Return whether a switch is on; YAML 1.1, which these tools read, has more words for it than YAML 1.2."""
    return value in (True, 1) or (isinstance(value, str) and value.lower() in ("true", "yes", "on"))


def switched(value: object) -> bool:
    """Return a switch as true or false.

    Raises:
        NoTwinError: it is neither.
    """
    if not is_on(value) and value not in OFF and str(value).lower() not in ("false", "no", "off"):
        raise NoTwinError("expected true or false")
    return is_on(value)


def reversed_switch(value: object) -> bool:
    """Return true for a switch that is off."""
    return not switched(value)


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and one value as a list of it; null is none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def names(value: object) -> Any:
    """Return module names: a list, or the parts of a text between commas; `all` is all-linear."""
    parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise NoTwinError("expected names of layers")
    if parts in (["all"], ["all-linear"], ["all_linear"]):
        return "all-linear"
    return parts or LEFT


def steps(value: object) -> Any:
    """Return a number of steps; -1 and 0 are none."""
    return LEFT if value in (None, 0, -1, "auto") else value


def interval(value: object) -> Any:
    """Return every how many steps something is done that trains nothing; 0 is never, and below 1 a share of all."""
    if isinstance(value, float) and 0 < value < 1:
        raise NoEffectError("steps are counted here; this is a share of all")
    return steps(value)


def share(value: object) -> Any:
    """Return the share of rows that is held out; a count of rows has no twin."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1:
        raise NoTwinError("a number of rows; here a share of them is held out")
    return value or 0.0


def strategy(value: object) -> Any:
    """Return when something happens: steps, epoch or no."""
    return "no" if value in (False, None, "no") else value


def precision(value: object) -> Any:
    """Return a dtype by the name that torch has for it."""
    known = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "half": "float16", "float": "float32"}
    name = str(value).removeprefix("torch.")
    return known.get(name, name)


def scheduler(name: object, warmup: object) -> str:
    """Return a learning-rate schedule with or without warm-up.

    Raises:
        NoTwinError: there is none of this name.
    """
    stem = str(name).removesuffix("_with_warmup")
    if stem not in ("linear", "cosine", "constant"):
        raise NoTwinError("schedules are linear, cosine and constant, each with warm-up or without")
    if name == "constant":  # transformers' own has no warm-up, whatever the file says of one
        return "constant"
    return f"{stem}_with_warmup" if warmup else stem
