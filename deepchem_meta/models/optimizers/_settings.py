"""What optimizers and schedules have in common: they are named settings, checked when given."""

from __future__ import annotations

import inspect
import math
import numbers
from typing import Any

__all__ = ["Settings", "check_number", "check_steps"]


class Settings:
    """An object that is its constructor's arguments, each an attribute of the same name."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Settings:
        """Make an object from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        given = (f"{name}={getattr(self, name)!r}" for name in names if hasattr(self, name))
        return f"{type(self).__name__}({', '.join(given)})"


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return `value` as a float, or say which finite real number was wanted.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : float
        The value to check. Integers and NumPy's numbers are taken; booleans are not.
    minimum, maximum : float, optional
        The smallest and the largest value allowed.
    below : float, optional
        What the value must be smaller than.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If `value` is not a real number.
    ValueError
        If it is not finite or out of bounds.
    """
    bounds = [("at least", minimum), ("at most", maximum), ("below", below)]
    rule = " and ".join(f"{word} {bound:g}" for word, bound in bounds if math.isfinite(bound))
    wanted = f"a finite number, {rule}" if rule else "a finite number"
    message = f"`{name}` must be {wanted}. Received: {name}={value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not (math.isfinite(value) and minimum <= value <= maximum and value < below):
        raise ValueError(message)
    return float(value)


def check_steps(name: str, value: Any, *, minimum: int = 0) -> float:
    """Return a number of steps as it was given: an int, or a float such as ``1e4``.

    Raises
    ------
    TypeError, ValueError
        As `check_number` does.
    """
    number = check_number(name, value, minimum=minimum)
    return int(number) if number.is_integer() else number
