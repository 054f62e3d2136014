import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, episodes

from deepchem_meta.metalearning import FineTuning, KerasLearner
from deepchem_meta.tasks import AssayTasks, SinusoidTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}


@pytest.mark.parametrize("together", [False, True])
def test_trains_on_all_data_without_adaptation(together):
    """Task by task, or by one gradient of the sum over tasks."""
    learner = Sine(dtype="float64")
    algorithm = FineTuning(learner, **({"jit_compile": False} if together else PLAIN))
    support, query = episodes(learner, 3)
    result = algorithm.meta_gradient(support, query)
    assert algorithm.execution_plan.together is together
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


def test_a_rate_chosen_by_another_metric():
    """A metric that is no loss or error by its name is best where it is largest."""

    def distance(y_true, y_pred):
        return tf.abs(y_true - y_pred)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(1)])
    learner = KerasLearner(model, "mse", SinusoidTasks(5, 5), metrics=[distance])
    algorithm = FineTuning(learner, (0.001, 1.0), 3, **PLAIN)  # at 1.0 the steps diverge
    assert algorithm.choose_rate(learner.tasks, 50) == pytest.approx(0.001)
    assert algorithm.choose_rate(learner.tasks, 50, metric="distance") == pytest.approx(1.0)
    with pytest.raises(ValueError, match="`metric` must be one of"):
        algorithm.choose_rate(learner.tasks, 5, metric="auc")
    assert algorithm.learning_rate == pytest.approx(1.0)
    assert algorithm.validate(learner.tasks, 50).n_tasks == 50
    assert algorithm.learning_rate == pytest.approx(0.001)  # by the loss, before any `fit`


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


def test_the_best_checkpoint_has_the_rate_that_made_it_the_best():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    learner = KerasLearner(model, "mse", SinusoidTasks(5, 5))
    algorithm = FineTuning(learner, (9.0, 0.01), 5, seed=0, **PLAIN)
    validation = SinusoidTasks(5, 5)
    options = {"validation": validation, "steps_per_epoch": 4, "save_best": "val_loss"}
    history = algorithm.fit(8, **options).history
    algorithm.learning_rate = 9.0
    algorithm.restore(best=True)
    assert algorithm.learning_rate == pytest.approx(0.01)
    found = algorithm.evaluate(validation, n_tasks=100, optimization_steps=(5,))
    assert min(history["val_loss"]) == pytest.approx(found.mean["loss"][0], rel=1e-5)


def test_a_body_trained_on_all_assays_at_once_by_keras():
    """The recipe of the documentation: a head for each assay, then a new one for each task."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype("float32")
    y = (np.abs(x[:, :2]) @ rng.uniform(0.5, 1, (2, 10)) > 1.2).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    train, test = AssayTasks(x, y, shots=10).split(test=2)
    keras.utils.set_random_seed(0)
    body = keras.layers.Dense(32, "relu")
    heads = [keras.layers.Dense(len(train.names)), keras.layers.Reshape((-1, 1))]
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    results = train.y[..., np.newaxis]
    known = keras.Sequential([body, *heads])
    known.compile(keras.optimizers.Adam(0.01), loss)
    learned = {}
    for epochs in (0, 30):
        known.fit(
            x, np.nan_to_num(results), sample_weight=~np.isnan(train.y), epochs=epochs, verbose=0
        )
        model = keras.Sequential([body, keras.layers.Dense(1, kernel_initializer="zeros")])
        tuning = FineTuning(KerasLearner(model, loss, train), (0.03, 0.3), 10, **PLAIN)
        tuning.choose_rate(train, n_tasks=16)
        found = tuning.evaluate(test, n_tasks=20, optimization_steps=(10,))
        learned[epochs] = found.mean["roc_auc"][0]
    assert learned[30] > learned[0] + 0.1


@pytest.mark.parametrize("rates", [0.1, [], ["0.1"], [tf.Variable(0.1)]])
def test_bad_rates(rates):
    with pytest.raises((TypeError, ValueError), match="`learning_rates` must be"):
        FineTuning(Quadratic(), rates)
