"""Forks one process a command, with what is heavy imported once: a run then costs a second, not eight.

Reads orders as JSON lines and answers each with a line: `start` gives the process's id, `wait` its exit status.
A `cut` sends the process a signal at the end of a step: training stops where the test says, not where a clock does.
"""

import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback

HEAVY = (
    "vaelab.train",
    "vaelab.sample",
    "vaelab.run.directory",
    "vaelab.report.finale",
    "vaelab.report.board",
    "vaelab.report.checkpoints",
    "vaelab.report.progress",
    "vaelab.trainer.make",
    "vaelab.task.base",
    "matplotlib.pyplot",
    "sklearn.decomposition",
    "sklearn.mixture",
    "sklearn.datasets",
    "torch.utils.tensorboard",
    "torchvision",
    "torchmetrics",
    "librosa",
    "soundfile",
)


def serve():
    answers = os.fdopen(os.dup(1), "w")
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = wait(order["wait"], order["seconds"])
        else:
            answer = os.fork()
            if answer == 0:
                return order
        print(answer, file=answers, flush=True)
    return None


def wait(process, seconds):
    """Exit status as a shell gives it; what takes too long is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "too long"


def obey(order):
    os.chdir(order["cwd"])
    os.environ.update(order["environment"])
    for number, path in ((1, order["stdout"]), (2, order["stderr"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [f"vaelab-{order['door']}", *order["words"]]
    if order["cut"]:
        batch, number, *stage = order["cut"]
        at_batch(batch, lambda _: os.kill(os.getpid(), number), *stage)
    if order["break_at"]:
        at_batch(order["break_at"], fill_with_nan)
    importlib.import_module(f"vaelab.{order['door']}").main()


def fill_with_nan(module):
    for parameter in module.parameters():
        parameter.data.fill_(float("nan"))


def at_batch(number, act, stage="train"):
    """Do something when that batch of a stage is done, counted over all epochs of this process from 1.

    Stages without batches: `data` when they are read, `record` when provenance.json is written, `checkpoint` when one
    is, `figures` when they are drawn.
    """
    from vaelab import loop
    from vaelab.data.module import DataModule
    from vaelab.report import finale
    from vaelab.report.checkpoints import WholeFiles
    from vaelab.run import records
    from vaelab.variant.base import Method
    from vaelab.variant.vae import VAE

    owner, name = {
        "data": (DataModule, "prepare"),
        "record": (records, "write_json"),
        "train": (Method, "training_step"),
        "validation": (VAE, "validation_step"),
        "checkpoint": (WholeFiles, "_write"),
        "test": (Method, "test_step"),
        "figures": (finale, "final_figures"),
    }[stage]
    step, seen = getattr(owner, name), 0
    # The shortest blocks: the step after this one already answers.
    loop.BLOCK_SECONDS = 0.0

    def counted(*given, **named):
        nonlocal seen
        result = step(*given, **named)
        seen += 1
        if seen == number:
            act(given[0])
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    order = serve()
    if order:
        # Out by the short way: taking a forked interpreter down costs more than a tiny run.
        status = 0
        try:
            obey(order)
        except SystemExit as leaving:
            status = leaving.code or 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
