"""Two machines meet although each one's name leads to its loopback address, as Debian sets it up."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunelab.training.network_interface import choose_interface, interface_towards

ADDRESSES = ("10.213.77.1", "10.213.77.2")
MEET = """
import socket, sys
socket.gethostbyname = lambda name, real=socket.gethostbyname: real(name if name[0].isdigit() else "127.0.0.1")
from tunelab.training.join_world import join_world
rank, master = sys.argv[1:]
around = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
          "MASTER_ADDR": master, "MASTER_PORT": "29555"}
import os
os.environ |= around
from pathlib import Path
import time
with join_world(around) as world:
    with world.first_of_machine_ahead():
        Path(f"at-work-{rank}").touch()
        until = time.monotonic() + 60
        while not all(Path(f"at-work-{each}").exists() for each in "01"):  # neither waits for the other's work
            assert time.monotonic() < until, "the other machine waits"
            time.sleep(0.05)
    print(world.gather(world.rank + 5.0), os.environ["GLOO_SOCKET_IFNAME"])
"""


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces, a cable between them."""
    names = ("tunelab-one", "tunelab-two")
    lines = [
        *(f"ip netns add {name}" for name in names),
        f"ip link add wire-one netns {names[0]} type veth peer name wire-two netns {names[1]}",
        *(
            f"ip -n {name} addr add {address}/24 dev wire-{name[-3:]}"
            for name, address in zip(names, ADDRESSES, strict=True)
        ),
        *(f"ip -n {name} link set {device} up" for name in names for device in ("lo", f"wire-{name[-3:]}")),
    ]
    try:
        for line in lines:
            done = subprocess.run(line.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def test_processes_on_two_machines_whose_names_lead_to_loopback_meet(machines: tuple[str, str], tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", MEET, str(rank), ADDRESSES[0]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        for rank, name in enumerate(machines)
    ]
    try:
        for each, device in zip(started, ("wire-one", "wire-two"), strict=True):
            out, err = each.communicate(timeout=120)
            assert out == f"[(5.0,), (6.0,)] {device}\n", err
    finally:
        for each in started:
            each.kill()
            each.communicate()


def test_a_chosen_interface_and_a_single_machine_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunelab.training.network_interface.interface_towards", lambda _: pytest.fail("asked"))
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    choose_interface("127.0.0.1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "mine")
    choose_interface("10.0.0.1")


def test_the_way_to_this_machine_is_its_loopback_interface_and_to_no_machine_there_is_none() -> None:
    assert interface_towards("127.0.0.1") in ("lo", "lo0")
    assert interface_towards("no.such.host.invalid") is None
