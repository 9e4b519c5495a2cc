"""A runner whose jobs are the substitute: `python -P -m jobs_trial.runner WORKSPACE`."""

import sys
from pathlib import Path

from jobs_trial import worker
from jobs_trial.warm_substitute import WARM_SUBSTITUTE
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.runner import run_jobs
from tunelab.workspace import Workspace

SUBSTITUTE = (sys.executable, "-I", "-S", worker.__file__)


if __name__ == "__main__":
    folder = JobsFolder(workspace=Workspace(path=Path(sys.argv[1])))
    run_jobs(folder, LocalJobs(folder, program=SUBSTITUTE, warm=WARM_SUBSTITUTE))
