"""The flow of a run: fitted to the codes of its training items once, and kept beside the checkpoint that has them."""

from __future__ import annotations

import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaelab.data.loader import IndexLoader
from vaelab.data.module import DataModule
from vaelab.data.writers import whole
from vaelab.errors import UserError
from vaelab.latent.base import Posterior, joined, moved
from vaelab.latent.flow import Flow, fit_flow
from vaelab.run.checkpoint import HUGE, Run, is_weight, read_plain
from vaelab.seeding import CPU
from vaelab.variant.base import HasCode, Method

FORMAT = 1
FITTED_ON, NUMBERS = 10_000, 2**24  # items that a flow is fitted to: fewer of long codes, for the memory


def flow_of(run: Run) -> Flow:
    """The flow that a run keeps; else one that is fitted to its data now, and kept from then on.

    What is kept is for the very weights that the run was loaded with. A checkpoint that stands alone has no run to
    keep it in.

    Raises:
        UserError: if it must be fitted, and the data are no longer there or too few.
    """
    file = kept_at(run.checkpoint)
    if file is not None and file.is_file():
        try:
            return read_flow(file, run.variant)
        except UserError as error:
            _tell(f"{error}; it is fitted anew")
    if file is None:
        _tell(f"{run.checkpoint} lies in no run directory, which would keep the flow: it is fitted for this once")
    data = run.data()
    _tell("fitting a flow to the codes of training items, some seconds")
    return keep_flow(run.variant, data, file)


def kept_at(checkpoint: Path) -> Path | None:
    """Where the flow of a checkpoint is kept; None of one that stands alone."""
    return checkpoint.with_name(f"{checkpoint.stem}_flow.pt") if checkpoint.parent.name == "checkpoints" else None


def keep_flow(method: Method, data: DataModule, file: Path | None) -> Flow:
    """A flow that is fitted to the codes of training items, and written into `file` where one is given.

    Raises:
        UserError: if there are too few items. A disk that takes no file is told of, and no more.
    """
    assert isinstance(method, HasCode)
    items = max(1, min(FITTED_ON, NUMBERS // method.latent.code_size))
    flow = fit_flow(posteriors(method, data.loader("train", items)), method.seed)
    if file is not None:
        try:
            write_flow(file, flow, method)
        except UserError as error:
            _tell(f"{error}; the flow is not kept")
    return flow


@torch.no_grad()
def posteriors(method: HasCode, batches: IndexLoader) -> Posterior:
    """Those of all items in the batches, on the CPU."""
    assert isinstance(method, Method)
    method.eval()
    return joined([moved(method.posterior(batch.x.to(method.device)), CPU) for batch in batches])


def write_flow(file: Path, flow: Flow, method: Method) -> None:
    """Write it whole or not at all. Raises `UserError` where the disk takes no more."""
    with whole(file) as part:
        torch.save({"format": FORMAT, "weights_of_run": weights_digest(method), "flow": flow.state_dict()}, part)


def read_flow(file: Path, method: Method) -> Flow:
    """The flow in a file, which may be a stranger's: plain tensors of the shapes that this model's codes ask for.

    Raises:
        UserError: if it is damaged, no flow, or that of other weights.
    """
    assert isinstance(method, HasCode) and isinstance(method, Method)
    try:
        content = read_plain(file)
    except Exception as error:  # damaged bytes make the unpickler fail in every way there is
        raise UserError(f"{file} is damaged, or no flow ({type(error).__name__})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{file} is no flow of this version of vaelab")
    if content.get("weights_of_run") != weights_digest(method):
        raise UserError(f"{file} is the flow of other weights")
    flow = Flow(method.latent.code_size).requires_grad_(False)
    if not _fits(content.get("flow"), flow.state_dict()):
        raise UserError(f"{file} does not hold the numbers of a flow")
    flow.load_state_dict(content["flow"])
    return flow


def _fits(given: Any, asked: dict[str, Tensor]) -> bool:
    """Whether these are finite numbers of the names and shapes that are asked for."""
    if not isinstance(given, dict) or set(given) != set(asked) or not all(map(is_weight, given.items())):
        return False
    same = all(given[name].shape == value.shape for name, value in asked.items())
    return same and all(bool((value.abs() <= HUGE).all()) for value in given.values())


def weights_digest(method: Method) -> str:
    """A hash of all that a model has learnt: two that encode alike have the same."""
    digest = blake2b(digest_size=16)
    for name, value in sorted(method.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _tell(line: str) -> None:
    """On standard error: a stream may send its items through standard output."""
    print(line, file=sys.stderr)
