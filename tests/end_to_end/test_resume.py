"""A run that was cut, whenever and however, ends where the uncut run ends, to the last bit."""

import itertools
import json
import os
import shutil
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
    "gan": ("digits", ["variant=gan", "trainer.max_epochs=2"]),
    "wgan_gp": ("sine", ["variant=wgan_gp", "likelihood=gaussian", *SINE[:1]]),
    "ddpm": ("digits", ["variant=ddpm", "variant.sampler=ancestral", "variant.steps=5", "trainer.max_epochs=2"]),
    "flow": ("sine", ["variant=flow_matching", "variant.pairing=optimal", "variant.steps=5", *SINE[:1]]),
    "wgan_div": ("sine", ["variant=wgan_div", "likelihood=gaussian", *SINE[:1]]),
    "acgan": ("digits", ["variant=acgan", "variant.critic_steps=2", "trainer.max_epochs=2"]),
    "vae_gan": ("digits", ["variant=vae_gan", "trainer.log_every_n_steps=3", *DIGITS]),
    "vae_gan_accumulated": ("sine", ["variant=vae_gan", *SINE, "trainer.accumulate_grad_batches=2"]),
    "masked": ("digits", ["variant=masked", "trainer.max_epochs=2"]),
    # 3 batches an epoch
    "augmented": ("images", ["trainer.max_epochs=4", "dataset.rotate=10", "dataset.jitter=0.1"]),
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
    ("augmented", 5, "SIGTERM"),
    ("convolved", 5, "SIGTERM"),
    ("gan", 5, "SIGINT"),
    ("gan", 14, "SIGKILL"),
    ("wgan_gp", 7, "SIGTERM"),
    ("ddpm", 14, "SIGKILL"),
    ("ddpm", 5, "SIGINT"),
    ("flow", 7, "SIGTERM"),
    ("wgan_div", 8, "SIGINT"),
    ("acgan", 5, "SIGTERM"),
    ("acgan", 15, "SIGKILL"),
    ("vae_gan", 6, "SIGINT"),
    ("vae_gan", 15, "SIGKILL"),
    ("vae_gan_accumulated", 8, "SIGTERM"),
    ("masked", 5, "SIGINT"),
    ("masked", 15, "SIGKILL"),
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
    timings = ("fit_seconds", "steps_per_second", "sample/per_second")
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


@pytest.mark.parametrize("steps", [10, 7])
def test_a_run_that_its_steps_ended_goes_on_to_more_in_an_epoch_or_behind_it(vaelab, words, tmp_path, steps):
    # 5 batches an epoch
    own = [*words("sine"), "optimizer=adam", "trainer.max_epochs=-1"]
    short, long = tmp_path / "short", tmp_path / "long"
    vaelab.train(*own, f"trainer.max_steps={steps}", f"hydra.run.dir={short}", figures=False).done()
    vaelab.train(*own, "trainer.max_steps=15", f"hydra.run.dir={long}", figures=False).done()
    vaelab.train(f"resume={short}", "trainer.max_steps=15", figures=False).done()
    got, wanted = checkpoint(short), checkpoint(long)
    assert got["epoch"] == wanted["epoch"] == 2
    for key in ("state_dict", "optimizer_states", "global_step"):
        same(got[key], wanted[key], key)


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
    from vaelab.run.build import build_data, build_variant

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


SOON = [("data", 1), ("record", 1), ("train", 2)]


@pytest.mark.parametrize(("stage", "count"), SOON)
def test_a_run_killed_before_its_first_checkpoint_begins_anew_with_the_same_words(
    vaelab, words, uncut, tmp_path, stage, count
):
    experiment, own = RECIPES["cosine"]
    command = [*words(experiment), *own, f"hydra.run.dir={tmp_path / 'run'}"]
    assert vaelab.train(*command, cut=(count, signal.SIGKILL, stage), figures=False).status == 137
    again = vaelab.train(*command, figures=False).done()
    assert ("begins anew" in again.out) == (stage == "train")
    assert_same_end(tmp_path / "run", uncut("cosine"))
    pages, uncut_pages = (list((run / "tensorboard").glob("events*")) for run in (tmp_path / "run", uncut("cosine")))
    assert len(pages) == len(uncut_pages)


def test_a_run_without_a_checkpoint_is_begun_anew_by_resume_but_not_by_other_words(vaelab, words, uncut, tmp_path):
    experiment, own = RECIPES["cosine"]
    run = tmp_path / "run"
    command = [*words(experiment), *own, f"hydra.run.dir={run}"]
    assert vaelab.train(*command, cut=(2, signal.SIGKILL), figures=False).status == 137
    before = (run / "config.yaml").read_bytes()
    assert f"begin it anew as it was configured with resume={run}" in vaelab.train(*command, "seed=1").complaint
    assert (run / "config.yaml").read_bytes() == before
    assert f"{run} has no checkpoint yet: it begins anew" in vaelab.train(f"resume={run}").done().out
    assert_same_end(run, uncut("cosine"))
    assert "report.figures=false" in overrides(run)


def test_a_run_killed_between_its_first_two_checkpoints_goes_on_from_the_one_there_is(vaelab, words, uncut, tmp_path):
    experiment, own = RECIPES["cosine"]
    run = tmp_path / "run"
    command = [*words(experiment), *own, f"hydra.run.dir={run}"]
    assert vaelab.train(*command, cut=(1, signal.SIGKILL, "checkpoint"), figures=False).status == 137
    assert [path.name for path in (run / "checkpoints").glob("*.ckpt")] == ["best.ckpt"]
    assert f"continue it with resume={run}" in vaelab.train(*command, figures=False).complaint
    vaelab.train(f"resume={run}", figures=False).done()
    assert_same_end(run, uncut("cosine"))


def test_a_run_that_failed_in_its_first_step_begins_anew_with_the_same_words(vaelab, words, tmp_path):
    command = [*words("sine"), "optimizer=adam", f"hydra.run.dir={tmp_path / 'run'}", "trainer.log_every_n_steps=1"]
    assert "became" in vaelab.train(*command, break_at=1, figures=False).complaint
    vaelab.train(*command, figures=False).done()


def overrides(run):
    return json.loads((run / "provenance.json").read_text())["overrides"]


@pytest.mark.parametrize("name", ["provenance.json", "metrics.json", "config.yaml"])
@pytest.mark.parametrize("damage", ["", "[]"])
def test_a_run_goes_on_though_what_is_written_about_it_is_damaged(vaelab, finished, tmp_path, name, damage):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / name).write_text(damage)
    told = vaelab.train(f"resume={run}", figures=False).done().out
    assert (f"{run / name}: " in told or f"{run / name} " in told) == (name != "metrics.json")
    same(numbers(run), numbers(finished))
    assert yaml.safe_load((run / "config.yaml").read_text()) == yaml.safe_load((finished / "config.yaml").read_text())


@pytest.fixture(scope="module")
def finished(vaelab, words, tmp_path_factory):
    run = tmp_path_factory.mktemp("finished") / "run"
    vaelab.train(*words("sine"), "optimizer=adam", "trainer.max_epochs=1", f"hydra.run.dir={run}", figures=False).done()
    return run


def damaged_checkpoint(content, how):
    entry = torch.load(content, weights_only=True)
    if how == "empty":
        content.write_bytes(b"")
    elif how == "truncated":
        content.write_bytes(content.read_bytes()[:2000])
    elif how == "noise":
        content.write_bytes(torch.randint(256, (5000,), generator=torch.Generator().manual_seed(0)).byte().numpy())
    else:
        torch.save({key: value for key, value in entry.items() if key != how}, content)


@pytest.mark.parametrize("how", ["empty", "truncated", "noise", "state_dict", "loops", "optimizer_states", "callbacks"])
def test_a_damaged_checkpoint_is_told_in_one_line_with_the_remedy_that_helps(vaelab, finished, tmp_path, how):
    run = shutil.copytree(finished, tmp_path / "run")
    last = run / "checkpoints" / "last.ckpt"
    damaged_checkpoint(last, how)
    told = vaelab.train(f"resume={run}", figures=False).complaint
    assert str(last) in told and "take it away" in told
    last.unlink()
    vaelab.train(f"resume={run}", figures=False).done()
    same(numbers(run), numbers(finished))


def entry_of(checkpoint, callback):
    return next(state for name, state in checkpoint["callbacks"].items() if callback in name)


DAMAGES = {
    "exp_avg_sq is not shaped": lambda entry: entry["optimizer_states"][0]["state"][1].update(exp_avg_sq=2**31),
    "exp_avg is not shaped": lambda entry: entry["optimizer_states"][0]["state"][1].update(exp_avg=torch.zeros(3)),
    "the best score is no number": lambda entry: entry_of(entry, "Checkpoints").update(best=[1, 2, 3]),
    "TypeError": lambda entry: entry_of(entry, "Timer")["time_elapsed"].update(train=[2**40]),
    "what was logged last": lambda entry: entry["recent"].update(latest="1e3"),
    "what was logged": lambda entry: entry["recent"].update(latest={"train/loss": "1e3"}),
}


@pytest.mark.parametrize("told", DAMAGES)
def test_what_training_counts_with_is_checked_before_the_first_step(vaelab, finished, tmp_path, told):
    run = shutil.copytree(finished, tmp_path / "run")
    last = run / "checkpoints" / "last.ckpt"
    entry = torch.load(last, weights_only=True)
    DAMAGES[told](entry)
    torch.save(entry, last)
    complaint = vaelab.train(f"resume={run}", "trainer.max_epochs=2", figures=False).complaint
    assert told in complaint and "take it away" in complaint


def test_resume_takes_another_accelerator_whole_and_then_its_settings(vaelab, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    changed = ["accelerator.precision=bf16-mixed", "accelerator=cpu"]
    vaelab.train(f"resume={run}", *changed, "trainer.max_epochs=2", figures=False).done()
    stored = yaml.safe_load((run / "config.yaml").read_text())["accelerator"]
    assert (stored["accelerator"], stored["precision"]) == ("cpu", "bf16-mixed")
    assert "there is no accelerator=tpus" in vaelab.train(f"resume={run}", "accelerator=tpus").complaint


def test_a_run_that_is_trained_cannot_be_resumed_or_begun_until_it_is_killed(vaelab, words, uncut, tmp_path):
    experiment, own = RECIPES["cosine"]
    run = tmp_path / "run"
    command = [*words(experiment), *own, f"hydra.run.dir={run}"]
    held = vaelab.start_train(*command, cut=(7, signal.SIGSTOP), figures=False)
    vaelab.wait_until_still(held)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for other in (command, [f"resume={run}"], [*words("sine"), f"hydra.run.dir={run}"]):
        assert f"{run} is being written by process {held[0]} on " in vaelab.train(*other, figures=False).complaint
    assert {path: path.read_bytes() for path in before} == before
    os.kill(held[0], signal.SIGKILL)
    assert vaelab.finish(held).status == 137
    vaelab.train(f"resume={run}", figures=False).done()
    assert_same_end(run, uncut("cosine"))
    assert not (run / ".lock").exists()


@pytest.mark.parametrize("change", ["architecture.widths=[8]", "architecture=lstm", "optimizer.lr=1", "optimizer=adam"])
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
