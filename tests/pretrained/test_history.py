import numpy as np
import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES, write

pytest.importorskip("rdkit")

from deepchem_meta.pretrained import AssayEncoder, with_history
from deepchem_meta.pretrained.encoder import make_net
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
    path = write(tmp_path / "history.csv", f"assay,smiles,{column}", rows)
    trained = with_history(encoder, path, task_type)
    assert trained.about["history"] == {
        **{"assays": 3, "molecules": 48},
        **{"too_small": 1, "unreadable": 1},
    }
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
