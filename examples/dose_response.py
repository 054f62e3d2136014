"""Predict a whole dose-response curve from a few measured concentrations, with a Keras model.

A task is a compound: a sigmoid curve of its own EC50, slope and plateaus, measured with noise at a
few concentrations. The compounds are simulated. MAML learns what such curves look like, from many
compounds, and predicts the responses of a new one at other concentrations::

    python dose_response.py --measured 5

The script prints the root mean squared error on new compounds before and after adaptation,
and draws three of them. The picture needs matplotlib (``pip install "deepchem_meta[plot]"``).
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import deepchem_meta as dc

STEPS = (0, 1, 5, 10)


def make_model():
    """Return a small net over the logarithm of the concentration in mol/L, -9 to -4."""
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Rescaling(1 / 1.5, offset=6.5 / 1.5),  # to about -1.7 to 1.7
            keras.layers.Dense(64, "tanh"),
            keras.layers.Dense(64, "tanh"),
            keras.layers.Dense(1),
        ]
    )


def draw_picture(maml, evaluation, tasks, path):
    """Draw the curves of three new compounds, and the error over steps of adaptation."""
    from matplotlib.figure import Figure

    from deepchem_meta import plotting

    # A generator in the same state draws the same compounds.
    curves = tasks.draw(3, np.random.default_rng(1))
    (x, y), _ = tasks.sample(3, np.random.default_rng(1))
    grid = np.linspace(*tasks.log_concentration, 200)
    figure = Figure(figsize=(12, 9), layout="constrained")
    *panels, last = figure.subplots(2, 2).flat
    for i, ax in enumerate(panels):
        curve = {name: values[i] for name, values in curves.items()}
        plotting.plot_regression(
            maml,
            (x[i], y[i]),
            optimization_steps=(0, 1, maml.optimization_steps),
            x=grid,
            truth=lambda points, curve=curve: tasks.evaluate(curve, points),
            ax=ax,
        )
        ax.set(
            title=f"new compound {i + 1}",
            xlabel=r"$\log_{10}$ concentration (mol/L)",
            ylabel="response (fraction of control)",
            ylim=(-0.3, 1.3),
        )
    plotting.plot_adaptation({"MAML": evaluation}, "rmse", ax=last)
    last.axhline(tasks.noise, color="black", linestyle=":", label="noise of a measurement")
    last.set(ylabel="error on new compounds\n(fraction of control)", ylim=(0, None))
    last.legend(title=last.get_legend().get_title().get_text())
    figure.savefig(path, dpi=120)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="MAML on dose-response curves.")
    add = parser.add_argument
    add("--measured", type=int, default=5, help="concentrations of a compound (%(default)s)")
    add("--steps", type=int, default=5000, help="meta-steps (%(default)s)")
    add("--inner-steps", type=int, default=5, help="of adaptation (%(default)s)")
    add("--test-tasks", type=int, default=600, help="new compounds (%(default)s)")
    add("--seed", type=int, default=0, help="%(default)s")
    add("--output", type=Path, default="dose_response.png", help="%(default)s")
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    keras.utils.set_random_seed(arguments.seed)  # of the first weights
    tasks = dc.tasks.DoseResponseTasks(shots=arguments.measured)
    rmse = keras.metrics.RootMeanSquaredError(name="rmse")
    learner = dc.metalearning.KerasLearner(make_model(), "mse", tasks, metrics=[rmse])
    maml = dc.metalearning.MAML(
        learner,
        learning_rate=0.1,
        optimization_steps=arguments.inner_steps,
        meta_batch_size=25,
        optimizer=keras.optimizers.Adam(1e-3),
        seed=arguments.seed,
    )
    maml.fit(arguments.steps)
    evaluation = maml.evaluate(tasks, n_tasks=arguments.test_tasks, optimization_steps=STEPS)
    print(
        f"\nResponses (fractions of the control's) of new compounds, {arguments.measured} "
        f"concentrations measured with noise {tasks.noise}\n{evaluation}"
    )
    try:
        draw_picture(maml, evaluation, tasks, arguments.output)
    except ModuleNotFoundError:
        print('\nNo picture without matplotlib: pip install "deepchem_meta[plot]"')
    else:
        print(f"\nWrote {arguments.output}")


if __name__ == "__main__":
    main()
