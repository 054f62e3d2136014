from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

pytest.importorskip("rdkit")

import deepchem_meta as dc
from deepchem_meta.evaluation import EstimatorBaseline, SimilarityClassifier
from deepchem_meta.tasks import AssayTasks, MorganCounts

FOLDER = Path(dc.pretrained.__file__).parent


def test_it_is_small_and_has_a_card():
    assert (FOLDER / "fs_mol.npz").stat().st_size < 8e6
    encoder = dc.pretrained.load()
    assert encoder.about["licence"] == "CC BY-SA 3.0" and encoder.about["assays"] > 9000
    assert set(encoder.heads) == {"classification", "regression"}
    for kind in encoder.heads:
        for shots in (16, 32, 64, 128):
            held_out = encoder.held_out(kind, shots)
            assert held_out["shots"] == shots
            low, middle, high = held_out["roc_auc"]
            assert 0.5 < low < middle < high < 1
    card = (FOLDER / "fs_mol.md").read_text()
    assert "CC BY-SA 3.0" in card and "Where not to trust it" in card


def test_each_call_gives_an_encoder_of_its_own():
    a, b = dc.pretrained.load(), dc.pretrained.load()
    before = b.embed(["CCO"])
    a.nets[0].set_weights([0 * w for w in a.nets[0].get_weights()])
    a.heads.clear()
    assert b.heads and dc.pretrained.load().heads
    np.testing.assert_array_equal(b.embed(["CCO"]), before)
    np.testing.assert_array_equal(dc.pretrained.load().embed(["CCO"]), before)


def test_it_ranks_assays_that_it_has_not_seen(shared_data):
    encoder = dc.pretrained.load()
    options = {"on_error": "drop", "balanced": False, "shots": 8, "queries": 8, "drop_small": True}
    with pytest.warns(UserWarning, match="different results"):
        tasks = AssayTasks.from_long_csv(
            shared_data / "fs-mol" / "valid.csv.gz", featurizer=MorganCounts(), **options
        )
    process = encoder.process()
    search = EstimatorBaseline(SimilarityClassifier())
    found, searched = [], []
    rng = np.random.default_rng(0)
    for assay in range(0, len(tasks.names), 4):
        here = tasks.results.assay == assay
        rows, y = tasks.results.compound[here][:200], tasks.results.value[here][:200].astype(int)
        x = encoder.featurizer([tasks.ids[row] for row in rows])
        order = np.r_[rng.permutation(np.flatnonzero(y)), rng.permutation(np.flatnonzero(y == 0))]
        support = np.r_[order[:8], order[-8:]]
        query = np.setdiff1d(order, support)
        logits = process.adapt((x[support], y[support])).predict(x[query])
        found.append(roc_auc_score(y[query], logits[:, 1] - logits[:, 0]))
        alone = search.adapt((tasks.x[rows][support], y[support])).predict(tasks.x[rows][query])
        searched.append(roc_auc_score(y[query], alone[:, 1]))
    assert np.mean(found) > np.mean(searched) + 0.04 and np.mean(found) > 0.68
