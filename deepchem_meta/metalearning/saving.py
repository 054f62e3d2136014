"""Algorithms from what `save` wrote."""

from __future__ import annotations

import os
from typing import Any

from deepchem_meta.engine.checkpoints import check_saved, read_settings
from deepchem_meta.metalearning._settings import make

__all__ = ["load"]


def load(path: str | os.PathLike, learner: Any, model_dir: str | os.PathLike | None = None) -> Any:
    """Return the algorithm that `MetaAlgorithm.save` wrote, over a learner.

    It has the class, the settings and the state of the one that was saved: what it learned, the
    optimizer's state, the count of meta-steps, the seed, and where its sampling stood. `fit` goes
    on as that one would have.

    Parameters
    ----------
    path : path
        A folder that `save` wrote.
    learner : MetaLearner
        A learner with the same variables: for a `KerasLearner` a model of the same architecture.
        Its variables get the saved values.
    model_dir : path, optional
        The new algorithm's folder for checkpoints; by default a temporary one.

    Returns
    -------
    MetaAlgorithm

    Raises
    ------
    ValueError
        If `path` is no such folder, the learner's variables do not fit, or the algorithm cannot be
        made anew: its class is in a module that is not imported, or an argument was an object that
        cannot be recorded. Construct it yourself and call its method `load` then.

    Examples
    --------
    >>> import tempfile
    >>> import keras
    >>> import deepchem_meta as dc
    >>> def learner():
    ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    ...     return dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks())
    >>> maml = dc.metalearning.MAML(learner(), learning_rate=0.02, meta_batch_size=4)
    >>> history = maml.fit(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     maml.save(f"{folder}/sines")
    ...     again = dc.metalearning.load(f"{folder}/sines", learner())
    >>> again.step, again.learning_rate
    (3, 0.02)
    """
    algorithm = make(read_settings(check_saved(path)), learner, model_dir)
    algorithm.load(path)
    return algorithm
