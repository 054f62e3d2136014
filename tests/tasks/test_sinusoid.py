import math

import numpy as np

from deepchem_meta.tasks import SinusoidTasks


def test_formula():
    tasks = SinusoidTasks()
    curves = {"amplitude": 2.0, "phase": math.pi / 2}
    x = np.array([[0.0], [math.pi / 2], [math.pi]])
    np.testing.assert_allclose(tasks.evaluate(curves, x), [[2.0], [0.0], [-2.0]], atol=1e-15)


def test_ranges_are_those_of_the_paper():
    tasks = SinusoidTasks(50)
    curves = tasks.draw(20_000, np.random.default_rng(0))
    (x, _), _ = tasks.sample(400, np.random.default_rng(0))
    for values, low, high in [
        (curves["amplitude"], 0.1, 5.0),
        (curves["phase"], 0.0, math.pi),
        (x, -5.0, 5.0),
    ]:
        assert low <= values.min() and values.max() <= np.float32(high)
        # The mean and the variance of a uniform density.
        assert abs(values.mean() - (low + high) / 2) < 0.02 * (high - low)
        assert abs(values.var() / ((high - low) ** 2 / 12) - 1) < 0.03


def test_fixed_parameters():
    tasks = SinusoidTasks(amplitude=(2, 2), phase=(0, 0))
    (x, y), _ = tasks.sample(3, np.random.default_rng(0))
    np.testing.assert_allclose(y, 2 * np.sin(x), rtol=1e-6)
