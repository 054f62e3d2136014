"""Model-agnostic meta-learning."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import tensorflow as tf

from deepchem_meta._checks import check_flag, check_positive
from deepchem_meta.engine.inner_loop import InnerLoop
from deepchem_meta.engine.inner_optimizers import GradientDescent, InnerOptimizer
from deepchem_meta.engine.learner_model import LearnerModel, as_variable
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.metalearning._rates import check_rate, learned_rate
from deepchem_meta.metalearning._variables import choose_variables
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.algorithm import MetaAlgorithm
from deepchem_meta.models.optimizers import Adam

__all__ = ["MAML"]


class MAML(MetaAlgorithm):
    r"""Model-agnostic meta-learning: learn variables from which a few gradient steps suffice.

    For each task :math:`i` with support loss :math:`S_i` and query loss :math:`Q_i`, the inner loop
    takes `optimization_steps` steps of gradient descent at `learning_rate` :math:`\alpha`,

    .. math:: \theta_i^{(k+1)} = \theta_i^{(k)} - \alpha \nabla S_i(\theta_i^{(k)}),
              \quad \theta_i^{(0)} = \theta,

    and the optimizer minimises :math:`\sum_i Q_i(\theta_i^{(K)})` over :math:`\theta`. The
    meta-gradient is the full one, second derivatives included.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    learning_rate : float or tf.Variable, default 0.001
        The rate of the inner loop. A variable is meta-learned and saved with the others, whether
        the learner lists it or not.
    optimization_steps : int, default 1
        Steps of the inner loop.
    meta_batch_size : int, default 10
        Tasks a meta-step.
    optimizer : Optimizer or keras.optimizers.Optimizer, default Adam()
        The meta-optimizer: one of `deepchem_meta.models.optimizers`, of DeepChem's own, or of
        Keras.
    model_dir : path, optional
        The folder for checkpoints, made if need be. By default a temporary one, which is deleted
        with the last object that uses it.
    first_order : bool, default False
        Drop the second derivatives (FOMAML): each step's gradient counts as a constant.
    adapt_variables : str or layer, or list of variables, layers and str, optional
        Which variables the inner loop changes; all of them are meta-learned all the same. A
        string is a regular expression, searched for in the variables' names; `tf.Variable` calls
        all of them ``Variable:0`` unless told otherwise, so give these themselves. By default all
        that are trainable; a variable with ``trainable=False`` that is named here is adapted and
        not meta-learned.
    inner_optimizer : InnerOptimizer, default GradientDescent()
        The rule of the inner loop: one of `inner_optimizers`, or your own.
    inner_clipnorm : float, optional
        The gradients of an inner step are scaled down to this norm, over all of them.
    recompute : bool, default False
        Compute each inner step again for the meta-gradient instead of keeping what it needs: less
        memory, more time, the same meta-gradient to rounding.
    reduction : {"sum", "mean"}, default "sum"
        Of the meta-gradients over tasks. With "sum", as in DeepChem, twice the tasks are twice the
        gradient, which plain gradient descent feels and Adam hardly does.
    **options
        ``task_execution``, ``jit_compile``, ``task_batch_size`` and ``seed``, which all algorithms
        have: see `MetaAlgorithm`.

    Attributes
    ----------
    learner : MetaLearner
        As given.
    learning_rate : float or tf.Variable
        As given; it may be changed, as the next two may.
    optimization_steps : int
        As given.
    meta_batch_size : int
        As given.
    first_order : bool
        As given.
    optimizer : Optimizer or keras.optimizers.Optimizer
        As given.
    model_dir : str
        As given, or the temporary folder's path.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described. Nothing is written then.

    Examples
    --------
    See `MetaLearner` for a learner.

    References
    ----------
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, https://arxiv.org/abs/1703.03400

    Notes
    -----
    A variable's constraint (``kernel_constraint`` of a Keras layer) is applied after each inner
    step, as after each step of the optimizer, and the meta-gradient goes through it.
    """

    why_rate_is_fixed: str | None = None  # of relatives that cannot learn it
    rates: Sequence[tf.Variable] = ()  # of relatives that learn many

    def __init__(
        self,
        learner: Any,
        learning_rate: float | tf.Variable = 0.001,
        optimization_steps: int = 1,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - DeepChem's default; it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        first_order: bool = False,
        adapt_variables: str | Sequence[Any] | None = None,
        inner_optimizer: InnerOptimizer | None = None,
        inner_clipnorm: float | None = None,
        recompute: bool = False,
        reduction: str = "sum",
        **options: Any,
    ):
        variable = learned_rate(learning_rate, self.why_rate_is_fixed)
        check_flag("first_order", first_order)
        check_flag("recompute", recompute)
        inner_optimizer = GradientDescent() if inner_optimizer is None else inner_optimizer
        if not isinstance(inner_optimizer, InnerOptimizer):
            raise TypeError(
                "`inner_optimizer` must be an InnerOptimizer. "
                f"Received: inner_optimizer={inner_optimizer!r}"
            )
        if inner_clipnorm is not None:
            check_positive("inner_clipnorm", inner_clipnorm)
        learner = LearnerModel.of(learner)
        own = [*([] if variable is None else [variable]), *options.pop("own_variables", ())]
        super().__init__(
            learner,
            adapts=choose_variables(learner, adapt_variables),
            optimization_steps=optimization_steps,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            own_variables=own,
            reduction=reduction,
            **options,
        )
        self._learned_rate = variable
        self._learning_rate = learning_rate
        self._inner_loop = InnerLoop(
            self.roles.variables,
            self.roles.adapts,
            rate=lambda step, index: learning_rate,
            optimizer=inner_optimizer,
            clipnorm=inner_clipnorm,
            first_order=first_order,
            recompute=recompute,
            constraints=self.model.constraints,
        )

    @property
    def first_order(self) -> bool:
        """Whether each step's gradient counts as a constant."""
        return self._inner_loop.first_order

    @property
    def steps_are_alike(self) -> bool:
        """Whether a step knows of the steps before it only the values that they left."""
        return type(self._inner_loop.optimizer) is GradientDescent

    @property
    def learning_rate(self) -> Any:
        """The rate of the inner loop. A number, or the variable given to the constructor."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if self.rates:
            raise ValueError(
                "`learning_rate` is what the learned `rates` have started from; assign to these. "
                f"Received: {value!r}"
            )
        variable = as_variable(value)
        if variable is None:
            check_rate(value)
        elif variable is not self._learned_rate:
            raise ValueError(
                "A learned `learning_rate` must be given to the constructor, since the optimizer "
                f"and the checkpoints hold it. Received: {value!r}"
            )
        self._learning_rate = value

    def adapt_task(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> list[tf.Tensor]:
        """Take `steps` steps on the support loss.

        Parameters and result are those of `MetaAlgorithm.adapt_task`.
        """
        return self.inner_loop(numbers).run(self.inner_loss(params, support), params, steps)

    def adapt_after(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        counts: Sequence[int],
    ) -> list[Adapted]:
        """Return the model after each of several numbers of steps, which share one path.

        Parameters and result are those of `MetaAlgorithm.adapt_after`.
        """
        kinds = type(self).__mro__
        last = {
            name: next(kind for kind in kinds if name in vars(kind))
            for name in ("adapt_task", "adapt_and_settle", "values_after")
        }
        # A subclass with an `adapt_task` of its own may do more than the inner loop.
        own = last["adapt_task"] is not last["values_after"]
        if own or issubclass(last["adapt_and_settle"], MAML):
            return super().adapt_after(params, support, numbers, counts)
        found = self.values_after(params, support, numbers, counts)
        return [Adapted(self.model.settle(values, support.arrays)) for values in found]

    def values_after(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        counts: Sequence[int],
    ) -> list[list[tf.Tensor]]:
        """Return what `adapt_task` does after each of several numbers of steps, on one path."""
        loss = self.inner_loss(params, support)
        return self.inner_loop(numbers).after(loss, params, counts)

    def inner_loop(self, numbers: dict[str, tf.Tensor], more: int = 0) -> InnerLoop:
        """Return the steps of adaptation, whose `run` takes them on a loss.

        Parameters
        ----------
        numbers : dict of scalar tf.Tensor
            What `task_numbers` gives.
        more : int, default 0
            How many values that are no variables, such as a head's, adapt after the learner's.
        """
        return dataclasses.replace(
            self._inner_loop,
            variables=[*self.roles.variables, *[None] * more],
            adapts=[*self.roles.adapts, *[True] * more],
            rate=lambda step, index: self.inner_rate(numbers, step, index),
        )

    def inner_loss(self, params: list[tf.Tensor], support: TaskBatch) -> Callable:
        """Return what the inner loop minimises, by default the support loss.

        Parameters
        ----------
        params : list of tf.Tensor
            The values that adaptation starts from.
        support : TaskBatch
            The task's support batch.

        Returns
        -------
        callable
            ``(values, step) -> (loss, values with the model's state after it)``.
        """
        return support.loss_and_state

    def inner_rate(self, numbers: dict[str, tf.Tensor], step: int, index: int) -> tf.Tensor:
        """Return the rate of an inner step for a variable.

        Parameters
        ----------
        numbers : dict of scalar tf.Tensor
            What `task_numbers` gives.
        step : int or int32 scalar
            The step, from 0 on.
        index : int
            The variable's place among the learner's.

        Returns
        -------
        tf.Tensor
            A scalar, or of the variable's shape.
        """
        return numbers.get("learning_rate", self._learned_rate)

    def task_numbers(self) -> dict[str, float]:
        """Return the learning rate, unless it is learned."""
        learned = as_variable(self.learning_rate) is not None
        return {} if learned else {"learning_rate": float(self.learning_rate)}

    def traced_choices(self) -> Hashable:
        """Return the number of steps, and whether the learning rate is learned."""
        return super().traced_choices(), as_variable(self.learning_rate) is not None
