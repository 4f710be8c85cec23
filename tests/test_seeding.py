import ast
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

import vaelab
from vaelab.codec.picture import PictureCodec
from vaelab.data.loader import IndexLoader, Store
from vaelab.seeding import Purpose, generator, reseed, seeded, short_seed, stream_seed

PURPOSES = get_args(Purpose)
# Calls that take a seed, and what makes one.
TAKE = {"manual_seed", "seeded", "reseed", "seed_everything", "default_rng", "RandomState", "SeedSequence", "seed"}
MAKE = {"stream_seed", "short_seed"}


def test_each_position_has_a_random_stream_of_its_own():
    seeds = {stream_seed("latent", a, b, c) for a in range(10) for b in range(-1, 10) for c in range(10)}
    assert len(seeds) == 10 * 11 * 10 and all(0 <= seed < 2**63 for seed in seeds)
    assert stream_seed("latent", 1, 2) != stream_seed("latent", 2, 1)


def test_no_two_purposes_ever_meet_whatever_small_numbers_follow():
    numbers = [n for length in range(4) for n in product(range(-1, 12), repeat=length)]
    seeds = [{stream_seed(purpose, *n) for n in numbers} for purpose in PURPOSES]
    assert all(len(own) == len(numbers) for own in seeds)
    assert not any(a & b for a, b in combinations(seeds, 2))


def test_at_one_position_no_two_purposes_share_the_32_bits_that_torch_takes_on_the_cpu():
    for n in product(range(5), range(-1, 60), range(20), range(2)):
        assert len({stream_seed(purpose, *n) % 2**32 for purpose in PURPOSES}) == len(PURPOSES)


def test_the_streams_of_two_purposes_are_unlike_and_each_is_even():
    draws = torch.stack([torch.rand(20_000, generator=generator(purpose, 0, 0, 0)) for purpose in PURPOSES])
    correlation = torch.corrcoef(draws) - torch.eye(len(PURPOSES))
    assert correlation.abs().max() < 5 / 20_000**0.5
    assert (draws.mean(1) - 0.5).abs().max() < 5 * (1 / 12 / 20_000) ** 0.5


def test_neighbouring_positions_of_a_purpose_are_unlike():
    draws = torch.stack([torch.rand(5_000, generator=generator("latent", 0, step, step)) for step in range(60)])
    assert (torch.corrcoef(draws) - torch.eye(60)).abs().max() < 5.5 / 5_000**0.5


def test_the_noise_of_the_pixels_and_of_the_latent_is_not_the_same_in_the_first_step():
    grey = torch.full((50, 1, 20, 20), 128, dtype=torch.uint8)
    store = Store(grey, None, torch.arange(50), torch.zeros(50), torch.arange(50))
    batch = next(iter(IndexLoader(store, PictureCodec("dynamic"), 50, seed=0, shuffle=True)))
    reseed(stream_seed("latent", 0, 0, 0, 0))
    uniform = torch.rand(batch.x.shape)
    agree = ((uniform < 128 / 255) == (batch.x > 0.5)).float().mean()
    assert abs(float(agree) - 0.5) < 5 * 0.5 / batch.x.numel() ** 0.5


def test_an_evaluation_draws_nothing_that_the_first_epoch_of_training_draws():
    grey = torch.full((8, 1, 6, 6), 128, dtype=torch.uint8)
    store = Store(grey, None, torch.arange(8), torch.zeros(8), torch.arange(8))
    first, other = (
        next(iter(IndexLoader(store, PictureCodec("dynamic"), 8, seed=0, shuffle=shuffle))).x
        for shuffle in (True, False)
    )
    assert not torch.equal(first, other)


def seeds_taken(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Line and expression of every seed that the code hands to something that draws."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            yield from ((node.lineno, argument) for argument in node.args[:1] if name in TAKE)
            yield from ((node.lineno, word.value) for word in node.keywords if word.arg == "random_state")
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", None) == "random_state":
            yield node.lineno, node.value


def bare(expression: ast.expr, made: set[str]) -> bool:
    """Whether a seed is neither a constant nor made of a purpose, at once or under a name."""
    calls = (getattr(node.func, "id", None) for node in ast.walk(expression) if isinstance(node, ast.Call))
    named = isinstance(expression, ast.Name) and expression.id in made
    return not (isinstance(expression, ast.Constant) or named or MAKE & set(calls))


def made_names(tree: ast.AST) -> set[str]:
    """Names that only ever hold a seed made of a purpose."""
    assigned: dict[str, list[bool]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(not bare(node.value, set()))
    return {name for name, well in assigned.items() if all(well)}


def bare_seeds(source: str) -> list[int]:
    """Lines of a source on which something draws from a seed that has no purpose."""
    tree = ast.parse(source)
    return [line for line, seed in seeds_taken(tree) if bare(seed, made_names(tree))]


def test_nothing_in_the_package_draws_from_a_seed_without_a_purpose():
    files = [file for file in Path(vaelab.__file__).parent.rglob("*.py") if file.name != "seeding.py"]
    found = {str(file): lines for file in files if (lines := bare_seeds(file.read_text(encoding="utf-8")))}
    assert len(files) > 50 and found == {}


@pytest.mark.parametrize(
    "source",
    [
        "torch.Generator().manual_seed(self.seed)",
        "np.random.default_rng([seed, number])",
        "with seeded(self.seed, device):\n    pass",
        "PCA(3, random_state=seed)",
        "mixture.random_state = seed",
        "start = seed\nreseed(start)",
    ],
)
def test_a_seed_without_a_purpose_would_be_found(source):
    assert len(bare_seeds(source)) == 1


def test_numpys_seeds_are_those_of_the_purpose_too():
    assert short_seed("mixture", 3) == stream_seed("mixture", 3) % 2**32
    assert np.random.RandomState(short_seed("mixture", 3)).rand() != np.random.RandomState(short_seed("draw", 3)).rand()


def test_a_seed_means_what_it_means_in_torch():
    reseed(2**63 - 1)
    ours = torch.randn(5)
    torch.manual_seed(2**63 - 1)
    assert torch.equal(ours, torch.randn(5))


def test_seeded_draws_depend_on_nothing_before_them_and_change_nothing_after_them():
    torch.manual_seed(0)
    undisturbed = torch.randn(6)
    torch.manual_seed(0)
    before = torch.randn(3)
    with seeded(7):
        inside = torch.randn(3)
    after = torch.randn(3)
    torch.manual_seed(1)
    with seeded(7):
        assert torch.equal(inside, torch.randn(3))
    assert torch.equal(torch.cat([before, after]), undisturbed)
