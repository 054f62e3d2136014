"""Meta-batches spread over the replicas of a `tf.distribute.Strategy`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

__all__ = ["check_share", "check_strategy"]


def check_strategy(variables: Sequence[tf.Variable]) -> tf.distribute.Strategy:
    """Return the strategy in whose scope we are.

    Raises
    ------
    ValueError
        If it is not the one in whose scope the learner's variables were made.
    """
    here = tf.distribute.get_strategy()
    for variable in variables:
        there = getattr(variable, "distribute_strategy", None)
        replicated = there is not None and there.num_replicas_in_sync > 1
        if replicated != (here.num_replicas_in_sync > 1) or (replicated and there is not here):
            raise ValueError(
                "Make the learner, its variables, the optimizer and the algorithm in the same "
                f"`strategy.scope()`. Received: {variable.name} of {there!r} in the scope of "
                f"{here!r}"
            )
    return here


def check_share(name: str, tasks: int, strategy: tf.distribute.Strategy) -> None:
    """Raise ValueError unless each replica gets as many tasks."""
    replicas = strategy.num_replicas_in_sync
    if tasks % replicas:
        raise ValueError(
            f"`{name}` must have as many tasks for each of the {replicas} replicas. "
            f"Received: {tasks} tasks"
        )
