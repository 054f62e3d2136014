import numpy as np
import pytest

from deepchem_meta.tasks import DoseResponseTasks


@pytest.mark.parametrize("hill", [0.5, 1.0, -1.5])
def test_formula(hill):
    curves = {"bottom": 0.1, "top": 0.9, "log_ec50": -6.5, "hill": hill}
    x = np.linspace(-9, -4, 11)[:, None]
    expected = 0.1 + 0.8 / (1 + 10 ** (hill * (-6.5 - x)))
    np.testing.assert_allclose(DoseResponseTasks().evaluate(curves, x), expected, rtol=1e-12)


def test_far_from_the_ec50_there_is_no_overflow():
    curves = {"bottom": np.float32(0.1), "top": np.float32(0.9), "log_ec50": -6.0, "hill": 50.0}
    y = DoseResponseTasks().evaluate(curves, np.float32([[-100.0], [100.0]]))
    np.testing.assert_allclose(y, [[0.1], [0.9]], rtol=1e-6)


def test_ranges():
    tasks = DoseResponseTasks(30, top=(-1.0, -0.5), log_ec50=(-7, -6), noise=0)
    curves = tasks.draw(1000, np.random.default_rng(0))
    assert curves["log_ec50"].min() >= -7 and curves["log_ec50"].max() <= -6
    assert curves["top"].min() >= -1 and curves["top"].max() <= -0.5
    (x, y), _ = tasks.sample(1000, np.random.default_rng(0))
    assert x.min() >= -9 and x.max() <= -4
    assert y.min() >= -1 and y.max() <= 0.1  # between bottom and top
