"""A run that was cut, whenever and however, ends where the uncut run ends, to the last bit."""

import itertools
import json
import signal

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SINE = ["trainer.max_epochs=3", "beta_schedule=linear", "beta_schedule.warmup_steps=8", "trainer.log_every_n_steps=2"]
DIGITS = ["trainer.max_epochs=2", "dataset.codec.binarisation=dynamic"]
RECIPES = {
    # 5 batches an epoch
    "cosine": ("sine", SINE),
    "accumulated": ("sine", [*SINE, "trainer.accumulate_grad_batches=2"]),
    # 12 batches an epoch
    "dynamic": ("digits", [*DIGITS, "optimizer=adamw_cosine"]),
    "convolved": ("digits", ["trainer.max_epochs=2", "architecture=conv2d", "architecture.widths=[4,8]"]),
}
SIGNALS = {"SIGTERM": 143, "SIGINT": 130, "SIGKILL": 137}
CUTS = [
    ("cosine", 7, "SIGTERM"),
    ("cosine", 7, "SIGINT"),
    ("cosine", 5, "SIGTERM"),
    ("cosine", 7, "SIGKILL"),
    ("accumulated", 8, "SIGINT"),
    ("dynamic", 5, "SIGINT"),
    ("dynamic", 14, "SIGKILL"),
    ("convolved", 5, "SIGTERM"),
]


@pytest.fixture(scope="module")
def uncut(vaelab, words, tmp_path_factory):
    folder, done = tmp_path_factory.mktemp("uncut"), {}

    def get(recipe):
        if recipe not in done:
            experiment, own = RECIPES[recipe]
            vaelab.train(*words(experiment), *own, f"hydra.run.dir={folder / recipe}", figures=False).done()
            done[recipe] = folder / recipe
        return done[recipe]

    return get


def checkpoint(run, name="last"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)


def same(one, other, where=""):
    """Equality to the last bit of nested plain types and tensors."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for k, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f"{where}[{k}]")
    else:
        assert one == other, where


def callbacks(content):
    """What they remember, but for how long it took."""
    return {name: state for name, state in content["callbacks"].items() if name != "Timer"}


def assert_same_end(run, reference):
    for name in ("best", "last"):
        got, wanted = checkpoint(run, name), checkpoint(reference, name)
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
            same(got[key], wanted[key], f"{name}.ckpt {key}")
        same(callbacks(got), callbacks(wanted), f"{name}.ckpt callbacks")
    same(numbers(run), numbers(reference), "metrics.json")


def test_a_resumed_runs_time_is_that_of_all_its_parts(vaelab, words, tmp_path):
    run = tmp_path / "run"
    vaelab.train(*words("sine"), "trainer.max_epochs=2", f"hydra.run.dir={run}", figures=False).done()
    first = checkpoint(run)["callbacks"]["Timer"]["time_elapsed"]["train"]
    assert seconds(run) >= first
    # Nothing is left to train.
    vaelab.train(f"resume={run}", figures=False).done()
    assert seconds(run) == pytest.approx(first)
    vaelab.train(f"resume={run}", "trainer.max_epochs=4", figures=False).done()
    assert seconds(run) > 1.2 * first


def seconds(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["steps_per_second"] * metrics["fit_seconds"] == pytest.approx(checkpoint(run)["global_step"])
    return metrics["fit_seconds"]


def numbers(run):
    timings = ("fit_seconds", "steps_per_second")
    return {k: v for k, v in json.loads((run / "metrics.json").read_text()).items() if k not in timings}


@pytest.mark.parametrize(("recipe", "batch", "name"), CUTS)
def test_a_cut_run_resumes_to_the_weights_of_the_uncut_run(vaelab, words, uncut, tmp_path, recipe, batch, name):
    experiment, own = RECIPES[recipe]
    run = tmp_path / "run"
    cut = (batch, getattr(signal, name))
    stopped = vaelab.train(*words(experiment), *own, f"hydra.run.dir={run}", cut=cut, figures=False)
    assert stopped.status == SIGNALS[name], stopped.err
    if name != "SIGKILL":
        assert f"resume={run}" in stopped.complaint
        assert name in stopped.complaint
    vaelab.train(f"resume={run}", figures=False).done()
    assert_same_end(run, uncut(recipe))


def test_a_finished_run_goes_on_to_more_epochs_as_if_it_had_never_ended(vaelab, words, tmp_path):
    own = [*words("sine"), "optimizer=adam", "trainer.log_every_n_steps=2"]
    short, long = tmp_path / "short", tmp_path / "long"
    vaelab.train(*own, "trainer.max_epochs=2", f"hydra.run.dir={short}", figures=False).done()
    vaelab.train(*own, "trainer.max_epochs=4", f"hydra.run.dir={long}", figures=False).done()
    assert not torch.equal(weights(short), weights(long))
    vaelab.train(f"resume={short}", "trainer.max_epochs=4", figures=False).done()
    assert torch.equal(weights(short), weights(long))
    same(callbacks(checkpoint(short)), callbacks(checkpoint(long)))


def test_what_a_run_was_resumed_with_holds_when_it_is_resumed_again(vaelab, words, tmp_path):
    own, run = [*words("sine"), "optimizer=adam"], tmp_path / "run"
    vaelab.train(*own, "trainer.max_epochs=1", f"hydra.run.dir={run}", figures=False).done()
    written = yaml.safe_load((run / "config.yaml").read_text())
    cut = (12, signal.SIGTERM)
    assert vaelab.train(f"resume={run}", "trainer.max_epochs=4", cut=cut, figures=False).status == 143
    again = yaml.safe_load((run / "config.yaml").read_text())
    written["trainer"]["max_epochs"] = 4
    assert again == written | {"report": again["report"]}
    vaelab.train(f"resume={run}", figures=False).done()
    assert checkpoint(run)["epoch"] == 3


def test_a_run_whose_data_were_moved_goes_on_with_them(vaelab, tmp_path):
    there, here, run = tmp_path / "there.csv", tmp_path / "here.csv", tmp_path / "run"
    rows = torch.randn(40, 16, generator=torch.Generator().manual_seed(0)).tolist()
    there.write_text("\n".join(",".join(map(str, row)) for row in rows))
    own = ["experiment=signals", "architecture.widths=[8]", "accelerator=cpu"]
    own += ["trainer.max_epochs=1", f"dataset.file={there}", f"hydra.run.dir={run}"]
    vaelab.train(*own, figures=False).done()
    there.rename(here)
    more = [f"resume={run}", "trainer.max_epochs=2"]
    assert str(there) in vaelab.train(*more, figures=False).complaint
    assert "write +dataset.file=…" in vaelab.train(*more, f"dataset.file={here}", figures=False).complaint
    vaelab.train(*more, f"+dataset.file={here}", figures=False).done()
    assert checkpoint(run)["epoch"] == 1


def weights(run):
    return torch.cat([value.flatten() for value in checkpoint(run)["state_dict"].values()])


@pytest.mark.parametrize(("stage", "batch"), [("train", 10), ("validation", 1), ("validation", 3)])
def test_a_signal_at_the_end_of_an_epoch_waits_for_the_whole_validation(vaelab, words, tmp_path, stage, batch):
    """Two batches of validation an epoch: a run saved between them would count only the second."""
    own = [*words("sine"), "dataset.waves=3200", "dataset.batch_size=256", "trainer.max_epochs=2"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    vaelab.train(*own, f"hydra.run.dir={whole}", figures=False).done()
    cut = (batch, signal.SIGTERM, stage)
    assert vaelab.train(*own, f"hydra.run.dir={run}", cut=cut, figures=False).status in (0, 143)
    vaelab.train(f"resume={run}", figures=False).done()
    assert_same_end(run, whole)


def test_a_run_can_be_cut_twice(vaelab, words, uncut, tmp_path):
    experiment, own = RECIPES["cosine"]
    run = tmp_path / "run"
    first = (3, signal.SIGTERM)
    vaelab.train(*words(experiment), *own, f"hydra.run.dir={run}", cut=first, figures=False)
    assert vaelab.train(f"resume={run}", cut=(5, signal.SIGINT), figures=False).status == 130
    vaelab.train(f"resume={run}", figures=False).done()
    assert_same_end(run, uncut("cosine"))


def test_the_best_score_and_the_history_survive_a_resume(vaelab, words, tmp_path):
    run = tmp_path / "run"
    how = {"figures": False}
    vaelab.train(*words("sine"), *SINE, f"hydra.run.dir={run}", cut=(12, signal.SIGTERM), **how)
    before = checkpoint(run)["callbacks"]
    vaelab.train(f"resume={run}", **how).done()
    after = checkpoint(run)["callbacks"]
    history = next(state["curves"] for key, state in after.items() if "History" in key)
    earlier = next(state["curves"] for key, state in before.items() if "History" in key)
    assert history["val/elbo"][:, 0].tolist() == [5, 10, 15]
    assert torch.equal(history["val/elbo"][:2], earlier["val/elbo"])
    best = next(state["best"] for key, state in after.items() if "Checkpoints" in key)
    assert best == history["val/objective"][:, 1].max()


def curves(run):
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    return {tag: [(event.step, event.value) for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def test_the_curves_of_a_killed_run_are_those_of_the_uncut_one_when_it_has_gone_on(vaelab, words, uncut, tmp_path):
    experiment, own = RECIPES["cosine"]
    run, how = tmp_path / "run", {"figures": False}
    own = [*words(experiment), *own, f"hydra.run.dir={run}"]
    # Killed when the second epoch was on the board, with the checkpoint of the first.
    assert vaelab.train(*own, cut=(14, signal.SIGKILL), **how).status == 137
    assert [step for step, _ in curves(run)["val/elbo"]] == [4, 9]
    vaelab.train(f"resume={run}", cut=(7, signal.SIGTERM), **how)
    vaelab.train(f"resume={run}", **how).done()
    resumed, whole = curves(run), curves(uncut("cosine"))
    assert [step for step, _ in whole["val/elbo"]] == [4, 9, 14]
    assert resumed == whole


def test_a_run_begun_before_it_was_chosen_what_chooses_goes_on_by_the_bound(vaelab, words, tmp_path):
    own = [*words("sine"), *SINE, "beta_schedule.value=0.01", "monitor=val/elbo"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    how = {"figures": False}
    vaelab.train(*own, f"hydra.run.dir={whole}", **how).done()
    vaelab.train(*own, f"hydra.run.dir={run}", cut=(7, signal.SIGTERM), **how)
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["monitor"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    vaelab.train(f"resume={run}", **how).done()
    assert next(iter(numbers(run))) == "val/elbo"
    assert_same_end(run, whole)


def test_training_sees_a_new_order_in_each_epoch(words):
    """Without this, a resume could be exact because the order never changes."""
    import lightning as L
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from vaelab.cli import register_resolvers
    from vaelab.config import config_dir
    from vaelab.run import build_data, build_variant

    class Watch(L.Callback):
        def __init__(self):
            self.seen = {}

        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            self.seen.setdefault(trainer.current_epoch, []).append(batch.x.clone())

    register_resolvers()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides=words("sine"))
    OmegaConf.resolve(config)
    data = build_data(config)
    found = data.prepare()
    variant = build_variant(config, data.codec, found.signature, found.shape)
    watch = Watch()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    L.Trainer(max_epochs=3, accelerator="cpu", callbacks=[watch], num_sanity_val_steps=0, **quiet).fit(variant, data)
    orders = [torch.cat(batches) for batches in watch.seen.values()]
    for one, next_one in itertools.pairwise(orders):
        assert not torch.equal(one, next_one)
        assert torch.equal(one.flatten(1).sum(1).sort()[0], next_one.flatten(1).sum(1).sort()[0])


def test_resume_of_a_folder_without_a_run_is_refused(vaelab, tmp_path):
    assert "holds no run" in vaelab.train(f"resume={tmp_path}").complaint


def test_resume_of_a_run_without_a_checkpoint_is_refused(vaelab, words, tmp_path):
    run = tmp_path / "run"
    vaelab.train(*words("sine"), f"hydra.run.dir={run}", cut=(2, signal.SIGKILL), figures=False)
    assert "start a new run" in vaelab.train(f"resume={run}").complaint


@pytest.mark.parametrize("change", ["architecture.widths=[8]", "architecture=lstm", "optimizer.lr=1"])
def test_resume_refuses_to_change_the_model(vaelab, words, tmp_path, change):
    run = tmp_path / "run"
    vaelab.train(*words("sine"), f"hydra.run.dir={run}", cut=(6, signal.SIGTERM), figures=False)
    refused = vaelab.train(f"resume={run}", change, figures=False)
    assert refused.status == 1
    assert refused.complaint


def test_resume_to_fewer_epochs_than_are_done_is_refused(vaelab, words, tmp_path):
    run = tmp_path / "run"
    vaelab.train(*words("sine"), "trainer.max_epochs=3", f"hydra.run.dir={run}", figures=False).done()
    before = [(run / name).read_bytes() for name in ("metrics.json", "config.yaml")]
    told = vaelab.train(f"resume={run}", "trainer.max_epochs=1", figures=False).complaint
    assert "max_epochs=1" in told and told.endswith("Give more")
    assert [(run / name).read_bytes() for name in ("metrics.json", "config.yaml")] == before
