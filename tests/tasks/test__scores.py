import pickle
import sys

import numpy as np
import pytest

from deepchem_meta.tasks._scores import CLASSIFICATION_SCORES, REGRESSION_SCORES

Y = np.array([0, 1, 0, 1, 1, 0])
P = np.array([0.1, 0.4, 0.4, 0.8, 0.2, -9.0])
WEIGHT = np.array([1, 1, 0.5, 2, 1, 0])  # the last one is padding


class TestScores:
    @pytest.fixture(autouse=True)
    def sklearn(self):
        pytest.importorskip("sklearn")

    def test_roc_auc_counts_pairs_in_order(self):
        pairs = [(P[i], P[j]) for i in (1, 3, 4) for j in (0, 2)]
        expected = np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])
        score = CLASSIFICATION_SCORES["roc_auc"]
        assert score(Y, P, WEIGHT) == pytest.approx(expected)
        assert score(Y[:5, None], P[:5, None]) == pytest.approx(expected)

    @pytest.mark.parametrize("scores", [CLASSIFICATION_SCORES, REGRESSION_SCORES])
    def test_predictions_that_are_not_finite_have_no_score(self, scores):
        for value in (np.nan, np.inf):
            predicted = np.where(np.arange(6) == 2, value, P)
            assert all(np.isnan(score(Y, predicted)) for score in scores.values())

    def test_average_precision(self):
        # By falling score: 0.8 active; 0.4 one of each; 0.2 active; 0.1 inactive.
        expected = (1 * 1 + 1 * 2 / 3 + 1 * 3 / 4) / 3
        assert CLASSIFICATION_SCORES["average_precision"](Y, P, WEIGHT) == pytest.approx(expected)

    def test_regression(self):
        y = np.array([1.0, 2.0, 3.0, 50.0])
        p = np.array([1.0, 2.5, 2.0, 0.0])
        weight = [1, 1, 1, 0]
        assert REGRESSION_SCORES["rmse"](y, p, weight) == pytest.approx((1.25 / 3) ** 0.5)
        assert REGRESSION_SCORES["r2"](y, p, weight) == pytest.approx(1 - 1.25 / 2)

    def test_two_outputs_of_two_classes(self):
        logits = np.stack([3.0 - P, 3.0 + P], axis=1)
        for name, score in CLASSIFICATION_SCORES.items():
            expected = score(Y, P, WEIGHT)
            assert score(Y, logits, WEIGHT) == pytest.approx(expected), name
            assert score(Y[:, None], logits, WEIGHT) == pytest.approx(expected), name

    def test_several_outputs(self):
        rng = np.random.default_rng(0)
        y, p = rng.normal(size=(2, 9, 3)) * [1, 10, 100]
        weight = np.arange(9) > 1
        each = [REGRESSION_SCORES["r2"](y[2:, k], p[2:, k]) for k in range(3)]
        assert REGRESSION_SCORES["r2"](y, p, weight) == pytest.approx(np.mean(each))
        expected = np.mean((y[2:] - p[2:]) ** 2) ** 0.5
        assert REGRESSION_SCORES["rmse"](y, p, weight) == pytest.approx(expected)

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="active and inactive"):
            CLASSIFICATION_SCORES["roc_auc"](np.ones(3), np.ones(3))
        with pytest.raises(ValueError, match=r"shapes \(6,\) and \(5,\)"):
            CLASSIFICATION_SCORES["roc_auc"](Y, P[:5])

    def test_can_be_pickled(self):
        for score in (*CLASSIFICATION_SCORES.values(), *REGRESSION_SCORES.values()):
            assert pickle.loads(pickle.dumps(score)) is score


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match=r'pip install "deepchem_meta\[molecules\]"'):
        REGRESSION_SCORES["r2"](Y, P)
