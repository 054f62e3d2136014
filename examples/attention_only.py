"""Adapt the attention weights of a model to each task, and leave its other weights as they are.

A task is a binding site. It recognises one direction in the space of a fragment's features, and a
molecule (here a set of fragments, drawn at random) has nearly the value of that fragment which lies
furthest in this direction. What a fragment is worth is the same for all sites; which one counts is
not. So the embedding and the readout can be shared, and a new site needs to change the attention
alone. MAML does so when it is told which layer adapts::

    maml = dc.metalearning.MAML(learner, adapt_variables=[model.get_layer("attention")])

A regular expression does the same for any model whose weights have names: ``"attention/"``, or
``"attention/(query|key)"`` for a part of them. All weights are meta-learned in either case::

    python attention_only.py

The script prints the mean squared error on molecules of new sites after 0 to 5 steps of adaptation,
and how far these moved the weights of each layer.
"""

import argparse

import keras
import numpy as np

import deepchem_meta as dc

STEPS = (0, 1, 3, 5)


class BindingSites:
    """Tasks: molecules of some fragments each, and what they are worth to a site.

    A fragment has three features and a value, all from the standard normal distribution.
    """

    def __init__(self, shots=20, queries=20, fragments=6, sharpness=3.0):
        self.shots = shots
        self.queries = queries
        self.fragments = fragments
        self.sharpness = sharpness  # with 0 all fragments count the same

    def sample(self, n, rng):
        """Return `n` tasks as (support, query), each x and y with the task as first axis."""
        direction = rng.normal(size=(n, 3, 1))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return self._molecules(direction, self.shots, rng), self._molecules(
            direction, self.queries, rng
        )

    def _molecules(self, direction, size, rng):
        x = rng.normal(size=(len(direction), size, self.fragments, 4))
        share = np.exp(self.sharpness * x[..., :3] @ direction[:, np.newaxis])
        share /= share.sum(axis=2, keepdims=True)
        y = (share * x[..., 3:]).sum(axis=2)
        return x.astype("float32"), y.astype("float32")


def make_model(fragments):
    """Return a net that embeds fragments, lets them attend to each other, and reads out a mean."""
    x = keras.Input((fragments, 4))
    embedded = keras.layers.Dense(32, "relu", name="embedding")(x)
    attention = keras.layers.MultiHeadAttention(num_heads=2, key_dim=16, name="attention")
    mean = keras.layers.GlobalAveragePooling1D()(attention(embedded, embedded))
    return keras.Model(x, keras.layers.Dense(1, name="readout")(mean))
