"""What is large is imported once in a process, and kept from costing more than that."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import warnings
from functools import cache


@cache
def import_frameworks() -> None:
    """Import what is large, once in a process, with the garbage collector kept from walking through it ever after."""
    gc.disable()
    try:
        for name in ("lightning.pytorch", "torch.utils.tensorboard", "vaelab.run.directory"):
            importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
        # Some libraries count what is left of them when the process ends.
        atexit.register(gc.unfreeze)
    look_for_gpus_once()
    quieten_lightning()


def look_for_gpus_once() -> None:
    """Let torch ask CUDA whether there is a GPU, which remembers.

    Lightning has it ask the driver's library, for the sake of processes that fork, which vaelab's do not. Optimizers
    ask in every step, and without a GPU that library is looked for on the disk each time: a twentieth of a small step.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def quieten_lightning() -> None:
    """Keep Lightning's notes on its own insides from the user's terminal."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
