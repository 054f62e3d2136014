"""The outputs of a Keras model by name, and what is given for each: losses, targets, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import describe, same_places, structure_of

__all__ = ["ModelOutputs", "shapes_of"]


class ModelOutputs:
    """The outputs of a model, in the order of `tf.nest.flatten`, which sorts a dict's keys.

    What is given for each output is paired with it as Keras pairs it: by place where both are
    lists or tuples, by key where both are dicts, and by the outputs' names where a model with a
    list of outputs gets a dict. Keras pairs a list with the outputs of a dict in the order of
    their sorted keys; that is refused here, since few know of it.

    Parameters
    ----------
    outputs : nested structure of tf.Tensor
        The model's outputs for some batch.
    names : list of str, optional
        What the model calls its outputs, as ``keras.Model.output_names`` has it.

    Attributes
    ----------
    count : int
        How many outputs there are.
    names : list of str or None
        The name of each output; of a dict its keys.
    """

    def __init__(self, outputs: Any, names: Sequence[str] | None = None):
        self._structure = structure_of(outputs)
        self._shapes = shapes_of(outputs)
        self.count = len(tf.nest.flatten(outputs))
        self._is_dict = isinstance(outputs, dict)
        self._is_list = isinstance(outputs, (list, tuple))
        flat = self._is_dict and len(outputs) == self.count
        if flat:
            names = sorted(outputs)
        elif names is None or len(names) != self.count:
            names = [None] * self.count
        self.names: list[str | None] = list(names)

    def losses(self, losses: Any) -> list:
        """Return the loss of each output, None for an output without one.

        Parameters
        ----------
        losses : list, tuple or dict, or anything else
            Anything else is the loss of every output.

        Raises
        ------
        ValueError
            If their structure is not that of the outputs, or all are None.
        """
        found = self._by_output(losses, some=self._is_dict)
        if found is None or all(loss is None for loss in found):
            raise ValueError(
                "`loss` must be one loss, or a list or dict of losses as the model's outputs are, "
                f"not all of them None. Received: {losses!r} for outputs {self}"
            )
        return found

    def numbers(self, name: str, values: Any) -> list[float]:
        """Return a number for each output, 1 where none is given.

        Raises
        ------
        TypeError, ValueError
            If their structure is not that of the outputs, or one is no finite number.
        """
        if values is None:
            return [1.0] * self.count
        found = self._by_output(values, some=True)
        if found is None:
            raise ValueError(
                f"`{name}` must be one number, or a list or dict of numbers as the model's outputs "
                f"are. Received: {name}={values!r} for outputs {self}"
            )
        found = [1.0 if number is None else number for number in found]
        if not all(isinstance(number, (int, float)) and np.isfinite(number) for number in found):
            raise TypeError(f"`{name}` must be finite numbers. Received: {name}={values!r}")
        return [float(number) for number in found]

    def metrics(self, metrics: Any) -> list[list]:
        """Return a list of metrics for each output.

        Parameters
        ----------
        metrics : list, tuple or dict
            Of a model with one output a list of metrics. Of several outputs a list with an entry
            for each, or a dict by their names with entries for some. An entry is a metric, a list
            of metrics or None.

        Raises
        ------
        TypeError
            If it is no list, tuple or dict.
        ValueError
            If its structure is not that of the outputs.
        """
        if not isinstance(metrics, (list, tuple, dict)):
            raise TypeError(
                f"`metrics` must be a list, or a dict by output. Received: metrics={metrics!r}"
            )
        if not metrics:
            return [[] for _ in range(self.count)]
        if self.count == 1 and not isinstance(metrics, dict):
            return [tf.nest.flatten(list(metrics))]
        found = self._by_output(metrics, some=isinstance(metrics, dict))
        if found is None:
            raise ValueError(
                "`metrics` of a model with several outputs must be a list with an entry for each, "
                f"or a dict by their names. Received: {metrics!r} for outputs {self}"
            )
        return [
            [] if one is None else list(one) if isinstance(one, (list, tuple)) else [one]
            for one in found
        ]

    def targets(self, y: Any, losses: Sequence[Any]) -> list[int | None]:
        """Say which of the targets belongs to each output.

        Parameters
        ----------
        y : nested structure of arrays
            The targets.
        losses : list
            What `losses` returned: an output without a loss needs no target.

        Returns
        -------
        list of int or None
            For each output the place of its target in ``tf.nest.flatten(y)``.

        Raises
        ------
        ValueError
            If Keras would not know, or would go by the order of sorted keys.
        """
        given = structure_of(y)
        count = len(tf.nest.flatten(y))
        if same_places(given, self._structure) or (self.count == count == 1 and given is None):
            return list(range(count))
        places = self._places_by_name(given)
        wanted = [index for index, loss in enumerate(losses) if loss is not None]
        if places is not None and set(wanted) <= {i for i, p in enumerate(places) if p is not None}:
            return places
        in_order = isinstance(given, (list, tuple)) and all(part is None for part in given)
        if in_order and self._is_list and count in (self.count, len(wanted)):
            order = range(self.count) if count == self.count else wanted
            place = dict(zip(order, range(count), strict=True))
            return [place.get(index) for index in range(self.count)]
        raise ValueError(
            "y must be as the model's outputs are: a list for a list, a dict for a dict, or a dict "
            "by the names of the outputs; an output without a loss may lack a target. Received: y "
            f"of shapes {shapes_of(y)} for outputs {self}"
        )

    def _by_output(self, given: Any, some: bool) -> list | None:
        """Return what is given for each output, or None where the structure does not fit.

        `some` allows a dict that has not all of the outputs.
        """
        if isinstance(given, dict):
            keys = set(given)
            if not (keys <= set(self.names) if some else keys == set(self.names)):
                return None
            return [given.get(name) for name in self.names]
        if isinstance(given, (list, tuple)):
            fits = len(given) == self.count and self._is_list
            return list(given) if fits else None
        return [given] * self.count

    def _places_by_name(self, given: Any) -> list[int | None] | None:
        """Return the places of targets given as a dict by the outputs' names, None otherwise."""
        named = isinstance(given, dict) and set(given) <= set(self.names)
        if not named or any(part is not None for part in given.values()):
            return None
        place = {name: index for index, name in enumerate(sorted(given))}
        return [place.get(name) for name in self.names]

    def __str__(self) -> str:
        if self._is_list and None not in self.names:
            return f"{self.names} of shapes {self._shapes}"
        return f"{describe(self._structure)} of shapes {self._shapes}"


def shapes_of(structure: Any) -> Any:
    """Return the shapes of a structure's arrays, in the same structure."""
    return tf.nest.map_structure(lambda array: tuple(np.shape(array)), structure)
