"""The message in a whole response of an API: OpenAI's in both forms, Anthropic's, Ollama's, Gemini's."""

from collections.abc import Mapping

from tunelab.conversations.field_types import Fields

UNFINISHED = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
"""Reasons for which an answer ended before it was finished."""
STOP_FIELDS = ("finish_reason", "stop_reason", "done_reason", "finishReason")
"""What APIs call the reason for which an answer ended."""
_STOP_FIELDS = frozenset(STOP_FIELDS)


def is_unfinished(fields: Mapping[str, object]) -> bool:
    """Return whether fields say that the answer next to them was cut off by a limit of tokens."""
    if _STOP_FIELDS.isdisjoint(fields):
        return False
    return any(str(fields.get(name)).lower() in UNFINISHED for name in STOP_FIELDS)


def message_in(response: Fields) -> tuple[Fields, bool]:
    """Return the message of a response, and whether it was cut off; a bare message is returned as it is."""
    choices, candidates, output = (response.get(name) for name in ("choices", "candidates", "output"))
    said: Fields = response
    around: Fields = response
    if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
        said, around = _object(choices[0].get("message")) or {"content": choices[0].get("text")}, choices[0]
    elif isinstance(candidates, list) and len(candidates) == 1 and isinstance(candidates[0], dict):
        said, around = {"content": _object(candidates[0].get("content")).get("parts")}, candidates[0]
    elif isinstance(output, list) and "role" not in response:
        said, around = _of_items(output), {"finish_reason": response.get("status")}
    elif isinstance(response.get("message"), dict) and "role" not in response:
        said = _object(response["message"])
    return said, is_unfinished(around)


def _of_items(output: list[object]) -> Fields:
    """Return one message of the items of OpenAI's responses: texts, summaries of reasoning, calls of functions."""
    parts: list[object] = []
    calls: list[object] = []
    for item in map(_object, output):
        if item.get("type") == "function_call":
            calls.append({"id": item.get("call_id"), "name": item.get("name"), "arguments": item.get("arguments")})
        elif item.get("type") == "reasoning":
            summary = item.get("summary")
            parts += [{"type": "reasoning", "text": _object(each).get("text")} for each in _list(summary)]
        else:
            parts += _list(item.get("content"))
    return {"role": "assistant", "content": parts or None, "tool_calls": calls or None}


def _object(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
