"""The files of one job, and what is to be done as bytes: read strictly, since a folder may have come from elsewhere."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType

from tunelab.errors import RunError
from tunelab.files import storage_errors
from tunelab.jobs.job import JobSpec
from tunelab.jobs.job_secrets import may_be_secret

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolder:
    """The places of one job."""

    path: Path

    @property
    def spec_file(self) -> Path:
        """What is to be done, for when the database is lost: a folder is a job once it is there."""
        return self.path / "job.json"

    @property
    def recipe_file(self) -> Path:
        """What `tunelab train` is given."""
        return self.path / "recipe.yaml"

    @property
    def lock_file(self) -> Path:
        """Held by whoever keeps an attempt alive."""
        return self.path / "lock"

    def attempt(self, number: int) -> Path:
        """Return the folder of an attempt."""
        return self.path / f"attempt-{number}"

    def stack_file(self, number: int) -> Path:
        """Return where the stack of an attempt lies that stalled, if it was taken."""
        return self.attempt(number) / "stack.txt"

    def last_attempt(self) -> int:
        """Return the greatest number of an attempt that has a folder; 1 if none has."""
        numbers = (each.name.removeprefix("attempt-") for each in self.path.glob("attempt-*"))
        return max((int(number) for number in numbers if number.isdecimal()), default=1)

    def link(self) -> Path | None:
        """Return a link in the folder, or to it or its parent: what is written through one lands elsewhere."""
        inside = (Path(root, name) for root, folders, files in os.walk(self.path) for name in (*folders, *files))
        return next((each for each in (self.path.parent, self.path, *inside) if each.is_symlink()), None)

    def write_spec(self, spec: JobSpec) -> None:
        """Write what is to be done, whole or not at all, unless it is there.

        Not made to outlast a power cut, as the database is: a job that is in neither was never confirmed.
        """
        if self.spec_file.exists():
            return
        aside = self.path / f".job.json.{os.getpid()}.tmp"
        with storage_errors(self.spec_file):
            self.path.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(pack(spec))
            aside.rename(self.spec_file)

    def read_spec(self) -> JobSpec:
        """Return what is to be done.

        Raises:
            RunError: the file is missing or damaged.
        """
        try:
            if link := self.link():
                raise ValueError(f"{link} is a link")
            spec = unpack(self.spec_file.read_bytes())
            if spec.id != self.path.name:
                raise ValueError(f"its id is {spec.id!r}, and its folder is {self.path.name}")
            return spec
        except (OSError, ValueError, TypeError) as error:
            remedy = "Delete the folder, and submit the recipe again if you miss its job."
            raise RunError(f"the job cannot be read ({error})", where=str(self.spec_file), remedy=remedy) from error


def pack(spec: JobSpec) -> bytes:
    """Return what is to be done as JSON, for people to read, too."""
    return json.dumps(asdict(spec), indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "float | None": (float, int, NoneType),
    "bool": (bool,),
    "dict[str, str]": (dict,),
}


def unpack(packed: bytes) -> JobSpec:
    """Return what `pack` was given.

    Raises:
        ValueError, TypeError: it is damaged.
    """
    values = json.loads(packed)
    known = {each.name: _TYPES[str(each.type)] for each in fields(JobSpec)}
    for name, value in values.items():
        if name in known and not isinstance(value, known[name]):
            raise TypeError(f"{name} is {value!r}")
    spec = JobSpec(**{name: value for name, value in values.items() if name in known})
    if not _ID.fullmatch(spec.id):
        raise ValueError(f"{spec.id!r} is no id of a job")
    for name, file in spec.secrets.items():
        if not may_be_secret(name) or not isinstance(file, str) or not os.path.isabs(file):
            raise ValueError(f"{name!r} with the file {file!r} is no secret")
    return spec
