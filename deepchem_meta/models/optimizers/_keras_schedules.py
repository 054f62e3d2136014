"""Turns schedules, ours and a user's, into those of Keras."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["TensorSchedule", "is_schedule", "to_keras_schedule"]


@keras.saving.register_keras_serializable(package="deepchem_meta")
class TensorSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A Keras schedule that asks another one for the rate at every step.

    Parameters
    ----------
    schedule : LearningRateSchedule
        Anything with ``_create_tf_tensor(global_step)``. To be saved by Keras it needs
        ``get_config``, and its class must be registered with Keras.
    """

    def __init__(self, schedule: Any):
        self.schedule = schedule

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate at `step`."""
        rate = self.schedule._create_tf_tensor(tf.convert_to_tensor(step))
        # Outside tf.function, the schedules of tf.compat.v1.train return a function of nothing.
        return rate() if callable(rate) else rate

    def get_config(self) -> dict[str, Any]:
        """Return the schedule in Keras' serialized form."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TensorSchedule:
        """Make a schedule from what `get_config` returned."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]))


def is_schedule(value: Any) -> bool:
    """Say whether `value` is a schedule: of Keras, or anything with ``_create_tf_tensor``."""
    return isinstance(value, keras.optimizers.schedules.LearningRateSchedule) or (
        not isinstance(value, type) and callable(getattr(value, "_create_tf_tensor", None))
    )


def to_keras_schedule(schedule: Any) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a schedule as one of Keras.

    Parameters
    ----------
    schedule : LearningRateSchedule or keras.optimizers.schedules.LearningRateSchedule
        Anything that `is_schedule`. Where both ``_create_keras_schedule`` and
        ``_create_tf_tensor`` are there, the one that is defined closest to the object counts, so
        a subclass may override either.

    Returns
    -------
    keras.optimizers.schedules.LearningRateSchedule
    """
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return schedule
    for scope in (schedule, *type(schedule).__mro__):
        names = getattr(scope, "__dict__", {})
        if "_create_keras_schedule" in names:
            return schedule._create_keras_schedule()
        if "_create_tf_tensor" in names:
            break
    return TensorSchedule(schedule)
