"""Which of a learner's variables adaptation changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from deepchem_meta.engine.learner_model import LearnerModel, as_variable

__all__ = ["choose_variables", "variable_names"]


def choose_variables(learner: Any, adapt_variables: str | Sequence[Any] | None) -> list[bool]:
    """Say for each of the learner's variables whether adaptation changes it.

    Parameters
    ----------
    learner : MetaLearner or LearnerModel
        Whose variables to choose from.
    adapt_variables : str, or list of str, variables and keras.layers.Layer, or None
        A string is a regular expression, searched for in the variables' names. None stands for
        all that are trainable.

    Returns
    -------
    list of bool

    Raises
    ------
    TypeError
        If it is nothing of the kind.
    ValueError
        If one of them names no floating-point variable of the learner.
    """
    model = LearnerModel.of(learner)
    if adapt_variables is None:
        return model.learned
    variables = model.variables
    is_variable = as_variable(adapt_variables) is not None
    if isinstance(adapt_variables, (str, keras.layers.Layer)) or is_variable:
        wanted = [adapt_variables]
    elif isinstance(adapt_variables, (list, tuple)):
        wanted = list(adapt_variables)
    else:
        raise TypeError(
            "`adapt_variables` must be a str, a variable, a layer, or a list of them. "
            f"Received: adapt_variables={adapt_variables!r}"
        )
    chosen = [False] * len(variables)
    for item in wanted:
        if isinstance(item, str):
            found = [bool(_compile(item).search(name)) for name in variable_names(learner)]
        elif isinstance(item, keras.layers.Layer):
            weights = {id(as_variable(weight)) for weight in item.trainable_weights}
            found = [id(v) in weights for v in variables]
        else:
            found = [as_variable(item) is v for v in variables]
        if not any(f and v.dtype.is_floating for f, v in zip(found, variables, strict=True)):
            raise ValueError(
                "`adapt_variables` must name floating-point variables of the learner. "
                f"Received: {item!r}, which is none of "
                f"{variable_names(learner)}"
            )
        chosen = [c or f for c, f in zip(chosen, found, strict=True)]
    return [c and v.dtype.is_floating for c, v in zip(chosen, variables, strict=True)]


def variable_names(learner: Any) -> list[str]:
    """Return the names of a learner's variables; of Keras' variables their paths."""
    given = LearnerModel.of(learner).learner.variables
    return [getattr(variable, "path", variable.name) for variable in given]


def _compile(pattern: str) -> re.Pattern:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`adapt_variables` must be a regular expression. Received: {pattern!r}: {error}"
        ) from error
