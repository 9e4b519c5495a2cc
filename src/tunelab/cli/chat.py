"""`tunelab chat MODEL`: talk to a tuned model, or to a base model."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunelab.cli.console import harmless, say
from tunelab.cli.setting_flags import SettingFlags
from tunelab.errors import RunError, UserError
from tunelab.evaluation.config import EvaluationConfig
from tunelab.models.locate_model import MODEL_NAMES, is_gguf
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.flows.chat import Chat
    from tunelab.workspace import Run

_HELP = "/reset forgets the conversation, /quit ends (so does Ctrl+D), Ctrl+C breaks a reply off."


FLAGS = SettingFlags(EvaluationConfig, section="evaluation", without=("num_examples", "max_new_tokens"))


@FLAGS.added_to
def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", hidden=True)],
    prompt: Annotated[str | None, typer.Argument(metavar="PROMPT", hidden=True)] = None,
    *,
    base: Annotated[bool, typer.Option("--base", help="Talk to the base model, without the adapter.")] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of sampled replies. Default: the recipe's training.seed.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest reply, in tokens.")] = 512,
    **settings: Any,
) -> None:
    """Talk to a tuned model, or to its base, with the template and system prompt it was trained with.

    MODEL is a run's id, the beginning of one, its folder, or the word latest; or the folder of an adapter or of a base
    model, a GGUF, or the name of a base model: nano, smollm2. PROMPT is answered, and the command ends; without it, the
    question comes from a pipe or the keyboard.
    """
    given = FLAGS.read(EvaluationConfig, settings).model_dump(exclude_unset=True)
    found = _find(model)
    if prompt is None and not sys.stdin.isatty():
        prompt = _piped()
    if prompt is not None and not prompt.strip():
        raise UserError("there is nothing to answer", where="prompt", expected="some text")
    from tunelab.flows.chat import open_chat  # brings torch: not before the arguments are known to be good

    chat = open_chat(found, base=base, seed=seed, max_new_tokens=max_new_tokens, **given)
    for remark in chat.remarks:
        say(remark, style="dim", stderr=True)
    if prompt is not None:
        _print_reply(chat, prompt)
    else:
        name = found if isinstance(found, str) else found.id
        say(f"{name}{' (base model)' if base else ''}. {_HELP}", style="dim")
        _talk(chat)


def _piped() -> str:
    """Return standard input without its last line end, which ends the line and is no part of the question."""
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"not text in {sys.stdin.encoding}: {error.reason}", where="standard input") from error


def _find(reference: str) -> Run | str:
    """Return the run that a user names, else the folder or name of an adapter or a base model.

    Raises:
        RunError: there is none of these.
    """
    folder = Path(reference).expanduser()
    if any((folder / name).is_file() for name in ("adapter_config.json", "config.json")) or is_gguf(folder):
        return reference
    try:
        return find_workspace(Path.cwd()).find_run(reference)
    except RunError as error:
        if reference in MODEL_NAMES:
            return reference
        others = f"the folder of an adapter or of a base model, a GGUF, or {' or '.join(MODEL_NAMES)}"
        expected = f"{error.expected}, {others}" if error.expected else f"a run, {others}"
        raise RunError(error.what, where=error.where, expected=expected, remedy=error.remedy) from None


def _talk(chat: Chat) -> None:
    with suppress(ImportError):  # some Pythons are built without it
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
