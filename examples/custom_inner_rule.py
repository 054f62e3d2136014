"""Write an inner rule, and a MAML with another inner rate, in a few lines each.

What MAML does in a step of adaptation is open at two places: an `InnerOptimizer` says in which
direction the values move, and the method `inner_rate` how far. Here are one of each, beside plain
MAML on the same new sine curves::

    python custom_inner_rule.py

The script prints the mean squared error after 0 to 5 steps of adaptation, and by how much each
variant differs from plain MAML on the same curves.
"""

import argparse

import keras
import tensorflow as tf

import deepchem_meta as dc

STEPS = (0, 1, 2, 5)


class DampedMomentum(dc.metalearning.inner_optimizers.InnerOptimizer):
    """Momentum that an entry loses when its gradient changes sign, as after a step too far."""

    def __init__(self, momentum=0.5):
        self.momentum = momentum

    def start(self, values):
        return [tf.zeros_like(value) for value in values]

    def direction(self, gradients, slots, step):
        velocity = []
        for v, g in zip(slots, gradients, strict=True):
            kept = tf.where(v * g > 0, v, tf.zeros_like(v))
            velocity.append(self.momentum * kept + g)
        return velocity, velocity  # the direction, and what the next step remembers


class HalvingMAML(dc.metalearning.MAML):
    """MAML whose inner rate halves from step to step."""

    def inner_rate(self, numbers, step, index):
        rate = super().inner_rate(numbers, step, index)
        return rate * 0.5 ** tf.cast(step, rate.dtype)


def make_learner(tasks, seed):
    """Return a small net on sine curves, with the same first weights for the same seed."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(40, "relu"), keras.layers.Dense(40, "relu")]
    model = keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])
    return dc.metalearning.KerasLearner(model, "mse", tasks)
