"""What does not add up among processes is refused before any of them waits for another."""

import pytest
import torch

from tunelab.errors import RunError
from tunelab.training.join_world import join_world
from tunelab.training.process_group import Processes
from tunelab.training.world import ALONE

TORCHRUN = {
    "WORLD_SIZE": "2",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "", "RANK": "3"}])
def test_a_process_that_no_other_is_announced_for_is_alone(environment: dict[str, str]) -> None:
    with join_world(environment) as world:
        assert world is ALONE


@pytest.mark.parametrize("name", [name for name in TORCHRUN if name != "WORLD_SIZE"])
def test_an_environment_that_torchrun_set_by_half_is_refused(name: str) -> None:
    half = {key: value for key, value in TORCHRUN.items() if key != name}
    with pytest.raises(RunError, match=f"WORLD_SIZE is 2, and {name} is not set.*torchrun"), join_world(half):
        pass


@pytest.mark.parametrize("name", ["WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"])
def test_what_should_be_a_number_and_is_none_is_refused(name: str) -> None:
    with pytest.raises(RunError, match=f'{name} is "two"'), join_world(TORCHRUN | {name: "two"}):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RunError, match=r"2 processes on a machine of 1 GPU.*--nproc-per-node 1"):
        Processes.joined(local_rank=1, local_size=2, master="127.0.0.1").__enter__()
