"""`tunelab chat RUN`: talk to a tuned model, or to its base."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.console import harmless, say
from tunelab.errors import UserError
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.flows.chat import Chat

_HELP = "/reset forgets the conversation, /quit ends (so does Ctrl+D), Ctrl+C breaks a reply off."


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", hidden=True)],
    prompt: Annotated[str | None, typer.Argument(metavar="PROMPT", hidden=True)] = None,
    base: Annotated[bool, typer.Option("--base", help="Talk to the base model, without the adapter.")] = False,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=2, metavar="NUMBER", help="0 is greedy; default: the recipe's evaluation.temperature."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest reply, in tokens.")] = 512,
) -> None:
    """Talk to a tuned model, or to its base, with the template and system prompt it was trained with.

    RUN is a run's id, the beginning of one, its folder, or the word latest. PROMPT is answered, and the command ends;
    without it, the question comes from a pipe or the keyboard.
    """
    from tunelab.flows.chat import open_chat  # brings torch: not before the arguments are known to be good

    found = find_workspace(Path.cwd()).find_run(run)
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read()
    if prompt is not None and not prompt.strip():
        raise UserError("there is nothing to answer", where="prompt", expected="some text")
    chat = open_chat(found, base=base, temperature=temperature, max_new_tokens=max_new_tokens)
    if prompt is not None:
        _print_reply(chat, prompt)
    else:
        say(f"{found.id}{' (base model)' if base else ''}. {_HELP}", style="dim")
        _talk(chat)


def _talk(chat: Chat) -> None:
    import readline  # noqa: F401 - gives input() history and line editing

    while True:
        try:
            text = input("\n> ").strip()
        except EOFError:
            return say()
        if text == "/quit":
            return None
        if text == "/reset":
            chat.reset()
            say("The conversation starts anew.", style="dim")
        elif text.startswith("/"):
            say(_HELP, style="dim")
        elif text:
            _print_or_explain(chat, text)


def _print_or_explain(chat: Chat, text: str) -> None:
    try:
        _print_reply(chat, text)
    except KeyboardInterrupt:
        say(" …", style="dim")
    except UserError as error:  # such as a conversation that has grown too long: the chat goes on
        say(f"{error} /reset starts anew.", style="red")


def _print_reply(chat: Chat, text: str) -> None:
    piece = None
    for piece in chat.reply(text):
        print(harmless(piece), end="", flush=True)
    print()
    if piece is None:
        print("(the model ended its reply before any text)", file=sys.stderr)
