"""Meta-batches spread over the replicas of a `tf.distribute.Strategy`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

__all__ = ["check_outside", "check_process", "check_strategy"]


def check_strategy(variables: Sequence[tf.Variable]) -> tf.distribute.Strategy:
    """Return the strategy in whose scope we are.

    Raises
    ------
    ValueError
        If it is not the one in whose scope the learner's variables were made, or one that sends
        its variables to parameter servers.
    """
    here = tf.distribute.get_strategy()
    if isinstance(here, tf.distribute.experimental.ParameterServerStrategy):
        raise ValueError(
            "A meta-step needs all of its variables at hand, on one machine or as copies on each: "
            "use MirroredStrategy or MultiWorkerMirroredStrategy. "
            f"Received: {type(here).__name__}"
        )
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


def check_outside(name: str, *, replicas: int = 1) -> None:
    """Raise RuntimeError if a method is called in a strategy's scope.

    Parameters
    ----------
    name : str
        The method.
    replicas : int, default 1
        It may be called in the scope of a strategy that has fewer.
    """
    inside = tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context()
    if inside and tf.distribute.get_strategy().num_replicas_in_sync >= replicas:
        raise RuntimeError(
            f"`{name}` must be called outside of `strategy.scope()`; the algorithm knows the "
            "strategy in whose scope it was made. Received: a call in the scope of a "
            f"{type(tf.distribute.get_strategy()).__name__}"
        )


def check_process(name: str, process: int) -> None:
    """Raise RuntimeError if a method is called in a forked child.

    TensorFlow's threads do not survive a fork, and what needs them waits for ever.

    Parameters
    ----------
    name : str
        The method.
    process : int
        The process that made the algorithm.
    """
    if os.getpid() != process:
        raise RuntimeError(
            f"`{name}` must be called in the process that made the algorithm, since TensorFlow "
            'does not survive a fork. Start processes by "spawn", and make the algorithm there. '
            f"Received: a call in process {os.getpid()}, for an algorithm of process {process}"
        )
