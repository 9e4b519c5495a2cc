"""The values of a recipe held against its form: what is outside is a fault with the places of both, or a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunelab.errors import RecipeError, listed
from tunelab.recipes.dialects.modellab import KEYS, TITLES
from tunelab.recipes.forms.form import Field, RecipeForm
from tunelab.recipes.forms.make_form import form_of
from tunelab.recipes.forms.read import form_next_to
from tunelab.recipes.keys import shown
from tunelab.recipes.yaml_document import Entry, Faults, Layer, Note, YamlDocument

_DEPTH = 5
"""Of lists and mappings in a value, as deep as any dialect reads them."""
_WORDS = {"String": "text", "Integer": "a whole number", "Number": "a number", "Boolean": "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A value that its form does not allow."""

    field: Field
    limit: str
    """JSON key of the field that it breaks, such as ``max``."""
    what: str
    """Such as ``learning_rate 0.05 is above 0.01``."""
    entry: Entry | None
    """The value; None if it is not there."""

    @property
    def is_own_default(self) -> bool:
        """Whether the form itself starts from this value, as one of ModelLab's does."""
        return self.entry is not None and _same(self.entry.value, self.field.default)


def enforce(document: YamlDocument, dialect: str, in_file: Layer, layer: Layer, faults: Faults) -> list[Note]:
    """Note a fault for each value outside the form next to the file, and return what else is to be said of it.

    Held against it is what is used: a value of `--set` or of a variable in place of the file's. A value that is the
    field's own default is used, and said. If no form lies next to a file of ModelLab's, a value outside ModelLab's own
    form is used, and said.

    Args:
        document: the file.
        dialect: the name of its dialect.
        in_file: the settings that it gives.
        layer: all settings, each from the source that wins.
        faults: where a fault is noted.
    """
    with faults.noted():
        entries = document.entries(depth=_DEPTH)
        if form := form_next_to(document.path):
            found = list(breaches(form, _used(form, entries, in_file, layer)))
            faults += [_fault(each, form, document) for each in found if not each.is_own_default]
            return [_note(each, form) for each in found if each.is_own_default]
        if method := next((method for method, title in TITLES.items() if title == dialect), ""):
            form = form_of(method)
            outside = breaches(form, _used(form, entries, in_file, layer))
            return [_note(each, form) for each in outside if each.limit in ("min", "max", "optionValues")]
    return []


def _used(form: RecipeForm, entries: list[Entry], in_file: Layer, layer: Layer) -> list[Entry]:
    """Return the values by the names of the file and of its form: what wins over the file is in place of its value."""
    over = {setting: each for setting, each in layer.items() if in_file.get(setting) is not each}
    values = {entry.dotted: entry for entry in entries}
    settings = {name: _setting(name, values.get(name), in_file) for name in (*values, *_names(form))} if over else {}
    for name, setting in settings.items():
        if setting in over:
            values[name] = Entry(section="", key=name, value=over[setting].value, where=over[setting].source)
    return list(values.values())


def _names(form: RecipeForm) -> Iterator[str]:
    for group in form.groups:
        yield from filter(None, (group.toggle, *(field.key for field in group.fields)))


def _setting(name: str, entry: Entry | None, in_file: Layer) -> str:
    """Return the setting that a key of the file or of its form becomes."""
    if entry is not None:
        renamed = (f"{entry.where} ({name})", f"{entry.where} (ModelLab {name})")
        if found := next((setting for setting, each in in_file.items() if each.source in renamed), ""):
            return found
    return KEYS[name].setting if name in KEYS else name


def breaches(form: RecipeForm, entries: list[Entry]) -> Iterator[Breach]:
    """Yield what a form does not allow, in the form's order; groups that are switched off are left out."""
    values = {entry.dotted: entry for entry in entries}
    for group in form.groups:
        switch = values.get(group.toggle)
        if not group.toggle or (switch is not None and switch.value is True):
            for field in group.fields:
                yield from _breaches(field, values)


def _breaches(field: Field, values: Mapping[str, Entry]) -> Iterator[Breach]:
    entry = values.get(field.key)
    if unfilled := _unfilled(field, values):
        what = f"{unfilled.dotted} is still the placeholder {field.token}"
        yield Breach(field=field, limit="replaceToken", what=what, entry=unfilled)
    elif entry is not None and entry.value is not None:
        items = entry.value if field.is_array and isinstance(entry.value, list) else [entry.value]
        for limit, words in [found for item in items for found in _limits(item, field)][:1]:
            yield Breach(field=field, limit=limit, what=f"{entry.dotted} {words}", entry=entry)
    elif field.required and field.default is not None and field.key and not _is_placeholder(field.token):
        yield Breach(field=field, limit="required", what=f"{field.key} is not set, and required", entry=entry)


def _unfilled(field: Field, values: Mapping[str, Entry]) -> Entry | None:
    """Return the value that is still the text which the field should have replaced."""
    entries = values.values() if _is_placeholder(field.token) else ()
    return next((each for each in entries if each.value == field.token), None)


def _is_placeholder(token: str) -> bool:
    return token.startswith("<")


def _limits(value: object, field: Field) -> Iterator[tuple[str, str]]:
    """Yield the limit that a value breaks, and how in words."""
    if field.options:
        if not any(_same(value, option) for option in field.options):
            yield "optionValues", f"{shown(value)} is none of {listed(map(_plain, field.options))}"
    elif not _has_type(value, field.type):
        yield "type", f"is {shown(value)}, not {_WORDS[field.type]}"
    elif isinstance(value, int | float):
        if field.min is not None and value < field.min:
            yield "min", f"{shown(value)} is below {shown(field.min)}"
        if field.max is not None and value > field.max:
            yield "max", f"{shown(value)} is above {shown(field.max)}"


def _has_type(value: object, kind: str) -> bool:
    if kind in ("String", "Boolean"):
        return isinstance(value, str if kind == "String" else bool)
    if isinstance(value, float):
        return kind == "Number" or value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _same(value: object, other: object) -> bool:
    """Return whether two values are equal; true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _plain(option: object) -> str:
    return option if isinstance(option, str) else shown(option)


def _fault(breach: Breach, form: RecipeForm, document: YamlDocument) -> RecipeError:
    where = breach.entry.where if breach.entry else str(document.path)
    return RecipeError(f"{breach.what} ({_place(breach, form)})", where=where, remedy="Change the value or the form.")


def _note(breach: Breach, form: RecipeForm) -> Note:
    where = breach.entry.where if breach.entry else ""
    ending = "and is the form's own default: it is used" if form.name else "and is used"
    return Note(about="", text=f"{where}: {breach.what} ({_place(breach, form)}), {ending}.")


def _place(breach: Breach, form: RecipeForm) -> str:
    line = breach.field.lines.get(breach.limit, 0)
    return f"{form.name}:{line}" if form.name else "ModelLab's own form"
