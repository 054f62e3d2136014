import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, episodes

from deepchem_meta.metalearning import FineTuning, KerasLearner
from deepchem_meta.tasks import SinusoidTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}


def test_trains_on_all_data_without_adaptation():
    learner = Sine(dtype="float64")
    algorithm = FineTuning(learner, **PLAIN)
    support, query = episodes(learner, 3)
    result = algorithm.meta_gradient(support, query)
    with tf.GradientTape() as tape:
        losses = [
            learner.compute_model([array[task] for array in part], learner.variables, True)[0]
            for part in (support, query)
            for task in range(3)
        ]
        mean = tf.reduce_mean(losses)
    expected = tape.gradient(mean, learner.variables)
    for found, other in zip(result.gradients, expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-10)
    assert result.loss == pytest.approx(float(tf.reduce_mean(losses[3:])))


class Centers:
    """Quadratics of one support and query loss (v - c)^2 / 2."""

    def sample(self, n, rng):
        centers = rng.normal(size=(n, 3))
        matrices = np.repeat(np.eye(3)[np.newaxis], n, axis=0)
        return (matrices, centers), (matrices, centers)


def test_takes_the_best_rate():
    """One step at rate r leaves (1 - r)^2 of the loss."""
    algorithm = FineTuning(Quadratic(), (0.1, 0.9, 1.5), 1, **PLAIN)
    assert algorithm.learning_rate == 0.1
    assert algorithm.choose_rate(Centers()) == pytest.approx(0.9)
    assert algorithm.learning_rate == pytest.approx(0.9)
    assert FineTuning(Quadratic(), (1.95, 0.3), 1, **PLAIN).choose_rate(Centers()) == 0.3


def test_a_rate_that_diverges_is_not_taken():
    algorithm = FineTuning(Quadratic(), (1e30, 0.3), 10, **PLAIN)
    assert algorithm.choose_rate(Centers()) == pytest.approx(0.3)


def test_fit_chooses_the_rate_and_saves_it(tmp_path):
    def build():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        learner = KerasLearner(model, "mse", SinusoidTasks(5, 5))
        return FineTuning(learner, (9.0, 0.01), 5, model_dir=tmp_path, seed=0)

    algorithm = build()
    history = algorithm.fit(20, validation=SinusoidTasks(5, 5))
    assert "val_loss" in history.history
    assert algorithm.learning_rate == pytest.approx(0.01)
    other = build()
    assert other.learning_rate == pytest.approx(9.0)
    other.restore()
    assert other.learning_rate == pytest.approx(0.01)


@pytest.mark.parametrize("rates", [0.1, [], ["0.1"], [tf.Variable(0.1)]])
def test_bad_rates(rates):
    with pytest.raises((TypeError, ValueError), match="`learning_rates` must be"):
        FineTuning(Quadratic(), rates)
