"""A model that is evaluated: its weights come into memory with the first question that was not asked before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tunelab.adapters.peft_folder import read_peft_settings, type_in
from tunelab.errors import ModelError
from tunelab.evaluation.reports.report import ModelRecord
from tunelab.files import canonical_json, sha256_folder, sha256_text
from tunelab.flows.subject import Subject, SubjectParts
from tunelab.generation.completion import Sampling
from tunelab.generation.responder import Responder
from tunelab.models.base_hashes import hash_base
from tunelab.models.locate_model import max_positions

_WITHOUT_BOUND = 2**31


class OpenOnce:
    """A subject that base and tuned model share: opened once, and only if one of them is asked."""

    def __init__(self, parts: SubjectParts) -> None:
        self.parts = parts

    @cached_property
    def subject(self) -> Subject:
        """Base model and adapter in memory."""
        return self.parts.open()


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """What answers, by name."""

    record: ModelRecord
    opened: OpenOnce
    tuned: bool

    @property
    def parts(self) -> SubjectParts:
        """What it is made of."""
        return self.opened.parts

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt that leaves a position for an answer, with the adapter on."""
        positions = max_positions(self.parts.folder) or _WITHOUT_BOUND
        return positions - _virtual_tokens(self.parts.adapter) - 1

    def responder(self, sampling: Sampling) -> Responder:
        """Return what answers prompts; the first call takes the weights into memory.

        Raises:
            ModelError, AdapterError: they cannot be loaded.
        """
        return self.opened.subject.responder(sampling, tuned=self.tuned)


def tuned_model(name: str, parts: SubjectParts) -> Model:
    """Return the model that parts make together, under a name."""
    is_tuned = parts.adapter is not None
    return Model(record=_record(name, parts, tuned=is_tuned), opened=OpenOnce(parts), tuned=is_tuned)


def base_of(model: Model) -> Model:
    """Return the base model of a tuned one, rendered alike; both share what is in memory.

    Raises:
        ModelError: the model is a base model itself.
    """
    if not model.tuned:
        remedy = "Name another model to compare with by --against."
        raise ModelError("this is a base model: it has no other base", where=model.record.name, remedy=remedy)
    name = f"base:{model.record.base_model}"
    return Model(record=_record(name, model.parts, tuned=False), opened=model.opened, tuned=False)


def _record(name: str, parts: SubjectParts, *, tuned: bool) -> ModelRecord:
    recipe = parts.recipe
    made_of = [
        hash_base(parts.folder),
        sha256_folder(parts.adapter) if tuned and parts.adapter else {},
        recipe.model.model_dump(mode="json", exclude={"base_model", "revision"}),
        str(recipe.adapter.base_quantization),
    ]
    return ModelRecord(
        name=name,
        base_model=recipe.model.base_model,
        adapter=recipe.adapter.describe() if tuned else "",
        template_sha256=parts.renderer.template_hash,
        weights_sha256=sha256_text(canonical_json(made_of)),
    )


def _virtual_tokens(adapter: Path | None) -> int:
    if adapter is None or type_in(adapter) == "FULL":
        return 0
    return int(read_peft_settings(adapter).get("num_virtual_tokens") or 0)
