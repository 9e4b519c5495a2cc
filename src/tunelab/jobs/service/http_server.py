"""`tunelab jobs serve`: the service on a port of this machine, until a signal ends it."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import socket
from collections.abc import Callable

import uvicorn

from tunelab.errors import UserError
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.service.application import application
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.service_file import only_service, publish
from tunelab.jobs.submit import GpuBytesOf

HOST = "127.0.0.1"
FIRST_PORT = 12432
_NUM_PORTS = 100
_LONGEST_END_S = 5
"""What a reader that takes nothing is given when the service ends."""


def serve(
    folder: JobsFolder,
    *,
    port: int | None,
    say_address: Callable[[str], None],
    gpu_bytes_of: GpuBytesOf | None = None,
) -> None:
    """Serve the jobs of a workspace until SIGTERM or SIGHUP, which is a good end, or Ctrl+C, which is raised.

    Args:
        folder: their files.
        port: the port; None for the first that is free from `FIRST_PORT` on, 0 for any.
        say_address: called once callers can connect.
        gpu_bytes_of: estimates what a submitted recipe holds on a GPU.

    Raises:
        UserError: the port is taken, or the workspace has a service already.
    """
    folder.make()
    with only_service(folder) as is_in_place, _listening(port) as listener:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(32)
        jobs = ServedJobs(folder, gpu_bytes_of=gpu_bytes_of, is_in_place=is_in_place)
        app = application(jobs, port=port, token=token, is_ending=lambda: server.should_exit)
        server = uvicorn.Server(_config(app))
        for each in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, lambda *_: setattr(server, "should_exit", True))
        publish(folder, address=f"http://{HOST}:{port}", token=token)
        say_address(f"http://{HOST}:{port}")
        asyncio.run(server.serve(sockets=[listener]))


def _listening(port: int | None) -> socket.socket:
    ports = range(FIRST_PORT, FIRST_PORT + _NUM_PORTS) if port is None else [port]
    for each in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, each))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                what = f"port {each} cannot be used: {os.strerror(error.errno or 0)}"
                raise UserError(what, where="--port", expected="a port above 1023") from error
        else:
            return listener
    what = f"port {port} is taken" if port is not None else f"ports {ports[0]} to {ports[-1]} are taken"
    raise UserError(what, where="--port", remedy="Give another one, or 0 for any that is free.")


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_LONGEST_END_S,
    )
