"""What adaptation to one task gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

__all__ = ["Adapted"]


class Adapted(NamedTuple):
    """What adaptation to one task gives, and what prediction starts from.

    Attributes
    ----------
    params : list of tf.Tensor
        A value for each of the learner's variables.
    extra : list of tf.Tensor
        Whatever else prediction needs: prototypes, a solved head. Nothing by default.
    """

    params: Sequence[tf.Tensor]
    extra: Sequence[tf.Tensor] = ()

    @classmethod
    def of(cls, given: Any, count: int, method: str = "adapt_task") -> Adapted:
        """Return what a method gave as a record of two lists.

        Parameters
        ----------
        given : Adapted, or list of tf.Tensor
            A list has the values alone.
        count : int
            How many variables the learner has.
        method : str, default "adapt_task"
            What gave it, for messages.

        Raises
        ------
        TypeError
            If it is anything else, or has another number of values.
        """
        record = given if isinstance(given, cls) else cls(given) if _is_list(given) else None
        if record is None or not _is_list(record.params) or len(record.params) != count:
            what = f"{type(given).__name__}"
            if record is not None and _is_list(record.params):
                what += f" with {len(record.params)} values"
            raise TypeError(
                f"`{method}` must return a list with a value for each of the learner's {count} "
                f"variables, or Adapted(such a list, whatever else prediction needs). Received: "
                f"{what}"
            )
        return cls(list(record.params), list(record.extra))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
