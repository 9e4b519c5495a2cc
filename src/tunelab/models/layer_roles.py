"""Requested targets, matched by role or name or refused with what to write instead. Imports no torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunelab.errors import AdapterError, counted, did_you_mean

ROLES = ("attention", "mlp", "all-linear", "embeddings")

_ATTENTION_WORDS = ("attn", "attention")
_MLP_WORDS = ("mlp", "ffn", "feed_forward", "feedforward", "experts")
# Names that other models split and this one may have fused.
_FUSED = {
    "q_proj": ("qkv_proj", "query_key_value", "Wqkv", "c_attn", "qkv"),
    "k_proj": ("qkv_proj", "query_key_value", "Wqkv", "c_attn", "qkv"),
    "v_proj": ("qkv_proj", "query_key_value", "Wqkv", "c_attn", "qkv"),
    "o_proj": ("out_proj", "dense", "c_proj"),
    "gate_proj": ("gate_up_proj", "c_fc"),
    "up_proj": ("gate_up_proj", "c_fc"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """What of a base model can be trained, as the loaded network or the headers of its files name it."""

    kind: str
    """What config.json calls the model, such as ``llama``."""
    num_layers: int
    adaptable: Mapping[str, tuple[int, int]]
    """(inputs, outputs) of the modules that an update can be put around, by full name; the head is none of them."""
    read_around: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Modules that look like the others and cannot be adapted."""
    sizes: Mapping[str, int]
    """Weights of each module that could be trained whole, by full name: layers, embeddings, norms and the head."""
    tied: tuple[str, ...] = ()
    """Embeddings and head, if one weight serves both; empty otherwise."""

    def match(self, requested: str | Sequence[str], *, where: str) -> "list[Target]":
        """Return what each requested target matches, as `match_targets` does."""
        targets = match_targets(
            self.adaptable,
            requested,
            kind=self.kind,
            num_layers=self.num_layers,
            where=where,
            read_around=self.read_around,
        )
        return [replace(each, is_tied=not set(each.modules).isdisjoint(self.tied)) for each in targets]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One requested target and the modules it matched."""

    requested: str
    """The role or name as the recipe gave it."""
    modules: tuple[str, ...]
    """Full names of the modules, e.g. ``model.layers.0.self_attn.qkv_proj``."""
    shapes: tuple[tuple[int, int], ...]
    """(inputs, outputs) of each module."""
    num_layers: int
    """Layers of the network, or as many of them as were requested: to see whether it reaches them all."""
    left_out: tuple[str, ...] = ()
    """Last parts of the names that belong to the role and cannot be adapted: their weights are read around them."""
    num_whole: int = 0
    """Weights of the modules, if they themselves are trained; 0 if updates are put around them."""
    is_tied: bool = False
    """True for embeddings whose weight the head shares: an update around them does not reach the head."""

    @property
    def num_reached(self) -> int:
        """Layers in which at least one module was matched; modules outside the layers do not count."""
        return len({layer_of(module) for module in self.modules} - {None})

    @property
    def names(self) -> tuple[str, ...]:
        """The last parts of the modules' names, each once."""
        return tuple(dict.fromkeys(module.rsplit(".", 1)[-1] for module in self.modules))

    @property
    def in_words(self) -> str:
        """What was matched, such as ``attention: 64 modules (qkv_proj, o_proj) in all 32 layers``."""
        if self.num_whole:
            return f"{self.requested}: {len(self.modules)} modules trained whole, {self.num_whole:,} weights"
        around = f"; not {', '.join(self.left_out)}, whose weights are read around them" if self.left_out else ""
        reached = f"in {self.num_reached} of {counted(self.num_layers, 'layer')}"
        if self.num_reached == self.num_layers > 1:
            reached = f"in all {self.num_layers} layers"
        reached = reached if self.num_reached else "outside the layers"
        head = "; the head, which shares their weight, keeps the base's" if self.is_tied else ""
        modules = counted(len(self.modules), "module")
        return f"{self.requested}: {modules} ({', '.join(self.names)}) {reached}{around}{head}"

    def only(self, is_kept: Callable[[str], bool]) -> "Target":
        """Return this target with those of its modules that `is_kept` says yes to."""
        kept = [pair for pair in zip(self.modules, self.shapes, strict=True) if is_kept(pair[0])]
        return replace(self, modules=tuple(name for name, _ in kept), shapes=tuple(shape for _, shape in kept))


def match_targets(
    modules: Mapping[str, tuple[int, int]],
    requested: str | Sequence[str],
    *,
    kind: str,
    num_layers: int,
    where: str = "lora.target_modules",
    read_around: Mapping[str, tuple[int, int]] | None = None,
) -> list[Target]:
    """Return what each requested target matches.

    Args:
        modules: full name -> (inputs, outputs) of what can be adapted.
        requested: a role (`attention`, `mlp`, `all-linear`, `embeddings`), a module name, or several of them.
        kind: of the model, as its config names it.
        num_layers: of the network.
        where: the setting that holds them.
        read_around: modules that look like the others and cannot be adapted.

    Raises:
        AdapterError: a requested target matches nothing; the message proposes the fused or nearest name and the roles.
    """
    around = read_around or {}
    requests = [requested] if isinstance(requested, str) else list(requested)
    unmatched = [request for request in requests if not matched(request, modules)]
    if unmatched:
        _refuse_read_around(kind, [request for request in unmatched if matched(request, around)], where)
        _refuse(kind, unmatched, modules, where)
    return [
        Target(
            requested=request,
            modules=tuple(names := matched(request, modules)),
            shapes=tuple(modules[name] for name in names),
            num_layers=num_layers,
            left_out=tuple(dict.fromkeys(name.rsplit(".", 1)[-1] for name in matched(request, around))),
        )
        for request in requests
    ]


def matched(requested: str, modules: Iterable[str]) -> list[str]:
    """Return the names among `modules` that a requested target means: those of a role, or those that end in it."""
    if requested in ROLES:
        linear = requested == "all-linear"
        return [name for name in modules if role_of(name) == requested or (linear and role_of(name) != "embeddings")]
    return [name for name in modules if name == requested or name.endswith(f".{requested}")]


def layer_of(module: str) -> int | None:
    """Return the number of the layer that a module is in; None for one outside the layers, such as embeddings."""
    return next((int(part) for part in module.split(".") if part.isdigit()), None)


def role_of(name: str) -> str:
    """Return the role of a module: attention, mlp, embeddings, or linear."""
    parts = name.lower().split(".")
    if any("embed" in part or part in ("wte", "wpe") for part in parts):
        return "embeddings"
    if any(word in part for part in parts[:-1] for word in _ATTENTION_WORDS):
        return "attention"
    if any(word in part for part in parts[:-1] for word in _MLP_WORDS):
        return "mlp"
    return "linear"


def _refuse_read_around(kind: str, requested: Sequence[str], where: str) -> None:
    if requested:
        raise AdapterError(
            f"{', '.join(requested)} of {kind} cannot be adapted: its kernels read the weights "
            "around the layer, so that what is trained would not be used",
            where=where,
            remedy="Take all-linear, which leaves such layers out, or other names.",
        )


def _refuse(kind: str, unmatched: Sequence[str], modules: Mapping[str, tuple[int, int]], where: str) -> None:
    names = list(dict.fromkeys(name.rsplit(".", 1)[-1] for name in modules))
    fused = sorted({here for request in unmatched for here in _FUSED.get(request, ()) if here in names})
    split = [here for here in names for request in unmatched if request in _FUSED.get(here, ())]
    hints = [f"In this model they are fused: use {', '.join(fused)}."] if fused else []
    hints += [f"In this model they are apart: use {', '.join(split)}."] if split else []
    hints += [] if hints else dict.fromkeys(did_you_mean(request, names) for request in unmatched)
    raise AdapterError(
        f"{', '.join(unmatched)} match{'es' if len(unmatched) == 1 else ''} no layer of {kind}",
        where=where,
        expected=f"names among {', '.join(names)}",
        remedy=f"{' '.join(hints)} Or name a role: {', '.join(ROLES)}.",
    )
