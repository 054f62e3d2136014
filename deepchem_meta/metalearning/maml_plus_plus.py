"""MAML++: MAML with what makes its training stable and its adaptation learned."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta._checks import check_count, check_flag
from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.metalearning._rates import learned_rate, rates_of_variables
from deepchem_meta.metalearning._step_norm import StepNorm
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.maml import MAML
from deepchem_meta.metalearning.task_algorithm import TaskObjective

__all__ = ["MAMLPlusPlus"]


class MAMLPlusPlus(MAML):
    r"""MAML++, each of whose parts can be switched off; without any it is MAML.

    What is minimised in meta-step :math:`t` is the query loss after each step of adaptation,

    .. math:: \sum_{k=1}^{K} w_k(t) \, Q_i(\theta_i^{(k)}),

    whose weights go from :math:`1/K` each to 1 for the last one. Each step of the inner loop has a
    learned rate for each variable, and statistics, scales and offsets of BatchNormalization of its
    own.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    learning_rate : float, default 0.01
        What each rate starts from; without `learn_rates` the rate.
    optimization_steps : int, default 5
        Steps of the inner loop.
    meta_batch_size : int, default 10
        Tasks a meta-step.
    optimizer : Optimizer or keras.optimizers.Optimizer, optional
        The meta-optimizer. By default Adam at a rate of 0.001, which falls to 0.00001 by a cosine
        over `total_steps` with `cosine_annealing`. A given one keeps its own schedule.
    model_dir : path, optional
        The folder for checkpoints, as in `MAML`.
    total_steps : int, default 10000
        Meta-steps that training is to take, to which the annealings are scaled.
    learn_rates : bool, default True
        Meta-learn a rate for each variable and step; steps beyond `optimization_steps` take the
        last one's.
    multi_step_loss : bool, default True
        The losses after earlier steps count too, less and less until the first tenth of
        `total_steps` is over.
    derivative_annealing : bool, default True
        Leave second derivatives out in the first third of `total_steps`.
    step_batch_norm : bool, default True
        BatchNormalization has moving averages, and learned scales and offsets, for each step. They
        do not adapt. For models of a `KerasLearner`.
    cosine_annealing : bool, optional
        Whether the rate of the default optimizer falls; by default it does. It must not be True
        where an `optimizer` is given.
    reduction : {"sum", "mean"}, default "mean"
        Of the meta-gradients over tasks.
    **options
        Those of `MAML`.

    Attributes
    ----------
    rates : list of tf.Variable
        The rates of each variable that adapts, of shape (optimization_steps,). Empty without
        `learn_rates`.

    References
    ----------
    Antoniou, Edwards and Storkey, "How to train your MAML", ICLR 2019,
    https://arxiv.org/abs/1810.09502

    Notes
    -----
    The paper trains for 150 epochs of 500 meta-steps, 15 of them with the losses of all steps and
    50 of first order; the fractions above are these. A rate a variable is what its code has for a
    rate a layer.
    """

    why_rate_is_fixed = "the rate of each variable and step starts from it"

    def __init__(
        self,
        learner: Any,
        learning_rate: float = 0.01,
        optimization_steps: int = 5,
        meta_batch_size: int = 10,
        optimizer: Any = None,
        model_dir: str | os.PathLike | None = None,
        *,
        total_steps: int = 10_000,
        learn_rates: bool = True,
        multi_step_loss: bool = True,
        derivative_annealing: bool = True,
        step_batch_norm: bool = True,
        cosine_annealing: bool | None = None,
        reduction: str = "mean",
        **options: Any,
    ):
        total_steps = check_count("total_steps", total_steps, minimum=1)
        flags = {
            "learn_rates": learn_rates,
            "multi_step_loss": multi_step_loss,
            "derivative_annealing": derivative_annealing,
            "step_batch_norm": step_batch_norm,
        }
        for name, flag in flags.items():
            check_flag(name, flag)
        steps = max(1, check_count("optimization_steps", optimization_steps))
        learner = LearnerModel.of(learner)
        norm = StepNorm(learner if step_batch_norm else None, steps)
        if cosine_annealing is not None:
            check_flag("cosine_annealing", cosine_annealing)
            if cosine_annealing and optimizer is not None:
                raise ValueError(
                    "`cosine_annealing` is for the default optimizer; give another one a schedule "
                    f"as its rate. Received: cosine_annealing=True and {optimizer!r}"
                )
        if optimizer is None:
            falling = keras.optimizers.schedules.CosineDecay(1e-3, total_steps, alpha=0.01)
            optimizer = keras.optimizers.Adam(1e-3 if cosine_annealing is False else falling)
        learned_rate(learning_rate, self.why_rate_is_fixed)
        rates = {}
        if learn_rates:
            rates = rates_of_variables(
                learner,
                options.get("adapt_variables"),
                learning_rate,
                lambda place, variable, start: tf.Variable(
                    tf.fill((steps,), start), name=f"rates_{place}"
                ),
                without=norm.places,
            )
        super().__init__(
            learner,
            learning_rate,
            optimization_steps,
            meta_batch_size,
            optimizer,
            model_dir,
            reduction=reduction,
            own_variables=[*rates.values(), *norm.learned],
            own_state=norm.statistics,
            **options,
        )
        self.rates = list(rates.values())
        self._rate_of = rates
        self._norm = norm
        self._steps = steps
        self._total_steps = total_steps
        self._multi_step_loss = multi_step_loss
        self._derivative_annealing = derivative_annealing

    @property
    def total_steps(self) -> int:
        """Meta-steps that the annealings are scaled to."""
        return self._total_steps

    @property
    def phases(self) -> tuple[int, ...]:
        """The meta-steps from which on second derivatives count, or the last loss alone."""
        return tuple(sorted({self._first_of_second_order, self._first_of_last_loss} - {0}))

    @property
    def _first_of_second_order(self) -> int:
        annealed = self._derivative_annealing and not self.first_order
        return -(-self._total_steps // 3) if annealed else 0

    @property
    def _first_of_last_loss(self) -> int:
        several = self._multi_step_loss and self.optimization_steps > 1
        return -(-self._total_steps // 10) if several else 0

    def _begin(self, phase: int) -> int:
        """Return the meta-step at which a phase begins."""
        return (0, *self.phases)[phase]

    @property
    def steps_are_alike(self) -> bool:
        """Whether steps are alike: not where each has rates or normalisation of its own."""
        parts = self.rates or self._norm.places
        return super().steps_are_alike and not parts

    def inner_rate(self, numbers: dict[str, tf.Tensor], step: int, index: int) -> tf.Tensor:
        """Return the learned rate of a variable and step."""
        if index not in self._rate_of:
            return numbers["learning_rate"]
        return tf.convert_to_tensor(self._rate_of[index])[tf.minimum(step, self._steps - 1)]

    def adapt_task(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> list[tf.Tensor]:
        """Take `steps` steps on the support loss, each with its own rates and normalisation.

        Parameters and result are those of `MetaAlgorithm.adapt_task`.
        """
        values = self._path(params, support, numbers, steps)[-1]
        return self._norm.place(values, steps - 1)[: len(params)]

    def values_after(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        counts: Sequence[int],
    ) -> list[list[tf.Tensor]]:
        """Return what `adapt_task` does after each of several numbers of steps, on one path."""
        path = self._path(params, support, numbers, max(counts))
        return [self._norm.place(path[count], count - 1)[: len(params)] for count in counts]

    def objective(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
    ) -> TaskObjective:
        """Return the weighted query losses after each step, the last one, and the state."""
        steps = self.optimization_steps
        *path, last = self._path(params, support, numbers, steps)
        loss, last = self._query_loss(last, support, query, steps)
        if self._begin(query.phase) >= self._first_of_last_loss:
            return TaskObjective(loss, loss, last)
        earlier = [
            self._query_loss(values, support, query, step)[0]
            for step, values in enumerate(path[1:], start=1)
        ]
        progress = tf.cast(query.meta_step, loss.dtype) / (self.total_steps / 10)
        weight = tf.maximum(1 - progress, 0) / steps
        objective = weight * tf.add_n(earlier) + (1 - weight * (steps - 1)) * loss
        return TaskObjective(objective, loss, last)

    def changed_state(
        self, before: list[tf.Tensor], after: list[tf.Tensor] | Adapted
    ) -> list[tf.Tensor | None]:
        """Return what the model changed of its variables, and of the statistics of each step."""
        params, statistics = Adapted.of(after, len(before), "objective")
        return super().changed_state(
            before, Adapted(self._norm.restore(params, before), statistics)
        )

    def _path(self, params, support, numbers, steps):
        """Return the values, and after them the statistics of each step, along the inner loop."""
        early = self._begin(support.phase) < self._first_of_second_order

        def loss(values, step):
            placed = self._norm.place(values, step)
            value, after = support.loss_and_state(placed[: len(params)], step)
            return value, self._norm.collect(after, values, step)

        statistics = self._norm.values()
        loop = dataclasses.replace(
            self.inner_loop(numbers, len(statistics)),
            adapts=[*self._norm.without(self.roles.adapts), *[False] * len(statistics)],
            first_order=self.first_order or early,
        )
        return loop.path(loss, [*params, *statistics], steps)

    def _query_loss(self, values, support, query, step):
        """Return the query loss after a number of steps, and the values with their state."""
        count = len(self.roles.variables)
        placed = self._norm.place(values, step - 1)
        settled = Adapted(self.model.settle(placed[:count], support.arrays))
        loss, after = self.query_loss(settled, query)
        after = self._norm.collect(after, values, step - 1)
        return loss, Adapted(after[:count], after[count:])
