"""The processes that train together: no more than there are devices, on one machine, and for nobody else to reach."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.plugins.environments import (
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy, Strategy

from vaelab.errors import UserError

CLUSTERS = (LSFEnvironment, MPIEnvironment, SLURMEnvironment, TorchElasticEnvironment)
# A machine with a single core can still show that two processes work.
LEAST = 2
LOOPBACK = "127.0.0.1"

_STORES: list[Any] = []


def check_processes(settings: Mapping[str, Any]) -> None:
    """Check `devices` and `num_nodes` of the trainer's settings, at which Lightning would only wait.

    Raises:
        UserError: for more devices than this machine has, or for another machine: each would write into the folder.
    """
    devices, nodes = settings.get("devices"), settings.get("num_nodes", 1)
    cores, gpus = os.cpu_count() or 1, torch.cuda.device_count()
    if str(devices).isdecimal() and int(devices) > max(cores, gpus, LEAST):  # type: ignore[arg-type]
        raise UserError(
            f"accelerator.devices={devices}: here are {cores} processor cores and {gpus} GPUs; give at most as many"
        )
    if nodes != 1:
        raise UserError(f"num_nodes={nodes}: vaelab trains on one machine: leave it out")


def let_weights_rest(strategy: Strategy) -> None:
    """Have processes wait for no gradients of weights that a step does not train.

    Raises:
        UserError: if they were told to wait.
    """
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.setdefault("find_unused_parameters", True):
        raise UserError(
            "accelerator.strategy=ddp_find_unused_parameters_false waits for gradients of all weights, and each step "
            "of this variant trains some: take accelerator.strategy=ddp"
        )


def _is_cluster() -> bool:
    ranks = {"NODE_RANK", "GROUP_RANK", "RANK"}
    told = "MASTER_ADDR" in os.environ and not ranks.isdisjoint(os.environ)
    return told or any(cluster.detect() for cluster in CLUSTERS)


def keep_to_this_machine(processes: int) -> None:
    """Have processes that Lightning is about to start meet where no other machine reaches them.

    torch by itself opens that meeting place on every network. Where somebody has said already where it is, it stays.
    """
    if processes == 1 or "MASTER_ADDR" in os.environ or _is_cluster():
        return
    listening = socket.create_server((LOOPBACK, 0))
    port = listening.getsockname()[1]
    place = torch.distributed.TCPStore(
        LOOPBACK, port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
    )
    _STORES.append(place)
    # So that all of them, this one too, go to a place that there is and open none.
    os.environ |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if names:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", names[0])
