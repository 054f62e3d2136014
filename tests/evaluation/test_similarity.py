import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel

from deepchem_meta.evaluation import (
    EstimatorBaseline,
    SimilarityClassifier,
    SimilarityRegressor,
    TanimotoKernel,
)
from deepchem_meta.evaluation._tanimoto import tanimoto

RNG = np.random.default_rng(0)
BITS = (RNG.random((150, 40)) < 0.2).astype("float64")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_kernel_serves_scikit_learns_processes():
    kernel = TanimotoKernel()
    values, gradient = kernel(BITS[:20], eval_gradient=True)
    assert gradient.shape == (20, 20, 0) and not kernel.is_stationary()
    np.testing.assert_allclose(kernel.diag(BITS[:20]), np.diag(values))
    assert np.linalg.eigvalsh(values).min() > -1e-12
    y = BITS[:20, 0] + 0.1 * RNG.normal(size=20)
    process = GaussianProcessRegressor(kernel, alpha=0.3).fit(BITS[:20], y)
    expected = kernel(BITS[20:25], BITS[:20]) @ np.linalg.solve(values + 0.3 * np.eye(20), y)
    np.testing.assert_allclose(process.predict(BITS[20:25]), expected, rtol=1e-10)
    learned = ConstantKernel() * kernel + WhiteKernel(0.1)
    GaussianProcessRegressor(learned).fit(BITS[:20], y)
    baseline = EstimatorBaseline(GaussianProcessClassifier(ConstantKernel() * kernel))
    adapted = baseline.adapt((BITS[:20], np.arange(20) % 2))
    assert adapted.predict(BITS[:3]).shape == (3, 2)


def test_similarity_weighs_known_results():
    x, labels, values = BITS[:10], np.arange(10) % 2, RNG.normal(size=10)
    weights = tanimoto(BITS[10:14], x) ** 2
    classifier = SimilarityClassifier(power=2).fit(x, np.where(labels, "yes", "no"))
    share = (weights * labels).sum(1) / weights.sum(1)
    np.testing.assert_allclose(classifier.predict_proba(BITS[10:14])[:, 1], share, rtol=1e-6)
    assert classifier.predict(BITS[10:14]).tolist() == np.where(share > 0.5, "yes", "no").tolist()
    regressor = SimilarityRegressor(power=2).fit(x, values)
    expected = (weights * values).sum(1) / weights.sum(1)
    np.testing.assert_allclose(regressor.predict(BITS[10:14]), expected, rtol=1e-5)
    strange = np.zeros((1, 40))
    assert regressor.predict(strange) == pytest.approx(values.mean())


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="Negative values"):
        SimilarityRegressor().fit(-BITS[:4], np.arange(4))
    with pytest.raises(ValueError, match="`power`"):
        SimilarityClassifier(power=0).fit(BITS[:4], [0, 1, 0, 1])
