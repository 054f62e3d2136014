"""Learn sine curves from a few points with a Keras model, and compare with plain training.

The setting is that of the paper on MAML (Finn et al. 2017): a task is a sine curve of its own
amplitude and phase, known at K points. Beside MAML stands the paper's baseline, the same net
trained on the points of all curves together, which is adapted to a new curve by as many steps of
gradient descent, at the best of three rates. As all curves have different values at a point, it
learns little more than their mean::

    python sinusoid_keras.py --shots 5

The script prints the mean squared error on new curves after 0, 1, 5 and 10 steps, and draws it
beside one of these curves. The picture needs matplotlib (``pip install "deepchem_meta[plot]"``).
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import deepchem_meta as dc

STEPS = (0, 1, 5, 10)
RATES = (0.01, 0.003, 0.001)  # of adaptation; the paper's is the first
BATCH = 250  # points of a step of plain training: 25 tasks of 10


def make_model():
    """Return the net of the paper, with two hidden layers of 40 units."""
    layers = [keras.layers.Dense(40, "relu"), keras.layers.Dense(40, "relu")]
    return keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])


def make_maml(model, tasks, seed):
    """Return MAML on a model, in the paper's setting."""
    learner = dc.metalearning.KerasLearner(model, "mse", tasks)
    return dc.metalearning.MAML(
        learner,
        learning_rate=RATES[0],
        meta_batch_size=25,
        optimizer=keras.optimizers.Adam(1e-3),
        seed=seed,
    )


def train_on_pooled_points(model, tasks, steps, seed):
    """Train a model in the usual way, on points of as many curves as MAML sees."""
    (x, y), _ = tasks.sample(25 * steps, np.random.default_rng(seed))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.fit(x.reshape(-1, 1), y.reshape(-1, 1), batch_size=BATCH, verbose=0)


def choose_rate(algorithm, tasks):
    """Give an algorithm that of `RATES` which leads to the smallest error on some curves.

    These are others than those of the table.
    """
    errors = {}
    for rate in RATES:
        algorithm.learning_rate = rate
        evaluation = algorithm.evaluate(tasks, n_tasks=100, optimization_steps=STEPS[-1:], seed=1)
        errors[rate] = np.nan_to_num(evaluation.loss.mean(), nan=np.inf)  # it may diverge
    algorithm.learning_rate = min(errors, key=errors.get)


def draw_picture(algorithms, evaluations, tasks, path):
    """Draw one new curve with MAML's predictions, and the error over steps of adaptation."""
    from matplotlib.figure import Figure

    from deepchem_meta import plotting

    # A generator in the same state draws the same curve.
    curve = tasks.draw(1, np.random.default_rng(1))
    (x, y), _ = tasks.sample(1, np.random.default_rng(1))
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    *panels, right = figure.subplots(1, 3)
    for ax, (name, algorithm) in zip(panels, algorithms.items(), strict=True):
        plotting.plot_regression(
            algorithm,
            (x[0], y[0]),
            x=np.linspace(-5, 5, 200),
            truth=lambda grid: tasks.evaluate(curve, grid)[0],
            ax=ax,
        )
        ax.set(title=name, xlabel="x (radians)", ylim=(-6, 6))
    plotting.plot_adaptation(evaluations, ax=right)
    right.set(ylabel="mean squared error on new curves", ylim=(0, None))
    figure.savefig(path, dpi=120)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="MAML on sine curves, with a Keras model.")
    parser.add_argument("--shots", type=int, default=10, help="points of a curve (%(default)s)")
    parser.add_argument("--steps", type=int, default=10000, help="meta-steps (%(default)s)")
    parser.add_argument("--test-tasks", type=int, default=600, help="new curves (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    parser.add_argument("--output", type=Path, default="sinusoid_keras.png", help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    keras.utils.set_random_seed(arguments.seed)
    tasks = dc.tasks.SinusoidTasks(shots=arguments.shots)
    maml = make_maml(make_model(), tasks, arguments.seed)
    maml.fit(arguments.steps)

    plain = make_model()
    pooled = dc.tasks.SinusoidTasks(shots=10)
    train_on_pooled_points(plain, pooled, arguments.steps, arguments.seed)
    baseline = make_maml(plain, tasks, arguments.seed)  # it only adapts
    choose_rate(baseline, tasks)
    algorithms = {"MAML": maml, "trained on all curves": baseline}
    evaluations = {
        name: algorithm.evaluate(tasks, n_tasks=arguments.test_tasks, optimization_steps=STEPS)
        for name, algorithm in algorithms.items()
    }
    for name, evaluation in evaluations.items():
        rate = algorithms[name].learning_rate
        print(f"\n{name}, {arguments.shots} points of each new curve, rate {rate}\n{evaluation}")
    try:
        draw_picture(algorithms, evaluations, tasks, arguments.output)
    except ModuleNotFoundError:
        print('\nNo picture without matplotlib: pip install "deepchem_meta[plot]"')
    else:
        print(f"\nWrote {arguments.output}")


if __name__ == "__main__":
    main()
