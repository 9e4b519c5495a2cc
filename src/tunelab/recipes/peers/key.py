"""One key of another tool's recipe: what it becomes here, or why it becomes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

OFF: tuple[object, ...] = (None, False, 0, "", "no", "none", "None", "false", "off", [], {})
"""Values that switch a key off. A feature that is off here, too, is what the file asks for."""
ON: tuple[object, ...] = (True, "true", "yes", "on")
"""Values that switch a key on."""
LEFT = object()
"""What a converter returns for a value that needs no setting here."""


def words(names: str) -> frozenset[str]:
    """Return names that are parted by spaces."""
    return frozenset(names.split())


class NoTwinError(Exception):
    """A value that no setting of ours has the meaning of; its text says why."""


class NoEffectError(Exception):
    """A value that cannot be read and changes nothing of what is trained; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of a key."""

    name: str
    """The key as their file writes it: ``lora_rank``, ``lora_parameters.rank``, or ``wandb_*`` for all of a family."""
    kind: Literal["read", "joined", "differs", "noted", "refused"]
    """read: becomes `setting`. joined: becomes it together with other keys. differs: is done otherwise here, which is
    said. noted: changes nothing of what is trained. refused: changes what is trained, and has no twin."""
    setting: str = ""
    """The setting that it becomes, or the nearest one of a key that becomes none."""
    word: str = ""
    """How its meaning is converted, or why there is nothing to convert."""
    convert: Callable[[Any], Any] | None = None
    """From their value to ours; None takes it as it is."""
    off: tuple[object, ...] = OFF
    """Values of a refused or differing key that are what is done here anyway."""
    near: tuple[object, ...] = ()
    """Values of a refused key that are done otherwise here, which is said."""

    @property
    def sentence(self) -> str:
        """What to say to someone who writes this key in a recipe of ours."""
        if self.kind in ("read", "joined") and self.setting:
            is_section = "." not in self.setting
            verb = "It is the section" if is_section else "It is called"
            return f"{verb} {self.setting} here{f': {self.word}' if self.word else ''}."
        nearest = f" The nearest setting is {self.setting}." if self.setting else ""
        return f"{self.word[0].upper()}{self.word[1:]}.{nearest}"

    def names(self, key: str) -> bool:
        """Return whether this is what is known of `key`."""
        return key == self.name or ("*" in self.name and fnmatchcase(key, self.name))


def read(name: str, setting: str, convert: Callable[[Any], Any] | None = None, word: str = "") -> Key:
    """Return a key that becomes one setting."""
    return Key(name=name, kind="read", setting=setting, convert=convert, word=word)


def joined(name: str, setting: str, word: str = "") -> Key:
    """Return a key that becomes a setting together with other keys, by the tool's own module."""
    return Key(name=name, kind="joined", setting=setting, word=word)


def differs(word: str, names: str, setting: str = "", *, done: Iterable[object] | None = None) -> tuple[Key, ...]:
    """Return keys whose feature is there and done otherwise; `done` are values that ask for what is done here."""
    off = OFF if done is None else (None, *done)
    return tuple(Key(name=name, kind="differs", setting=setting, word=word, off=off) for name in names.split())


def noted(word: str, names: str, setting: str = "") -> tuple[Key, ...]:
    """Return keys that change nothing of what is trained; `names` are parted by spaces."""
    return tuple(Key(name=name, kind="noted", setting=setting, word=word) for name in names.split())


def refused(
    word: str, names: str, setting: str = "", *, off: Iterable[object] = (), near: Iterable[object] = ()
) -> tuple[Key, ...]:
    """Return keys that change what is trained and have no twin, but for values that are off, in `off` or in `near`."""
    done, close = (*OFF, *off), tuple(near)
    return tuple(
        Key(name=name, kind="refused", setting=setting, word=word, off=done, near=close) for name in names.split()
    )


def refused_unless(word: str, names: str, setting: str = "", *, done: Iterable[object]) -> tuple[Key, ...]:
    """Return keys of what is done here anyway, refused unless their value is one of `done`: false is another thing."""
    return tuple(
        Key(name=name, kind="refused", setting=setting, word=word, off=(None, *done)) for name in names.split()
    )
