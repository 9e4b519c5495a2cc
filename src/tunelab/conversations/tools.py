"""Tool definitions and tool calls, from every form they are written in to one."""

from collections.abc import Mapping
from pathlib import Path

from tunelab.conversations.conversation import ToolCall
from tunelab.conversations.field_types import fault, fields, items, text
from tunelab.errors import DataError
from tunelab.files import read_small_file
from tunelab.sources import Origin, kind_of, parse_json

Tool = Mapping[str, object]
MAX_CATALOG_BYTES = 16 * 2**20


def read_catalog(path: Path) -> tuple[Tool, ...]:
    """Return the tools of a catalogue file: a list of definitions, or an object that names each."""
    try:
        content = read_small_file(path, max_bytes=MAX_CATALOG_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the tool catalogue cannot be read ({error})", where="data.tool_catalog", expected="a JSON file"
        ) from error
    origin = Origin(path=path.name, line=1)
    catalog = parse_json(content, origin)
    if isinstance(catalog, dict) and isinstance(catalog.get("tools"), list):
        catalog = catalog["tools"]
    if isinstance(catalog, dict):
        named = ((name, fields(tool, f'tool "{name}"', origin)) for name, tool in catalog.items())
        catalog = [tool if "function" in tool else {"name": name, **tool} for name, tool in named]
    return read_tools(catalog, "the catalogue", origin)


def read_tools(value: object, path: str, origin: Origin) -> tuple[Tool, ...]:
    """Return tool definitions in OpenAI's function form; null, empty text and an empty list are none."""
    if value is None or value == "":
        return ()
    return tuple(
        _tool(tool, f"{path}: tool {number}", origin) for number, tool in enumerate(items(value, path, origin), start=1)
    )


def _tool(value: object, path: str, origin: Origin) -> Tool:
    tool = fields(value, path, origin)
    function = fields(tool["function"], f"{path}: function", origin) if "function" in tool else tool
    if not isinstance(function.get("name"), str):
        raise fault(
            origin, f"{path} has no name", '{"type": "function", "function": {"name", "description", "parameters"}}'
        )
    if function is not tool:
        return tool
    renamed = {"parameters" if key == "input_schema" else key: each for key, each in tool.items() if key != "type"}
    return {"type": "function", "function": renamed}


def read_calls(value: object, path: str, origin: Origin) -> tuple[ToolCall, ...]:
    """Return the calls of a `tool_calls` field; null and an empty list are none."""
    calls = [] if value is None else items(value, f"{path}: tool_calls", origin)
    return tuple(read_call(call, f"{path}: tool call {number}", origin) for number, call in enumerate(calls, start=1))


def read_call(value: object, path: str, origin: Origin) -> ToolCall:
    """Return a call of the form ``{id, function: {name, arguments}}``, ``{name, arguments}`` or with `input`."""
    call = fields(value, path, origin)
    function = fields(call["function"], f"{path}: function", origin) if call.get("function") is not None else call
    name = text(function.get("name"), f"{path}: name", origin)
    arguments = next((function[key] for key in ("arguments", "input", "parameters") if key in function), None)
    if isinstance(arguments, str) and arguments.strip():
        arguments = parse_json(arguments, origin, subject=f"{path} ({name}): arguments")
    if arguments is None or arguments == "":
        arguments = {}
    if not isinstance(arguments, dict):
        raise fault(origin, f"{path} ({name}): arguments is {kind_of(arguments)}", "an object, or its JSON text")
    call_id = call.get("id")
    return ToolCall(name=name, arguments=arguments, id=call_id if isinstance(call_id, str) else None)
