"""Rank molecules in a toxicity assay of which few results are known, with MAML.

Tox21 holds the results (active or inactive) of about 7,800 molecules in 12 assays. MAML learns
from the first 9 assays how to learn an assay; the last 3 are the test. There, a net sees 10 active
and 10 inactive molecules and ranks all others by how likely they are active::

    python tox21_maml.py --data tox21.csv.gz

Without ``--data`` the table is downloaded once (120 kB). Any table will do that has a ``smiles``
column and at least 4 columns of assays (0, 1 or empty). Needs rdkit and scikit-learn:
``pip install "deepchem_meta[molecules]"``.
"""

import argparse
import csv
import gzip
import time
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

import deepchem_meta as dc

URL = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/tox21.csv.gz"
LABELS = {"0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0, "": np.nan}
TEST_ASSAYS = 3
QUERIES = 16
METHODS = ("before", "after", "random forest")


def read_table(path):
    """Read the SMILES and the labels of a CSV file.

    Returns
    -------
    smiles : list of str
    assays : list of str
        The names of the columns with labels.
    labels : float32 array of shape (molecules, assays)
        1 is active, 0 inactive and NaN unknown.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        rows = list(reader)
    if "smiles" not in columns:
        raise ValueError(f"{path} has no column `smiles`. Its columns: {', '.join(columns)}")
    assays = [name for name in columns if name not in ("smiles", "mol_id")]
    if len(assays) <= TEST_ASSAYS:
        raise ValueError(
            f"{path} needs more than {TEST_ASSAYS} columns of assays: the last {TEST_ASSAYS} are "
            f"the test. It has: {', '.join(assays) or 'none'}"
        )
    labels = np.empty((len(rows), len(assays)), "float32")
    for i, row in enumerate(rows):
        for j, name in enumerate(assays):
            if row[name] not in LABELS:
                raise ValueError(
                    f"{path}, molecule {i + 1}, column {name}: a label must be 0, 1 or empty. "
                    f"Received: {row[name]!r}"
                )
            labels[i, j] = LABELS[row[name]]
    return [row["smiles"] for row in rows], assays, labels


def fingerprints(smiles):
    """Count the substructures of radius 2 in each molecule, hashed to 2,048 places.

    Returns
    -------
    x : float32 array of shape (parsed molecules, 2048)
        log(1 + count).
    parsed : bool array of shape (len(smiles),)
        Which SMILES are molecules.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    with rdBase.BlockLogs():
        molecules = [Chem.MolFromSmiles(text) if text else None for text in smiles]
    parsed = np.array([molecule is not None for molecule in molecules], bool)
    x = np.empty((parsed.sum(), 2048), "float32")
    for row, molecule in zip(x, filter(None, molecules), strict=True):
        row[:] = generator.GetCountFingerprintAsNumPy(molecule)
    return np.log1p(x), parsed


class Assay:
    """The molecules with a known label in one assay, from which sets are drawn."""

    def __init__(self, name, labels, x):
        self.name = name
        self.x = x
        self.classes = [np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)]

    def shuffle(self, rng):
        """Return its active and its inactive molecules, each in random order."""
        return [rng.permutation(rows) for rows in self.classes]

    def batch(self, actives, inactives):
        """Return fingerprints and labels of some active and some inactive molecules."""
        y = np.repeat(np.float32([1, 0]), [len(actives), len(inactives)])
        return [self.x[np.concatenate([actives, inactives])], y]


def load_assays(path, shots):
    """Read a table and return the assays to train on and those to test on."""
    smiles, names, labels = read_table(path)
    x, parsed = fingerprints(smiles)
    print(f"{parsed.sum()} molecules; dropped {np.sum(~parsed)} whose SMILES cannot be read")
    assays = [Assay(*column, x) for column in zip(names, labels[parsed].T, strict=True)]
    train, test = assays[:-TEST_ASSAYS], assays[-TEST_ASSAYS:]
    for part, needed in ((train, shots + QUERIES), (test, shots + 1)):
        for assay in part:
            actives, inactives = map(len, assay.classes)
            if min(actives, inactives) < needed:
                raise ValueError(
                    f"assay {assay.name} needs {needed} active and as many inactive molecules for "
                    f"--shots {shots}. It has {actives} and {inactives}"
                )
    return train, test


class AssayLearner(dc.metalearning.MetaLearner):
    """A net of two hidden layers over fingerprints, and assays to learn.

    A task's first batch is its support set, of `shots` active and as many inactive molecules; the
    next are queries, of 16 and 16. No molecule is in two of them.
    """

    def __init__(self, assays, shots, rng):
        self.assays = assays
        self.shots = shots
        self.rng = rng
        self.weights = []
        for inputs, outputs in [(2048, 512), (512, 128), (128, 1)]:
            scale = np.sqrt(2.0 / inputs)  # He et al. 2015
            kernel = rng.normal(scale=scale, size=(inputs, outputs)).astype("float32")
            self.weights += [tf.Variable(kernel), tf.Variable(tf.zeros(outputs))]

    @property
    def variables(self):
        return self.weights

    def compute_model(self, inputs, variables, training):
        x, y = inputs
        w1, b1, w2, b2, w3, b3 = variables
        hidden = tf.nn.relu(x @ w1 + b1)
        hidden = tf.nn.relu(hidden @ w2 + b2)
        logits = tf.squeeze(hidden @ w3 + b3, axis=1)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits)
        return tf.reduce_mean(loss), [logits]

    def select_task(self):
        self.assay = self.assays[self.rng.integers(len(self.assays))]
        self.unused = self.assay.shuffle(self.rng)
        self.size = self.shots

    def get_batch(self):
        batch = self.assay.batch(*(rows[: self.size] for rows in self.unused))
        self.unused = [rows[self.size :] for rows in self.unused]
        self.size = QUERIES
        return batch


def rank(maml, support, query):
    """Return the scores of the query molecules by each of `METHODS`."""
    forest = RandomForestClassifier(n_estimators=200, random_state=0).fit(*support)
    return [
        maml.adapt(support, optimization_steps=0).predict(query)[0],
        maml.adapt(support).predict(query)[0],
        forest.predict_proba(query[0])[:, 1],
    ]


def evaluate(maml, assays, shots, draws, rng):
    """Measure how well new assays are ranked after a few molecules.

    Returns
    -------
    float64 array of shape (assays, draws, methods)
        The ROC-AUC over all labelled molecules that are not in the support set.
    """
    scores = np.empty((len(assays), draws, len(METHODS)))
    for i, assay in enumerate(assays):
        for j in range(draws):
            shuffled = assay.shuffle(rng)
            support = assay.batch(*(rows[:shots] for rows in shuffled))
            query = assay.batch(*(rows[shots:] for rows in shuffled))
            scores[i, j] = [roc_auc_score(query[1], p) for p in rank(maml, support, query)]
    return scores


def print_table(assays, scores):
    """Print the mean over draws for each assay, and that of all assays."""
    draws = scores.shape[1]
    print(f"\nROC-AUC in %, mean and 95% interval (Student's t) over {draws} support sets")
    print(" " * 16 + "".join(f"{method:>16}" for method in METHODS))
    rows = [(assay.name, values) for assay, values in zip(assays, scores, strict=True)]
    for name, values in [*rows, ("mean of assays", scores.mean(axis=0))]:
        means = 100 * values.mean(axis=0)
        intervals = 100 * stats.t.ppf(0.975, draws - 1) * stats.sem(values, axis=0)
        cells = (f"{m:.1f} ± {i:.1f}" for m, i in zip(means, intervals, strict=True))
        print(f"{name:16}" + "".join(f"{cell:>16}" for cell in cells))


@contextmanager
def timed(phase):
    """Print how long a phase took."""
    start = time.perf_counter()
    yield
    print(f"{phase}: {time.perf_counter() - start:.1f} s")


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="Few-shot toxicity assays with MAML.")
    parser.add_argument("--data", type=Path, help="CSV file, may be gzipped (default: download)")
    parser.add_argument("--steps", type=int, default=300, help="meta-steps (%(default)s)")
    parser.add_argument("--shots", type=int, default=10, help="of each class (%(default)s)")
    parser.add_argument("--draws", type=int, default=20, help="of support sets (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="of adaptation (%(default)s)")
    parser.add_argument("--inner-steps", type=int, default=5, help="of adaptation (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.shots < 1:
        parser.error("--shots must be at least 1")
    if arguments.draws < 2:
        parser.error("--draws must be at least 2, since an interval is taken over them")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    path = arguments.data or Path(keras.utils.get_file(origin=URL))
    with timed("Reading and fingerprints"):
        try:
            train, test = load_assays(path, arguments.shots)
        except (OSError, ValueError) as error:
            raise SystemExit(f"Error: {error}") from None
    learner = AssayLearner(train, arguments.shots, np.random.default_rng(arguments.seed))
    maml = dc.metalearning.MAML(
        learner,
        learning_rate=arguments.rate,
        optimization_steps=arguments.inner_steps,
        meta_batch_size=8,
        optimizer=keras.optimizers.Adam(1e-3),
    )
    with timed(f"{arguments.steps} meta-steps on {len(train)} assays"):
        maml.fit(arguments.steps)
    with timed(f"Evaluation on {len(test)} assays"):
        # Its own random numbers, so that the support sets do not depend on the training.
        rng = np.random.default_rng([arguments.seed, 1])
        scores = evaluate(maml, test, arguments.shots, arguments.draws, rng)
    print_table(test, scores)
    print(
        "\nBefore and after adaptation by MAML, and a random forest on the same support sets.\n"
        "As in the papers on few-shot assays, molecules of the test assays may have been seen in\n"
        "training under other assays; with molecules that are new the figures can be lower.\n"
        "The intervals are those of one trained net; another --seed trains another."
    )


if __name__ == "__main__":
    main()
