"""What every algorithm must do, in one table; a test fails when an algorithm is not in it."""

import functools
import gc
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, Quadratic, Sine, episodes, values
from oracles import central_differences

import deepchem_meta as dc
from deepchem_meta import metalearning


def with_head(algorithm):
    """Give a learner that is not a KerasLearner the head of a network to adapt or to leave."""

    def make(learner, *args, **options):
        if not isinstance(learner, metalearning.KerasLearner):
            options["head"] = learner.variables[-1:]
        return algorithm(learner, *args, **options)

    return make


def fine_tuning(learner, rate, *args, **options):
    return metalearning.FineTuning(learner, (rate,), *args, **options)


def stepless(algorithm, **settings):
    """Leave out the rate and the steps of adaptation, which it does not have."""

    def make(learner, rate, steps, tasks, **options):
        return algorithm(learner, tasks, **settings, **options)

    return make


def make_learner(name, **options):
    return (Classes if name in OF_CLASSES else Sine)(**options)


MAKERS = {
    "MAML": metalearning.MAML,
    "ANIL": with_head(metalearning.ANIL),
    "BOIL": with_head(metalearning.BOIL),
    "MetaSGD": metalearning.MetaSGD,
    "ImplicitMAML": metalearning.ImplicitMAML,
    "Reptile": metalearning.Reptile,
    "MAMLPlusPlus": metalearning.MAMLPlusPlus,
    "FineTuning": fine_tuning,
    "ProtoNet": stepless(metalearning.ProtoNet, ways=3),
    "MatchingNet": stepless(metalearning.MatchingNet, ways=3),
    "RidgeRegressionHead": stepless(metalearning.RidgeRegressionHead),
    "GaussianProcessHead": stepless(metalearning.GaussianProcessHead),
    "ProtoMAML": functools.partial(metalearning.ProtoMAML, ways=3),
}
HEADS = ("ProtoNet", "MatchingNet", "RidgeRegressionHead", "GaussianProcessHead", "ProtoMAML")
OF_CLASSES = ("ProtoNet", "MatchingNet", "ProtoMAML")
BASES = {"MetaAlgorithm", "EmbeddingAlgorithm"}
# Whose meta-gradient is not that of the loss reported: each has oracles of its own.
OTHER_GRADIENTS = ("Reptile", "ImplicitMAML", "FineTuning")
OF_THE_LOSS = {"MAMLPlusPlus": {"multi_step_loss": False, "derivative_annealing": False}}
NO_CHOICE = (
    *("ANIL", "BOIL", "ProtoNet", "MatchingNet"),
    *("RidgeRegressionHead", "GaussianProcessHead"),
)
SUMMED = ("MAML", "ANIL", "BOIL")
# Plain `pytest` takes one of each kind through the tests that compile much.
KINDS = ("MAML", "MAMLPlusPlus", "Reptile", "ProtoNet", "ProtoMAML")
EACH_KIND = [
    name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in MAKERS
]
PLAIN = {"task_execution": "looped", "jit_compile": False}


def test_every_algorithm_is_in_the_table():
    exported = {
        name
        for name in metalearning.__all__
        if isinstance(getattr(metalearning, name), type)
        and issubclass(getattr(metalearning, name), metalearning.MetaAlgorithm)
    }
    assert exported == {*MAKERS, *BASES}


def with_unused(kind):
    """Return the class of learners that also list a variable they do not use, and an integer."""

    class WithUnused(kind):
        def __init__(self, **options):
            super().__init__(**options)
            self.unused = tf.Variable(tf.ones((2,), self.weights[0].dtype))
            self.count = tf.Variable(3, trainable=False)

        @property
        def variables(self):
            return [self.unused, self.count, *self.weights]

        def compute_model(self, inputs, variables, training):
            return super().compute_model(inputs, variables[-len(self.weights) :], training)

        def compute_embedding(self, inputs, variables, training):
            return super().compute_embedding(inputs, variables[-len(self.weights) :], training)

    return WithUnused


def make(name, learner, steps=2, tasks=3, **options):
    options = {"optimizer": keras.optimizers.SGD(0.01), **PLAIN, **options}
    return MAKERS[name](learner, 0.05, steps, tasks, **options)


def keras_learner(name, dtype="float32"):
    """Return a learner for a small Keras model with BatchNormalization."""
    layers = [
        keras.layers.Dense(4, "tanh", name="hidden", dtype=dtype),
        keras.layers.BatchNormalization(dtype=dtype),
    ]
    if name in OF_CLASSES:
        x, labels = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 6
        tasks = dc.tasks.FewShotClassificationTasks(x.astype("float32"), labels, ways=3, queries=2)
        model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax", dtype=dtype)])
        loss = "sparse_categorical_crossentropy"
    else:
        tasks = dc.tasks.SinusoidTasks(shots=3, queries=3)
        model, loss = keras.Sequential([*layers, keras.layers.Dense(1, dtype=dtype)]), "mse"
    return metalearning.KerasLearner(model, loss, tasks, embedding="hidden")


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fits_in_either_precision_and_leaves_the_unused_alone(name, dtype):
    learner = with_unused(Classes if name in OF_CLASSES else Sine)(dtype=dtype)
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
    learner = make_learner(name, dtype="float64")
    algorithm = make(name, learner, steps, tasks)
    support, query = episodes(learner, tasks)
    result = algorithm.meta_gradient(support, query)
    assert np.isfinite(result.loss)
    if steps == 0 and name not in HEADS:
        losses = [algorithm.predict_on_batch([a[task] for a in query])[0] for task in range(tasks)]
        assert result.loss == pytest.approx(float(np.mean(losses)))
    assert len(algorithm.fit(2).history["loss"]) == 1


@pytest.mark.parametrize("name", EACH_KIND)
def test_vectorised_looped_and_compiled_agree(name):
    found = []
    for execution, jit in (("looped", False), ("vectorized", False), ("vectorized", True)):
        learner = make_learner(name, dtype="float64")
        algorithm = make(name, learner, task_execution=execution, jit_compile=jit)
        result = algorithm.meta_gradient(*episodes(learner, 3))
        found.append([result.loss, *(g for g in result.gradients if g is not None)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", EACH_KIND)
def test_evaluate_is_adapt_and_predict(name):
    class Source:
        def sample(self, n, rng):
            learner = make_learner(name, seed=4)
            return episodes(learner, n)

    learner = make_learner(name)
    algorithm = make(name, learner)
    found = algorithm.evaluate(Source(), n_tasks=2, optimization_steps=(3, 0, 1, 14))
    support, query = Source().sample(2, None)
    for task in range(2):
        for column, steps in enumerate(found.optimization_steps):
            adapted = algorithm.adapt([a[task] for a in support], steps)
            loss, _ = adapted.predict_on_batch([a[task] for a in query])
            np.testing.assert_allclose(found.loss[task, column], loss, rtol=1e-5)


@pytest.mark.parametrize("name", EACH_KIND)
def test_resumed_is_uninterrupted(name, tmp_path):
    def build(folder, seed):
        keras.utils.set_random_seed(0)
        options = {"optimizer": keras.optimizers.Adam(0.01), "model_dir": folder, "seed": seed}
        return make(name, keras_learner(name), **options)

    whole = build(tmp_path / "whole", 1)
    whole.fit(9)
    build(tmp_path / "parts", 1).fit(4)
    parts = build(tmp_path / "parts", 2)
    parts.fit(5, restore=True)
    for a, b in zip(values(whole.learner), values(parts.learner), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MAKERS)
def test_ragged_batches(name):
    class Ragged(Classes if name in OF_CLASSES else Sine):
        def get_batch(self):
            self.points = int(self.rng.integers(3, 7))
            return super().get_batch()

    learner = Ragged()
    algorithm = make(name, learner)
    assert np.isfinite(algorithm.fit(5).history["loss"]).all()


@pytest.mark.parametrize("name", EACH_KIND)
def test_nothing_is_traced_again(name, monkeypatch):
    learner = make_learner(name) if name in ("ANIL", "BOIL", *HEADS) else Quadratic()
    algorithm = make(name, learner)
    algorithm.fit(7)
    monkeypatch.setattr(learner, "compute_model", None)
    monkeypatch.setattr(learner, "compute_embedding", None, raising=False)
    algorithm.fit(7)


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in OTHER_GRADIENTS])
@pytest.mark.parametrize("part", [False, True])
def test_meta_gradient_by_central_differences(name, part):
    """With all variables adapting that the algorithm adapts, and with a part of them."""
    learner = make_learner(name, dtype="float64", hidden=3)
    options = OF_THE_LOSS.get(name, {})
    if part and name in NO_CHOICE:
        pytest.skip("has no choice of what adapts")
    if part:
        options = {**options, "adapt_variables": learner.variables[1:3]}
    algorithm = make(name, learner, **options)
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    expected = central_differences(
        lambda: algorithm.meta_gradient(support, query).loss, result.variables
    )
    tasks = 2 if name in SUMMED else 1  # the loss is a mean over tasks in any case
    for found, other in zip(result.gradients, expected, strict=True):
        found = np.zeros_like(other) if found is None else found
        np.testing.assert_allclose(found, tasks * other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", EACH_KIND)
def test_on_one_batch_the_current_task_is_adapted_to_as_any(name):
    learner = make_learner(name, dtype="float64")
    learner.select_task()
    batch = learner.get_batch()
    learner.get_batch = lambda: batch
    algorithm = make(name, learner)
    adapted = algorithm.adapt(batch, 3)
    expected = adapted.predict_on_batch(batch)
    algorithm.train_on_current_task(3, restore=False)
    for a, b in zip(learner.variables, adapted.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert float(algorithm.predict_on_batch(batch)[0]) == pytest.approx(float(expected[0]))


@pytest.mark.parametrize("name", EACH_KIND)
def test_adapts_to_the_current_task_and_predicts(name):
    learner = make_learner(name)
    algorithm = make(name, learner)
    algorithm.fit(2)
    learner.select_task()
    algorithm.train_on_current_task(2)
    loss, outputs = algorithm.predict_on_batch(learner.get_batch())
    assert np.isfinite(loss)
    assert np.shape(tf.nest.flatten(outputs)[0])[0] == learner.points


@pytest.mark.parametrize("name", EACH_KIND)
def test_a_meta_batch_in_parts_gives_the_same(name):
    found = []
    for size in (None, 2):
        learner = make_learner(name, dtype="float64")
        options = {"task_execution": "vectorized", "task_batch_size": size}
        algorithm = make(name, learner, **options)
        result = algorithm.meta_gradient(*episodes(learner, 5))
        found.append([result.loss, *(g for g in result.gradients if g is not None)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
def test_two_replicas_are_one():
    """All of them in one process, which has two logical CPUs."""
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, [here, here.parent, here.parents[1]]))
    finished = subprocess.run(
        [sys.executable, str(here / "replicas.py"), *MAKERS],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("name", MAKERS)
def test_another_algorithm_is_another_class_in_the_place_of_maml(name):
    """With the arguments of README.md's example: without the rate, or with a list of rates."""
    kind, learner = getattr(metalearning, name), keras_learner(name)
    heads = ("ProtoNet", "MatchingNet", "RidgeRegressionHead", "GaussianProcessHead")
    rate = {"FineTuning": ([0.01],), **dict.fromkeys(heads, ())}
    options = {"meta_batch_size": 25, "optimizer": keras.optimizers.Adam(3e-3), "seed": 0}
    assert kind(learner, *rate.get(name, (0.01,)), **options).meta_batch_size == 25
    if rate.get(name) == ():
        with pytest.raises(TypeError, match="`meta_batch_size`"):
            kind(learner, 0.01)


@pytest.mark.parametrize("name", EACH_KIND)
def test_no_graph_stays_of_an_algorithm_that_is_gone(name):
    """TensorFlow registers gradients for good, and with them would stay all that they refer to."""
    graph = type(tf.function(lambda: tf.zeros(())).get_concrete_function().graph)

    def graphs():
        for _ in range(3):  # what finalizers let go of needs another pass
            gc.collect()
        return sum(isinstance(one, graph) for one in gc.get_objects())

    def use():
        learner = keras_learner(name)
        algorithm = make(name, learner, optimizer=keras.optimizers.Adam(0.01))
        algorithm.fit(2)
        algorithm.evaluate(learner.tasks, n_tasks=4, optimization_steps=[1])
        support, query = learner.tasks.sample(1, np.random.default_rng(0))
        algorithm.adapt([part[0] for part in support]).predict(query[0][0])

    before = graphs()
    use()
    assert graphs() <= before
