"""The kernels of `GaussianProcessHead`, against scikit-learn's and this package's for it."""

import numpy as np
import pytest

from deepchem_meta.evaluation import TanimotoKernel
from deepchem_meta.metalearning._kernels import KernelValues, kernel_diagonal, kernel_values

kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
SIZE, LENGTH = 6, 0.7


def ours(names, a, b, amplitudes):
    """Return the kernels between the rows of two arrays."""
    squares = (a**2).sum(axis=1)[:, None], (b**2).sum(axis=1)[None]
    values = KernelValues(noise=0.1, amplitudes=amplitudes, length_scale=LENGTH)
    return np.asarray(kernel_values(names, values, a @ b.T, squares, SIZE))


def theirs(name):
    """Return a kernel of scikit-learn's."""
    return {
        "linear": kernels.DotProduct(sigma_0=0.0),
        "rbf": kernels.RBF(LENGTH * np.sqrt(SIZE)),
        "tanimoto": TanimotoKernel(),
    }[name]


@pytest.mark.parametrize("names", [["linear"], ["rbf"], ["tanimoto"], ["rbf", "tanimoto"]])
def test_a_sum_of_kernels(names):
    rng = np.random.default_rng(0)
    # Of 0 and 1 the Tanimoto kernel of embeddings is that of counts.
    a, b = (rng.integers(0, 2, (count, SIZE)).astype("float64") for count in (5, 3))
    amplitudes = [0.5, 2.0][: len(names)]
    expected = sum(
        amplitude * theirs(name)(a, b) / (SIZE if name == "linear" else 1)
        for name, amplitude in zip(names, amplitudes, strict=True)
    )
    np.testing.assert_allclose(ours(names, a, b, amplitudes), expected, rtol=1e-12, atol=1e-12)
    values = KernelValues(0.1, amplitudes, LENGTH)
    diagonal = kernel_diagonal(names, values, (a**2).sum(axis=1), SIZE)
    np.testing.assert_allclose(diagonal, np.diag(ours(names, a, a, amplitudes)), rtol=1e-12)


def test_examples_without_features_are_alike():
    nothing, something = np.zeros((1, SIZE)), np.ones((1, SIZE))
    assert ours(["tanimoto"], nothing, nothing, [1.0]) == 1.0
    assert ours(["tanimoto"], nothing, something, [1.0]) == 0.0
