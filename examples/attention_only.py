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
and how far these moved the weights of each layer. With matplotlib it draws the former.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import deepchem_meta as dc

STEPS = (0, 1, 2, 5)


class BindingSites:
    """Tasks: molecules of some fragments each, and what they are worth to a site.

    A fragment has three features and a value, all from the standard normal distribution.
    """

    def __init__(self, shots=16, queries=16, fragments=4, sharpness=3.0):
        self.shots = shots
        self.queries = queries
        self.fragments = fragments
        self.sharpness = sharpness  # with 0 all fragments count the same

    def sample(self, n, rng):
        """Return `n` tasks as (support, query), each x and y with the task as first axis."""
        direction = rng.normal(size=(n, 3, 1))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        support = self._molecules(direction, self.shots, rng)
        return support, self._molecules(direction, self.queries, rng)

    def _molecules(self, direction, size, rng):
        x = rng.normal(size=(len(direction), size, self.fragments, 4))
        share = np.exp(self.sharpness * x[..., :3] @ direction[:, np.newaxis])
        share /= share.sum(axis=2, keepdims=True)
        y = (share * x[..., 3:]).sum(axis=2)
        return x.astype("float32"), y.astype("float32")


def make_model(fragments):
    """Return a net that embeds fragments, lets them attend to each other, and reads out a mean."""
    x = keras.Input((fragments, 4))
    embedded = keras.layers.Dense(16, "relu", name="embedding")(x)
    attention = keras.layers.MultiHeadAttention(num_heads=2, key_dim=8, name="attention")
    mean = keras.layers.GlobalAveragePooling1D()(attention(embedded, embedded))
    return keras.Model(x, keras.layers.Dense(1, name="readout")(mean))


def make_maml(tasks, seed):
    """Return MAML whose inner loop changes the attention weights alone."""
    model = make_model(tasks.fragments)
    learner = dc.metalearning.KerasLearner(model, "mse", tasks)
    return dc.metalearning.MAML(
        learner,
        learning_rate=0.1,
        optimization_steps=2,
        meta_batch_size=8,
        optimizer=keras.optimizers.Adam(5e-3),
        adapt_variables=[model.get_layer("attention")],
        # Left to itself the layer's gradients, of shapes known at run time alone, would have the
        # tasks run one after the other, which takes longer here.
        task_execution="vectorized",
        seed=seed,
    )


def layer_changes(maml, support):
    """Return by how much adaptation to a support set moves each layer's weights, in norm."""
    model = maml.learner.model
    adapted = maml.adapt(support).variables
    after = {v.path: value for v, value in zip(maml.learner.variables, adapted, strict=True)}
    return {
        layer.name: np.sqrt(sum(np.sum((after[v.path] - v.numpy()) ** 2) for v in layer.weights))
        for layer in model.layers
        if layer.weights
    }


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="MAML that adapts attention weights alone.")
    parser.add_argument("--steps", type=int, default=800, help="meta-steps (%(default)s)")
    parser.add_argument("--test-tasks", type=int, default=300, help="new sites (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    parser.add_argument("--output", type=Path, default="attention_only.png", help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.test_tasks < 2:
        parser.error("--test-tasks must be at least 2, for an interval")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    keras.utils.set_random_seed(arguments.seed)
    tasks = BindingSites()
    maml = make_maml(tasks, arguments.seed)
    maml.fit(arguments.steps)
    found = maml.evaluate(tasks, n_tasks=arguments.test_tasks, optimization_steps=STEPS, seed=1)
    print(found)

    support, _ = tasks.sample(1, np.random.default_rng(2))
    print(f"\nHow far {maml.optimization_steps} steps on a new site move the weights of")
    for name, change in layer_changes(maml, [array[0] for array in support]).items():
        print(f"{name:>10}  {change:.3g}")
    try:
        panel = found.plot("loss", label="attention alone adapts")
    except ImportError:
        print('\nNo picture without matplotlib: pip install "deepchem_meta[plot]"')
    else:
        panel.set_title("Molecules of new binding sites")
        panel.figure.savefig(arguments.output, dpi=120)
        print(f"\nWrote {arguments.output}")


if __name__ == "__main__":
    main()
