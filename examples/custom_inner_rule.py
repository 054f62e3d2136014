"""Write an inner rule, and a MAML with another inner rate, in a few lines each.

What MAML does in a step of adaptation is open at two places: an `InnerOptimizer` says in which
direction the values move, and the method `inner_rate` how far. Here are one of each, beside plain
MAML on the same new sine curves::

    python custom_inner_rule.py

The script prints the mean squared error after 0 to 5 steps of adaptation, and by how much each
variant differs from plain MAML on the same curves. All three have the same rate, tuned for none, so
the table shows how a rule is written and compared, not which is best.
"""

import argparse
from pathlib import Path

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


def make_algorithms(tasks, seed):
    """Return plain MAML and the two variants by name, all from the same first weights."""
    maml = dc.metalearning.MAML
    variants = {
        "plain MAML": (maml, {}),
        "damped momentum": (maml, {"inner_optimizer": DampedMomentum()}),
        "halving rate": (HalvingMAML, {}),
    }
    algorithms = {}
    for name, (variant, options) in variants.items():
        algorithms[name] = variant(
            make_learner(tasks, seed),
            learning_rate=0.01,
            optimization_steps=2,
            optimizer=keras.optimizers.Adam(2e-3),
            seed=seed,
            **options,
        )
    return algorithms


def draw_picture(evaluations, path):
    """Draw the error of each rule over the steps of adaptation."""
    panel = None
    for name, evaluation in evaluations.items():
        panel = evaluation.plot("loss", ax=panel, label=name)
    panel.set_title("Mean squared error on new sine curves")
    panel.figure.savefig(path, dpi=120)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="Inner rules of one's own, beside plain MAML.")
    parser.add_argument("--steps", type=int, default=1000, help="meta-steps (%(default)s)")
    parser.add_argument("--test-tasks", type=int, default=300, help="new curves (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    parser.add_argument("--output", type=Path, default="custom_inner_rule.png", help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.test_tasks < 2:
        parser.error("--test-tasks must be at least 2, for an interval")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    tasks = dc.tasks.SinusoidTasks(shots=10)
    evaluations = {}
    for name, algorithm in make_algorithms(tasks, arguments.seed).items():
        algorithm.fit(arguments.steps)
        # The same seed draws the same curves for all three.
        evaluations[name] = algorithm.evaluate(
            tasks, n_tasks=arguments.test_tasks, optimization_steps=STEPS, seed=1
        )
        print(f"\n{name}\n{evaluations[name]}")

    try:
        draw_picture(evaluations, arguments.output)
    except ImportError:
        print('\nNo picture without matplotlib: pip install "deepchem_meta[plot]"')
    else:
        print(f"\nWrote {arguments.output}")

    plain = evaluations.pop("plain MAML")
    print(f"\nDifference from plain MAML after {STEPS[-1]} steps, curve by curve")
    for name, evaluation in evaluations.items():
        difference = evaluation.loss[:, -1:] - plain.loss[:, -1:]
        mean, half = dc.evaluation.mean_and_interval(difference)
        print(f"{name:>16}  {mean[0]:+.3f} ± {half[0]:.3f}")


if __name__ == "__main__":
    main()
