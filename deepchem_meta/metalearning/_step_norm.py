"""BatchNormalization with statistics, scales and offsets for each step of adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta.engine.learner_model import LearnerModel, as_variable
from deepchem_meta.metalearning._batch_norm import batch_norm_layers

__all__ = ["StepNorm"]


class StepNorm:
    """The variables of a model's layers of BatchNormalization, once for each step.

    Values of the learner's variables come and go as lists. After them such a list has the
    statistics of all steps, each of shape (steps, features).

    Parameters
    ----------
    learner : KerasLearner or None
        None, or a learner of another kind, has no such layers.
    steps : int
        For how many steps; later ones share the last one's.

    Attributes
    ----------
    places : dict of int to tf.Variable
        The variable of all steps for each place in the learner's variables.
    learned, statistics : list of tf.Variable
        Those that are meta-learned (scales and offsets), and the moving averages.
    """

    def __init__(self, learner: Any, steps: int):
        self._steps = steps
        known = None if learner is None else LearnerModel.of(learner)
        model = getattr(known and known.learner, "model", None)
        every = batch_norm_layers(model) if isinstance(model, keras.Model) else []
        layers = [layer for layer in every if layer.trainable]
        weights = {id(as_variable(weight)): weight for layer in layers for weight in layer.weights}
        variables = known.variables if layers else []
        self.places = {
            index: tf.Variable(
                tf.repeat(variable[tf.newaxis], steps, axis=0),
                trainable=weights[id(variable)].trainable,
                name=f"steps_{index}",
            )
            for index, variable in enumerate(variables)
            if id(variable) in weights
        }
        self.learned = [v for v in self.places.values() if v.trainable]
        self.statistics = [v for v in self.places.values() if not v.trainable]
        self._changing = [index for index, v in self.places.items() if not v.trainable]

    def values(self) -> list[tf.Tensor]:
        """Return the statistics of all steps."""
        return [tf.convert_to_tensor(v) for v in self.statistics]

    def without(self, adapts: Sequence[bool]) -> list[bool]:
        """Return `adapts` with False for these layers."""
        return [adapt and index not in self.places for index, adapt in enumerate(adapts)]

    def place(self, values: Sequence[tf.Tensor], step: int) -> list[tf.Tensor]:
        """Return values in which these layers have the variables of a step."""
        row = self._row(step)
        placed = list(values)
        for index, variable in self.places.items():
            placed[index] = tf.convert_to_tensor(variable)[row]
        first = len(values) - len(self._changing)
        for offset, index in enumerate(self._changing):
            placed[index] = values[first + offset][row]
        return placed

    def collect(
        self, after: Sequence[tf.Tensor], values: Sequence[tf.Tensor], step: int
    ) -> list[tf.Tensor]:
        """Return what a computation left, and after it the statistics with those of its step.

        Parameters
        ----------
        after : list of tf.Tensor
            The values of the learner's variables.
        values : list of tf.Tensor
            Those before, with the statistics of all steps.
        step : int
            The step.
        """
        statistics = [
            tf.tensor_scatter_nd_update(old, [[self._row(step)]], after[index][tf.newaxis])
            for index, old in zip(self._changing, values[len(after) :], strict=True)
        ]
        return [*after, *statistics]

    def restore(self, after: Sequence[tf.Tensor], before: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return values in which these layers have the variables of `before`."""
        return [before[i] if i in self.places else value for i, value in enumerate(after)]

    def _row(self, step):
        return min(max(step, 0), self._steps - 1)
