"""What a model changes itself as it is computed, merged over the tasks of a meta-step."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from deepchem_meta.engine.optimizer import accumulation_dtype

__all__ = ["ModelState"]


class ModelState:
    """Variables that each task leaves at values of its own, and that can only have one.

    Those of a floating dtype (the moving averages of BatchNorm) get the mean over tasks. Integers
    (counters) grow by what all tasks together added.

    Parameters
    ----------
    variables : list of tf.Variable
        The variables.

    Raises
    ------
    TypeError
        If one of them has another dtype: there is no mean of several booleans.
    """

    def __init__(self, variables: Sequence[tf.Variable]):
        self._variables = list(variables)
        for variable in self._variables:
            if not (variable.dtype.is_floating or variable.dtype.is_integer):
                raise TypeError(
                    "What a model changes itself must be floating-point or integer. Received: "
                    f"{variable.name} of dtype {variable.dtype.name}"
                )

    def zeros(self) -> list[tf.Tensor]:
        """Return the sum over no tasks."""
        return [tf.zeros(v.shape, accumulation_dtype(v)) for v in self._variables]

    def summands(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return what is to be summed over tasks, for the values that one task leaves.

        Parameters
        ----------
        values : list of tf.Tensor
            One for each of the variables, of its shape and dtype.
        """
        return [
            tf.cast(value if v.dtype.is_floating else value - v, accumulation_dtype(v))
            for value, v in zip(values, self._variables, strict=True)
        ]

    def assign(self, sums: Sequence[tf.Tensor], tasks: int) -> None:
        """Give the variables their new values.

        Parameters
        ----------
        sums : list of tf.Tensor
            Of what `summands` returns.
        tasks : int
            Over how many tasks.
        """
        for variable, total in zip(self._variables, sums, strict=True):
            if variable.dtype.is_floating:
                variable.assign(tf.cast(total / tasks, variable.dtype))
            else:
                variable.assign_add(tf.cast(total, variable.dtype))
