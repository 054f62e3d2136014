"""Tox21, SIDER and MUV by the few-shot papers' protocol, with an encoder trained on other data.

python tests/benchmarks/moleculenet.py --data FOLDER [--fs-mol FOLDER]

FOLDER has tox21.csv.gz, sider.csv.gz and muv.csv.gz. Test assays: the last 3, 6 and 5 columns;
ten draws of 10 active and 10 inactive compounds, all others as queries; ROC-AUC in %, a mean over
draws, then over assays. With `--fs-mol`, a second column counts the queries alone whose molecules
are not in FS-Mol's training set, on which the encoder was trained (with other assays). What is
scored is written to OUT/moleculenet.csv, so that a run goes on where it was cut off.
"""

import argparse
import csv
import gzip
import warnings
from pathlib import Path

import numpy as np
from fs_mol import Assay, classification_methods
from sklearn.metrics import roc_auc_score

import deepchem_meta as dc
from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.tasks import AssayTasks, MorganCounts

TEST = {"tox21": 3, "sider": 6, "muv": 5}
SHOTS, DRAWS = 10, 10
METHODS = ("process", "linear probe", "prototypes", "GP on the assay alone", "random forest")
# Each the best of about 500 evaluations on the test assays.
PUBLISHED = {
    "ProtoNet": (74.98, 64.54, 65.88),
    "MAML": (80.21, 70.43, 63.90),
    "Pre-PAR": (84.93, 78.08, 69.96),
    "GS-Meta": (86.7, 84.4, 66.1),
    "Pin-Tuning": (91.6, 93.4, 73.3),
}
FIELDS = ("data", "method", "assay", "roc_auc", "roc_auc_new", "seen")


def read(path, assays, encoder, cache):
    """Return the last assays of a table with a column an assay."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in ("smiles", "mol_id")][-assays:]
    long = [(n, row["smiles"], float(row[n])) for row in rows for n in names if row[n] != ""]
    columns = [list(column) for column in zip(*long, strict=True)]
    options = {"on_error": "drop", "cache": cache, "shots": SHOTS, "queries": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # results of one molecule that differ are merged
        tasks = AssayTasks.from_results(*columns, featurizer=encoder.featurizer, **options)
        prints = AssayTasks.from_results(*columns, featurizer=MorganCounts(), **options).x
    embedding, found = encoder.embed(tasks.x), []
    for place, name in enumerate(tasks.names):
        here = tasks.results.assay == place
        compounds = tasks.results.compound[here]
        label = tasks.results.value[here].astype(int)
        assay = Assay(
            name, embedding[compounds], prints[compounds], label, np.full(len(label), np.nan)
        )
        found.append((assay, [tasks.ids[c] for c in compounds]))
    return found


def molecules_of(folder, cache):
    """Return the canonical SMILES of FS-Mol's training molecules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = folder / "train.csv.gz"
        options = {"on_error": "drop", "cache": cache, "drop_small": True, "shots": 2, "queries": 2}
        return set(AssayTasks.from_long_csv(path, **options).ids)


def score(assay, ids, features, method, known):
    """Return the mean ROC-AUC over draws, that of unseen queries, and the share of seen ones."""
    x, rng = getattr(assay, features), np.random.default_rng(0)
    active, inactive = np.flatnonzero(assay.label), np.flatnonzero(assay.label == 0)
    fresh = np.array([one not in known for one in ids])
    rows = []
    for _ in range(DRAWS):
        support = np.r_[rng.permutation(inactive)[:SHOTS], rng.permutation(active)[:SHOTS]]
        query = np.setdiff1d(np.arange(len(assay.label)), support)
        scores = method(x[support], assay.label[support])(x[query])
        label, new = assay.label[query], fresh[query]
        rows.append((roc_auc_score(label, scores), roc_auc_score(label[new], scores[new])))
    return *np.mean(rows, axis=0), 1 - fresh.mean()


def print_table(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    print("\n| ROC-AUC, % | Tox21 | SIDER | MUV |\n|---|---|---|---|")
    for method in METHODS:
        for column, what in (("roc_auc", ""), ("roc_auc_new", ", molecules not in FS-Mol")):
            cells = []
            for data in TEST:
                own = [float(r[column]) for r in rows if (r["data"], r["method"]) == (data, method)]
                cells.append(f"{100 * np.mean(own):.1f}" if own else "")
            print(f"| {method}{what} | " + " | ".join(cells) + " |")
    for name, figures in PUBLISHED.items():
        print(f"| published: {name} | " + " | ".join(map(str, figures)) + " |")
    for data in TEST:
        seen = [float(r["seen"]) for r in rows if r["data"] == data]
        if seen:
            print(
                f"{data}: {100 * np.mean(seen):.0f}% of the molecules are in FS-Mol's training set"
            )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the CSV files")
    parser.add_argument("--fs-mol", type=Path, help="the folder of train.csv.gz")
    parser.add_argument("--out", type=Path, default=Path("fs-mol"))
    parser.add_argument("--encoder", type=Path, help="by default the package's")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    cache, path = arguments.out / "cache", arguments.out / "moleculenet.csv"
    encoder = AssayEncoder.load(arguments.encoder) if arguments.encoder else dc.pretrained.load()
    known = molecules_of(arguments.fs_mol, cache) if arguments.fs_mol else set()
    methods = classification_methods(encoder, None)
    done = set()
    if path.exists():
        with path.open(newline="") as file:
            done = {(row["data"], row["method"]) for row in csv.DictReader(file)}
    else:
        path.write_text(",".join(FIELDS) + "\n")
    for data, count in TEST.items():
        wanted = [name for name in METHODS if (data, name) not in done]
        assays = read(arguments.data / f"{data}.csv.gz", count, encoder, cache) if wanted else []
        for name in wanted:
            rows = [
                (data, name, assay.name, *np.round(score(assay, ids, *methods[name], known), 4))
                for assay, ids in assays
            ]
            with path.open("a", newline="") as file:
                csv.writer(file).writerows(rows)
            print(f"{data}, {name}: {100 * np.mean([row[3] for row in rows]):.1f}", flush=True)
    print_table(path)


if __name__ == "__main__":
    main()
