import numpy as np
import pytest
import torch
from gaussians import Exact

from vaelab.variant.ddpm import kept_signal, posterior_variance, sampling_times

SCHEDULES = ["linear", "cosine"]


@pytest.fixture
def ddpm(tiny):
    return lambda *words: (
        tiny("sine", "variant=ddpm", "dataset.samples=8", *(f"variant.{word}" for word in words)).variant
    )


def exact(variant):
    """v of a Gaussian: signal · E[noise | x] − noise share · E[item | x]."""

    def of(time, x, mean, variances):
        kept = variant.kept[round(time * variant.timesteps)]
        signal, share = kept**0.5, (1 - kept) ** 0.5
        beyond = (x - signal * mean) / (kept * variances + 1 - kept)
        return signal * share * beyond - share * (mean + signal * variances * beyond)

    return Exact(8, of)


def betas(schedule, timesteps):
    kept = kept_signal(schedule, timesteps)
    return 1 - kept[1:] / kept[:-1]


def test_linear_schedule_is_the_published_one():
    assert np.allclose(betas("linear", 1000), np.linspace(1e-4, 0.02, 1000))
    # Of fewer steps each adds more, and as much is left.
    assert np.log(kept_signal("linear", 200)[-1]) == pytest.approx(np.log(kept_signal("linear", 1000)[-1]), rel=0.05)


def test_cosine_schedule_is_the_published_one():
    t = np.arange(1001) / 1000
    by_hand = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    assert np.allclose(kept_signal("cosine", 1000)[:-1], (by_hand / by_hand[0])[:-1])
    assert betas("cosine", 1000).max() == pytest.approx(0.999)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("timesteps", [1, 7, 1000])
def test_every_step_adds_some_noise_and_leaves_some_signal(schedule, timesteps):
    kept = kept_signal(schedule, timesteps)
    assert kept[0] == 1 and len(kept) == timesteps + 1
    assert (np.diff(kept) < 0).all() and kept[-1] > 0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_after_all_steps_of_the_forward_process_items_are_noise_of_variance_one(schedule):
    chance, x = np.random.default_rng(0), np.full(20_000, 5.0)
    for beta in betas(schedule, 1000):
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * chance.standard_normal(len(x))
    kept = kept_signal(schedule, 1000)[-1]
    assert kept < 1e-4
    assert x.mean() == pytest.approx(5 * kept**0.5, abs=0.03)
    assert x.var() == pytest.approx(1 - kept, abs=0.03)


def test_what_is_minimised_is_the_error_of_the_noise_at_the_step_of_each_item(ddpm):
    variant, seen = ddpm("timesteps=10", "steps=5"), []

    def field(x, time):
        seen.append((x, time))
        return torch.zeros_like(x)

    item = torch.full((4000, 1, 8), 3.0)
    torch.manual_seed(0)
    errors = variant.errors(field, item)
    x, time = seen[0]
    t = (time * 10).round().long()
    assert t.unique().tolist() == list(range(1, 11))
    assert torch.allclose(t.bincount()[1:].float(), torch.tensor(400.0), atol=1)
    kept = torch.tensor(variant.kept).float()[t][:, None, None]
    noise = (x - kept.sqrt() * item) / (1 - kept).sqrt()
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    # v = 0 means that the noise is told to be noise share · x.
    by_hand = ((1 - kept).sqrt() * x - noise).square().mean((1, 2))
    assert torch.allclose(errors, by_hand, atol=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_optimum_of_the_loss_is_what_a_gaussian_has_in_closed_form(ddpm, schedule):
    """The error that is left is the noise's variance given x; anything else has more."""
    variant = ddpm(f"schedule={schedule}")
    known = exact(variant)
    torch.manual_seed(0)
    item = (known.mean + torch.randn(2000, 8) @ (known.axes * known.variances.sqrt()).T).view(-1, 1, 8)
    each = lambda x, time: torch.cat([known(a[None], b[None]) for a, b in zip(x, time, strict=True)])  # noqa: E731
    kept = torch.tensor(variant.kept[1:])[:, None]
    left = (kept * known.variances / (kept * known.variances + 1 - kept)).mean()
    torch.manual_seed(1)
    best = variant.errors(each, item).mean()
    assert best == pytest.approx(left.item(), rel=0.04)
    for change in (lambda v: 0.8 * v, lambda v: v + 0.2):
        torch.manual_seed(1)
        assert variant.errors(lambda x, time, change=change: change(each(x, time)), item).mean() > best


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 100), ("ddim", 250), ("ancestral", 250)])
def test_with_the_exact_field_of_a_gaussian_samples_have_its_mean_and_covariance(ddpm, schedule, sampler, steps):
    variant = ddpm(f"schedule={schedule}", f"sampler={sampler}", f"steps={steps}", "timesteps=250")
    variant.averaged = exact(variant)
    variant.averaged.check(variant.sample(4000, 0), within=0.1)


def test_more_steps_of_ddim_come_nearer_to_the_exact_map_of_a_gaussian(ddpm):
    codes, errors = torch.randn(50, 8), []
    for steps in (10, 50, 1000):
        variant = ddpm(f"steps={steps}", "schedule=cosine")
        known = variant.averaged = exact(variant)
        true = known.mean + ((codes @ known.axes) * known.variances.sqrt()) @ known.axes.T
        errors.append((variant.decode(codes).flatten(1) - true).abs().max().item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2] and errors[2] < 0.03


def test_an_ancestral_step_is_the_published_one(ddpm):
    """Mean (x − β / √(1 − ᾱ) · noise) / √(1 − β), and the posterior's variance (Ho et al. 2020, eq. 7 and 11)."""
    variant = ddpm("timesteps=2", "steps=2", "schedule=linear", "sampler=ancestral")
    beta, (_, before, kept) = 1 - variant.kept[2] / variant.kept[1], variant.kept
    assert posterior_variance(kept, before) == pytest.approx((1 - before) / (1 - kept) * beta)
    assert posterior_variance(variant.kept[1], 1.0) == 0
    x, told = torch.randn(20_000, 1, 8), 0.3
    seen = []

    def field(x, time):
        seen.append(x)
        # v such that the noise is told to be the same everywhere.
        share = 1 - variant.kept[round(float(time[0]) * 2)]
        return (told - share**0.5 * x) / (1 - share) ** 0.5

    torch.manual_seed(0)
    variant.carried(field, x, chance=True)
    mean = (x - beta / (1 - kept) ** 0.5 * told) / (1 - beta) ** 0.5
    added = seen[1] - mean
    assert abs(added.mean()) < 0.01
    assert added.var().item() == pytest.approx(posterior_variance(kept, before), rel=0.02)


@pytest.mark.parametrize(("timesteps", "steps"), [(1000, 1000), (1000, 50), (7, 5), (5, 4), (1, 1)])
def test_items_are_made_in_as_many_steps_as_asked_for_from_the_last_to_the_first(timesteps, steps):
    times = sampling_times(timesteps, steps)
    assert len(times) == steps + 1 and times[0] == timesteps and times[-1] == 0
    assert (np.diff(times) < 0).all()


def test_ancestral_samples_differ_from_what_the_same_noise_alone_becomes(ddpm):
    variant = ddpm("sampler=ancestral", "steps=5")
    codes = torch.randn(3, 8)
    assert torch.equal(variant.made(codes, 1), variant.made(codes, 1))
    assert not torch.allclose(variant.made(codes, 1), variant.made(codes, 2), atol=1e-3)
    assert not torch.allclose(variant.made(codes, 1), variant.decode(codes), atol=1e-3)
    assert torch.equal(variant.decode(codes), variant.decode(codes))
