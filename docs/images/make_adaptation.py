"""Draws `adaptation.svg`, the figure of the home page and of README.md.

It takes half a minute::

    python docs/images/make_adaptation.py
"""

from pathlib import Path

import keras
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import deepchem_meta as dc


def main():
    """Train, and draw."""
    mpl.rcParams["svg.hashsalt"] = "adaptation"  # so that the file is the same each time
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(40, "relu"), keras.layers.Dense(40, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    tasks = dc.tasks.SinusoidTasks(shots=5)
    learner = dc.metalearning.KerasLearner(model, "mse", tasks)
    adam = keras.optimizers.Adam(3e-3)
    maml = dc.metalearning.MAML(learner, 0.01, meta_batch_size=25, optimizer=adam, seed=0)
    maml.fit(20_000)
    found = maml.evaluate(tasks, n_tasks=600, optimization_steps=(0, 1, 2, 5, 10))

    figure = Figure((8, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    (x, y), _ = tasks.sample(1, np.random.default_rng(3))
    dc.plotting.plot_regression(maml, (x[0], y[0]), optimization_steps=(0, 1, 10), ax=left)
    left.set_title("One new curve, known at five points")
    found.plot("loss", ax=right)
    right.set_title("Error on 600 new curves")
    path = Path(__file__).with_name("adaptation.svg")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
