import subprocess
import sys

import pytest

from vaelab.errors import UserError
from vaelab.run.processes import LEAST, check_processes

MEET = """
import os, socket, torch
from vaelab.run.processes import keep_to_this_machine
keep_to_this_machine(1)
assert "MASTER_PORT" not in os.environ
keep_to_this_machine(2)
torch.distributed.init_process_group("gloo", rank=0, world_size=1)
value = torch.ones(1)
torch.distributed.all_reduce(value)
with socket.create_connection(("127.0.0.1", int(os.environ["MASTER_PORT"]))):
    print("met")
try:
    socket.create_connection(("127.0.0.2", int(os.environ["MASTER_PORT"])))
except ConnectionRefusedError:
    print("nobody else")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other addresses of this machine are not listened on elsewhere")
def test_processes_meet_where_only_this_machine_reaches_them():
    done = subprocess.run([sys.executable, "-c", MEET], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["met", "nobody else"], done.stderr


@pytest.mark.parametrize("devices", [2**31, str(2**31), 100_000])
def test_more_devices_than_there_are_are_refused(devices):
    with pytest.raises(UserError, match=rf"^accelerator.devices={devices}: here are \d+ processor cores and \d+ GPUs"):
        check_processes({"devices": devices})


@pytest.mark.parametrize("devices", [1, LEAST, -1, "auto", "-1", [0], "0,1", None])
def test_other_devices_are_left_to_lightning(devices):
    check_processes({"devices": devices})


@pytest.mark.parametrize("nodes", [0, 2, None, "2"])
def test_further_machines_are_refused(nodes):
    check_processes({"num_nodes": 1})
    with pytest.raises(UserError, match=rf"^num_nodes={nodes}: vaelab trains on one machine"):
        check_processes({"num_nodes": nodes})
