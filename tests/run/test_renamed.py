"""Checkpoints that were written in format 1, and what they gave then."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vaelab.run.checkpoint import FORMAT, KEY, load_run, read_checkpoint
from vaelab.run.directory import stored_config, write_config
from vaelab.run.renamed import renamed
from vaelab.run.trust import offered

OLD = Path(__file__).parent / "format_1"


@pytest.mark.parametrize("name", ["sine", "digits"])
@torch.inference_mode()
def test_a_checkpoint_of_format_1_gives_what_it_gave_then(name):
    assert read_checkpoint(OLD / f"{name}.ckpt")[KEY]["format"] == 1 < FORMAT
    variant = load_run(OLD / f"{name}.ckpt").variant
    codes = torch.from_numpy(np.load(OLD / f"{name}_codes.npy"))
    drawn = variant.codec.decode(variant.decode(codes)).double().numpy()
    assert drawn == pytest.approx(np.load(OLD / f"{name}_samples.npy").astype(float), abs=1e-5 if name == "sine" else 1)


def test_a_configuration_of_format_1_is_resumed_by_todays_names(tmp_path):
    config = load_run(OLD / "sine.ckpt").config
    config.latent._target_ = "vaelab.objectives.latents.Circle"
    write_config(tmp_path, config)
    assert stored_config(tmp_path).latent._target_ == "vaelab.latent.circle.CircleLatent"


def test_names_of_today_stay_and_old_ones_lead_to_what_the_groups_offer():
    today = {target for targets in offered().values() for target in targets}
    assert {renamed(target) for target in today} == today
    old = [
        "nets.mlp.MLP",
        "data.sources.radio.Radio",
        "data.codecs.trace.TraceCodec",
        "objectives.tcvae.TotalCorrelation",
    ]
    old += ["objectives.beta_schedules.cyclic", "objectives.likelihoods.Laplace", "variants.optimizers.adam"]
    assert {renamed(f"vaelab.{target}") for target in [*old, "variants.denoiser.Denoiser"]} <= today
