"""A run: one folder that holds everything that came of one training."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tunelab.errors import RecipeError, RunError, listed
from tunelab.files import remove_leftovers, sha256_folder, storage_errors, write_file
from tunelab.registry import Manifest, read_manifest, write_manifest
from tunelab.workspace.attempt import Attempt, begin_attempt, read_attempt

if TYPE_CHECKING:
    from tunelab.recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The places in a run's folder. A folder is a run once its recipe is in it, finished once its manifest is."""

    path: Path

    @property
    def id(self) -> str:
        """Name of the folder, such as ``taxonomy-20261121-053000``."""
        return self.path.name

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def recipe_text(self) -> str:
        """What is written in `recipe_file`."""
        return self.recipe_file.read_text(encoding="utf-8")

    @property
    def recipe(self) -> Recipe:
        """The recipe as the folder holds it, names absolute: no environment and no `.env` changes it.

        Settings that were added since the run began are at their defaults.

        Raises:
            RunError: the file is missing or was changed into something else.
        """
        from tunelab.recipes import resolve_recipe  # all settings: a listing of runs does without

        try:
            return resolve_recipe(self.recipe_file, environment=None).anchored
        except RecipeError as error:
            raise RunError(f"the run's recipe cannot be read ({error.what})", where=error.where) from error

    @property
    def events_file(self) -> Path:
        """What happened, line by line."""
        return self.path / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """Folder of the finished adapter."""
        return self.path / "adapter"

    @property
    def rejected_file(self) -> Path:
        """The rows that `data.cleaning` rejected, with the place and the reason of each."""
        return self.path / "rejected.jsonl"

    @property
    def report_file(self) -> Path:
        """The comparison of base and tuned model."""
        return self.path / "report.json"

    @property
    def rows_file(self) -> Path:
        """The rows of the same comparison, one a line, those that broke first."""
        return self.path / "rows.jsonl"

    @property
    def html_report_file(self) -> Path:
        """The same comparison as a page to read."""
        return self.path / "report.html"

    @property
    def plot_file(self) -> Path:
        """The loss curve."""
        return self.path / "loss.png"

    @property
    def trainer_state_file(self) -> Path:
        """The course of the training, for notebooks that read what transformers' Trainer leaves."""
        return self.path / "trainer_state.json"

    @property
    def manifest_file(self) -> Path:
        """Written last: its presence means that the run is whole."""
        return self.path / "manifest.json"

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return self.recipe_file.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the run is whole."""
        return self.manifest_file.is_file()

    @property
    def state(self) -> str:
        """``finished``, ``in use by process 4711``, or ``unfinished``."""
        if self.is_finished:
            return "finished"
        with suppress(FileNotFoundError, PermissionError), self._lock_file.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _in_use(file)
        return "unfinished"

    def write_recipe(self, recipe: Recipe, *, workspace: Path) -> None:
        """Write the resolved recipe, names relative if both lie in the workspace; it is a run from now on."""
        from tunelab.recipes import portable, to_yaml

        if not self.exists or self.recipe != recipe:  # else it stays as it is, whichever tunelab wrote it
            write_file(self.recipe_file, to_yaml(portable(recipe, folder=self.path, workspace=workspace)))

    def refuse_other_settings(self, recipe: Recipe) -> None:
        """Raise a RunError if the run was begun with other settings than those of `recipe`.

        Places do not count: what they hold is compared when the run goes on. Of a finished run it is not, so that there
        they may differ only if files were moved.
        """
        from tunelab.recipes import differing, replaced

        own = self.recipe
        if others := differing(own, recipe) or (replaced(own, recipe) if self.is_finished else []):
            remedy = "Give the settings that the run began with, or begin another run."
            raise RunError(f"this run began with other settings: {listed(others)}", where=str(self.path), remedy=remedy)

    def write_manifest(self, manifest: Manifest, *, before: Callable[[], None] = lambda: None) -> None:
        """Write `manifest` with the run's id and the SHA-256 of every file of the adapter; the run is then finished.

        `before` is called right before it is in place.
        """
        manifest = replace(manifest, run_id=self.id, files=sha256_folder(self.adapter))
        write_manifest(self.manifest_file, manifest, before=before)

    def read_manifest(self) -> Manifest:
        """Return the manifest.

        Raises:
            RunError: it is damaged.
        """
        return read_manifest(self.manifest_file)

    def begin_attempt(self) -> Attempt:
        """Make this process the run's newest attempt, and return it."""
        return begin_attempt(self._attempt_file)

    def refuse_if_replaced(self, attempt: Attempt) -> None:
        """Raise a ReplacedError once another attempt has begun, on a machine or a disk that no lock reaches.

        To be called right before whatever a replaced attempt must not write.
        """
        attempt.refuse_if_replaced(self._attempt_file)

    def take_back(self, attempt: Attempt | None, *, keep_folder: bool) -> None:
        """Remove a run that never began, so that the same command can be given again.

        Args:
            attempt: the one that did not begin, None if it came to nothing. Files of another one are left.
            keep_folder: leave the empty folder, because it was there before.
        """
        if read_attempt(self._attempt_file) not in (attempt, None):
            return
        own = (self.events_file, self.recipe_file, self.rejected_file, self._attempt_file, self._lock_file)
        for file in own:
            file.unlink(missing_ok=True)
        if not keep_folder:
            with suppress(OSError):
                self.path.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process, and sweep what a killed one left half written.

        The lock goes with the process, however that ends.

        Raises:
            RunError: another process holds it.
            StorageError: the folder cannot be written to.
        """
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = self._lock_file.open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                remedy = "Wait until it ends, or end it; its run can then be resumed."
                raise RunError(f"this run is {_in_use(file)}", where=str(self.path), remedy=remedy) from error
            with storage_errors(self.path):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                remove_leftovers(self.path)
            yield

    @property
    def _attempt_file(self) -> Path:
        return self.path / "attempt.json"

    @property
    def _lock_file(self) -> Path:
        return self.path / ".lock"


def _in_use(lock: TextIO) -> str:
    return f"in use by process {lock.read().strip() or 'of unknown id'}"
