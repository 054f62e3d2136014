"""Model-agnostic meta-learning."""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.inner_loop import descend
from deepchem_meta.engine.model import LearnerModel, TaskBatch, as_variable
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
    adapt_variables : str or list of variables and str, optional
        Which variables the inner loop changes; all of them are meta-learned all the same. A
        string is a regular expression, searched for in the variables' names; `tf.Variable` calls
        all of them ``Variable:0`` unless told otherwise, so give these themselves. By default all
        that are trainable; a variable with ``trainable=False`` that is named here is adapted and
        not meta-learned.
    task_execution : {"auto", "vectorized", "looped"}, default "auto"
        Whether the tasks of a meta-step run all at once or one after the other. "auto" decides by
        the model's graph, and tries the choice out on the first meta-step; see `execution_plan`.
    jit_compile : bool or "auto", default "auto"
        Whether to compile with XLA. "auto" decides in the same way.
    reduction : {"sum", "mean"}, default "sum"
        Of the meta-gradients over tasks. With "sum", as in DeepChem, twice the tasks are twice the
        gradient, which plain gradient descent feels and Adam hardly does.
    seed : int, optional
        Draws the tasks of a learner that has ``sample_tasks``, and Dropout; by default it is drawn
        itself, from Python's random numbers. It is saved with the checkpoints.

    Attributes
    ----------
    learner : MetaLearner
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
    """

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
        task_execution: str = "auto",
        jit_compile: bool | str = "auto",
        reduction: str = "sum",
        seed: int | None = None,
    ):
        learned_rate = as_variable(learning_rate)
        if learned_rate is not None and learned_rate.shape.rank != 0:
            raise ValueError(
                "`learning_rate` must be a scalar. "
                f"Received: a variable of shape {tuple(learned_rate.shape)}"
            )
        self._learned_rate = learned_rate
        self.learning_rate = learning_rate
        if not isinstance(first_order, bool):
            raise TypeError(f"`first_order` must be a bool. Received: first_order={first_order!r}")
        self._first_order = first_order
        super().__init__(
            learner,
            adapts=_choose(learner, adapt_variables),
            optimization_steps=optimization_steps,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            rates=[] if learned_rate is None else [learned_rate],
            task_execution=task_execution,
            jit_compile=jit_compile,
            reduction=reduction,
            seed=seed,
        )

    @property
    def learning_rate(self) -> Any:
        """The rate of the inner loop. A number, or the variable given to the constructor."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        variable = as_variable(value)
        if variable is None:
            _check_rate(value)
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
        """Take `steps` steps of gradient descent on the support loss.

        Parameters and result are those of `MetaAlgorithm.adapt_task`.
        """
        return self.adapt_through(params, support, numbers, [steps])[0]

    def adapt_through(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: Sequence[int],
    ) -> list[list[tf.Tensor]]:
        """Return the values after each of several numbers of steps.

        Parameters and result are those of `MetaAlgorithm.adapt_through`.
        """
        path = descend(
            support.loss_and_state,
            params,
            self._model.variables,
            adapts=self._adapts,
            rate=lambda step, index: self.inner_rate(numbers),
            steps=max(steps),
            first_order=self._first_order,
        )
        return [path[count] for count in steps]

    def inner_rate(self, numbers: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the rate of the inner loop, learned or not, in a traced function."""
        return numbers.get("learning_rate", self._learned_rate)

    def task_numbers(self) -> dict[str, float]:
        """Return the learning rate, unless it is learned."""
        learned = as_variable(self.learning_rate) is not None
        return {} if learned else {"learning_rate": float(self.learning_rate)}

    def traced_choices(self) -> Hashable:
        """Return the number of steps, and whether the learning rate is learned."""
        return super().traced_choices(), as_variable(self.learning_rate) is not None


def _check_rate(value: Any) -> None:
    """Raise unless `value` is a finite scalar of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.ndarray, tf.Tensor)):
        raise TypeError(
            "`learning_rate` must be a number or a scalar tf.Variable. "
            f"Received: learning_rate={value!r}"
        )
    if np.ndim(value) != 0 or not np.isfinite(float(value)) or float(value) < 0:
        raise ValueError(
            "`learning_rate` must be a finite number of at least 0. "
            f"Received: learning_rate={value!r}"
        )


def _choose(learner: Any, adapt_variables: str | Sequence[Any] | None) -> list[bool]:
    """Say for each of the learner's variables whether the inner loop changes it."""
    model = LearnerModel(learner)
    if adapt_variables is None:
        return model.learned
    variables = model.variables
    wanted = [adapt_variables] if isinstance(adapt_variables, str) else list(adapt_variables)
    chosen = [False] * len(variables)
    for item in wanted:
        if isinstance(item, str):
            names = (getattr(given, "path", given.name) for given in learner.variables)
            found = [bool(re.search(item, name)) for name in names]
        else:
            found = [as_variable(item) is v for v in variables]
        if not any(f and v.dtype.is_floating for f, v in zip(found, variables, strict=True)):
            raise ValueError(
                "`adapt_variables` must name floating-point variables of the learner. "
                f"Received: {item!r}, which is none of "
                f"{[getattr(given, 'path', given.name) for given in learner.variables]}"
            )
        chosen = [c or f for c, f in zip(chosen, found, strict=True)]
    return [c and v.dtype.is_floating for c, v in zip(chosen, variables, strict=True)]
