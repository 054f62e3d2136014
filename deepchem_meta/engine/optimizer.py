"""The meta-optimizer: a Keras optimizer over the meta-learned variables."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from deepchem_meta.engine.model import as_variable

__all__ = ["MetaOptimizer", "accumulation_dtype"]


def accumulation_dtype(value: tf.Variable | tf.Tensor) -> tf.DType:
    """Return the dtype in which gradients of a value's dtype are summed: float32 for 16 bits."""
    return tf.float32 if value.dtype.size == 2 else value.dtype


class MetaOptimizer:
    """Applies meta-gradients with a Keras optimizer, over the replicas of the present strategy.

    Variables of 16 bits get a float32 master copy that the optimizer moves: in bfloat16 a step
    smaller than 1/256 of a weight is lost, and Adam's beta_2 of 0.999 rounds to 1.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        The update rule.
    variables : list of tf.Variable
        What to move.
    step : tf.Variable
        An int64 scalar that counts the meta-steps taken.

    Attributes
    ----------
    optimizer : keras.optimizers.Optimizer
    state : list of tf.Variable
        The optimizer's slots, counters and master copies, without its learning rate.

    Raises
    ------
    ValueError
        If the optimizer already serves other variables.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[tf.Variable],
        step: tf.Variable,
    ):
        self.optimizer = optimizer
        self._variables = list(variables)
        self._step = step
        self._strategy = tf.distribute.get_strategy()
        self._moved = [
            v if accumulation_dtype(v) == v.dtype else tf.Variable(tf.cast(v, tf.float32))
            for v in self._variables
        ]
        if optimizer.built:
            raise ValueError(
                "`optimizer` must not be in use already: its slots belong to other variables. "
                f"Make a new one for each algorithm. Received: {optimizer!r}"
            )
        optimizer.build(self._moved)
        masters = [m for m, v in zip(self._moved, self._variables, strict=True) if m is not v]
        rate = getattr(optimizer, "inner_optimizer", optimizer).learning_rate
        slots = [as_variable(slot) for slot in optimizer.variables if slot is not rate]
        self.state = slots + masters

    @property
    def step(self) -> tf.Tensor:
        """Meta-steps taken so far, an int64 scalar."""
        return tf.convert_to_tensor(self._step)

    def synchronize(self) -> None:
        """Bring the master copies up to date with what was assigned to their variables."""
        for master, variable in zip(self._moved, self._variables, strict=True):
            if master is not variable and not bool(
                tf.reduce_all(tf.cast(master, variable.dtype) == variable)
            ):
                master.assign(tf.cast(variable, master.dtype))

    def loss_scale(self) -> tf.Tensor | float:
        """Return what to multiply the loss by; not 1 for a `LossScaleOptimizer` alone."""
        return self.optimizer.scale_loss(1.0)

    @property
    def skips_nonfinite(self) -> bool:
        """Whether the optimizer itself leaves out steps whose gradients are not finite."""
        return isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)

    def apply(self, gradients: Sequence[tf.Tensor | None]) -> None:
        """Take one step; a variable whose gradient is None stays as it is.

        Parameters
        ----------
        gradients : list of tf.Tensor or None
            One for each variable, of its shape and of the dtype of `accumulation_dtype`; times
            `loss_scale`, and over all replicas.
        """
        pairs = zip(gradients, self._moved, strict=True)
        reached = [(gradient, moved) for gradient, moved in pairs if gradient is not None]
        gradients, moved = zip(*reached, strict=True)
        replicas = self._strategy.num_replicas_in_sync
        if replicas == 1:
            self.optimizer.apply(gradients, moved)
        else:  # where a Keras optimizer sums the gradients over replicas itself
            self._strategy.run(
                lambda: self.optimizer.apply([g / replicas for g in gradients], moved)
            )
        self._copy_masters()
        self._step.assign_add(1)

    def finalize(self) -> None:
        """Let the optimizer do what it does at the end of training, such as averaging weights."""
        self.optimizer.finalize_variable_values(self._moved)
        self._copy_masters()

    def _copy_masters(self) -> None:
        for moved, variable in zip(self._moved, self._variables, strict=True):
            if moved is not variable:
                variable.assign(tf.cast(moved, variable.dtype))
