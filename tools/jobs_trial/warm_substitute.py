"""A warm server whose forks are the substitute: `python -P -m jobs_trial.warm_substitute LISTENER LOCK FOLDER`."""

import os
import sys
from pathlib import Path
from socket import socket
from typing import NoReturn

from jobs_trial import worker
from tunelab.jobs.warm_server import serve

WARM_SUBSTITUTE = (sys.executable, "-P", "-m", "jobs_trial.warm_substitute")
_IDLE_S = 3.0


def work(arguments: list[str]) -> NoReturn:
    """Do what the substitute does with a command line."""
    sys.argv = ["worker", *arguments]
    code = worker.main()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(socket(fileno=int(sys.argv[1])), work, home=Path(sys.argv[3]), idle_s=_IDLE_S)
