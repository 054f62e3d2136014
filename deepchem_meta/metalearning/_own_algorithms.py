"""Checks of algorithms that users write: mistakes that would train in silence."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.roles import Roles
from deepchem_meta.metalearning.adapted import Adapted

__all__ = ["check_adapted", "check_variables_read"]


def check_adapted(params: Sequence[tf.Tensor], adapted: Adapted, roles: Roles, steps: int) -> None:
    """Raise or warn if what `adapt_task` returned is not what the roles of variables say.

    Parameters
    ----------
    params : list of tf.Tensor
        The values that adaptation started from.
    adapted : Adapted
        What it gave.
    roles : Roles
        Which variables adapt.
    steps : int
        How many steps it took.

    Raises
    ------
    ValueError
        If a meta-learned variable that does not adapt has another value.

    Warns
    -----
    UserWarning
        If steps were taken, no variable adapts, and there is nothing else that was adapted.
    """
    changed = [
        roles.variables[place].name
        for place in roles.learned_places
        if not roles.adapts[place] and not np.array_equal(adapted.params[place], params[place])
    ]
    if changed:
        raise ValueError(
            "`adapt_task` must return the values of variables that do not adapt as they are; "
            "`adapts` of the constructor says which ones adapt. "
            f"Received: other values of {changed}"
        )
    if steps and not any(roles.adapts) and not adapted.extra:
        warnings.warn(
            "Adaptation changes nothing, since no variable adapts: give the constructor "
            "`adapts=True`, or a list that says which variables `adapt_task` changes.",
            stacklevel=6,
        )


def check_variables_read(read: Sequence[tf.Variable], roles: Roles) -> None:
    """Warn of trainable variables that a task reads and nothing learns.

    Parameters
    ----------
    read : list of tf.Variable
        What was read as the loss of a task was computed.
    roles : Roles
        What is learned.
    """
    known = {id(variable) for variable in (*roles.variables, *roles.own, *roles.own_state)}
    strange = [variable.name for variable in read if id(variable) not in known]
    if strange:
        warnings.warn(
            "The algorithm reads trainable variables that are not learned: give them to the "
            "constructor as `own_variables`, or make them with `trainable=False`. "
            f"Received: {strange}",
            stacklevel=5,
        )
