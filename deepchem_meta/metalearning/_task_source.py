"""What a source of tasks must give."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader

__all__ = ["check_episodes", "first_support"]


def check_episodes(episodes: Any) -> tuple:
    """Return what a source of tasks gives, with sample weights in both sets if in either.

    Parameters
    ----------
    episodes : tuple
        ``(support, query)``.

    Raises
    ------
    TypeError, ValueError
        If they are not as `KerasLearner` describes.
    """
    rule = (
        "A source of tasks must give (support, query), each (x, y) or (x, y, sample_weight) whose "
        "arrays have the task as first axis and the example as second. Received: "
    )
    if not isinstance(episodes, (tuple, list)) or len(episodes) != 2:
        raise TypeError(f"{rule}{type(episodes).__name__}")
    batches = []
    for name, batch in zip(("support", "query"), episodes, strict=True):
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(f"{rule}{type(batch).__name__} as {name}")
        leaves = tf.nest.flatten(batch)
        shapes = [np.shape(leaf) for leaf in leaves]
        if len({shape[:2] for shape in shapes}) != 1 or len(shapes[0]) < 2:
            raise ValueError(f"{rule}{name} of shapes {shapes}")
        if len(batch) == 3 and len(np.shape(batch[2])) != 2:
            raise ValueError(
                "Sample weights must have the shape (task, example). "
                f"Received: {name} with weights of shape {np.shape(batch[2])}"
            )
        batches.append(tuple(batch))
    if len({len(batch) for batch in batches}) == 1:
        return tuple(batches)
    return tuple(
        batch
        if len(batch) == 3
        else (*batch, np.ones(np.shape(tf.nest.flatten(batch)[0])[:2], "float32"))
        for batch in batches
    )


def first_support(tasks: Any) -> tuple:
    """Return the support batch of some task of a source, as NumPy arrays."""
    peek = getattr(tasks, "peek", None)
    if peek:
        episodes = tf.nest.map_structure(lambda array: np.asarray(array)[np.newaxis], peek())
    else:
        episodes = tasks.sample(1, np.random.default_rng(0))
    support, _ = check_episodes(episodes)
    reader = BatchReader(np.float32)
    arrays = reader.read(tf.nest.map_structure(lambda array: array[0], support), "`tasks`")
    return reader.pack(arrays)
