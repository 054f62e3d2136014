"""Fine-tuning: train on all tasks together, then adapt. The baseline of metalearning."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_absent, check_count, check_positive
from deepchem_meta.engine.direction import smaller_is_better
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.evaluation import Evaluation
from deepchem_meta.metalearning.maml import MAML
from deepchem_meta.metalearning.task_algorithm import TaskObjective
from deepchem_meta.models.optimizers import Adam

__all__ = ["FineTuning"]


class FineTuning(MAML):
    r"""One model for all tasks, which is then trained on a task's support set.

    The optimizer minimises :math:`\sum_i (S_i(\theta) + Q_i(\theta)) / 2`, the losses on all data
    of the tasks drawn, without adaptation. A new task is adapted to as in `MAML`, at the rate that
    does best on known tasks. What metalearning gains is what it gains over this.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    learning_rates : sequence of float, default (0.001, 0.01, 0.1)
        The rates of adaptation to choose from.
    optimization_steps : int, default 10
        Steps of adaptation.
    meta_batch_size, optimizer, model_dir
        As in `MAML`.
    reduction : {"sum", "mean"}, default "mean"
        Of the gradients over tasks.
    **options
        Those of `MAML`, except for ``first_order`` and ``recompute``.

    Attributes
    ----------
    learning_rate : float
        The rate that was chosen; the first one until then.

    References
    ----------
    Chen, Liu, Kira, Wang and Huang, "A Closer Look at Few-shot Classification", ICLR 2019,
    https://arxiv.org/abs/1904.04232, on how strong this baseline is.

    Notes
    -----
    Tasks that number their classes anew (`FewShotClassificationTasks`) have nothing in common that
    one head could learn. There, and where each known task should have a head of its own, train the
    model's body by Keras with such heads beforehand, and do not call `fit` but `choose_rate`.
    """

    why_rate_is_fixed = "it is chosen from numbers"
    _rate_metric = "loss"  # that of the last `fit`

    def __init__(
        self,
        learner: Any,
        learning_rates: Sequence[float] = (0.001, 0.01, 0.1),
        optimization_steps: int = 10,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        reduction: str = "mean",
        **options: Any,
    ):
        reason = "nothing is trained through the steps"
        check_absent(options, "first_order", "recompute", reason=reason)
        if not isinstance(learning_rates, (list, tuple)) or not learning_rates:
            raise TypeError(
                "`learning_rates` must be a list of numbers. "
                f"Received: learning_rates={learning_rates!r}"
            )
        candidates = [check_positive("learning_rates", rate) for rate in learning_rates]
        chosen = tf.Variable(candidates[0], dtype=tf.float64, trainable=False)
        super().__init__(
            learner,
            candidates[0],
            optimization_steps,
            meta_batch_size,
            optimizer,
            model_dir,
            first_order=True,
            reduction=reduction,
            own_state=[chosen],
            **options,
        )
        self._candidates = candidates
        self._chosen = chosen

    @property
    def learning_rate(self) -> float:
        """The rate of adaptation."""
        return float(self._chosen.numpy())

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._chosen.assign(check_positive("learning_rate", value))

    def fit(
        self,
        steps: int,
        *args: Any,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        validation: Any = None,
        save_best: str | None = None,
        **options: Any,
    ) -> keras.callbacks.History:
        """Train on all tasks together, then choose the rate of adaptation.

        Parameters and result are those of `MAML.fit`. The rate is chosen on `validation` or,
        without it, on tasks of the kind that was trained on, if the learner has a source of them;
        with `validation` at the end of each epoch, and by the score that `save_best` names.
        """
        self._rate_metric = "loss" if save_best is None else save_best.removeprefix("val_")
        tasks = getattr(self.learner, "tasks", None)
        callbacks = list(callbacks or [])
        if validation is None and tasks is not None:
            choose = lambda logs: self.choose_rate(tasks)  # noqa: E731
            callbacks.append(keras.callbacks.LambdaCallback(on_train_end=choose))
        return super().fit(
            steps,
            *args,
            callbacks=callbacks,
            validation=validation,
            save_best=save_best,
            **options,
        )

    def validate(self, tasks: Any, n_tasks: int) -> Evaluation:
        """Choose the rate of adaptation on held-out tasks, and score them at it.

        Parameters and result are those of `MetaAlgorithm.validate`. So the best checkpoint has the
        rate that made it the best.
        """
        self.choose_rate(tasks, n_tasks, metric=self._rate_metric)
        return super().validate(tasks, n_tasks)

    def choose_rate(
        self, tasks: Any, n_tasks: int = 100, seed: int = 0, metric: str = "loss"
    ) -> float:
        """Take the rate after whose steps the mean query loss, or another metric, is best.

        Parameters
        ----------
        tasks : object or tf.data.Dataset
            A source of tasks, as `evaluate` takes it.
        n_tasks : int, default 100
            Tasks to adapt to.
        seed : int, default 0
            What they are drawn from.
        metric : str, default "loss"
            "loss", or the name of a metric or score that `evaluate` gives. The loss also counts how
            sure predictions are: where ranking or accuracy matters, choose by these.

        Returns
        -------
        float
            The rate, which `learning_rate` is from now on.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described. The rate stays as it was then.
        """
        check_count("n_tasks", n_tasks, minimum=1)
        if len(self._candidates) == 1:
            return self.learning_rate
        means, before = {}, self.learning_rate
        try:
            for rate in self._candidates:
                self.learning_rate = rate
                steps = (self.optimization_steps,)
                found = self.evaluate(tasks, n_tasks=n_tasks, optimization_steps=steps, seed=seed)
                if metric not in found.mean:
                    raise ValueError(
                        f"`metric` must be one of {list(found.mean)}. Received: metric={metric!r}"
                    )
                means[rate] = float(found.mean[metric][0])
        finally:
            self.learning_rate = before
        finite = {rate: mean for rate, mean in means.items() if np.isfinite(mean)}
        best = min if smaller_is_better(metric) else max
        self.learning_rate = best(finite or means, key=means.get)
        return self.learning_rate

    @property
    def learns_together(self) -> bool:
        """Whether one gradient is taken of the sum over tasks, since all have the same weights."""
        return type(self).task_gradient is FineTuning.task_gradient

    def objective(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
    ) -> TaskObjective:
        """Return the mean of the losses on both batches, without adaptation."""
        one, params = support.own_loss_and_state(params)
        other, final = query.loss_and_state(params)
        return TaskObjective((one + other) / 2, other, final)
