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

# The ways to run MAML; the other algorithms run in the first one.
WAYS = ({}, {"jit_compile": True}, {"global_clipnorm": 0.1}, {"two_dtypes": True})


def learner_of_two_dtypes():
    """Return a learner whose gradients are of two dtypes."""
    layers = [keras.layers.Dense(3, "tanh"), keras.layers.Dense(1, dtype="float64")]
    tasks = dc.tasks.SinusoidTasks(shots=3)
    return dc.metalearning.KerasLearner(keras.Sequential(layers), "mse", tasks)


def weights(name, strategy, jit_compile=False, two_dtypes=False, **clipping):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        learner = learner_of_two_dtypes() if two_dtypes else keras_learner(name, "float64")
        optimizer = keras.optimizers.SGD(0.01, **clipping)
        options = {"optimizer": optimizer, "jit_compile": jit_compile}
        options["task_execution"] = "vectorized" if jit_compile else "looped"
        algorithm = MAKERS[name](learner, 0.05, 2, 4, seed=0, **options)
    algorithm.fit(4)
    return [variable.numpy() for variable in learner.variables]


def main():
    # One for all: the collectives of two would have the same keys.
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in sys.argv[1:]:
        for way in WAYS if name == "MAML" else WAYS[:1]:
            one = weights(name, tf.distribute.get_strategy(), **way)
            for a, b in zip(one, weights(name, two, **way), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=name)


if __name__ == "__main__":
    main()
