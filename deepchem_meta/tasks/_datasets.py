"""Sources of tasks as a `tf.data.Dataset`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from deepchem_meta._checks import check_count
from deepchem_meta.tasks.padding import map_structure

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["AsDataset"]

_BLOCK = 32  # tasks drawn at once


class AsDataset:
    """Gives a source of tasks the method `to_dataset`."""

    def to_dataset(self, *, seed: int = 0) -> tf.data.Dataset:
        """Return the source's tasks as a dataset without end, for `map` and `prefetch`.

        Parameters
        ----------
        seed : int, default 0
            The same seed gives the same tasks in the same order.

        Returns
        -------
        tf.data.Dataset
            Its elements are ``(support, query)``, as `sample` gives them without the axis of the
            tasks. `KerasLearner` takes it in place of the source.
        """
        import tensorflow as tf

        seed = check_count("seed", seed)

        def draw(number: int) -> tuple:
            return self.sample(_BLOCK, np.random.default_rng([seed, number]))

        def blocks() -> Iterator[tuple]:
            return map(draw, itertools.count())

        spec = map_structure(_spec, draw(0))
        return tf.data.Dataset.from_generator(blocks, output_signature=spec).unbatch()


def _spec(array: Any) -> tf.TensorSpec:
    import tensorflow as tf

    return tf.TensorSpec(np.shape(array), tf.as_dtype(np.asarray(array).dtype))
