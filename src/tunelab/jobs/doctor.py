"""What is wrong with the jobs of a workspace, put right as far as it can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import RunError, counted
from tunelab.jobs.job_folder import held
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.marked_processes import end_processes, marked_processes
from tunelab.jobs.runner import Runner, ensure_runner
from tunelab.jobs.slots import fault_of_slots, read_slots
from tunelab.jobs.state import BEGUN
from tunelab.jobs.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Something that doctor found."""

    found: str
    did: str
    """What was done about it; empty if nothing had to be, or nothing could be."""


def examine(store: Store) -> list[Diagnosis]:
    """Look at database, folders, runner and processes, put right what is wrong, and return what was found and done."""
    return [*examine_database(store), *_folders(store), *_slots(store), *_runner(store), *_orphans(store)]


def examine_database(store: Store) -> list[Diagnosis]:
    """Have SQLite look at every page of the database, and make it again if one is wrong."""
    if faults := store.database.faults():
        store.database.make_again(faults[0])
    if not store.database.rebuilt:
        return []
    found = f"the database was not usable: {store.database.rebuilt}"
    return [
        Diagnosis(
            found=found, did=f"made again from the jobs' folders; the old file is {store.folder.database}.damaged"
        )
    ]


def _folders(store: Store) -> list[Diagnosis]:
    adopted = store.adopt()
    diagnoses = [
        Diagnosis(
            found=f"job {each} was in no row of the database",
            did=f"taken in, and not begun: tunelab jobs retry {each} begins it",
        )
        for each in adopted
    ]
    for folder in store.folder.jobs():
        try:
            folder.read_spec()
        except RunError as error:
            diagnoses.append(Diagnosis(found=str(error), did=""))
    return diagnoses


def _slots(store: Store) -> list[Diagnosis]:
    if not (fault := fault_of_slots(store.folder)):
        return []
    slots = counted(read_slots(store.folder), "job")
    return [Diagnosis(found=f"{fault}; {slots} at a time. tunelab jobs slots N writes it anew.", did="")]


def _runner(store: Store) -> list[Diagnosis]:
    before = {job.id: job for job in store.jobs(BEGUN)}
    with held(store.folder.runner_lock) as lock:
        if lock is None:
            return []
        Runner(store, LocalJobs(store.folder)).settle()
    diagnoses = []
    for job_id, old in before.items():
        new = store.get(job_id)
        if (new.state, new.attempt) != (old.state, old.attempt):
            found = f"job {job_id} was {old.state} in the database, without a runner"
            diagnoses.append(Diagnosis(found=found, did=f"moved on: {new.state} ({new.reason})"))
    if store.has_work():
        ensure_runner(store)
        diagnoses.append(Diagnosis(found="there is work and no runner", did="started one"))
    return diagnoses


def _orphans(store: Store) -> list[Diagnosis]:
    alive = {str(store.folder.job(job.id).path) for job in store.jobs(BEGUN)}
    home = store.folder.path / "job"
    orphans = {mark for _, mark in marked_processes(lambda mark: Path(mark).parent == home) if mark not in alive}
    return [
        Diagnosis(
            found=f"job {Path(mark).name} has ended, and not all of its processes", did=f"ended {end_processes(mark)}"
        )
        for mark in sorted(orphans)
    ]
