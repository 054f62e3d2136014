import keras
import numpy as np
import pytest
from molecules_small import ALCOHOLS, AMINES, write

pytest.importorskip("rdkit")

from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.pretrained.encoder import make_net
from deepchem_meta.ranking import AssayPredictor, read_measured
from deepchem_meta.tasks import MorganCounts
from deepchem_meta.tasks.molecules import parse_smiles


@pytest.mark.parametrize("size", [2048, 256])  # with and without the similarity's own counts
def test_scores_and_similarities_of_any_featurizer(size, tmp_path):
    keras.utils.set_random_seed(0)
    encoder = AssayEncoder(MorganCounts(size), [make_net(size, (8,), 0.0)])
    rows = [(s, 1) for s in ALCOHOLS[:4]] + [(s, 0) for s in AMINES[:4]]
    measured = read_measured(write(tmp_path / "a.csv", "smiles,active", rows))
    predictor = AssayPredictor(encoder, measured)
    molecules = parse_smiles(ALCOHOLS[3:6])[0]
    found = predictor.predict([part.compute(molecules) for part in predictor.featurizer.parts])
    adapted = encoder.process().adapt(
        (encoder.featurizer([s for s, _ in rows]), np.array([y for _, y in rows]))
    )
    expected = adapted.predict_proba(encoder.featurizer(ALCOHOLS[3:6]))[:, 1]
    np.testing.assert_allclose(found.score, expected, rtol=1e-4)
    assert found.nearest[0] == 3 and found.similarity[0] == pytest.approx(1.0)
    assert found.lower is None and found.upper is None
    left_out = predictor.left_out()
    assert left_out.measure == "roc_auc" and left_out.repeats == 16 and 0 <= left_out.value <= 1


def test_predictions_that_are_not_finite_are_an_error(tmp_path, monkeypatch):
    encoder = AssayEncoder(MorganCounts(64), [make_net(64, (8,), 0.0)])
    rows = [(s, 5 + n) for n, s in enumerate(ALCOHOLS[:4])]
    measured = read_measured(write(tmp_path / "a.csv", "smiles,pIC50", rows))
    predictor = AssayPredictor(encoder, measured)
    molecules = parse_smiles(ALCOHOLS[3:6])[0]
    stored = [part.compute(molecules) for part in predictor.featurizer.parts]
    spread = np.array([[1.0], [np.nan], [1.0]])
    monkeypatch.setattr(type(predictor._adapted), "predict_std", lambda self, x: spread)
    with pytest.raises(ValueError, match="must be finite.* Received: 1 of 3 that are not"):
        predictor.predict(stored)
