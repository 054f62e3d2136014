"""ProtoMAML: MAML whose head starts from the prototypes of a task's classes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import Embedding
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.metalearning._heads import dense_layer
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.embedding_algorithm import EmbeddingAlgorithm
from deepchem_meta.metalearning.maml import MAML
from deepchem_meta.metalearning.protonet import prototypes
from deepchem_meta.models.optimizers import Adam

__all__ = ["ProtoMAML"]


class ProtoMAML(EmbeddingAlgorithm, MAML):
    r"""MAML on an embedding with a linear head that starts as a prototypical network.

    The head :math:`l_k(x) = w_k^T f(x) + b_k` of a task starts from

    .. math:: w_k = 2 c_k, \quad b_k = -\lVert c_k \rVert^2

    with the prototypes :math:`c_k` of its support set, which is `ProtoNet` with the squared
    Euclidean distance. The inner loop then adapts the embedding and the head, and the
    meta-gradient goes through both and through the prototypes.

    Parameters
    ----------
    learner : MetaLearner
        A `KerasLearner`, or one with a method `compute_embedding`.
    learning_rate : float or tf.Variable, default 0.01
        The rate of the inner loop.
    optimization_steps : int, default 5
        Steps of the inner loop.
    meta_batch_size, optimizer, model_dir
        As in `MAML`.
    ways : int, optional
        Classes of a task; see `EmbeddingAlgorithm`.
    reduction : {"sum", "mean"}, default "mean"
        Of the meta-gradients over tasks.
    **options
        Those of `MAML`. ``adapt_variables`` is about the learner's variables; the head always
        adapts.

    References
    ----------
    Triantafillou et al., "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
    Examples", ICLR 2020, https://arxiv.org/abs/1903.03096
    """

    adapts_in_steps = True

    def __init__(
        self,
        learner: Any,
        learning_rate: float | tf.Variable = 0.01,
        optimization_steps: int = 5,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        ways: int | None = None,
        reduction: str = "mean",
        **options: Any,
    ):
        super().__init__(
            learner,
            learning_rate,
            optimization_steps,
            meta_batch_size,
            optimizer,
            model_dir,
            ways=ways,
            reduction=reduction,
            **options,
        )

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the weights, of shape (ways, size), and the offsets, (ways,)."""
        centers = prototypes(support, self.ways)
        return [2 * centers, -tf.reduce_sum(centers**2, axis=1)]

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return the linear logits."""
        weights, offsets = head
        return tf.matmul(features, weights, transpose_b=True) + offsets

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return the linear logits as a Dense layer; see `EmbeddingAlgorithm.head_layers`."""
        weights, offsets = head
        return dense_layer(weights.T, offsets, features)

    def adapt_task(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> Adapted:
        """Take `steps` steps from the prototypes' head.

        Parameters and result are those of `MetaAlgorithm.adapt_task`.
        """
        embedded = support.embed(params)
        *head, present = self.full_head(embedded)
        count = len(params)

        def loss(values, step):
            embedded, head = support.embed(values[:count], step), values[count:]
            predicted = self.predict_features([*head, present], embedded.features)
            return self.head_loss(embedded, predicted), [*embedded.params, *head]

        loop = self.inner_loop(numbers, more=len(head))
        values = loop.run(loss, [*embedded.params, *head], steps)
        return Adapted(values[:count], [*values[count:], present])
