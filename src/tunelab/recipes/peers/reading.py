"""A file of another tool while it is read: what it becomes, what is left out, and what has no twin."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunelab.errors import RecipeError, did_you_mean, guess
from tunelab.recipes.keys import shown
from tunelab.recipes.peers.key import LEFT, OFF, Key, NoEffectError, NoTwinError
from tunelab.recipes.recipe import ADAPTERS
from tunelab.recipes.yaml_document import Entry, Layer, Note, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Untranslated:
    """A key that changes what is trained and has no twin."""

    entry: Entry
    why: str
    nearest: str


@dataclass(slots=True, kw_only=True)
class Reading:
    """What has come of the keys so far."""

    tool: str
    page: str
    """Name of the page that has a table of the tool's keys."""
    folder: Path
    """Of the file."""
    entries: Mapping[str, Entry]
    """Their key, dotted if it is in a mapping -> what it holds."""
    method: str = "lora"
    """Section of the adapter that is trained."""
    layer: Layer = field(default_factory=dict)
    made_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our setting -> their keys that it comes from."""
    obeyed: set[str] = field(default_factory=set)
    """Keys that ask for what is done here anyway."""
    left_out: list[tuple[Key, Entry]] = field(default_factory=list)
    """Keys that change nothing of what is trained."""
    refusals: list[Untranslated] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value of one of their keys; the default if it is not given, or null."""
        entry = self.entries.get(key)
        return default if entry is None or entry.value is None else entry.value

    def set(self, setting: str, value: Any, *keys: str) -> None:
        """Set a setting of ours from some of their keys; without one that is given, it is the tool's default."""
        given = [self.entries[key] for key in keys if key in self.entries]
        words = ", ".join(entry.dotted for entry in given)
        source = f"{given[0].where} ({self.tool} {words})" if given else f"{self.tool} default"
        self.layer[setting] = Setting(value=value, source=source)
        self.made_of[setting] = tuple(entry.dotted for entry in given)

    def obey(self, *keys: str) -> None:
        """Note keys that ask for what is done here anyway: there is nothing to say of them."""
        self.obeyed.update(self.entries[key].dotted for key in keys if key in self.entries)

    def refuse(self, key: str, why: str, nearest: str = "") -> None:
        """Note a key without a twin."""
        self.refusals.append(Untranslated(entry=self.entries[key], why=why, nearest=nearest))

    def note(self, text: str, *, about: str = "") -> None:
        """Say something of the file; `about` is the setting that it concerns."""
        self.notes.append(Note(about=about, text=text))

    def take(self, key: Key, entry: Entry) -> None:
        """Read one key by its row of the table."""
        if key.kind == "noted":
            self.left_out += [(key, entry)] if entry.value not in OFF else []
        elif key.kind == "refused" and entry.value in key.near:
            self.note(f"{entry.where}: {entry.dotted}: {entry.value}: {key.word}.")
        elif key.kind == "refused":
            self.refusals += [Untranslated(entry=entry, why=key.word, nearest=key.setting)] * (
                entry.value not in key.off
            )
        elif key.kind == "differs" and entry.value not in key.off:
            self.note(f"{entry.where}: {entry.dotted}: {key.word}.", about=key.setting)
        elif key.kind == "read" and entry.value is not None:
            self._convert(key, entry)

    def _convert(self, key: Key, entry: Entry) -> None:
        try:
            value = key.convert(entry.value) if key.convert else entry.value
        except NoTwinError as error:
            self.refusals.append(Untranslated(entry=entry, why=str(error), nearest=key.setting))
            return
        except NoEffectError as error:
            self.left_out.append((replace(key, word=str(error)), entry))
            return
        is_set = any(self.entries[each].value not in OFF for each in self.made_of.get(key.setting, ()))
        if value is LEFT or (is_set and entry.value in OFF):
            self.obey(entry.dotted)
        else:
            self.set(key.setting, value, entry.dotted)

    def refuse_unknown(self, entry: Entry, keys: Sequence[Key]) -> None:
        """Note a key that the tool does not have, with the nearest that it has."""
        near = guess(entry.dotted, [key.name for key in keys]) or did_you_mean(entry.key, [key.name for key in keys])
        why = f"{self.tool} has no such key that is known here"
        self.refusals.append(
            Untranslated(entry=entry, why=f"{why}. {near}" if near.startswith("Did") else why, nearest="")
        )

    def leave_out_unused(self, known: Callable[[str], Key | None]) -> None:
        """Leave out the keys of which nothing came, so that none disappears: the last step of reading."""
        used = {*self.obeyed, *(each.entry.dotted for each in self.refusals)}
        used |= {entry.dotted for _, entry in self.left_out}
        used |= {name for setting, names in self.made_of.items() if self._has(setting) for name in names}
        for entry in self.entries.values():
            key = known(entry.dotted)
            if key is None or key.kind not in ("read", "joined") or entry.value in OFF or entry.dotted in used:
                continue
            if not any(re.search(rf"(?<![\w.]){re.escape(entry.dotted)}(?!\w)", note.text) for note in self.notes):
                self.left_out.append((replace(key, word=self._why_unused(key), setting=""), entry))

    def _why_unused(self, key: Key) -> str:
        if not key.setting:
            return key.word
        if not self._has(key.setting):
            return f"{key.setting.partition('.')[0]} is not the method, which is {self.method}"
        return "another key decides it" if self.made_of.get(key.setting) else "nothing in this file makes use of it"

    def _has(self, setting: str) -> bool:
        """Return whether a setting is one of the method that is trained, or of no method."""
        section, _, name = setting.partition(".")
        return section not in ADAPTERS or not name or name in ADAPTERS[self.method].model_fields

    def finished(self) -> Layer:
        """Return the settings, those of LoRA in the section of the method that is trained."""
        layer: Layer = {self.method: Setting(value=None, source=f"{self.tool} default")}
        for setting, given in self.layer.items():
            section, _, name = setting.partition(".")
            if self._has(setting):
                layer[f"{self.method}.{name}" if section in ADAPTERS else setting] = given
        return layer

    def all_notes(self) -> list[Note]:
        """Return what is to be said, the keys that are left out in one sentence."""
        if not self.left_out:
            return self.notes
        reasons: dict[str, list[str]] = {}
        for key, entry in self.left_out:
            nearest = f" ({key.setting})" if key.setting else ""
            reasons.setdefault(key.word + nearest, []).append(entry.dotted)
        parts = [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
        text = f"Left out, without effect on what is trained: {'; '.join(parts)}."
        return [*self.notes, Note(about="", text=text)]

    def refusal(self, path: Path) -> RecipeError | None:
        """Return one error with a table of the keys without a twin; None if there is none."""
        if not self.refusals:
            return None
        number, total = len(self.refusals), len(self.entries)
        verb = "changes what is trained and has" if number == 1 else "change what is trained and have"
        what = f"this is a recipe of {self.tool}, and {number} of its {total} keys {verb} no equal here"
        rows = [_row(each) for each in self.refusals]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        table = "\n    ".join(line.rstrip() for line in lines)
        after = f"Change or delete these lines. All keys: docs/from/{self.page}.md"
        return RecipeError(f"{what}:\n    {table}\n  {after}", where=str(path))


def _row(refusal: Untranslated) -> tuple[str, str, str]:
    line = refusal.entry.where.rpartition(":")[2]
    nearest = f"; the nearest is {refusal.nearest}" if refusal.nearest else ""
    return f"line {line}", f"{refusal.entry.dotted}: {shown(refusal.entry.value)}", f"{refusal.why}{nearest}"
