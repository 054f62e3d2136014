import math

import numpy as np

from deepchem_meta.tasks import HarmonicTasks


def test_formula():
    curves = {"amplitude1": 2.0, "amplitude2": 3.0, "phase1": 0.5, "phase2": 0.25, "frequency": 6.0}
    x = 0.7
    expected = 2 * math.sin(6 * x + 0.5) + 3 * math.sin(12 * x + 0.25)
    np.testing.assert_allclose(HarmonicTasks().evaluate(curves, np.array([[x]])), [[expected]])


def test_inputs_lie_round_a_centre_of_each_task():
    tasks = HarmonicTasks(200, center=(-4, 4), spread=0.5)
    curves = tasks.draw(500, np.random.default_rng(0))
    (x, _), _ = tasks.sample(500, np.random.default_rng(0))
    center = curves["center"]
    assert center.min() < -3.9 and center.max() > 3.9
    assert abs(x - center).mean() < 0.5
    np.testing.assert_allclose((x - center).std(), 0.5, rtol=0.01)
    np.testing.assert_allclose(x.mean(axis=1, keepdims=True), center, atol=0.2)


def test_distributions():
    curves = HarmonicTasks(amplitude=2.0).draw(20_000, np.random.default_rng(0))
    for name in ("amplitude1", "amplitude2"):
        np.testing.assert_allclose(curves[name].std(), 2.0, rtol=0.03)
        assert abs(curves[name].mean()) < 0.06
    assert curves["frequency"].min() >= 5.0 and curves["frequency"].max() <= 7.0
    assert curves["phase1"].min() >= 0.0 and curves["phase2"].max() <= 2 * np.float32(math.pi)
    assert not np.array_equal(curves["phase1"], curves["phase2"])
