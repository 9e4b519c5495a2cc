"""From a recipe to a job, and what a user can ask of one: cancel it, begin it again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tunelab.errors import RunError, StorageError, UserError
from tunelab.files import canonical_json, sha256_text
from tunelab.jobs.backend import JobAttempt, JobBackend
from tunelab.jobs.gpus import Gpu, gpus_here
from tunelab.jobs.hosts import refuse_elsewhere
from tunelab.jobs.job import Job, JobSpec
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.job_secrets import keep_secrets, secret_files
from tunelab.jobs.runner import again
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store

if TYPE_CHECKING:
    from tunelab.recipes import ResolvedRecipe

GpuBytesOf: TypeAlias = "Callable[[ResolvedRecipe, int], int]"
"""Estimates the memory that a recipe holds on a GPU of so many bytes; 0 if that is not known."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_TIME = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?", re.ASCII)
_ID_DIGITS = 12
"""Of the key's hash in a job's id: 48 bits."""


def spec_of(
    resolved: ResolvedRecipe,
    folder: JobsFolder,
    *,
    name: str | None = None,
    key: str | None = None,
    priority: int = 0,
    timeout_s: float | None = None,
    retries: int = 3,
    stall_timeout_s: float | None = None,
    gpus: int | None = None,
    secrets: Sequence[str] = (),
    gpu_bytes_of: GpuBytesOf | None = None,
    gpus_there: Callable[[], Sequence[Gpu]] = gpus_here,
    warm: bool = False,
) -> JobSpec:
    """Return the job of a recipe, with a resolved copy of it: the file may be changed or deleted from now on.

    The id follows from the key, and the key, unless it is given, from the name and the resolved recipe: the same
    submission is the same job, whoever makes it again and whatever was lost in between.

    Args:
        secrets: `NAME` or `NAME=FILE` of variables that only it gets; `submit` keeps their values.
        gpus: how many it gets; None for one if its recipe leads to a GPU and there is one, else none.
        gpu_bytes_of: estimates the memory that it holds; without, it has its GPUs to itself.
        gpus_there: looks which there are.

    Raises:
        UserError: the recipe cannot be a job, or the name is none.
    """
    from tunelab.recipes import portable, to_yaml
    from tunelab.sources import locate_data
    from tunelab.workspace import name_of_run

    name = name or name_of_run(resolved.file)
    if not _NAME.fullmatch(name):
        expected = "at most 60 small letters, digits, dots, dashes and underscores, a letter or digit first"
        raise RunError(f'"{name}" is no name for a job', where="--name", expected=expected)
    recipe = resolved.anchored
    if recipe.training.output_dir:
        what = f"training.output_dir is {recipe.training.output_dir}, and a job makes a folder in runs"
        raise RunError(what, where=str(resolved.file or ""), remedy="Leave training.output_dir out.")
    if recipe.evaluation.adapter_path is None or recipe.evaluation.compare_file is None:
        locate_data(recipe.data, base=resolved.base)  # files that are missing are named now, not in the night
    text = to_yaml(portable(recipe, folder=folder.job(name).path, workspace=folder.workspace.path))
    there = _gpus_to_use(resolved, gpus, gpus_there)
    gpu_bytes = gpu_bytes_of(resolved, max(each.memory_bytes for each in there)) if there and gpu_bytes_of else 0
    key = key or sha256_text(canonical_json([name, text]))
    job_id = id_of(name, key)
    return JobSpec(
        id=job_id,
        key=key,
        recipe=text,
        priority=priority,
        timeout_s=timeout_s,
        retries=retries,
        stall_timeout_s=stall_timeout_s,
        gpus=min(len(there), 1) if gpus is None else gpus,
        gpu_bytes=gpu_bytes,
        secrets=secret_files(secrets, folder, job_id),
        warm=warm,
        submitted=time.time(),
    )


def submit(store: Store, spec: JobSpec) -> tuple[Job, bool]:
    """Return the job of a key, and whether it is new; its secrets are kept for it, unless it has ended.

    Raises:
        RunError: another machine has it.
        UserError: a secret of it is not there.
    """
    if (known := store.with_key(spec.key)) is None:
        refuse_elsewhere(store.folder, spec.id)
    if known is None or not known.is_over:  # retry asks for them anew
        keep_secrets(spec)
    return store.add(spec)


def differences(spec: JobSpec, known: JobSpec) -> list[str]:
    """Return what a submission asks for that the job which it is the same as does not have, by the fields' names."""
    names = ("priority", "timeout_s", "stall_timeout_s", "retries", "gpus", "secrets")
    return [name for name in names if getattr(spec, name) != getattr(known, name)]


def _gpus_to_use(resolved: ResolvedRecipe, gpus: int | None, gpus_there: Callable[[], Sequence[Gpu]]) -> Sequence[Gpu]:
    """Return the GPUs that are there, if the job is to have one."""
    from tunelab.models.config import expects_gpu

    is_to_have_one = gpus if gpus is not None else expects_gpu(resolved.recipe.model.device_map)
    return gpus_there() if is_to_have_one else ()


def id_of(name: str, key: str) -> str:
    """Return the id of the job with this name and key, submitted or not."""
    return f"{name}-{sha256_text(key)[:_ID_DIGITS]}"


def cancel(store: Store, backend: JobBackend, job: Job, *, now: bool = False) -> Job:
    """Ask a job to save and stop, or end it at once, and return it; one that has ended stays as it is.

    The word is left for the attempt first, then the job is moved: whatever dies in between, the attempt stops. An
    attempt that is due is queued first, so that it is cancelled instead of begun.
    """
    while not job.is_over:
        if job.is_due_again:
            job = again(store, job, reason="to be cancelled, as asked") or store.get(job.id)
            continue
        attempt = JobAttempt(spec=store.spec(job.id), number=job.attempt)
        backend.cancel(attempt, now=now)
        if job.state is JobState.CANCELLING:
            return job
        following = JobState.CANCELLED if job.state is JobState.QUEUED else JobState.CANCELLING
        try:
            moved = store.move(job, following, reason="ended at once, as asked" if now else "asked to save and stop")
        except StorageError as error:
            what = f"the job was asked to stop and does so, but that cannot be noted: {error.what}"
            raise StorageError(what, where=error.where, remedy=error.remedy) from error
        if moved is not None:
            if moved.state.is_end:
                backend.forget(attempt.spec)
            return moved
        job = store.get(job.id)  # it went on meanwhile
    return job


def retry(store: Store, job: Job) -> Job:
    """Queue an ended job again, with as many attempts as it was given at first, and return it.

    Raises:
        RunError: it has not ended.
        UserError: a secret of it is not there any more.
    """
    if not job.state.is_end:
        remedy = f"Cancel it first: tunelab jobs cancel {job.id}"
        raise RunError(f"the job is {job.state}", where=job.id, expected="one that has ended", remedy=remedy)
    spec = store.spec(job.id)
    keep_secrets(spec)
    store.allow(job, job.attempt + 1 + spec.retries)
    return again(store, job, reason="retry, as asked") or store.get(job.id)


def seconds_of(text: str, *, where: str) -> float:
    """Return the seconds in a time such as `90`, `30m`, `6h` or `1d12h`; `where` names the option in an error.

    Raises:
        UserError: it is none, or zero.
    """
    match = _TIME.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    seconds = sum(part * unit for part, unit in zip(parts, (86_400, 3_600, 60, 1), strict=False))
    if not seconds:
        raise UserError(f'"{text}" is no time', where=where, expected="a time above zero such as 90s, 30m or 6h")
    return float(seconds)
