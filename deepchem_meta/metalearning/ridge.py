"""Ridge regression as the head of a network, solved exactly for each task."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import Embedding, LearnerModel
from deepchem_meta.metalearning._heads import class_weights, dense_layer, known_ways
from deepchem_meta.metalearning._positive_number import PositiveNumber
from deepchem_meta.metalearning.embedding_algorithm import EmbeddingAlgorithm
from deepchem_meta.models.optimizers import Adam

__all__ = ["RidgeRegressionHead"]


class RidgeRegressionHead(EmbeddingAlgorithm):
    r"""R2-D2: a linear head by ridge regression, through whose solution the embedding learns.

    With the centred features :math:`X` of a task's support set, one row an example, and its centred
    targets :math:`Y`, the head is

    .. math:: W = X^T (X X^T + \lambda I)^{-1} Y = (X^T X + \lambda I)^{-1} X^T Y

    with an intercept that is not penalised. For classification :math:`Y` are one-hot rows, and the
    predictions times a learned scale are logits. There are no steps of adaptation.

    Parameters
    ----------
    learner : MetaLearner
        A `KerasLearner`, or one with a method `compute_embedding`.
    meta_batch_size : int, default 10
        Tasks a meta-step.
    optimizer : Optimizer or keras.optimizers.Optimizer, default Adam()
        The meta-optimizer.
    model_dir : path, optional
        The folder for checkpoints, as in `MAML`.
    regularization : float, optional
        :math:`\lambda`, above 0. By default it is meta-learned, from 1.
    ways : int, optional
        Classes of a task; None stands for those of a `KerasLearner`'s tasks and, where these have
        none, for regression.
    **options
        Those of `MetaAlgorithm`.

    Attributes
    ----------
    regularization : float
        Its present value.

    References
    ----------
    Bertinetto, Henriques, Torr and Vedaldi, "Meta-learning with Differentiable Closed-form
    Solvers", ICLR 2019, https://arxiv.org/abs/1805.08136

    Notes
    -----
    Sample weights count as in scikit-learn's `Ridge`. The paper's head has no intercept.

    The smaller of the two systems is solved. With 100 examples of 8 features in float32 and a
    :math:`\lambda` of 1e-4, the larger one gave weights that were off by 1e-2, and the smaller one
    by 6e-7.
    """

    for_regression = True

    def __init__(
        self,
        learner: Any,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        regularization: float | None = None,
        ways: int | None = None,
        **options: Any,
    ):
        learner = LearnerModel.of(learner)
        penalty = PositiveNumber("regularization", regularization, 1.0, learner)
        ways = known_ways(learner, ways)
        scale = PositiveNumber("scale", 1.0 if ways is None else None, 1.0, learner)
        super().__init__(
            learner,
            ways=ways,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            own_variables=[*penalty.variables, *scale.variables],
            **options,
        )
        self._regularization = penalty
        self._scale = scale

    @property
    def regularization(self) -> float:
        """What the squared norm of the head is multiplied by."""
        return float(self._regularization)

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the weights, of shape (size, outputs), and the intercept, (outputs,)."""
        x = support.features
        weights = tf.ones_like(x[:, :1])
        if support.weights is not None:
            weights *= tf.cast(support.weights, x.dtype)[:, tf.newaxis]
        if self.ways is None:
            y = tf.cast(support.targets, x.dtype)
            y = y[:, tf.newaxis] if y.shape.rank == 1 else y
        else:
            y = tf.sign(class_weights(support, self.ways))
        total = tf.reduce_sum(weights)
        mean_x, mean_y = (tf.reduce_sum(weights * part, axis=0) / total for part in (x, y))
        x, y = (tf.sqrt(weights) * (part - mean) for part, mean in ((x, mean_x), (y, mean_y)))
        solved = _ridge(x, y, tf.cast(self._regularization.tensor(), x.dtype))
        return [solved, mean_y - tf.linalg.matvec(solved, mean_x, transpose_a=True)]

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return the linear predictions; for classification times the learned scale."""
        solved, intercept = head
        predicted = tf.matmul(features, solved) + intercept
        if self.ways is None:
            return predicted
        return tf.cast(self._scale.tensor(), predicted.dtype) * predicted

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return the predictions as a Dense layer; see `EmbeddingAlgorithm.head_layers`."""
        solved, intercept = head
        scale = 1.0 if self.ways is None else float(self._scale)
        return dense_layer(scale * solved, scale * intercept, features)


def _ridge(x: tf.Tensor, y: tf.Tensor, penalty: tf.Tensor) -> tf.Tensor:
    """Return the weights of a ridge regression, of shape (features, outputs).

    Parameters
    ----------
    x : tensor of shape (examples, features)
    y : tensor of shape (examples, outputs)
    penalty : scalar tf.Tensor
        Above 0.
    """
    examples, features = x.shape

    def by_examples():
        kernel = tf.matmul(x, x, transpose_b=True)
        kernel += penalty * tf.eye(tf.shape(x)[0], dtype=x.dtype)
        dual = tf.linalg.cholesky_solve(tf.linalg.cholesky(kernel), y)
        return tf.matmul(x, dual, transpose_a=True)

    def by_features():
        kernel = tf.matmul(x, x, transpose_a=True) + penalty * tf.eye(features, dtype=x.dtype)
        return tf.linalg.cholesky_solve(
            tf.linalg.cholesky(kernel), tf.matmul(x, y, transpose_a=True)
        )

    if examples is None:
        return tf.cond(tf.shape(x)[0] <= features, by_examples, by_features)
    return by_examples() if examples <= features else by_features()
