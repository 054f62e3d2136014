"""Learn sine curves from ten points, as in the paper on MAML (Finn et al. 2017).

Each task is a sine curve of its own amplitude and phase. MAML looks for weights of a small net
from which a step of gradient descent on ten points of a curve leads to the whole curve. The script
prints the error on new curves before and after some steps of adaptation, and draws three of them::

    python sine_regression.py --output sine_regression.png

The picture needs matplotlib (``pip install "deepchem_meta[plot]"``); the table does not.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import deepchem_meta as dc

GRID = np.linspace(-5.0, 5.0, 200, dtype="float32")[:, np.newaxis]
TABLE_STEPS = (0, 1, 5, 10)
PICTURE_STEPS = (0, 1, 10)


class SineLearner(dc.metalearning.MetaLearner):
    """Sine curves, and a net with two hidden layers of 40 units to fit them."""

    def __init__(self, rng, shots=10):
        self.rng = rng
        self.shots = shots
        self.weights = []
        for inputs, outputs in [(1, 40), (40, 40), (40, 1)]:
            scale = np.sqrt(2.0 / (inputs + outputs))  # Glorot and Bengio 2010
            kernel = rng.normal(scale=scale, size=(inputs, outputs)).astype("float32")
            self.weights += [tf.Variable(kernel), tf.Variable(tf.zeros(outputs))]

    @property
    def variables(self):
        return self.weights

    def compute_model(self, inputs, variables, training):
        x, y = inputs
        w1, b1, w2, b2, w3, b3 = variables
        hidden = tf.nn.relu(x @ w1 + b1)
        hidden = tf.nn.relu(hidden @ w2 + b2)
        prediction = hidden @ w3 + b3
        return tf.reduce_mean((prediction - y) ** 2), [prediction]

    def select_task(self):
        self.amplitude = self.rng.uniform(0.1, 5.0)
        self.phase = self.rng.uniform(0.0, np.pi)

    def get_batch(self):
        x = self.rng.uniform(-5.0, 5.0, (self.shots, 1)).astype("float32")
        return [x, self.curve(x)]

    def curve(self, x):
        """Return the selected task's true values at `x`."""
        return (self.amplitude * np.sin(x + self.phase)).astype("float32")


def draw_tasks(learner, n):
    """Return `n` new tasks, each a pair of its ten points and its whole curve."""
    tasks = []
    for _ in range(n):
        learner.select_task()
        tasks.append((learner.get_batch(), [GRID, learner.curve(GRID)]))
    return tasks


def label(steps):
    """Name a number of adaptation steps."""
    if steps == 0:
        return "not adapted"
    return f"after {steps} step{'s' if steps > 1 else ''}"


def print_table(maml, tasks):
    """Print the mean squared error over whole curves after some numbers of steps."""
    print(f"\nMean squared error on {len(tasks)} new curves (mean and 95% interval over curves)")
    for steps in TABLE_STEPS:
        errors = [
            float(maml.adapt(support, optimization_steps=steps).predict_on_batch(query)[0])
            for support, query in tasks
        ]
        interval = 1.96 * np.std(errors, ddof=1) / np.sqrt(len(errors))
        print(f"{label(steps):>16}  {np.mean(errors):7.3f} ± {interval:.3f}")


def draw_picture(maml, tasks, path):
    """Draw for each task the true curve, its ten points and the predictions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(tasks), 4), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (support, query) in zip(panels, tasks, strict=True):
        panel.plot(*query, color="black", label="true curve")
        panel.plot(*support, "o", color="black", label="points adapted to")
        for steps, style in zip(PICTURE_STEPS, (":", "--", "-"), strict=True):
            (prediction,) = maml.adapt(support, optimization_steps=steps).predict(query)
            panel.plot(GRID, prediction, style, label=f"net, {label(steps)}")
        panel.set_xlabel("x")
    panels[0].set_ylabel("y")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=120)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="MAML on sine curves.")
    parser.add_argument("--steps", type=int, default=5000, help="meta-steps (%(default)s)")
    parser.add_argument("--test-tasks", type=int, default=100, help="new curves (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    parser.add_argument("--output", type=Path, default="sine_regression.png", help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.test_tasks < 3:
        parser.error("--test-tasks must be at least 3, since the picture shows as many")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    learner = SineLearner(np.random.default_rng(arguments.seed))
    # Drawn before the training, so that they do not depend on it.
    tasks = draw_tasks(learner, arguments.test_tasks)
    maml = dc.metalearning.MAML(
        learner,
        learning_rate=0.01,
        optimization_steps=1,
        meta_batch_size=25,
        optimizer=keras.optimizers.Adam(3e-3),
    )
    maml.fit(arguments.steps)
    print_table(maml, tasks)
    try:
        draw_picture(maml, tasks[:3], arguments.output)
    except ModuleNotFoundError:
        print('\nNo picture without matplotlib: pip install "deepchem_meta[plot]"')
    else:
        print(f"\nWrote {arguments.output}")


if __name__ == "__main__":
    main()
