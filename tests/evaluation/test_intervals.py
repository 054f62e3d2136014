import numpy as np
import pytest
from scipy import stats

from deepchem_meta.evaluation import mean_and_interval


@pytest.mark.parametrize("n", range(2, 30))
def test_students_t_below_30(n):
    values = np.random.default_rng(n).normal(size=(n, 3))
    mean, half = mean_and_interval(values)
    np.testing.assert_allclose(mean, values.mean(0))
    t = stats.t.ppf(0.975, n - 1)
    np.testing.assert_allclose(half, t * values.std(0, ddof=1) / np.sqrt(n), rtol=3e-4)


def test_normal_from_30_on():
    values = np.random.default_rng(0).normal(size=600)
    _, half = mean_and_interval(values)
    assert half == pytest.approx(1.96 * values.std(ddof=1) / np.sqrt(600))


def test_one_value_has_no_interval():
    mean, half = mean_and_interval([[1.0, 2.0]])
    np.testing.assert_array_equal(mean, [1.0, 2.0])
    assert np.isnan(half).all()
