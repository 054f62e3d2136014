"""Trains an algorithm on one and on two logical CPUs, and compares the weights.

TensorFlow can only be given logical devices before it is used, so the test runs this as a process
of its own: ``python replicas.py NAME ...``
"""

import sys

import keras
import numpy as np
import tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from test_conformance import MAKERS, keras_learner  # noqa: E402

import deepchem_meta as dc  # noqa: E402

FIRST = {"clipnorm": 0.05}
# Besides the first way, in which all algorithms run.
WAYS = {
    "MAML": (
        {"jit_compile": True, "task_execution": "vectorized"},
        {"global_clipnorm": 0.1},
        {"two_dtypes": True},
        {"loss_scale": 2.0**5},
    ),
    "ProtoNet": ({"task_execution": "auto"},),  # all tasks of a replica together
}


def learner_of_two_dtypes():
    """Return a learner whose gradients are of two dtypes."""
    layers = [keras.layers.Dense(3, "tanh"), keras.layers.Dense(1, dtype="float64")]
    tasks = dc.tasks.SinusoidTasks(shots=3)
    return dc.metalearning.KerasLearner(keras.Sequential(layers), "mse", tasks)


def results(name, strategy, two_dtypes=False, loss_scale=None, **options):
    """Return the weights, and what held-out tasks give; neither 5 tasks nor 7 are even shares."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        learner = learner_of_two_dtypes() if two_dtypes else keras_learner(name, "float64")
        clipping = {key: options.pop(key) for key in [*options] if key.endswith("clipnorm")}
        optimizer = keras.optimizers.SGD(0.01, **clipping)
        if loss_scale:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=loss_scale)
        options = {"jit_compile": False, "task_execution": "looped", **options}
        options["optimizer"] = optimizer
        algorithm = MAKERS[name](learner, 0.05, 2, 5, seed=0, **options)
    algorithm.fit(4, validation=learner.tasks, validation_tasks=3)
    evaluation = algorithm.evaluate(learner.tasks, n_tasks=7, optimization_steps=2)
    return [*(v.numpy() for v in learner.variables), evaluation.loss]


def main():
    # One for all: the collectives of two would have the same keys.
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in sys.argv[1:]:
        for way in (FIRST, *WAYS.get(name, ())):
            one = results(name, tf.distribute.get_strategy(), **way)
            for a, b in zip(one, results(name, two, **way), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=name)


if __name__ == "__main__":
    main()
