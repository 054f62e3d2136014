"""Every source as a dataset."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import deepchem_meta as dc

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3)).astype("float32")
SOURCES = {
    "sines": dc.tasks.SinusoidTasks(shots=4),
    "doses": dc.tasks.DoseResponseTasks(),
    "classes": dc.tasks.FewShotClassificationTasks(X, np.repeat(np.arange(9), 10), queries=3),
    "assays": dc.tasks.AssayTasks(X, (X > 0).astype(float), shots=3, queries="rest"),
    "groups": dc.tasks.GroupedTasks(
        {"a": X, "b": X[:, :1]},
        X[:, 0],
        np.repeat(list("vwxyz"), [10, 20, 30, 15, 15]),
        shots=3,
        queries="rest",
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_its_elements_are_the_sources_tasks(name):
    source = SOURCES[name]
    dataset = source.to_dataset(seed=5)
    found = list(dataset.take(34).as_numpy_iterator())
    for number, size in ((0, 32), (1, 2)):
        wanted = source.sample(32, np.random.default_rng([5, number]))
        for task in range(size):
            mine = tf.nest.flatten(found[32 * number + task])
            its = [array[task] for array in tf.nest.flatten(wanted)]
            for a, b in zip(mine, its, strict=True):
                np.testing.assert_array_equal(a, b)
    again = next(dataset.as_numpy_iterator())
    np.testing.assert_array_equal(tf.nest.flatten(again)[0], tf.nest.flatten(found[0])[0])
    assert dataset.element_spec[0][1].shape == found[0][0][1].shape


def test_augmented_in_a_map_and_trained_on():
    def augment(support, query):
        x, y = support
        return (x + 0.01 * tf.random.stateless_normal(tf.shape(x), (0, 1)), y), query

    dataset = SOURCES["classes"].to_dataset().map(augment).prefetch(2)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = dc.metalearning.KerasLearner(model, loss, dataset)
    maml = dc.metalearning.MAML(learner, 0.1, meta_batch_size=2, jit_compile=False)
    maml.fit(2)
    assert maml.step == 2


def test_bad_seed():
    with pytest.raises(ValueError, match="`seed` must be at least 0"):
        SOURCES["sines"].to_dataset(seed=-1)
