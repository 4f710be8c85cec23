"""Names of classes and functions in configurations that were written before the house was laid out by groups."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

# What lay in one file and has one of its own now.
MOVED = {
    "vaelab.objectives.latents.Gaussian": "vaelab.latent.gaussian.GaussianLatent",
    "vaelab.objectives.latents.Circle": "vaelab.latent.circle.CircleLatent",
    "vaelab.objectives.latents.Point": "vaelab.latent.point.PointLatent",
    "vaelab.objectives.likelihoods.Bernoulli": "vaelab.likelihood.bernoulli.Bernoulli",
    "vaelab.objectives.likelihoods.Gaussian": "vaelab.likelihood.gaussian.Gaussian",
    "vaelab.objectives.likelihoods.LearnedGaussian": "vaelab.likelihood.learned_gaussian.LearnedGaussian",
    "vaelab.objectives.likelihoods.Laplace": "vaelab.likelihood.laplace.Laplace",
    "vaelab.objectives.likelihoods.Logistic": "vaelab.likelihood.logistic.Logistic",
    "vaelab.objectives.likelihoods.ZeroMeanGaussian": "vaelab.likelihood.zero_mean_gaussian.ZeroMeanGaussian",
    "vaelab.variants.signal.SineVAE": "vaelab.variant.sine.SineVAE",
    "vaelab.variants.optimizers.adam": "vaelab.optimizer.adam.adam",
    "vaelab.variants.optimizers.adamw_cosine": "vaelab.optimizer.adamw_cosine.adamw_cosine",
}
SCHEDULES = "vaelab.objectives.beta_schedules."
# Folders that have the name of their group now.
FOLDERS = {
    "vaelab.data.codecs.": "vaelab.codec.",
    "vaelab.data.sources.": "vaelab.dataset.",
    "vaelab.nets.": "vaelab.architecture.",
    "vaelab.objectives.": "vaelab.objective.",
    "vaelab.variants.": "vaelab.variant.",
}


def renamed(target: str) -> str:
    """What `_target_` names now; of a name of today, itself."""
    if target.startswith(SCHEDULES):
        name = target.removeprefix(SCHEDULES)
        return f"vaelab.beta_schedule.{name}.{name}"
    for old, new in FOLDERS.items():
        if target.startswith(old):
            return MOVED.get(target, new + target.removeprefix(old))
    return target


def with_todays_names(config: DictConfig) -> DictConfig:
    """The configuration, its targets named as they are today."""
    return OmegaConf.create(_walk(OmegaConf.to_container(config)))


def _walk(node: Any) -> Any:
    if isinstance(node, list):
        return [_walk(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: renamed(value) if key == "_target_" and isinstance(value, str) else _walk(value)
        for key, value in node.items()
    }
