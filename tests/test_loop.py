"""Steps in blocks are the trainer's own steps: the same weights, counts and logs to the last bit."""

import pytest
import torch

from vaelab import loop
from vaelab.loop import BlockLoop
from vaelab.trainer.plan import plan


class Spied(BlockLoop):
    """Counts the steps that went without ceremony."""

    taken = 0

    def _block(self, data_fetcher, steps):
        before = self.global_step
        super()._block(data_fetcher, steps)
        Spied.taken += self.global_step - before


@pytest.fixture
def trained(tiny, trainer_of, notes_of):
    """What a training leaves: everything that its checkpoint would hold, its log, its steps without ceremony."""

    def train(words=(), blocks=True, **settings):
        run = tiny("sine", "dataset.waves=400", "dataset.batch_size=8", *words)
        notes, Spied.taken = notes_of(), 0
        trainer = trainer_of(**{"max_epochs": 3, "log_every_n_steps": 7, "logger": notes, **settings})
        if blocks:
            Spied.put_into(trainer)
        torch.manual_seed(1)
        plan(trainer, run.variant, run.data())
        trainer.fit(run.variant.train(), datamodule=run.data())
        held = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        return held, notes.rows, Spied.taken

    return train


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


CASES = {
    "plain": ((), {}),
    "a warm-up, a schedule of the rate, clipping": (
        ("optimizer=adamw_cosine", "optimizer.warmup_steps=9", "beta_schedule=linear"),
        {"gradient_clip_val": 0.1},
    ),
    "clipping by value": ((), {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}),
    "several draws": (("objective=iwae",), {}),
    "validation within the epoch": ((), {"val_check_interval": 11}),
    "validation every so many steps": ((), {"val_check_interval": 33, "check_val_every_n_epoch": None}),
    "an end within the epoch": ((), {"max_steps": 53}),
    "some of the batches": ((), {"limit_train_batches": 13}),
    "mixed precision": ((), {"precision": "bf16-mixed"}),
    "a log of every step": ((), {"log_every_n_steps": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_in_blocks_is_the_trainers_own_to_the_last_bit(trained, monkeypatch, case):
    monkeypatch.setattr(loop, "BLOCK_SECONDS", 60.0)
    words, settings = CASES[case]
    held, rows, taken = trained(words, **settings)
    expected, expected_rows, _ = trained(words, blocks=False, **settings)
    assert same(held, expected)
    assert rows == expected_rows
    steps = held["global_step"]
    assert taken == 0 if settings.get("log_every_n_steps") == 1 else taken > 0.6 * steps


@pytest.mark.parametrize("seconds", [0.0, 1e-3])
def test_it_does_not_matter_where_blocks_end(trained, monkeypatch, seconds):
    monkeypatch.setattr(loop, "BLOCK_SECONDS", 60.0)
    expected, rows, all_taken = trained()
    monkeypatch.setattr(loop, "BLOCK_SECONDS", seconds)
    held, others, taken = trained()
    assert same(held["state_dict"], expected["state_dict"]) and rows == others
    assert 0 < taken <= all_taken and (seconds or taken < all_taken)


def test_steps_that_gather_gradients_go_the_trainers_own_way(trained):
    held, _, taken = trained(accumulate_grad_batches=3)
    expected, *_ = trained(blocks=False, accumulate_grad_batches=3)
    assert taken == 0 and same(held["state_dict"], expected["state_dict"])
    assert held["global_step"] == expected["global_step"]


def test_a_profiler_sees_every_step(trained):
    assert trained(profiler="simple", max_epochs=1)[2] == 0


def test_a_broken_value_is_told_with_the_step_that_the_trainer_would_have_told(trained):
    from vaelab.errors import UserError

    def told(blocks):
        with pytest.raises(UserError) as error:
            trained(("optimizer=adam", "optimizer.lr=1e20"), blocks=blocks)
        return str(error.value)

    assert told(True) == told(False)
