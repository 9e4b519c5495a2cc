"""The command `modellab`: the lines of ModelLab's own command line, each answered by a command of `tunelab`."""

from __future__ import annotations

import argparse
import sys

from tunelab.cli.main import exit_with, run

TYPE_CHECKING = False  # typing itself takes a hundredth of a second
if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """Make workspaces for fine-tuning and run their workflows, on this machine. Each command is answered by
one of tunelab: listModels by tunelab models, createWorkspace by new, addModel by add, syncProjects by sync, convert by
run, and cancelJob by jobs cancel."""


_COMMANDS = {
    "listModels": "List the models that can be added.",
    "createWorkspace": "Make a workspace.",
    "addModel": "Add a model to this workspace.",
    "listLocalModels": "List the models of this workspace.",
    "syncProjects": "Add the files that the projects of this workspace lack.",
    "convert": "Run a workflow, and follow it to its end. Ctrl+C saves and stops it.",
    "cancelJob": "Ask the job that runs in this workspace to save and stop.",
}


def main() -> None:
    """Run the command line of this process and exit."""
    exit_with(run_modellab)


def run_modellab(arguments: Sequence[str]) -> int:
    """Run one command of ModelLab's and return its exit code."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in _COMMANDS:
        from tunelab.errors import did_you_mean

        guess = did_you_mean(arguments[0], _COMMANDS)
        print(f'modellab: there is no command "{arguments[0]}". {guess} See modellab --help.', file=sys.stderr)
        return 2
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as end:  # argparse has printed the help, or what is wrong
        return end.code if isinstance(end.code, int) else 1
    return run(_line_of(given))


def _line_of(given: argparse.Namespace) -> list[str]:
    """Return the arguments of `tunelab` that do the same."""
    match given.command:
        case "listModels":
            return ["models"]
        case "createWorkspace":
            return ["new", f"./{given.path}" if given.path.startswith("-") else given.path]
        case "addModel":
            return ["add", "--", given.model_id]
        case "listLocalModels":
            return ["models", "--local"]
        case "syncProjects":
            return ["sync", *(["--update"] if given.update else [])]
        case "cancelJob":
            return ["jobs", "cancel"]
    options = {"model": given.model_id, "workflow": given.workflow, "runtime": given.runtime, "name": given.name}
    return ["run", *(f"--{option}={value}" for option, value in options.items() if value is not None)]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="modellab", description=_DESCRIPTION, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    parsers = {
        name: commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        for name, words in _COMMANDS.items()
    }
    parsers["createWorkspace"].add_argument("--path", required=True, metavar="DIR", help="Where.")
    adding = parsers["addModel"]
    adding.add_argument("--model_id", required=True, metavar="ID", help="As listModels names it.")
    updating = parsers["syncProjects"]
    updating.add_argument("--update", action="store_true", help="Take over what changed in their templates, too.")
    converting = parsers["convert"]
    converting.add_argument("--model_id", required=True, metavar="ID", help="As listLocalModels names it.")
    converting.add_argument("--workflow", required=True, metavar="NAME", help="Such as LoRA.")
    converting.add_argument("--runtime", metavar="PLACE", help="Where it runs. Default: local.")
    converting.add_argument("--name", metavar="NAME", help="What the history calls it. Default: workflow and time.")
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one message as every command does, and exit with 2."""
        print(f"modellab: {message}. See {self.prog} --help.", file=sys.stderr)
        raise SystemExit(2)
