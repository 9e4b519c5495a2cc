"""The command line: finds the verb, imports only its module, turns errors into one message and an exit code.

A verb is a module of this folder with a `command`: a function annotated for typer, or a typer app where the verb has
verbs of its own. Exit codes: docs/reference/exit-codes.md.

Modules are imported inside functions, where Ctrl+C is one line: imports take a second, and nobody waits for it.
"""

from __future__ import annotations

import os
import sys

from tunelab.cli.standard_streams import BROKEN_PIPE, flush_output, prepare_standard_streams

TYPE_CHECKING = False  # typing itself takes a hundredth of a second
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

VERBS = {
    "quickstart": "The whole story on the embedded model, in about two minutes on two CPU cores.",
    "new": "Make a workspace: a folder of projects, with their runs and jobs.",
    "models": "The models that can be added to a workspace, or those that were.",
    "add": "Add a model to the workspace, with a recipe for each method.",
    "sync": "Bring projects up to date with their templates; never over your changes.",
    "check": "Read data as training would, show what would be trained, say what is wrong.",
    "clean": "Write data anew without what spoils it; keep every rejected row with its reason.",
    "train": "Train an adapter from a recipe; resume an interrupted run.",
    "run": "Run a workflow of a workspace's project as a job, and follow it to its end.",
    "sweep": "Try other values of a recipe's settings, and say whether the best beat the noise.",
    "jobs": "Runs that outlive the terminal: submit, follow, cancel, retry.",
    "evaluate": "A model answers held-out rows; its answers are kept.",
    "compare": "Two models over the same rows; a run against its base.",
    "gate": "Thresholds that a compared run must pass; exit code 1 unless all of them do.",
    "rate": "Judge answers yourself, blind, to see whether a judge model can be trusted.",
    "chat": "Talk to a tuned model, or to a base model.",
    "recipe": "Explain a recipe: each value and where it came from; convert those of other tools.",
}

INTERRUPTED = 130
_POSIX_MODULES = ("fcntl", "resource", "termios")
"""Of Python's own modules, those that Windows lacks."""


def main() -> None:
    """Run the command line of this process and exit."""
    exit_with(run)


def exit_with(run: Callable[[Sequence[str]], int]) -> NoReturn:
    """Exit with what a command line makes of the arguments of this process."""
    prepare_standard_streams()
    code = run(sys.argv[1:])
    code = flush_output() or code
    if code == INTERRUPTED:
        # nobody waits for threads now; and a sys.exit after Ctrl+C within an exec, as where a dataclass is being made,
        # ends in a signal instead of the code
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors of the user become one message on standard error.

    So does Ctrl+C, with what the KeyboardInterrupt has to say.
    """
    try:
        return _answered(list(arguments))
    except KeyboardInterrupt as interrupt:
        print(f"Interrupted{f': {interrupt}' if interrupt.args else ''}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE


def _answered(arguments: list[str]) -> int:
    from tunelab.errors import UserError

    try:
        try:
            if sys.platform == "win32":
                raise _unsupported_system()
            return _dispatch(arguments)
        except ModuleNotFoundError as error:
            raise _missing_extra(error) from error
    except UserError as error:
        from tunelab.cli.plain_text import print_error

        print_error(error)
        return error.exit_code


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_help())
        return 0
    if arguments[0] in ("--version", "-V"):
        from tunelab import __version__

        print(f"tunelab {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        from tunelab.errors import UserError, did_you_mean

        raise UserError(f'there is no command "{verb}"', remedy=f"{did_you_mean(verb, VERBS)} See tunelab --help.")
    if verb == "jobs" and rest[:1] == ["list"]:  # asked again and again, and typer takes longer than the list
        from tunelab.cli.jobs_list import quick_list

        if quick_list(rest[1:]):
            return 0
    return _call(verb, rest)


def _call(verb: str, arguments: list[str]) -> int:
    from importlib import import_module

    import typer

    from tunelab.cli.console import plain_app

    command = import_module(f"tunelab.cli.{verb}").command
    if isinstance(command, typer.Typer):
        app = command
    else:
        app = plain_app()
        app.command(help=command.__doc__ or VERBS[verb])(command)
    try:
        app(args=arguments, prog_name=f"tunelab {verb}")
    except SystemExit as end:  # typer ends every command so, Ctrl+C too, without a word
        cause = end.__context__ and end.__context__.__cause__
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        if isinstance(end.__context__, BrokenPipeError):  # rich and typer end so, with 1
            return BROKEN_PIPE
        return end.code if isinstance(end.code, int) else 1
    return 0


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items())
    return f"""Usage: tunelab COMMAND [OPTIONS]

Turns conversations into a fine-tuned, measured adapter for a small language model.

Commands:
{verbs}

Options:
  --help     This text; tunelab COMMAND --help shows a command's own.
  --version  The version.

Start with: tunelab quickstart"""


def _missing_extra(error: ModuleNotFoundError) -> Exception:
    """Return what to raise for a module that is not there: a word on the extra that brings it, or the error itself."""
    import re
    from importlib.metadata import requires

    from tunelab.errors import MissingExtraError

    package = (error.name or "").partition(".")[0]
    if package in _POSIX_MODULES:
        return _unsupported_system()
    for requirement in requires("tunelab") or ():
        name, _, extra = requirement.partition("; extra ==")
        if extra and re.split("[^A-Za-z0-9_]", name.replace("-", "_"))[0] == package:
            return MissingExtraError(package, extra=extra.strip(" '\""))
    return error


def _unsupported_system() -> Exception:
    from tunelab.errors import UserError

    what = "tunelab runs on Linux and macOS, and on Windows inside WSL"
    return UserError(what, remedy="Install WSL (wsl --install), and tunelab in it.")
