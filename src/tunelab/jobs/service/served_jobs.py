"""The jobs of a workspace as a service sees them: opened anew for each request, as a command does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from tunelab.errors import StorageError
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.runner import ensure_runner
from tunelab.jobs.store import Store
from tunelab.jobs.submit import GpuBytesOf


class ServedJobs:
    """The jobs of a workspace, for several threads.

    Args:
        folder: their files.
        gpu_bytes_of: estimates what a recipe holds on a GPU of so many bytes, as for `spec_of`.
        is_in_place: whether the workspace is still where it was.
    """

    def __init__(
        self,
        folder: JobsFolder,
        *,
        gpu_bytes_of: GpuBytesOf | None = None,
        is_in_place: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder, self.gpu_bytes_of, self._is_in_place = folder, gpu_bytes_of, is_in_place
        self.local = LocalJobs(folder)
        self._looking = Lock()
        self._runners: list[int] = []
        """Children that must be waited for when they have ended."""

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Yield the jobs, brought up to date, with a connection to the database of this thread's own.

        Raises:
            StorageError: the workspace was moved away; nothing is made in its old place.
        """
        if not self._is_in_place():
            remedy = "End this service, and begin one where the workspace is now."
            raise StorageError("the workspace was moved away", where=str(self.folder.workspace.path), remedy=remedy)
        store = Store(self.folder)
        try:
            self.bring_up_to_date(store)
            yield store
        finally:
            store.close()

    def bring_up_to_date(self, store: Store) -> None:
        """Correct what is out of date and start a runner if there is work and none."""
        with self._looking:
            self._runners = [pid for pid in self._runners if not _has_ended(pid)]
            if store.needs_runner() and (pid := ensure_runner(store)) is not None:
                self._runners.append(pid)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
