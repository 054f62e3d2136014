"""Keras' augmentation layers act in meta-training and in nothing else."""

import keras
import numpy as np
from keras import layers

import deepchem_meta as dc

RNG = np.random.default_rng(0)
PICTURES = RNG.random((24, 6, 6, 1)).astype("float32")
LABELS = np.repeat(np.arange(4), 6)
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
PLAIN = {"meta_batch_size": 2, "task_execution": "looped", "jit_compile": False}


def maml(*augmentation):
    keras.utils.set_random_seed(0)
    rest = [layers.Flatten(), layers.Dense(2, kernel_initializer=keras.initializers.Ones())]
    rest[1].kernel_initializer = keras.initializers.RandomNormal(seed=1)
    model = keras.Sequential([keras.Input((6, 6, 1)), *augmentation, *rest])
    tasks = dc.tasks.FewShotClassificationTasks(PICTURES, LABELS, ways=2, shots=2, queries=3)
    learner = dc.metalearning.KerasLearner(model, LOGITS, tasks)
    optimizer = keras.optimizers.SGD(0.1)
    return dc.metalearning.MAML(learner, 0.1, 2, optimizer=optimizer, seed=0, **PLAIN)


def augmentation():
    return [layers.RandomFlip(), layers.RandomTranslation(0.3, 0.3)]


def test_adaptation_evaluation_and_prediction_are_without_it():
    plain, augmented = maml(), maml(*augmentation())
    tasks = plain.learner.tasks
    for one, other in zip(
        plain.learner.model.trainable_variables,
        augmented.learner.model.trainable_variables,
        strict=True,
    ):
        other.assign(one)
    (x, y), query = ([array[0] for array in part] for part in tasks.sample(1, RNG))
    np.testing.assert_allclose(
        augmented.adapt((x, y)).predict(query[0]), plain.adapt((x, y)).predict(query[0]), rtol=1e-6
    )
    found, wanted = (
        one.evaluate(tasks, n_tasks=5, optimization_steps=2) for one in (augmented, plain)
    )
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=1e-5)


def test_training_is_with_it_and_draws_anew():
    def losses(*layers):
        algorithm = maml(*layers)
        algorithm.optimizer.learning_rate = 0.0
        support, query = (
            [np.repeat(array, 2, axis=0) for array in part]
            for part in algorithm.learner.tasks.sample(1, np.random.default_rng(0))
        )
        return [algorithm.train_on_batch(support, query)["loss"] for _ in range(3)]

    assert len(set(losses())) == 1
    assert len(set(losses(*augmentation()))) == 3
