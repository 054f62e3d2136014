import numpy as np
import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES, write

pytest.importorskip("rdkit")

from deepchem_meta.pretrained import AssayEncoder, with_history
from deepchem_meta.pretrained.encoder import make_net
from deepchem_meta.pretrained.history import history_columns
from deepchem_meta.tasks import MorganCounts


@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_assays_of_the_history_are_told_apart_sooner(task_type, tmp_path):
    encoder = AssayEncoder(MorganCounts(256), [make_net(256, (16,), 0.0)])
    classes = task_type == "classification"
    rows = []
    for assay, good, bad in (("a", ALCOHOLS, AMINES), ("b", ACIDS, AMINES), ("c", ALCOHOLS, ACIDS)):
        rows += [(assay, s, 1 if classes else 7 + n % 3 / 10) for n, s in enumerate(good)]
        rows += [(assay, s, 0 if classes else 5 + n % 3 / 10) for n, s in enumerate(bad)]
    rows += [("few", "CCO", 1), ("a", "C1CC", 1)]
    column = "active" if classes else "value"
    names = f"assay,smiles,{column}" if classes else "Assay,SMILES,Value"
    path = write(tmp_path / "history.csv", names, rows)
    trained = with_history(encoder, path, task_type)
    used = dict(trained.about["history"])
    assert used.pop("seconds") > 0
    assert used == {
        **{"assays": 3, "molecules": 48, "too_small": 1, "unreadable": 1},
        "unreadable_rows": [[99, "C1CC", "cannot be read by RDKit"]],
    }
    trained.save(tmp_path / "encoder.npz")
    assert AssayEncoder.load(tmp_path / "encoder.npz").about == trained.about
    assert "history" not in encoder.about and not encoder.heads

    x = encoder.featurizer(ALCOHOLS + AMINES)
    y = np.repeat([1, 0], 16)
    support = np.r_[0:4, 16:20]
    query = np.setdiff1d(np.arange(32), support)
    losses = []
    for one in (encoder, trained):
        targets = (y if classes else 5.0 + 2 * y)[:, None].astype(int if classes else "float32")
        adapted = one.process(task_type).adapt((x[support], targets[support]))
        losses.append(float(adapted.predict_on_batch([x[query], targets[query]])[0]))
    assert losses[1] < losses[0]


def test_histories_that_are_none(tmp_path):
    encoder = AssayEncoder(MorganCounts(64), [make_net(64, (4,), 0.0)])
    path = write(tmp_path / "a.csv", "assay,smiles,active", [("few", s, 1) for s in ALCOHOLS[:3]])
    with pytest.raises(ValueError):
        with_history(encoder, path, "classification")
    with pytest.raises(ValueError, match="must have the columns assay, smiles and value"):
        with_history(encoder, path, "regression")


def test_columns_in_any_letters(tmp_path):
    path = write(tmp_path / "a.csv", "ASSAY,Smiles,extra,Active,Value", [("a", "C", 1, 1, 2)])
    for task_type, value in (("classification", "Active"), ("regression", "Value")):
        expected = {"assay": "ASSAY", "smiles": "Smiles", "value": value}
        assert history_columns(path, task_type) == expected
    write(path, "assay,smiles,active", [("a", "C", 1)])
    with pytest.raises(ValueError, match="smiles and value, since values were measured"):
        history_columns(path, "regression")
