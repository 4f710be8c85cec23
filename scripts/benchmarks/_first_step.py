"""A process that trains up to the end of the first batch, and says how long that took it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any


def stop(*_: Any) -> None:
    """Say the time and the processor seconds of this process, and leave."""
    print(json.dumps({"at": time.time(), "cpu": time.process_time()}), flush=True)
    os._exit(0)


def with_vaelab() -> None:
    """The default training of `vaelab-train`."""
    import vaelab.train

    import_frameworks = vaelab.train.import_frameworks

    def imported() -> None:
        # Not earlier: what this imports is what import_frameworks takes care of.
        import_frameworks()
        import vaelab.trainer.make

        make = vaelab.trainer.make.make_trainer

        def made(*arguments: Any) -> Any:
            trainer = make(*arguments)
            trainer.callbacks[-1].on_train_batch_end = stop
            return trainer

        vaelab.trainer.make.make_trainer = made

    vaelab.train.import_frameworks = imported
    sys.argv = ["vaelab-train", "trainer.max_steps=1", "accelerator=cpu", f"hydra.run.dir={tempfile.mkdtemp(dir='.')}"]
    vaelab.train.main()


def floor() -> None:
    """Lightning, and a trainer that does nothing but take the step."""
    import lightning.pytorch as L
    import torch
    from torch import nn

    class Plain(L.LightningModule):
        """The net of the sine VAE as a plain autoencoder."""

        def __init__(self) -> None:
            super().__init__()
            layers = [nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 64), nn.SiLU(), nn.Linear(64, 2)]
            layers += [nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 128)]
            self.net = nn.Sequential(*layers)

        def training_step(self, x: torch.Tensor, batch_idx: int) -> torch.Tensor:
            """Squared error."""
            return (self.net(x) - x).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            """Adam."""
            return torch.optim.Adam(self.parameters(), fused=True)

        def on_train_batch_end(self, *_: Any) -> None:
            """The end of the first step."""
            stop()

    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = L.Trainer(max_steps=1, accelerator="cpu", **dict.fromkeys(silent, False))
    trainer.fit(Plain(), torch.utils.data.DataLoader(torch.randn(64, 128), batch_size=64))


if __name__ == "__main__":
    {"vaelab": with_vaelab, "floor": floor}[sys.argv[1]]()
