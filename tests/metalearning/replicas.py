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


def results(name, strategy, jit_compile):
    """Return the weights, and what held-out tasks give; neither 5 tasks nor 7 are even shares."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        learner = keras_learner(name, "float64")
        clipped = keras.optimizers.SGD(0.01, clipnorm=0.05)
        scaled = keras.optimizers.LossScaleOptimizer(clipped, initial_scale=2.0**5)
        options = {"optimizer": scaled if name == "MAML" else clipped, "jit_compile": jit_compile}
        options["task_execution"] = "vectorized" if jit_compile else "looped"
        algorithm = MAKERS[name](learner, 0.05, 2, 5, seed=0, **options)
    algorithm.fit(4, validation=learner.tasks, validation_tasks=3)
    evaluation = algorithm.evaluate(learner.tasks, n_tasks=7, optimization_steps=2)
    scores = [evaluation.values[key] for key in sorted(evaluation.values)]
    return [*(variable.numpy() for variable in learner.variables), *scores]


def main():
    # One for all: the collectives of two would have the same keys.
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in sys.argv[1:]:
        for jit_compile in (False, True) if name == "MAML" else (False,):
            one = results(name, tf.distribute.get_strategy(), jit_compile)
            for a, b in zip(one, results(name, two, jit_compile), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=name)


if __name__ == "__main__":
    main()
