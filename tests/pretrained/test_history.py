import gzip

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
        **{"merged": 0, "contradicting": 0, "qualified": 0},
        "range": None if classes else [1.0, 7.2],
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


def test_what_is_left_out_and_merged_is_counted(tmp_path, monkeypatch):
    encoder = AssayEncoder(MorganCounts(64), [make_net(64, (4,), 0.0)])
    monkeypatch.setattr("deepchem_meta.pretrained.history._STEPS", 1)
    rows = [("a", s, f">{5 + n / 10}" if n < 2 else 5 + n / 10) for n, s in enumerate(ALCOHOLS)]
    rows += [("a", "C" * 151, 6), ("a", ALCOHOLS[3], 9), ("a", ALCOHOLS[4], 5.4)]
    with pytest.warns(UserWarning, match="different results"):
        trained = with_history(
            encoder, write(tmp_path / "a.csv", "assay,smiles,value", rows), "regression"
        )
    used = trained.about["history"]
    assert used["unreadable_rows"] == [[18, "C" * 151, "has 151 atoms, more than 150"]]
    assert (used["unreadable"], used["merged"], used["contradicting"]) == (1, 4, 1)
    assert used["qualified"] == 2 and used["range"] == [5.0, 9.0] and used["molecules"] == 16


def test_values_with_units_and_damaged_files(tmp_path):
    rows = [("a", s, 10, "nM") for s in ALCOHOLS]
    path = write(tmp_path / "a.csv", "assay,smiles,value,Standard Units", rows)
    with pytest.raises(ValueError, match="more must be better.*'Standard Units'"):
        history_columns(path, "regression")
    whole = gzip.compress(path.read_bytes())
    (tmp_path / "a.csv.gz").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=r"a.csv.gz must be a gzipped file that is whole"):
        history_columns(tmp_path / "a.csv.gz", "regression")


def test_a_history_of_which_nothing_can_be_read(tmp_path):
    encoder = AssayEncoder(MorganCounts(64), [make_net(64, (4,), 0.0)])
    path = write(tmp_path / "a.csv", "assay,smiles,active", [("a", "C" * 151, 1), ("a", "C(", 0)])
    with pytest.raises(ValueError, match="2 of 2 that are not: line 2: .*has 151 atoms"):
        with_history(encoder, path, "classification")
