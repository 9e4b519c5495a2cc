"""The process that `beside` starts: reads conversations from standard input, writes them rendered to standard output.

Each message is preceded by its length. The first is the task and is answered with the renderer's hash; each of the
others is a group, answered with what `stored` makes of it, or with nothing where the group must be rendered over there.
"""

import gc
import os
import signal
import sys
from datetime import date
from pathlib import Path

import msgspec

from tunelab.conversations.conversation import Conversation
from tunelab.errors import DataError
from tunelab.rendering.bulk.codec import stored
from tunelab.rendering.bulk.pool import Task, receive, send
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer


def main() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C ends who started this, and that ends the input
    gc.disable()  # as in `sources.collector`: texts and ids hold no cycle
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    task = msgspec.msgpack.decode(receive(source), type=Task)
    config = RenderingConfig.model_validate_json(task.config)
    today = date.fromisoformat(task.today)
    renderer = load_renderer(Path(task.folder), config, base=Path(task.base), today=today)
    send(sink, renderer.template_hash.encode())
    decoder = msgspec.msgpack.Decoder(tuple[Conversation, ...])
    while True:
        try:
            group = receive(source)
        except EOFError:
            return
        send(sink, _rendered(decoder, group, renderer, task))


def _rendered(
    decoder: "msgspec.msgpack.Decoder[tuple[Conversation, ...]]", group: bytes, renderer: Renderer, task: Task
) -> bytes:
    faults: list[DataError] = []
    try:
        rendered = render_all(
            decoder.decode(group),
            renderer,
            max_length=task.max_length,
            on_too_long=task.on_too_long,
            on_bad=faults.append,
        )
        return stored(rendered, faults)
    except Exception:  # what ends the rendering is told where it is awaited
        return b""


if __name__ == "__main__":
    main()
