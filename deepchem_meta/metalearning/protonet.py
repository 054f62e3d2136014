"""Prototypical networks: classify by the nearest class mean."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_option
from deepchem_meta.engine.model import Embedding
from deepchem_meta.metalearning.embedding_algorithm import (
    EmbeddingAlgorithm,
    PositiveNumber,
    class_weights,
    dense_layer,
)
from deepchem_meta.models.optimizers import Adam

__all__ = ["ProtoNet", "prototypes"]


class ProtoNet(EmbeddingAlgorithm):
    r"""Prototypical networks: a class is the mean of its embedded support examples.

    With the prototypes :math:`c_k` of a task's classes, an example :math:`x` embedded as
    :math:`f_\theta(x)` has the logits

    .. math:: l_k(x) = -\tau \lVert f_\theta(x) - c_k \rVert^2,
              \quad c_k = \frac{1}{|S_k|} \sum_{x \in S_k} f_\theta(x),

    or :math:`\tau \cos(f_\theta(x), c_k)`, and their cross-entropy on the query set is minimised.
    There are no steps of adaptation.

    Parameters
    ----------
    learner : MetaLearner
        A `KerasLearner`, or one with a method `compute_embedding`.
    meta_batch_size : int, default 10
        Tasks a meta-step; the paper takes 1.
    optimizer : Optimizer or keras.optimizers.Optimizer, default Adam()
        The meta-optimizer.
    model_dir : path, optional
        The folder for checkpoints, as in `MAML`.
    distance : {"euclidean", "cosine"}, default "euclidean"
        The squared Euclidean distance, or the cosine.
    temperature : float, optional
        :math:`\tau`. By default it is meta-learned, from 1 for "euclidean" and from 10 for
        "cosine"; the paper has a fixed 1.
    ways : int, optional
        Classes of a task; see `EmbeddingAlgorithm`.
    **options
        Those of `MetaAlgorithm`.

    Attributes
    ----------
    temperature : float
        Its present value.

    References
    ----------
    Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017,
    https://arxiv.org/abs/1703.05175

    Notes
    -----
    The paper trains on more ways than it tests on. `ways` may be changed for that; a class that a
    support set does not have is never predicted.
    """

    adapts_in_steps = False

    def __init__(
        self,
        learner: Any,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        distance: str = "euclidean",
        temperature: float | None = None,
        ways: int | None = None,
        **options: Any,
    ):
        self._distance = check_option("distance", distance, ("euclidean", "cosine"))
        start = 1.0 if distance == "euclidean" else 10.0
        self._temperature = PositiveNumber("temperature", temperature, start, learner)
        super().__init__(
            learner,
            ways=ways,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            own_variables=self._temperature.variables,
            **options,
        )

    @property
    def temperature(self) -> float:
        """What distances are multiplied by."""
        return float(self._temperature)

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the prototypes, of shape (ways, size)."""
        return [prototypes(support, self.ways)]

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return minus the squared distances to the prototypes, or the cosines, times tau."""
        (centers,) = head
        if self._distance == "cosine":
            features, centers = (tf.math.l2_normalize(part, axis=1) for part in (features, centers))
            likeness = tf.matmul(features, centers, transpose_b=True)
        else:
            apart = tf.math.squared_difference(features[:, tf.newaxis], centers[tf.newaxis])
            likeness = -tf.reduce_sum(apart, axis=-1)
        return tf.cast(self._temperature.tensor(), likeness.dtype) * likeness

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return the logits in Keras' layers; see `EmbeddingAlgorithm.head_layers`.

        Minus the squared distance is linear in the features but for their own square.
        """
        (centers,) = head
        scale = float(self._temperature)
        if self._distance == "cosine":
            features = keras.layers.UnitNormalization(dtype=centers.dtype.name)(features)
            norms = np.sqrt(np.maximum((centers**2).sum(1, keepdims=True), 1e-12))
            return dense_layer(scale * (centers / norms).T, None, features)
        linear = dense_layer(2 * scale * centers.T, -scale * (centers**2).sum(1), features)
        return linear - scale * keras.ops.sum(keras.ops.square(features), axis=1, keepdims=True)


def prototypes(support: Embedding, ways: int) -> tf.Tensor:
    """Return the mean embedding of each class, of shape (ways, size); 0 of an absent one.

    Parameters
    ----------
    support : Embedding
        Of targets 0 to ways - 1; sample weights count.
    ways : int
        The number of classes.
    """
    weights = class_weights(support, ways)
    totals = tf.reduce_sum(weights, axis=0)[:, tf.newaxis]
    return tf.math.divide_no_nan(tf.matmul(weights, support.features, transpose_a=True), totals)
