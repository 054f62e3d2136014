"""Rank molecules in a toxicity assay of which few results are known, with a Keras model.

Tox21 holds the results (active or inactive) of about 7,800 molecules in 12 assays. MAML learns
from the first 9 assays how to learn an assay; the last 3 are the test. There, a net sees 10 active
and 10 inactive molecules and ranks all others by how likely they are active::

    python tox21_keras.py --data tox21.csv.gz

Without ``--data`` the table is downloaded once (120 kB). Any table will do that has a ``smiles``
column and at least 4 columns of assays (0, 1 or empty). Needs rdkit and scikit-learn:
``pip install "deepchem_meta[molecules]"``. The script `tox21_maml.py` does the same with a
`MetaLearner` written by hand.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn.ensemble import RandomForestClassifier

import deepchem_meta as dc
from deepchem_meta.evaluation import mean_and_interval

URL = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/tox21.csv.gz"
TEST_ASSAYS = 3
METHODS = ("before", "after", "random forest")


def load_tasks(path, shots):
    """Read a table and return the assays to train on and those to test on."""
    tasks = dc.tasks.AssayTasks.from_csv(path, shots=shots, on_error="drop")
    print(
        f"{len(tasks.x)} molecules; dropped {len(tasks.dropped_smiles)} whose SMILES cannot be read"
    )
    train, test = tasks.split(test=TEST_ASSAYS)
    return train, test.replace(queries="rest")  # rank all others, not only as many


def make_model():
    """Return a net of two hidden layers over fingerprints, with a logit as output."""
    return keras.Sequential(
        [
            keras.layers.Dense(512, "relu", kernel_initializer="he_normal"),
            keras.layers.Dense(128, "relu", kernel_initializer="he_normal"),
            keras.layers.Dense(1),
        ]
    )


def score_forests(tasks, draws, rng):
    """Return the ROC-AUC of a random forest for each draw of a support set and each assay."""
    scores = np.empty((draws, len(tasks.names)))
    for place in np.ndindex(scores.shape):
        episode = tasks.sample(1, rng, assays=place[1:])
        (x, y, *_), (query_x, *query) = ([array[0] for array in batch] for batch in episode)
        forest = RandomForestClassifier(n_estimators=200, random_state=0).fit(x, y[:, 0])
        scores[place] = tasks.scores["roc_auc"](
            query[0], forest.predict_proba(query_x)[:, 1], *query[1:]
        )
    return scores


def print_table(evaluation, forests, draws):
    """Print the ROC-AUC of each assay and their mean, before and after adaptation."""
    rows = dict(evaluation.by_task("roc_auc"))
    columns = dict(zip(rows, forests.T, strict=True))
    rows["mean of assays"] = evaluation.mean["roc_auc"], evaluation.ci95["roc_auc"]
    columns["mean of assays"] = forests.mean(axis=1)
    print(f"\nROC-AUC in %, mean and 95% interval (Student's t below 30) over {draws} support sets")
    print(" " * 16 + "".join(f"{method:>16}" for method in METHODS))
    for name, of_maml in rows.items():
        pairs = [*np.transpose(of_maml), mean_and_interval(columns[name])]
        cells = (f"{100 * mean:.1f} ± {100 * half:.1f}" for mean, half in pairs)
        print(f"{name:16}" + "".join(f"{cell:>16}" for cell in cells))


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="Few-shot toxicity assays with MAML and Keras.")
    parser.add_argument("--data", type=Path, help="CSV file, may be gzipped (default: download)")
    parser.add_argument("--steps", type=int, default=300, help="meta-steps (%(default)s)")
    parser.add_argument("--shots", type=int, default=10, help="of each class (%(default)s)")
    parser.add_argument("--draws", type=int, default=20, help="of support sets (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="of adaptation (%(default)s)")
    parser.add_argument("--inner-steps", type=int, default=5, help="of adaptation (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.draws < 2:
        parser.error("--draws must be at least 2, since an interval is taken over them")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    keras.utils.set_random_seed(arguments.seed)  # of the first weights
    path = arguments.data or Path(keras.utils.get_file(origin=URL))
    try:
        train, test = load_tasks(path, arguments.shots)
    except (OSError, ValueError) as error:
        raise SystemExit(f"Error: {error}") from None
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    learner = dc.metalearning.KerasLearner(make_model(), loss, train)
    maml = dc.metalearning.MAML(
        learner,
        learning_rate=arguments.rate,
        optimization_steps=arguments.inner_steps,
        meta_batch_size=8,
        optimizer=keras.optimizers.Adam(1e-3),
        seed=arguments.seed,
    )
    maml.fit(arguments.steps)
    evaluation = maml.evaluate(
        test,
        n_tasks=arguments.draws * len(test.names),
        optimization_steps=(0, arguments.inner_steps),
        seed=arguments.seed,
    )
    forests = score_forests(test, arguments.draws, np.random.default_rng([arguments.seed, 1]))
    print_table(evaluation, forests, arguments.draws)
    print(
        "\nBefore and after adaptation by MAML, and random forests on as many other support sets.\n"
        "As in the papers on few-shot assays, molecules of the test assays may have been seen in\n"
        "training under other assays; with molecules that are new the figures can be lower.\n"
        "The intervals are those of one trained net; another --seed trains another."
    )


if __name__ == "__main__":
    main()
