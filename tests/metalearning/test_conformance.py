"""What every algorithm must do, in one table; a test fails when an algorithm is not in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, episodes, values

import deepchem_meta as dc
from deepchem_meta import metalearning


def anil(learner, *args, **options):
    return metalearning.ANIL(learner, *args, head=learner.variables[-1:], **options)


def boil(learner, *args, **options):
    return metalearning.BOIL(learner, *args, head=learner.variables[-1:], **options)


MAKERS = {
    "MAML": metalearning.MAML,
    "ANIL": anil,
    "BOIL": boil,
    "MetaSGD": metalearning.MetaSGD,
    "ImplicitMAML": metalearning.ImplicitMAML,
    "Reptile": metalearning.Reptile,
}
PLAIN = {"task_execution": "looped", "jit_compile": False}


def test_every_algorithm_is_in_the_table():
    exported = {
        name
        for name in metalearning.__all__
        if isinstance(getattr(metalearning, name), type)
        and issubclass(getattr(metalearning, name), metalearning.MetaAlgorithm)
    }
    assert exported == {*MAKERS, "MetaAlgorithm"}


class WithUnused(Sine):
    """A `Sine` that lists a variable it does not use, and an integer."""

    def __init__(self, **options):
        super().__init__(**options)
        self.unused = tf.Variable(tf.ones((2,), self.weights[0].dtype))
        self.count = tf.Variable(3, trainable=False)

    @property
    def variables(self):
        return [self.unused, self.count, *self.weights]

    def compute_model(self, inputs, variables, training):
        return super().compute_model(inputs, variables[2:], training)


def make(name, learner, steps=2, tasks=3, **options):
    options = {"optimizer": keras.optimizers.SGD(0.01), **PLAIN, **options}
    return MAKERS[name](learner, 0.05, steps, tasks, **options)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fits_in_either_precision_and_leaves_the_unused_alone(name, dtype):
    learner = WithUnused(dtype=dtype)
    start = values(learner)
    history = make(name, learner).fit(3).history
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_array_equal(learner.unused, start[0])
    assert int(learner.count) == 3
    moved = [not np.array_equal(a, b) for a, b in zip(start[2:], values(learner)[2:], strict=True)]
    assert any(moved)
    assert all(np.isfinite(v).all() for v in values(learner))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("steps", "tasks"), [(0, 2), (1, 1)])
def test_no_steps_and_one_task(name, steps, tasks):
    learner = Sine(dtype="float64")
    algorithm = make(name, learner, steps, tasks)
    support, query = episodes(learner, tasks)
    result = algorithm.meta_gradient(support, query)
    assert np.isfinite(result.loss)
    if steps == 0:
        losses = [algorithm.predict_on_batch([a[task] for a in query])[0] for task in range(tasks)]
        assert result.loss == pytest.approx(float(np.mean(losses)))
    assert len(algorithm.fit(2).history["loss"]) == 1


@pytest.mark.parametrize("name", MAKERS)
def test_vectorised_looped_and_compiled_agree(name):
    found = []
    for execution, jit in (("looped", False), ("vectorized", False), ("vectorized", True)):
        learner = Sine(dtype="float64")
        algorithm = make(name, learner, task_execution=execution, jit_compile=jit)
        result = algorithm.meta_gradient(*episodes(learner, 3))
        found.append([result.loss, *(g for g in result.gradients if g is not None)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MAKERS)
def test_evaluate_is_adapt_and_predict(name):
    class Source:
        def sample(self, n, rng):
            learner = Sine(seed=4)
            return episodes(learner, n)

    learner = Sine()
    algorithm = make(name, learner)
    found = algorithm.evaluate(Source(), n_tasks=2, optimization_steps=(0, 3)).loss
    support, query = Source().sample(2, None)
    for task in range(2):
        for column, steps in enumerate((0, 3)):
            adapted = algorithm.adapt([a[task] for a in support], steps)
            loss, _ = adapted.predict_on_batch([a[task] for a in query])
            np.testing.assert_allclose(found[task, column], loss, rtol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_resumed_is_uninterrupted(name, tmp_path):
    def build(folder, seed):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        tasks = dc.tasks.SinusoidTasks(shots=3, queries=3)
        learner = metalearning.KerasLearner(model, "mse", tasks)
        adam = keras.optimizers.Adam(0.01)
        options = {"optimizer": adam, "model_dir": folder, "seed": seed}
        return make(name, learner, **options)

    whole = build(tmp_path / "whole", 1)
    whole.fit(9)
    build(tmp_path / "parts", 1).fit(4)
    parts = build(tmp_path / "parts", 2)
    parts.fit(5, restore=True)
    for a, b in zip(values(whole.learner), values(parts.learner), strict=True):
        np.testing.assert_array_equal(a, b)


class Ragged(Sine):
    """Every batch has another number of points."""

    def get_batch(self):
        self.points = int(self.rng.integers(2, 6))
        return super().get_batch()


@pytest.mark.parametrize("name", MAKERS)
def test_ragged_batches(name):
    learner = Ragged()
    algorithm = make(name, learner)
    assert np.isfinite(algorithm.fit(5).history["loss"]).all()


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_traced_again(name, monkeypatch):
    learner = Quadratic()
    if name in ("ANIL", "BOIL"):
        learner = Sine()
    algorithm = make(name, learner)
    algorithm.fit(7)
    monkeypatch.setattr(learner, "compute_model", None)
    algorithm.fit(7)
