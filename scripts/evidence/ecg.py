"""Heart beats that are not like the normal ones: ECG5000 of the UCR archive, trained on normal beats alone.

The score is the negative ELBO; the baseline is the error of a PCA with as many components. Needs `--data ecg=FOLDER`
with `ecg5000.npz`: `x` `(5000, 140)`, and `y`, which is 0 for a normal beat.
"""

from __future__ import annotations

from evidence._bench import Bench, Case
from evidence._claims import Claim, at_least

NEEDS = "ecg"
LIKELIHOODS = {"learnt sigma": [], "Laplace": ["likelihood=laplace", "likelihood.scale=0.3"]}


def claims(bench: Bench) -> list[Claim]:
    """The area under the ROC with each likelihood."""
    rows = []
    file = bench.data[NEEDS] / "ecg5000.npz"
    for name, words in LIKELIHOODS.items():
        settings = ["experiment=signals", f"dataset.file={file}", "dataset.label=y", "dataset.keep=[0]", *words]
        trained = bench.case(*settings, *bench.pick([], ["trainer.max_epochs=2"]))
        scored = [bench.sample(run, "task=score") for run in trained.runs]
        case = Case(scored, f"{trained.command}; of each: {bench.command('sample.py', 'run=RUN_DIR', 'task=score')}")
        expected, pca = at_least(bench.pick(0.98, 0.5)), {"PCA": "score/baseline/auroc_pca_error"}
        rows.append(case.row(f"{name}: AUROC of the negative ELBO", "score/auroc_negative_elbo", expected, pca))
    return rows
