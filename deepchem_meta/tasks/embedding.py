"""Sources of tasks over the outputs of a frozen model, computed once."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count
from deepchem_meta.tasks.assays import AssayTasks
from deepchem_meta.tasks.classification import FewShotClassificationTasks
from deepchem_meta.tasks.grouped import GroupedTasks
from deepchem_meta.tasks.padding import flatten, map_structure

__all__ = ["embed"]


def embed(model: Any, tasks: Any, *, batch_size: int = 32) -> Any:
    """Return the tasks of a source over what a model gives for its examples.

    Each example goes through the model once, so that any algorithm trains a small network on the
    embeddings of a large one whose weights stay as they are.

    Parameters
    ----------
    model : keras.Model
        It gets the examples as the tasks have them and returns an array of shape (examples, ...).
        What they need before it, such as a scaling of pixels, belongs into the model.
    tasks : FewShotClassificationTasks, GroupedTasks or AssayTasks
        The source, whose settings the new one has.
    batch_size : int, default 32
        Examples that are computed at once.

    Returns
    -------
    FewShotClassificationTasks, GroupedTasks or AssayTasks
        In memory, with the model's dtype.

    Raises
    ------
    TypeError
        If `tasks` is another source, whose examples are not known beforehand. A dataset's elements
        can be mapped.
    ValueError
        If `tasks` have rotations, or the model gives no row for each example.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> import deepchem_meta as dc
    >>> pictures = np.random.default_rng(0).random((60, 8, 8, 1), np.float32)
    >>> tasks = dc.tasks.FewShotClassificationTasks(
    ...     pictures, np.repeat(np.arange(6), 10), queries=5
    ... )
    >>> backbone = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.GlobalMaxPooling2D()])
    >>> embedded = dc.tasks.embed(backbone, tasks)
    >>> embedded.x.shape
    (60, 1)
    """
    check_count("batch_size", batch_size, minimum=1)
    if not isinstance(tasks, (FewShotClassificationTasks, GroupedTasks, AssayTasks)):
        raise TypeError(
            "`tasks` must be a source whose examples are known: FewShotClassificationTasks, "
            "GroupedTasks or AssayTasks; `map` the elements of a dataset instead. "
            f"Received: {type(tasks).__name__}"
        )
    if getattr(tasks, "rotations", False):
        raise ValueError(
            "`tasks` must not have rotations, which turn pictures and not embeddings. "
            "Received: rotations=True"
        )
    scale = getattr(tasks, "_unit_range", False)
    features = _features(model, tasks.x, batch_size, scale)
    if isinstance(tasks, AssayTasks):
        return tasks.with_features(features)
    embedded = copy.copy(tasks)
    embedded.x = features
    if isinstance(tasks, FewShotClassificationTasks):
        embedded._unit_range = False
    return embedded


def _features(model: Any, x: Any, batch_size: int, scale: bool) -> np.ndarray:
    """Return the model's outputs for all examples."""
    examples = len(flatten(x)[0])
    parts = []
    for start in range(0, examples, batch_size):
        rows = slice(start, start + batch_size)
        batch = map_structure(lambda array, rows=rows: np.asarray(array[rows]), x)
        if scale:
            batch = batch.astype(np.float32) / np.float32(255)
        parts.append(np.asarray(model.predict_on_batch(batch)))
        wanted = min(batch_size, examples - start)
        if parts[-1].ndim < 2 or len(parts[-1]) != wanted:
            raise ValueError(
                "`model` must return a row for each example. "
                f"Received: shape {parts[-1].shape} for {wanted} examples"
            )
    return np.concatenate(parts)
