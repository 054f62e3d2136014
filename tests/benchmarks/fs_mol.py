"""FS-Mol: trains the encoder of the package, and scores every method by FS-Mol's protocol.

python tests/benchmarks/fs_mol.py --data FOLDER --split valid
python tests/benchmarks/fs_mol.py --data FOLDER --train

The first scores the package's encoder, or `--encoder FILE`, and needs SPLIT.csv.gz in the folder
(the columns assay, smiles, active and log_value). The scores go to OUT/SPLIT.csv, a row for each
method, number of measured compounds and assay, and the table is printed.

The second trains nets of several seeds on train.csv.gz, one after the other; sets the head's
hyperparameters and the figures of the card on valid.csv.gz; and writes OUT/fs_mol.npz. Both go on
where they were cut off.

The protocol: ten draws of a support set, stratified by the labels, all other compounds as queries.
Classification: delta-AUPRC, the average precision less the share of actives among the queries.
Regression: R² of log_value.
"""

import argparse
import csv
import io
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    ConstantKernel,
    Kernel,
    NormalizedKernelMixin,
    WhiteKernel,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit

import deepchem_meta as dc
from deepchem_meta.pretrained import AssayEncoder, train_encoder
from deepchem_meta.tasks import AssayTasks, Descriptors, MorganCounts, SideBySide

SHOTS = (16, 32, 64, 128)
DRAWS = 10
FIELDS = ("task_type", "method", "shots", "assay", "score", "roc_auc", "spearman")
# Means over FS-Mol's 157 test assays, and R² over 111 of them.
PUBLISHED = {
    "classification": {
        "ADKF-IFT": (0.231, 0.263, 0.287, 0.318),
        "linear probe on a multi-task net": (0.225, 0.252, 0.273, 0.301),
        "DKT": (0.217, 0.247, 0.272, 0.303),
        "ProtoNet (Mahalanobis)": (0.208, 0.244, 0.272, 0.303),
        "similarity search": (0.115, 0.143, 0.171, 0.212),
        "GP on the assay alone": (0.111, 0.141, 0.173, 0.215),
        "random forest": (0.095, 0.127, 0.165, 0.215),
    },
    "regression": {
        "ADKF-IFT": (0.167, 0.254, 0.340, 0.382),
        "DKT": (0.175, 0.250, 0.321, 0.359),
        "GP on the assay alone": (0.068, 0.116, 0.181, 0.231),
        "random forest": (0.055, 0.111, 0.178, 0.225),
    },
}
NETS = ({"seed": 0}, {"seed": 1}, {"seed": 2}, {"seed": 3}, {"seed": 4})
TRAINING = {"widths": (512, 512, 256), "dropout": 0.1, "epochs": 30, "weight_decay": 0.01}


class Assay(NamedTuple):
    """One assay's compounds: the embedding, log counts of Morgan fingerprints, and results."""

    name: str
    embedding: np.ndarray
    prints: np.ndarray
    label: np.ndarray
    value: np.ndarray  # NaN where there is none


# Methods: of the support set's features and targets, a function of other features that scores them.


def of_estimator(estimator):
    """Fit scikit-learn's estimator to the support set."""

    def method(x, y):
        fitted = estimator().fit(x, y)
        if hasattr(fitted, "predict_proba"):
            return lambda new: fitted.predict_proba(new)[:, 1]
        return fitted.predict

    return method


def of_algorithm(algorithm, outputs):
    """Adapt one of the package's algorithms, which is made once."""

    def method(x, y):
        kind = np.float32 if y.dtype.kind == "f" else np.int64
        adapted = algorithm.adapt((x, y.astype(kind)[:, None]))
        return lambda new: outputs(adapted, new)

    return method


class Computed(NormalizedKernelMixin, Kernel):
    """Similarities that are computed already: an example is its place in their table."""

    def __init__(self, table):
        self.table = table

    def __call__(self, X, Y=None, eval_gradient=False):
        places = X[:, 0].astype(int), (X if Y is None else Y)[:, 0].astype(int)
        values = self.table[np.ix_(*places)]
        return (values, np.empty((*values.shape, 0))) if eval_gradient else values

    def is_stationary(self):
        return False


def tanimoto_process(x, y):
    """A Gaussian process on the fingerprints of the assay alone, as scikit-learn fits it."""

    def predict(new):
        table = dc.evaluation.TanimotoKernel()(np.concatenate([x, new]), x)
        kernel = ConstantKernel(1.0, (0.05, 20)) * Computed(table) + WhiteKernel(0.3, (0.01, 10))
        process = GaussianProcessRegressor(kernel, normalize_y=True)
        known, others = np.arange(len(x))[:, None], np.arange(len(x), len(table))[:, None]
        return process.fit(known, y).predict(others)

    return predict


def averaged(*methods):
    """Add up the scores of several methods, each over its standard deviation."""

    def method(x, y):
        parts = [one(x, y) for one in methods]

        def predict(new):
            scores = [part(new) for part in parts]
            return sum(score / max(np.std(score), 1e-9) for score in scores)

        return predict

    return method


def over_embeddings(size, kind, **options):
    """Make one of the package's algorithms over embeddings that are computed already."""
    inputs = keras.Input((size,))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return kind(dc.metalearning.KerasLearner(model, loss), **options)


def log_odds(adapted, x):
    logits = adapted.predict(x)
    return logits[:, 1] - logits[:, 0]


def classification_methods(encoder, hitters):
    """Return by name: which features of an assay, and the method."""
    size, ml = encoder.size, dc.metalearning
    process = of_algorithm(encoder.process(embedded=True), log_odds)
    adapted = encoder.process(embedded=True, kernel_steps=5)
    proto = over_embeddings(size, ml.ProtoNet, ways=2)
    mahalanobis = over_embeddings(size, ml.ProtoNet, ways=2, distance="mahalanobis")
    ridge = over_embeddings(size, ml.RidgeRegressionHead, ways=2, regularization=float(size))
    probe = of_estimator(lambda: LogisticRegression(C=1 / size, max_iter=500))
    methods = {
        "similarity search": ("prints", of_estimator(dc.evaluation.SimilarityClassifier)),
        "GP on the assay alone": ("prints", tanimoto_process),
        "random forest": (
            "prints",
            of_estimator(lambda: RandomForestClassifier(100, random_state=0)),
        ),
        "prototypes": ("embedding", of_algorithm(proto, log_odds)),
        "prototypes, Mahalanobis": ("embedding", of_algorithm(mahalanobis, log_odds)),
        "ridge head": ("embedding", of_algorithm(ridge, log_odds)),
        "linear probe": ("embedding", probe),
        "process": ("embedding", process),
        "process, kernel adapted": ("embedding", of_algorithm(adapted, log_odds)),
        "process + linear probe": ("embedding", averaged(process, probe)),
    }
    if hitters is not None:
        methods["frequent hitters"] = ("embedding", lambda x, y: hitters)
    return methods


def regression_methods(encoder):
    size = encoder.size

    def means(adapted, x):
        return adapted.predict(x)[:, 0]

    forest = of_estimator(lambda: RandomForestRegressor(100, random_state=0))
    return {
        "similarity search": ("prints", of_estimator(dc.evaluation.SimilarityRegressor)),
        "GP on the assay alone": ("prints", tanimoto_process),
        "random forest": ("prints", forest),
        "linear probe": ("embedding", of_estimator(lambda: Ridge(float(size)))),
        "process": ("embedding", of_algorithm(encoder.process("regression", embedded=True), means)),
    }


# The data.


def read(path, featurizer, cache, **options):
    options = {
        "cache": cache,
        "on_error": "drop",
        "drop_small": True,
        "shots": 2,
        "queries": 2,
    } | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # results of one molecule that differ are merged
        return AssayTasks.from_long_csv(path, featurizer=featurizer, **options)


def read_assays(path, encoder, cache):
    """Return the assays of a split, with embeddings."""
    labels = read(path, encoder.featurizer, cache, balanced=False)
    values = read(path, MorganCounts(), cache, value="log_value", task_type="regression")
    known = {
        (values.names[a], values.ids[c]): v for a, c, v in zip(*values.results[:3], strict=True)
    }
    prints = read(path, MorganCounts(), cache, balanced=False).x
    embedding = encoder.embed(labels.x)
    assays = []
    for place, name in enumerate(labels.names):
        here = labels.results.assay == place
        rows = labels.results.compound[here]
        value = [known.get((name, labels.ids[row]), np.nan) for row in rows]
        label = labels.results.value[here].astype(int)
        assays.append(Assay(name, embedding[rows], prints[rows], label, np.array(value, float)))
    return assays


def draws(assay, shots):
    """Return the support and query rows of ten draws, or none where the assay is too small."""
    counts = np.bincount(assay.label, minlength=2)
    if len(assay.label) < shots + 2 or counts.min() < 2:
        return []
    split = StratifiedShuffleSplit(DRAWS, train_size=shots, random_state=0)
    return list(split.split(assay.label, assay.label))


# Scores.


def score(assay, features, method, shots, task_type):
    """Return the mean scores of a method over the draws of an assay, or None."""
    regression = task_type == "regression"
    targets = assay.value if regression else assay.label
    if regression and (np.isnan(targets).any() or np.ptp(targets) == 0):
        return None
    x, rows = getattr(assay, features), []
    for support, query in draws(assay, shots):
        if regression and np.ptp(targets[support]) == 0:
            continue
        predicted = method(x[support], targets[support])(x[query])
        label = assay.label[query]
        main = average_precision_score(label, predicted) - label.mean()
        rank = 0.0
        if regression:
            main = r2_score(targets[query], predicted)
            rank = spearmanr(targets[query], predicted).statistic if np.ptp(predicted) else 0.0
        rows.append((main, roc_auc_score(label, predicted), rank))
    return np.mean(rows, axis=0) if rows else None


def scored(path):
    """Return the rows that an earlier run has written."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(assays, methods, task_type, path, shots_list):
    done = {(r["task_type"], r["method"], int(r["shots"])) for r in scored(path)}
    for name, (features, method) in methods.items():
        for shots in shots_list:
            if (task_type, name, shots) in done:
                continue
            started = time.perf_counter()
            rows = []
            for assay in assays:
                found = score(assay, features, method, shots, task_type)
                if found is not None:
                    rows.append((task_type, name, shots, assay.name, *found.round(5)))
            append(path, rows)
            print(
                f"{task_type}, {name}, {shots}: {np.mean([r[4] for r in rows]):.3f} "
                f"({len(rows)} assays, {time.perf_counter() - started:.0f} s)",
                flush=True,
            )


def append(path, rows):
    """Write the rows of one method and number of compounds, all or none."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        text = io.StringIO()
        csv.writer(text).writerows([FIELDS, *rows] if new else rows)
        file.write(text.getvalue())


def print_table(path, split):
    rows = scored(path)
    for task_type, measure in (("classification", "delta-AUPRC"), ("regression", "R²")):
        own = [r for r in rows if r["task_type"] == task_type]
        print(f"\n| {measure}, {split} | " + " | ".join(map(str, SHOTS)) + " |")
        print("|---" * (len(SHOTS) + 1) + "|")
        for name in dict.fromkeys(r["method"] for r in own):
            cells = []
            for shots in SHOTS:
                at = [
                    float(r["score"])
                    for r in own
                    if r["method"] == name and int(r["shots"]) == shots
                ]
                half = 1.96 * np.std(at, ddof=1) / len(at) ** 0.5 if len(at) > 1 else np.nan
                cells.append(f"{np.mean(at):.3f} ± {half:.3f}" if at else "")
            print(f"| {name} | " + " | ".join(cells) + " |")
        for name, figures in PUBLISHED[task_type].items():
            print(f"| published, test: {name} | " + " | ".join(f"{f:.3f}" for f in figures) + " |")


# Training.


def train(arguments):
    data, out = arguments.data, arguments.out
    started = time.perf_counter()
    parts = [MorganCounts()] if arguments.fingerprints else [MorganCounts(), Descriptors()]
    featurizer = SideBySide(*parts)
    labels = read(data / "train.csv.gz", featurizer, out / "cache", balanced=False)
    options = {"value": "log_value", "task_type": "regression"}
    values = read(data / "train.csv.gz", MorganCounts(), out / "cache", **options)
    names = np.random.default_rng(0).permutation(labels.names)
    chosen = set(names[: round(arguments.assays * len(names))])
    labels, values = (
        tasks.split([name for name in tasks.names if name in chosen])[1]
        if arguments.assays < 1
        else tasks
        for tasks in (labels, values)
    )
    print(f"read in {time.perf_counter() - started:.0f} s: {labels}, {values}")
    encoders = []
    for number, net in enumerate(NETS[: arguments.nets]):
        path = out / f"net-{number}.npz"
        if not path.exists():
            started = time.perf_counter()
            backup = keras.callbacks.BackupAndRestore(out / f"backup-{number}")
            settings = TRAINING | net
            encoder = train_encoder([labels, values], **settings, callbacks=[backup], verbose=2)
            encoder.about |= {"seconds": round(time.perf_counter() - started)}
            encoder.save(path)
        encoders.append(AssayEncoder.load(path))
    encoder = encoders[0].joined(*encoders[1:])
    encoder.about["seconds"] = sum(one.about["seconds"] for one in encoders)
    encoder.about |= {
        "data": "FS-Mol (Stanley et al. 2021), from ChEMBL",
        "licence": "CC BY-SA 3.0",
    }
    finish(encoder, data / "valid.csv.gz", out)


def finish(encoder, path, out):
    """Set the head and the card's figures on held-out assays, and write the encoder."""
    few = {"shots": (8, 16, 32, 64), "queries": 16, "balanced": False}
    encoder.calibrate(read(path, encoder.featurizer, out / "cache", **few))
    few = {"shots": (16, 32, 64, 128), "queries": 32}
    options = {"value": "log_value", "task_type": "regression"}
    encoder.calibrate(read(path, encoder.featurizer, out / "cache", **few, **options))
    print("heads:", encoder.heads)
    assays = read_assays(path, encoder, out / "cache")
    encoder.about["held_out"] = {
        task_type: {str(shots): figures(assays, encoder, task_type, shots) for shots in SHOTS}
        for task_type in ("classification", "regression")
    }
    encoder.save(out / "fs_mol.npz")
    print(f"{out / 'fs_mol.npz'}: {(out / 'fs_mol.npz').stat().st_size / 1e6:.1f} MB")


def figures(assays, encoder, task_type, shots):
    """Return quartiles over assays of what a ranking is worth, and of the actives found."""
    methods = (
        regression_methods(encoder)
        if task_type == "regression"
        else classification_methods(encoder, None)
    )
    features, method = methods["process"]
    names = (
        ("r2", "roc_auc", "spearman")
        if task_type == "regression"
        else ("average_precision_over_chance", "roc_auc")
    )
    tested, table, curves = np.linspace(0, 1, 41), [], []
    for assay in assays:
        found = score(assay, features, method, shots, task_type)
        if found is None:
            continue
        table.append(found[: len(names)])
        targets = assay.value if task_type == "regression" else assay.label
        own = []
        for support, query in draws(assay, shots):
            predicted = method(assay.embedding[support], targets[support])(assay.embedding[query])
            hits = np.r_[0, np.cumsum(assay.label[query][np.argsort(-predicted)])]
            own.append(np.interp(tested, np.linspace(0, 1, len(hits)), hits / hits[-1]))
        curves.append(np.mean(own, axis=0))
    quartiles = np.quantile(table, [0.25, 0.5, 0.75], axis=0).round(3)
    found = np.quantile(curves, [0.25, 0.5, 0.75], axis=0).round(4).tolist()
    return {name: quartiles[:, n].tolist() for n, name in enumerate(names)} | {
        "enrichment": {"tested": tested.round(3).tolist(), "found": found},
        "assays": len(table),
    }


def frequent_hitters(encoder, data, cache):
    """Return how active molecules are in all training assays, whatever the support set."""
    labels = read(data / "train.csv.gz", encoder.featurizer, cache, balanced=False)
    rows = np.random.default_rng(0).choice(len(labels.results.value), 50_000, replace=False)
    x = encoder.embed(labels.x.take(labels.results.compound[rows]))
    model = LogisticRegression(C=1 / encoder.size, max_iter=500).fit(x, labels.results.value[rows])
    return lambda new: model.decision_function(new)


def run_scores(arguments):
    encoder = AssayEncoder.load(arguments.encoder) if arguments.encoder else dc.pretrained.load()
    assays = read_assays(
        arguments.data / f"{arguments.split}.csv.gz", encoder, arguments.out / "cache"
    )
    path = arguments.out / f"{arguments.split}.csv"
    hitters = None
    if (arguments.data / "train.csv.gz").exists() and not arguments.methods:
        hitters = frequent_hitters(encoder, arguments.data, arguments.out / "cache")
    methods = classification_methods(encoder, hitters)
    values = regression_methods(encoder)
    if arguments.methods:
        wanted = arguments.methods
        methods, values = ({k: m[k] for k in wanted if k in m} for m in (methods, values))
    run(assays, methods, "classification", path, arguments.shots)
    run(assays, values, "regression", path, arguments.shots)
    print_table(path, arguments.split)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--train", action="store_true", help="train the encoder")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the CSV files")
    parser.add_argument("--out", type=Path, default=Path("fs-mol"))
    parser.add_argument("--split", default="valid", choices=("valid", "test"))
    parser.add_argument("--encoder", type=Path, help="by default the package's")
    parser.add_argument("--nets", type=int, default=len(NETS))
    parser.add_argument("--assays", type=float, default=1.0, help="share of them to train on")
    parser.add_argument("--shots", type=int, nargs="+", default=SHOTS)
    parser.add_argument("--fingerprints", action="store_true", help="without descriptors")
    parser.add_argument("--methods", nargs="+", help="some of the methods, such as process")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", ConvergenceWarning)
    if arguments.train:
        train(arguments)
    else:
        run_scores(arguments)


if __name__ == "__main__":
    main()
