"""The folder on disk that holds the runs: makes them, finds them again."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from tunelab.errors import RunError, did_you_mean
from tunelab.files import storage_errors
from tunelab.workspace.history import run_of
from tunelab.workspace.run import Run

if TYPE_CHECKING:
    from tunelab.recipes import Recipe

MARKER = "finetuning.workspace.config"
OWN_FOLDER = ".tunelab"
"""What tunelab keeps in a workspace for itself, such as its jobs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_OWN = re.compile(
    r"\.lock|attempt\.json|\.(attempt\.json|recipe\.yaml)\.\d+\.tmp"
)  # what a run leaves that was killed before its first word
_LONGEST_ID = 100
LATEST = "latest"
"""Names the newest run wherever a run is named."""
_SAYS_NOTHING = ("recipe", "config", "finetune", "finetuning")


def find_workspace(start: Path) -> Workspace:
    """Return the workspace around `start`: the nearest folder upwards that is marked as one, else `start` itself.

    A folder with jobs in it is one, so that a job finds its own from its folder.
    """
    start = start.resolve()
    marked = (each for each in (start, *start.parents) if (each / MARKER).is_file() or (each / OWN_FOLDER).is_dir())
    return Workspace(path=next(marked, start))


def name_of_run(recipe_file: Path | None) -> str:
    """Return what runs of a recipe are called: its file's stem, or its folder where the stem says nothing."""
    if recipe_file is None:
        return "run"
    recipe_file = recipe_file.resolve()
    name = recipe_file.parent.name if recipe_file.stem in _SAYS_NOTHING else recipe_file.stem
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("._-")[:60] or "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A folder with runs in it."""

    path: Path

    @property
    def runs_folder(self) -> Path:
        """The folder of the runs."""
        return self.path / "runs"

    def new_run(self, name: str, *, output_dir: Path | None = None) -> Run:
        """Return a run in a folder of its own, made now.

        Args:
            name: how the folder's name begins; the time follows.
            output_dir: the folder itself, instead.

        Raises:
            RunError: `output_dir` holds something already, or the name is none.
            StorageError: the folder cannot be made.
        """
        if output_dir is not None:
            return _in_folder(output_dir)
        if not _NAME.fullmatch(name):
            raise RunError(f'"{name}" is no name for a run', expected="small letters, digits, dot, dash and underscore")
        stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
        for run_id in chain([stem], (f"{stem}-{number}" for number in count(2))):
            folder = self.runs_folder / run_id
            with storage_errors(folder):
                self.runs_folder.mkdir(parents=True, exist_ok=True)
                try:
                    folder.mkdir()
                except FileExistsError:
                    continue
            return Run(path=folder)
        raise AssertionError("count() has no end")

    def require_room(self, *, output_dir: Path | None = None) -> None:
        """Raise what `new_run` would raise of the folder of a run, and make nothing.

        A run in `output_dir` is no fault here: `--resume` may continue it.

        Raises:
            RunError: `output_dir` holds something else.
            StorageError: the folder cannot be made.
        """
        folder = output_dir.expanduser().resolve() if output_dir is not None else self.runs_folder
        if output_dir is not None and not Run(path=folder).exists:
            _refuse_if_in_the_way(folder, named=output_dir)
        with storage_errors(folder):
            nearest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
            if not nearest.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def runs(self) -> list[Run]:
        """Return the runs of this workspace, the newest last."""
        folders = self.runs_folder.iterdir() if self.runs_folder.is_dir() else ()
        runs = (Run(path=folder) for folder in folders)
        return sorted((run for run in runs if run.exists), key=_age)

    def find_run(self, reference: str) -> Run:
        """Return the run that a user names: a folder, an entry of a history, an id or its beginning, or `latest`.

        Raises:
            RunError: none or several match; the runs are listed.
        """
        if "/" in reference or reference in (".", ".."):
            folder = Path(reference).expanduser().resolve()
            run = run_of(folder, find_workspace(folder).runs_folder) or Run(path=folder)
            if not run.exists:
                what = "this folder holds no run" if run.path == folder else f"its run {run.id} is not here"
                expected = "a folder with a recipe.yaml in it, or an entry of a project's history"
                raise RunError(what, where=reference, expected=expected)
            return run
        runs = self.runs()
        in_folder = Run(path=Path(reference).resolve())
        if in_folder.exists and reference != LATEST and not any(run.id == reference for run in runs):
            return in_folder
        if not runs:
            remedy = "Make one with tunelab train RECIPE, or name the run's folder (./folder)."
            raise RunError("there is no run here yet", where=str(self.runs_folder), remedy=remedy)
        if reference == LATEST:
            return runs[-1]
        matches = [run for run in runs if run.id == reference] or [run for run in runs if run.id.startswith(reference)]
        if len(matches) == 1:
            return matches[0]
        ids = [run.id for run in (matches or runs)]
        if matches:
            raise RunError(f'"{reference}" is the beginning of {len(ids)} runs', expected=f"one of {', '.join(ids)}")
        where = str(self.runs_folder)
        raise RunError(f'there is no run "{reference}"', where=where, remedy=did_you_mean(reference, ids))

    def latest_of(self, recipe: Recipe, *, output_dir: Path | None = None) -> Run | None:
        """Return the latest run of exactly this recipe, its own folder apart; with `output_dir`, look only there."""
        runs = [Run(path=output_dir.resolve())] if output_dir is not None else self.runs()
        return next((run for run in reversed(runs) if run.exists and _is_of(run, recipe)), None)

    def named_run(self, run_id: str, recipe: Recipe) -> Run:
        """Return the run of this id, which need not exist yet: whoever gives the same line again goes on with it.

        Args:
            recipe: what it trains; files and models may have been moved since it began, settings may not be changed.

        Raises:
            RunError: the id is none, or names a run of another recipe.
        """
        if not _NAME.fullmatch(run_id) or len(run_id) > _LONGEST_ID or run_id == LATEST:
            expected = f"at most {_LONGEST_ID} small letters, digits, dots, dashes and underscores, a letter or digit "
            expected += f"first; {LATEST} means the newest run"
            raise RunError(f'"{run_id}" is no id for a run', where="--run", expected=expected)
        run = Run(path=self.runs_folder / run_id)
        if run.exists:
            run.refuse_other_settings(recipe)
        return run


def _is_of(run: Run, recipe: Recipe) -> bool:
    from tunelab.recipes import differing

    try:
        return not differing(run.recipe, recipe, without=("training.output_dir",))
    except RunError:  # whatever is in its recipe.yaml, it is no recipe
        return False


def _in_folder(folder: Path) -> Run:
    run = Run(path=folder.expanduser().resolve())
    remedy = "Choose another folder"
    with storage_errors(run.path):
        if run.exists:
            go_on = ", or continue it with --resume" if run.state == "unfinished" else ""
            raise RunError(
                f"this folder holds a run that is {run.state}", where=str(folder), remedy=f"{remedy}{go_on}."
            )
        _refuse_if_in_the_way(run.path, named=folder)
        run.path.mkdir(parents=True, exist_ok=True)
    return run


def _refuse_if_in_the_way(folder: Path, *, named: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or any(not _OWN.fullmatch(file.name) for file in folder.iterdir()):
        raise RunError("this is not an empty folder", where=str(named), remedy="Choose another folder for the run.")


def _age(run: Run) -> tuple[int, str]:
    return run.recipe_file.stat().st_mtime_ns, run.id
