"""Prototypical networks: classify by the nearest class mean."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_option
from deepchem_meta.engine.learner_model import Embedding, LearnerModel
from deepchem_meta.metalearning._heads import class_weights, dense_layer
from deepchem_meta.metalearning._positive_number import PositiveNumber
from deepchem_meta.metalearning.embedding_algorithm import EmbeddingAlgorithm
from deepchem_meta.models.optimizers import Adam

__all__ = ["ProtoNet", "prototypes"]

# Where a learned temperature starts, by the distance.
_TEMPERATURES = {"euclidean": 1.0, "cosine": 10.0, "mahalanobis": 0.5}


class ProtoNet(EmbeddingAlgorithm):
    r"""Prototypical networks: a class is the mean of its embedded support examples.

    With the prototypes :math:`c_k` of a task's classes, an example :math:`x` embedded as
    :math:`f_\theta(x)` has the logits

    .. math:: l_k(x) = -\tau \lVert f_\theta(x) - c_k \rVert^2,
              \quad c_k = \frac{1}{|S_k|} \sum_{x \in S_k} f_\theta(x),

    or :math:`\tau \cos(f_\theta(x), c_k)`, and their cross-entropy on the query set is minimised.
    There are no steps of adaptation. The Mahalanobis distance takes the squared norm by the inverse
    of :math:`Q_k`, with the covariances :math:`\Sigma_k` of a class of :math:`n_k` examples and
    :math:`\Sigma` of the support set:

    .. math:: Q_k = \lambda_k \Sigma_k + (1 - \lambda_k) \Sigma + I, \quad
              \lambda_k = \frac{n_k}{n_k + 1}.

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
    distance : {"euclidean", "cosine", "mahalanobis"}, default "euclidean"
        The squared Euclidean or Mahalanobis distance, or the cosine. The second needs a system of
        equations of the embedding's size for each class.
    temperature : float, optional
        :math:`\tau`. By default it is meta-learned, from 1, from 0.5 for "mahalanobis" and
        from 10 for "cosine"; the papers have fixed ones of 1 and 0.5.
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

    Bateni, Goyal, Masrani, Wood and Sigal, "Improved Few-Shot Visual Classification" (Simple
    CNAPS), CVPR 2020, https://arxiv.org/abs/1912.03432, for the Mahalanobis distance, which the
    ProtoNet of FS-Mol takes too.

    Notes
    -----
    The paper trains on more ways than it tests on. `ways` may be changed for that; a class that a
    support set does not have is never predicted.
    """

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
        check_option("distance", distance, tuple(_TEMPERATURES))
        learner = LearnerModel.of(learner)
        scale = PositiveNumber("temperature", temperature, _TEMPERATURES[distance], learner)
        super().__init__(
            learner,
            ways=ways,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            own_variables=scale.variables,
            **options,
        )
        self._distance = distance
        self._temperature = scale

    @property
    def temperature(self) -> float:
        """What distances are multiplied by."""
        return float(self._temperature)

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the prototypes, of shape (ways, size).

        For the Mahalanobis distance the Cholesky factors of each class's covariance follow, of
        shape (ways, size, size).
        """
        centers = prototypes(support, self.ways)
        if self._distance != "mahalanobis":
            return [centers]
        return [centers, tf.linalg.cholesky(class_covariances(support, centers))]

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return minus the squared distances to the prototypes, or the cosines, times tau."""
        centers = head[0]
        if self._distance == "cosine":
            features, centers = (tf.math.l2_normalize(part, axis=1) for part in (features, centers))
            likeness = tf.matmul(features, centers, transpose_b=True)
        elif self._distance == "mahalanobis":
            apart = tf.transpose(features[tf.newaxis] - centers[:, tf.newaxis], (0, 2, 1))
            solved = tf.linalg.triangular_solve(head[1], apart)
            likeness = -tf.transpose(tf.reduce_sum(solved**2, axis=1))
        else:
            apart = tf.math.squared_difference(features[:, tf.newaxis], centers[tf.newaxis])
            likeness = -tf.reduce_sum(apart, axis=-1)
        return tf.cast(self._temperature.tensor(), likeness.dtype) * likeness

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return the logits in Keras' layers; see `EmbeddingAlgorithm.head_layers`.

        Minus the squared distance is linear in the features except for their own square.
        """
        centers = head[0]
        scale = float(self._temperature)
        if self._distance == "cosine":
            features = keras.layers.UnitNormalization(dtype=centers.dtype.name)(features)
            norms = np.sqrt(np.maximum((centers**2).sum(1, keepdims=True), 1e-12))
            return dense_layer(scale * (centers / norms).T, None, features)
        if self._distance == "mahalanobis":
            inverses = np.linalg.inv(head[1].astype(np.float64))
            logits = []
            for center, inverse in zip(centers, inverses, strict=True):
                kernel, bias = inverse.T, -inverse @ center
                parts = dense_layer(
                    kernel.astype(centers.dtype), bias.astype(centers.dtype), features
                )
                logits.append(keras.ops.sum(keras.ops.square(parts), axis=1, keepdims=True))
            return -scale * keras.ops.concatenate(logits, axis=1)
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


def class_covariances(support: Embedding, centers: tf.Tensor) -> tf.Tensor:
    """Return the covariance of each class, shrunk to the task's and to the identity.

    Parameters
    ----------
    support : Embedding
        Sample weights count.
    centers : tensor of shape (ways, size)
        The prototypes.

    Returns
    -------
    tensor of shape (ways, size, size)
        Of `ProtoNet`'s formula. A covariance is divided by the sum of weights less 1, and is 0 of
        a single example.
    """
    weights = class_weights(support, centers.shape[0])
    x = support.features
    mean = prototypes(support._replace(targets=tf.zeros_like(support.targets)), 1)
    whole = _covariance(tf.reduce_sum(weights, axis=1), x - mean)
    apart = [_covariance(weights[:, k], x - centers[k]) for k in range(centers.shape[0])]
    counts = tf.reduce_sum(weights, axis=0)[:, tf.newaxis, tf.newaxis]
    share = counts / (counts + 1)
    return share * tf.stack(apart) + (1 - share) * whole + tf.eye(x.shape[1], dtype=x.dtype)


def _covariance(weights: tf.Tensor, apart: tf.Tensor) -> tf.Tensor:
    """Return the weighted covariance of examples, given how far they are from the mean."""
    total = tf.matmul(weights[:, tf.newaxis] * apart, apart, transpose_a=True)
    return total / tf.maximum(tf.reduce_sum(weights) - 1, tf.ones((), total.dtype))
