import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import deepchem_meta as dc

X = np.array([[1.0, 2.0], [0.5, -1.0], [-2.0, 0.3]], "float32")
Y = np.array([[1.0], [-2.0], [0.5]], "float32")
START = np.array([[0.2], [-0.4]], "float32")


class Plane:
    """One task: three points of a plane through the origin."""

    def sample(self, n, rng):
        batch = tuple(np.repeat(array[np.newaxis], n, axis=0) for array in (X, Y))
        return batch, batch


@pytest.fixture
def example(load_example):
    return load_example("custom_inner_rule")


@pytest.fixture
def learner():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([START])
    return dc.metalearning.KerasLearner(model, "mse", Plane())


def gradient(weights):
    """Return the gradient of the mean squared error, in float64."""
    x, y = X.astype("float64"), Y.astype("float64")
    return 2 / len(x) * x.T @ (x @ weights - y)


def adapted(maml, steps):
    return maml.adapt((X, Y), optimization_steps=steps).variables[0].numpy()


def test_steps_with_damped_momentum_are_those_computed_by_hand(example, learner):
    rule = example.DampedMomentum(momentum=0.5)
    maml = dc.metalearning.MAML(learner, learning_rate=0.4, inner_optimizer=rule)
    g1 = gradient(START)
    w1 = START - 0.4 * g1
    np.testing.assert_allclose(adapted(maml, 1), w1, rtol=1e-5)
    g2 = gradient(w1)
    same_sign = (g1 * g2 > 0).ravel().tolist()
    assert sorted(same_sign) == [False, True]  # one entry keeps its momentum, one loses it
    w2 = w1 - 0.4 * (g2 + np.where(g1 * g2 > 0, 0.5 * g1, 0))
    np.testing.assert_allclose(adapted(maml, 2), w2, rtol=1e-5)


def test_what_is_dropped_is_not_remembered(example):
    rule = example.DampedMomentum(momentum=0.5)
    slots = rule.start([tf.zeros(3)])
    directions = []
    for step, values in enumerate([[1.0, 1.0, 0.0], [2.0, -2.0, 1.0], [4.0, -4.0, 0.0]]):
        (direction,), slots = rule.direction([tf.constant(values)], slots, step)
        directions.append(direction.numpy().tolist())
    assert directions == [[1.0, 1.0, 0.0], [2.5, -2.0, 1.0], [5.25, -5.0, 0.0]]


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_the_rate_halves_from_step_to_step(example, learner, steps):
    maml = example.HalvingMAML(learner, learning_rate=0.2)
    weights = START
    for step in range(steps):
        weights = weights - 0.2 / 2**step * gradient(weights)
    np.testing.assert_allclose(adapted(maml, steps), weights, rtol=1e-5)


def test_a_learned_rate_halves_too(example, learner):
    rate = tf.Variable(0.2)
    maml = example.HalvingMAML(learner, learning_rate=rate)
    weights = START - 0.2 * gradient(START)
    weights = weights - 0.1 * gradient(weights)
    np.testing.assert_allclose(adapted(maml, 2), weights, rtol=1e-5)


def test_all_three_start_alike_and_are_scored_on_the_same_curves(
    example, capsys, monkeypatch, tmp_path
):
    tasks = dc.tasks.SinusoidTasks(shots=10)
    weights = [
        [v.numpy() for v in algorithm.learner.variables]
        for algorithm in example.make_algorithms(tasks, 0).values()
    ]
    for others in weights[1:]:
        for one, other in zip(weights[0], others, strict=True):
            np.testing.assert_array_equal(one, other)

    monkeypatch.setattr(example, "STEPS", (0, 2))
    path = tmp_path / "rules.png"
    example.main(["--steps", "2", "--test-tasks", "5", "--output", str(path)])
    assert path.stat().st_size > 10_000
    output = capsys.readouterr().out
    names = ["plain MAML", "damped momentum", "halving rate"]
    assert re.findall(r"^(.+)\n5 tasks, seed 1, ", output, re.MULTILINE) == names
    rows = re.findall(r"^ *(\d+) +(\S+) ± \S+$", output, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(example.STEPS) * 3
    losses = np.array([row[1] for row in rows], float).reshape(3, -1)
    assert np.all(np.isfinite(losses))
    rows = re.findall(r"^ *(damped momentum|halving rate) +(\S+) ± \S+$", output, re.MULTILINE)
    expected = losses[1:, -1] - losses[0, -1]
    np.testing.assert_allclose([float(row[1]) for row in rows], expected, atol=0.02)


def test_an_interval_needs_two_tasks(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--test-tasks", "1"])
    assert "--test-tasks must be at least 2" in capsys.readouterr().err
