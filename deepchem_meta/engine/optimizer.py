"""The meta-optimizer: a Keras optimizer over the meta-learned variables."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from deepchem_meta.engine.learner_model import KerasVariable, as_variable

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
    variables : list of tf.Variable or keras.Variable
        What to move. A Keras variable is given to the optimizer as it is, so that its constraint,
        its path and whatever else an optimizer looks at count; a `tf.Variable` as a Keras variable
        of its name and constraint.
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
        If the optimizer already serves other variables, or a variable is to be overwritten with its
        gradient, as variables of 8-bit quantization are: such gradients have no sum over tasks.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[tf.Variable | keras.Variable],
        step: tf.Variable,
    ):
        self.optimizer = optimizer
        self._variables = [as_variable(given) for given in variables]
        self._step = step
        self._strategy = tf.distribute.get_strategy()
        for given in variables:
            if getattr(given, "overwrite_with_gradient", False):
                raise ValueError(
                    "A meta-learned variable must not be overwritten with its gradient. "
                    f"Received: {given.path}"
                )
        self._moved = [_as_keras_variable(given) for given in variables]
        if optimizer.built:
            raise ValueError(
                "`optimizer` must not be in use already: its slots belong to other variables. "
                f"Make a new one for each algorithm. Received: {optimizer!r}"
            )
        optimizer.build(self._moved)
        _leave_out_reduction(optimizer)
        masters = [as_variable(m) for m in self._moved if isinstance(m, _Master)]
        rates = _learning_rates(optimizer)
        slots = [as_variable(s) for s in optimizer.variables if not any(s is r for r in rates)]
        self.state = slots + masters

    @property
    def step(self) -> tf.Tensor:
        """Meta-steps taken so far, an int64 scalar."""
        return tf.convert_to_tensor(self._step)

    def synchronize(self) -> None:
        """Bring the master copies up to date with what was assigned to their variables."""
        for moved, variable in zip(self._moved, self._variables, strict=True):
            if isinstance(moved, _Master) and not bool(
                tf.reduce_all(tf.cast(moved.value, variable.dtype) == variable)
            ):
                moved.assign(tf.cast(variable, tf.float32))

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
        if self._strategy.num_replicas_in_sync == 1:
            self.optimizer.apply(gradients, moved)
        else:
            self._strategy.run(lambda: self.optimizer.apply(gradients, moved))
        self._copy_masters()
        self._step.assign_add(1)

    def finalize(self) -> None:
        """Let the optimizer do what it does at the end of training, such as averaging weights."""
        self.optimizer.finalize_variable_values(self._moved)
        self._copy_masters()

    def _copy_masters(self) -> None:
        for moved, variable in zip(self._moved, self._variables, strict=True):
            if isinstance(moved, _Master):
                variable.assign(tf.cast(moved.value, variable.dtype))


class _View(keras.Variable):
    """A `tf.Variable` as a Keras variable, which optimizers ask for more than a value."""

    def __init__(self, variable: tf.Variable):
        self._viewed = variable
        super().__init__(variable, dtype=variable.dtype.name, name=_plain_name(variable))
        self.constraint = variable.constraint

    def _initialize(self, value):
        self._value = self._viewed


class _Master(keras.Variable):
    """The float32 copy of a variable of 16 bits, under its path and with its constraint."""

    def __init__(self, given: tf.Variable | keras.Variable):
        value = tf.cast(as_variable(given), tf.float32)
        super().__init__(value, dtype="float32", name=_plain_name(given))
        attribute = "_path" if hasattr(self, "_path") else "path"  # until Keras 3.3
        setattr(self, attribute, getattr(given, "path", self.path))
        self.constraint = given.constraint
        self.regularizer = getattr(given, "regularizer", None)


def _leave_out_reduction(optimizer: keras.optimizers.Optimizer) -> None:
    """Leave out the optimizer's own sum over replicas: it is given what is summed already.

    Keras clips before that sum, so that a limit would be one for each replica's part, and it cannot
    sum gradients of two dtypes. TensorFlow registers a gradient of the sum for every trace and
    never drops it, and with it stays the whole graph: 8 to 15 graphs and 15 to 30 MB of every
    algorithm that was fitted and deleted.
    """
    for part in (optimizer, *getattr(optimizer, "optimizers", ())):
        part = getattr(part, "inner_optimizer", part)
        if hasattr(part, "_all_reduce_sum_gradients"):
            part._all_reduce_sum_gradients = list


def _learning_rates(optimizer: keras.optimizers.Optimizer) -> list:
    """Return the learning rates of an optimizer and of those that it is made of."""
    parts = getattr(optimizer, "optimizers", None)  # of a MultiOptimizer, which has no rate itself
    if parts is None:
        return [getattr(optimizer, "inner_optimizer", optimizer).learning_rate]
    rate = getattr(optimizer, "_learning_rate", None)
    return [rate, *(own for part in parts for own in _learning_rates(part))]


def _as_keras_variable(given: tf.Variable | keras.Variable) -> keras.Variable:
    """Return what the optimizer is to move in place of a variable."""
    variable = as_variable(given)
    if accumulation_dtype(variable) != variable.dtype:
        return _Master(given)
    return given if isinstance(given, KerasVariable) else _View(variable)


def _plain_name(variable: tf.Variable | keras.Variable) -> str:
    """Return a variable's name as Keras allows it."""
    return variable.name.partition(":")[0].replace("/", "_")
