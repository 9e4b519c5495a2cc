"""A renderer from a model's folder: the tokenizer, its special tokens, its chat template and what ends an answer."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from tunelab.errors import ModelError, RecipeError
from tunelab.files import canonical_json, read_small_file
from tunelab.rendering.answers import Writer
from tunelab.rendering.capabilities import find_abilities
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.renderer import MadeFrom, Renderer
from tunelab.rendering.template_messages import TOOL_PREAMBLE, Abilities
from tunelab.rendering.templates.engine import ChatTemplate
from tunelab.rendering.tokens.tokenizer import Tokens

MAX_FILE_BYTES = 64 * 2**20
"""Of a settings file or template in a model's folder; vocabularies are in tokenizer.json, which has no such limit."""
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message.content }}"
    "{{ eos_token if message.role == 'assistant' else '\\n' }}{% endfor %}"
)
"""For models without a chat template: each message on its lines, an end-of-text token after each answer."""


def load_renderer(folder: Path, config: RenderingConfig, *, base: Path, today: date | None = None) -> Renderer:
    """Return the renderer of a model.

    Args:
        folder: holds `tokenizer.json` and, as far as the model has them, `tokenizer_config.json`,
            `special_tokens_map.json`, `chat_template.jinja`, `generation_config.json` and `config.json`.
        config: may replace the template, and give it variables.
        base: where a relative `config.chat_template` starts from.
        today: the day for templates that write a date; by default the day of the call.

    Raises:
        ModelError: no `tokenizer.json`, a broken file, a template that is no jinja or cannot render a question.
        RecipeError: `config.chat_template` names no file.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        remedy = "Save it once in that form with transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)."
        raise ModelError(
            "there is no tokenizer.json here", where=str(folder), expected="a fast tokenizer", remedy=remedy
        )
    document = path.read_bytes()
    settings = _json(folder / "tokenizer_config.json")
    specials = _special_tokens(_json(folder / "special_tokens_map.json") | settings)
    sources, origin, notes = _template_sources(folder, settings, config, base)
    try:
        tokens = Tokens(document, "".join(sources.values()))
    except Exception as error:  # tokenizers raises plain Exception
        raise ModelError(f"the tokenizer cannot be read ({error})", where=str(path)) from error
    ids = {name: tokens.tokenizer.token_to_id(text) for name, text in specials.items()}
    bos_id, eos_id = ids.get("bos_token"), ids.get("eos_token")
    adds_bos = bos_id is not None and bool(settings.get("add_bos_token", tokens.begins_with(bos_id)))
    has_template = bool(sources)
    if not has_template:
        sources = {"default": ("{{ bos_token }}" if adds_bos else "") + PLAIN_TEMPLATE}
        notes.append("the model has no chat template: each message is a line, an end-of-text token after each answer")
    notes += [
        f'tokenizer_config.json names "{specials[name]}" as {name}, which tokenizer.json does not hold: plain text'
        for name in ("bos_token", "eos_token")
        if name in specials and ids[name] is None
    ]
    today = today or date.today()
    variables = specials | config.chat_template_kwargs
    templates = {
        name: ChatTemplate(source, where=origin, variables=variables, today=today) for name, source in sources.items()
    }
    abilities = find_abilities(templates, tokens, where=origin)
    silences_system = config.silences_system and abilities.own_system_silenced
    if silences_system:
        notes.append(
            "an empty system message keeps the chat template from writing its own (data.system_prompt is empty)"
        )
        abilities = replace(abilities, own_system="")
    ends = [tokens.id_of[token] for token in abilities.end_of_turn]
    found = [eos_id, *ends, *_eos_ids(folder / "generation_config.json"), *_eos_ids(folder / "config.json")]
    stop_ids = tuple(dict.fromkeys(id_ for id_ in found if id_ is not None))
    # A model that stops at the opening of the next turn was made to write it; any other is to write end-of-text.
    opens = [tokens.id_of[token] if token else None for token in abilities.next_turn]
    appended = tuple(id_ if id_ in stop_ids else eos_id for id_ in opens)
    writes_day = any("strftime_now" in source for source in sources.values())
    if writes_day:
        notes.append(f"the chat template writes the day: {today} for all of this run, and part of its hash")
    return Renderer(
        tokens=tokens,
        writer=Writer(
            tokens=tokens,
            templates=templates,
            abilities=abilities,
            with_preamble=config.inject_tool_preamble,
            silences_system=silences_system,
        ),
        bos_id=bos_id,
        adds_bos=adds_bos,
        eos_id=eos_id,
        ends=(appended[0], appended[1]),
        stop_ids=stop_ids,
        template_hash=_hash(
            document,
            [sources, variables, TOOL_PREAMBLE, config.inject_tool_preamble, str(today) if writes_day else ""],
            [bos_id, adds_bos, eos_id, appended, stop_ids],
            *(["no system message"] if silences_system else []),
        ),
        has_template=has_template,
        made_from=MadeFrom(folder=folder, config=config, base=base, today=today),
        notes=(*notes, *_notes(abilities, appended, tokens, config)),
    )


def _template_sources(
    folder: Path, settings: Mapping[str, Any], config: RenderingConfig, base: Path
) -> tuple[dict[str, str], str, list[str]]:
    """Return the named templates, the file they came from and what to note of it."""
    if config.chat_template is not None:
        path = (base / os.path.expanduser(config.chat_template)).resolve()
        if not os.path.isfile(path):
            raise RecipeError(f"there is no file {path}", where="data.chat_template", expected="a jinja file")
        return {"default": _read(path)}, str(path), [f"{path.name} replaces the model's own chat template"]
    if (path := folder / "chat_template.jinja").is_file():
        more = {extra.stem: _read(extra) for extra in sorted((folder / "additional_chat_templates").glob("*.jinja"))}
        return more | {"default": _read(path)}, str(path), []
    path, found = folder / "chat_template.json", _json(folder / "chat_template.json").get("chat_template")
    if found is None:
        path, found = folder / "tokenizer_config.json", settings.get("chat_template")
    if found is None:
        return {}, str(path), []
    try:
        named = {"default": found} if isinstance(found, str) else {entry["name"]: entry["template"] for entry in found}
        if not all(isinstance(text, str) for text in named.values()) or "default" not in named:
            raise TypeError
    except (TypeError, KeyError) as error:
        expected = "a text, or a list of templates with name and template, one of them named default"
        raise ModelError("chat_template has an unknown form", where=str(path), expected=expected) from error
    return named, str(path), []


def _special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the tokens that a template may name: `bos_token`, `eos_token` and the like."""
    entries = {key: value for key, value in settings.items() if key.endswith("_token") and not key.startswith("add_")}
    texts = {key: value.get("content") if isinstance(value, dict) else value for key, value in entries.items()}
    return {key: text for key, text in texts.items() if isinstance(text, str)}


def _eos_ids(path: Path) -> Iterator[int]:
    content = _json(path)
    for part in (content, content.get("text_config")):
        found = part.get("eos_token_id") if isinstance(part, dict) else None
        ids = found if isinstance(found, list) else [] if found is None else [found]
        if not all(isinstance(each, int) for each in ids):
            raise ModelError("eos_token_id is none", where=str(path), expected="a token id, or a list of them")
        yield from ids


def _notes(
    abilities: Abilities, appended: Sequence[int | None], tokens: Tokens, config: RenderingConfig
) -> Iterator[str]:
    if not abilities.system:
        yield "the chat template takes no system message: it is put in front of the first user message"
    if not abilities.tools and config.inject_tool_preamble:
        yield "the chat template knows no tools: how to call them and the catalogue are put into the system message"
    if not abilities.tool_calls:
        yield "the chat template writes no tool calls: calls and results are put into words, one line of JSON"
    ends = [tokens.tokenizer.id_to_token(id_) for id_ in dict.fromkeys(appended) if id_ is not None]
    if not abilities.end_of_turn and ends:
        each = f"{ends[0]} is appended to each"
        calls = f", {ends[1]} to one that calls tools" if ends[1:] else ""
        yield f"the chat template does not end an answer: {each}{calls}"
    elif not abilities.end_of_turn:
        yield "neither chat template nor tokenizer has a token that ends an answer: the model cannot learn to stop"


def _hash(document: bytes, *rest: object) -> str:
    return hashlib.sha256(
        hashlib.sha256(document).digest() + canonical_json(rest).encode(errors="surrogatepass")
    ).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one if there is no file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(_read(path))
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ModelError("a \\uD8xx escape has no second half", where=str(path)) from error
    except ValueError as error:
        raise ModelError(f"this is no JSON ({error})", where=str(path)) from error
    except RecursionError as error:
        raise ModelError("the JSON is nested too deep", where=str(path)) from error
    if not isinstance(content, dict):
        raise ModelError("this is no JSON object", where=str(path))
    return content


def _read(path: Path) -> str:
    try:
        return read_small_file(path, max_bytes=MAX_FILE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ModelError("this is not UTF-8", where=str(path)) from error
    except OSError as error:
        raise ModelError(f"it cannot be read ({error.strerror or error})", where=str(path)) from error
