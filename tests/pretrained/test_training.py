import numpy as np
import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES

pytest.importorskip("rdkit")

from sklearn.linear_model import LogisticRegression

from deepchem_meta.pretrained import train_encoder
from deepchem_meta.pretrained.training import _Batches, _standardised, _Table
from deepchem_meta.tasks import AssayTasks, MorganCounts

SMALL = {"featurizer": MorganCounts(128), "shots": 2, "queries": 2}
SMILES = ALCOHOLS + AMINES + ACIDS


def history():
    """Two assays of labels and one of values, of molecules that overlap."""
    labels = AssayTasks.from_results(
        ["amines"] * 48 + ["rings"] * 16,
        SMILES + ALCOHOLS,
        [float("N" in one) for one in SMILES] + [float("1" in one) for one in ALCOHOLS],
        **SMALL,
    )
    values = AssayTasks.from_results(
        ["size"] * 32,
        AMINES + ["C" * n for n in range(1, 17)],
        np.arange(32.0),
        **SMALL,
        task_type="regression",
    )
    return labels, values


def test_batches_have_each_result_once():
    labels, values = history()
    table = _Table([labels, values])
    assert table.molecules == 64 and table.regression.tolist() == [False, False, True]
    batches = _Batches(table, 10, seed=0)
    assert len(batches) == 6
    standard = _standardised(values.results)
    assert standard.mean() == pytest.approx(0, abs=1e-6) and standard.std() == pytest.approx(1)
    known = {}
    for source, first, value in ((labels, 0, labels.results.value), (values, 2, standard)):
        for assay, compound, one in zip(
            source.results.assay, source.results.compound, value, strict=True
        ):
            known[source.ids[compound], first + assay] = one
    seen = []
    ids = list(dict.fromkeys([*labels.ids, *values.ids]))
    for place in range(len(batches)):
        (x, owner, assay), y = batches[place]
        molecules = batches._order[place * 10 : place * 10 + 10]
        np.testing.assert_allclose(x, MorganCounts(128)([ids[m] for m in molecules]))
        for row, head, (value, regression) in zip(owner, assay, y, strict=True):
            assert known[ids[molecules[row]], head] == pytest.approx(value)
            assert regression == (head == 2)
            seen.append((ids[molecules[row]], head))
    assert len(seen) == len(set(seen))
    before = batches._order.tolist()
    batches.on_epoch_end()
    assert sorted(batches._order) == sorted(before) and batches._order.tolist() != before


def test_the_embedding_separates_what_was_measured():
    encoder = train_encoder(
        history(), widths=(32, 16), epochs=100, batch_size=32, learning_rate=1e-2, verbose=0
    )
    assert encoder.about["molecules"] == 64 and encoder.about["assays"] == 3
    y = np.array(["N" in one for one in SMILES])
    probe = LogisticRegression().fit(encoder.embed(SMILES[::2]), y[::2])
    assert probe.score(encoder.embed(SMILES[1::2]), y[1::2]) > 0.9


def test_the_same_seed_gives_the_same_encoder():
    a, b, c = (
        train_encoder(history(), widths=(8,), epochs=2, batch_size=32, seed=seed, verbose=0).embed(
            ["CCO"]
        )
        for seed in (0, 0, 1)
    )
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert np.abs(a - c).max() > 1e-3


def test_wrong_sources_are_named():
    x, y = np.zeros((12, 4)), np.arange(12)[:, None] % 2
    with pytest.raises(TypeError, match="`sources` must be AssayTasks of from_long_csv"):
        train_encoder(AssayTasks(x, y, shots=2, queries=2))
    with pytest.raises(TypeError, match="`sources`"):
        train_encoder([])
    other = AssayTasks.from_results(
        ["a"] * 48,
        ["C" + one for one in SMILES],
        [float("N" in s) for s in SMILES],
        **SMALL | {"featurizer": MorganCounts(64)},
    )
    with pytest.raises(ValueError, match="fitted featurizer: pass the first"):
        train_encoder([history()[0], other])
    with pytest.raises(ValueError, match="`epochs`"):
        train_encoder(history(), epochs=0)
