"""Which layers of a base model LoRA trains, and which modules along with them: narrowed as peft does. Imports no torch.

What would select nothing, or take back what another setting asks for, is refused.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TypeVar

from tunelab.adapters.fused_experts import taken_for_experts
from tunelab.conversations.safe_regex import first_matches
from tunelab.errors import AdapterError, did_you_mean, listed
from tunelab.models.layer_roles import Modules, Target, layer_of, matched, role_of

_V = TypeVar("_V")


def in_layers(targets: Sequence[Target], numbers: Collection[int], modules: Modules, *, where: str) -> list[Target]:
    """Return `targets` without their modules in other layers than those of `numbers`; no numbers keep them all.

    Raises:
        AdapterError: a number is no layer of the model, or a requested target has no module in these layers.
    """
    if not numbers:
        return list(targets)
    if beyond := sorted(set(numbers) - set(range(modules.num_layers))):
        what = f"{modules.kind} has no layer {listed(map(str, beyond))}"
        raise AdapterError(what, where=where, expected=f"numbers from 0 to {modules.num_layers - 1}")
    narrowed = [
        replace(target.only(lambda module: layer_of(module) in numbers), num_layers=len(set(numbers)))
        for target in targets
    ]
    _refuse_if_empty(narrowed, where=where, why="has no module in these layers")
    return narrowed


def without(targets: Sequence[Target], names: Collection[str], *, where: str) -> list[Target]:
    """Return `targets` without the modules of these names or roles.

    Raises:
        AdapterError: a name matches no module that would be trained without it, or a requested target keeps none.
    """
    every = [module for target in targets for module in target.modules]
    for name in names:
        if not matched(name, every):
            what = f'"{name}" matches no layer that target_modules takes: there is nothing to exclude'
            raise AdapterError(what, where=where, remedy=did_you_mean(name, _last_parts(every)))
    excluded = {module for name in names for module in matched(name, every)}
    narrowed = [target.only(lambda module: module not in excluded) for target in targets]
    _refuse_if_empty(narrowed, where=where, why="keeps no module")
    return narrowed


def first_pattern(patterns: Iterable[str], module: str) -> str | None:
    """Return the first pattern that is a name or a regular expression for the end of the module's name; None if none.

    A name ends as PEFT sees it: ``q_proj`` and ``layers.1.self_attn.q_proj`` fit ``model.layers.1.self_attn.q_proj``.
    """
    return next((pattern for pattern in patterns if _fits(pattern, module)), None)


def by_name(values: Mapping[str, _V], modules: Iterable[str]) -> dict[str, _V]:
    """Return what peft is given instead of `values` by pattern: the same for each of `modules`, by plain names alone.

    peft matches by Python's engine, which can take longer than a life for a regular expression of a stranger's recipe.
    """
    first = {module: first_pattern(values, module) for module in modules}
    spelled_out = {
        re.escape(module): values[pattern]
        for module, pattern in first.items()
        if pattern is not None and not _is_name(pattern)
    }
    # One by one before names, which would take them, too.
    return spelled_out | {pattern: value for pattern, value in values.items() if _is_name(pattern)}


def refuse_unused(patterns: Mapping[str, object], targets: Sequence[Target], *, where: str) -> None:
    """Raise an AdapterError if no layer takes its value from one of the patterns."""
    every = [module for target in targets for module in target.modules]
    used = {first_pattern(patterns, module) for module in every}
    for pattern in patterns:
        if pattern in used:
            continue
        what, remedy = f'"{pattern}" matches no layer that is trained', did_you_mean(pattern, _last_parts(every))
        if any(first_pattern([pattern], module) for module in every):
            what, remedy = f'"{pattern}" is never used: an earlier pattern takes its layers', "Put it before that one."
        raise AdapterError(what, where=where, remedy=remedy)


def refuse_high_ranks(targets: Sequence[Target], rank_of: Callable[[str], int], *, where: str) -> None:
    """Raise an AdapterError if a layer has fewer inputs or outputs than its rank, or is a table of embeddings."""
    for target in targets:
        for module, shape in zip(target.modules, target.shapes, strict=True):
            if role_of(module) == "embeddings":
                what = f"{module} is a table of embeddings, from whose weight no update starts"
                raise AdapterError(what, where=where, remedy="Take it out of target_modules.")
            if min(shape) < rank_of(module):
                what = f"{module} has {min(shape):,} of a weight's own directions and rank {rank_of(module):,}"
                raise AdapterError(what, where=where, remedy="Lower r, or its rank in rank_pattern.")


def refuse_passed_over(targets: Sequence[Target], modules: Modules, *, where: str) -> None:
    """Raise an AdapterError for layers that peft would not train: it takes their names for parts of fused experts."""
    every = [module for target in targets for module in target.modules]
    if passed_over := [name for name in every if name.rpartition(".")[2] in taken_for_experts(modules.kind)]:
        raise passed_over_error(passed_over, targets, where=where)


def passed_over_error(passed_over: Sequence[str], targets: Sequence[Target], *, where: str) -> AdapterError:
    """Return the fault of layers that peft would not train, with the names of those that it would."""
    names = sorted(set(_last_parts(passed_over)))
    reached = sorted({name for target in targets for name in target.names} - set(names))
    return AdapterError(
        f"peft takes {', '.join(names)} of this model for parts of its fused experts and would not train "
        f"{passed_over[0]}",
        where=where,
        remedy=f"Name the other layers: [{', '.join(reached)}].",
    )


def whole_modules(names: Sequence[str], modules: Modules, updated: Sequence[Target], *, where: str) -> list[Target]:
    """Return a target for each name, of modules that are trained whole; of tied ones either name means both.

    Raises:
        AdapterError: a name matches no module, or one that gets an update.
    """
    with_update = {module for target in updated for module in target.modules}
    targets: list[Target] = []
    for name in names:
        found = [module for module in modules.sizes if module == name or module.endswith(f".{name}")]
        if not found:
            what = f'"{name}" matches no module of {modules.kind} that has a weight of its own'
            raise AdapterError(what, where=where, remedy=did_you_mean(name, _last_parts(modules.sizes)))
        if clash := [module for module in found if module in with_update]:
            what = f"{clash[0]} is to be trained whole and to get an update"
            raise AdapterError(what, where=where, remedy=f"Take it out of the others: exclude_modules: [{name}].")
        if tied := set(found) & set(modules.tied):
            found = [module for module in found if module not in tied]
            tied_name = ", ".join(_last_parts(modules.tied)) + " (tied: one weight for both)"
            if all(target.requested != tied_name for target in targets):
                targets.append(_whole(tied_name, modules.tied, modules.sizes[modules.tied[0]], modules))
        if found:
            targets.append(_whole(name, found, sum(modules.sizes[module] for module in found), modules))
    return targets


def _whole(requested: str, found: Sequence[str], num_weights: int, modules: Modules) -> Target:
    return Target(
        requested=requested, modules=tuple(found), shapes=(), num_layers=modules.num_layers, num_whole=num_weights
    )


def _refuse_if_empty(targets: Sequence[Target], *, where: str, why: str) -> None:
    if empty := [target.requested for target in targets if not target.modules]:
        remedy = "Take it out of target_modules, or change this setting."
        raise AdapterError(f"{empty[0]} {why}", where=where, remedy=remedy)


def _is_name(pattern: str) -> bool:
    return re.fullmatch(r"[\w.]+", pattern) is not None


@cache
def _fits(pattern: str, module: str) -> bool:
    return first_matches(rf"^((?:.*\.)?(?:{pattern}))$", [module])[0] is not None


def _last_parts(modules: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(module.rpartition(".")[2] for module in modules))
