"""Matching networks: classify by attention over the support set."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import Embedding, LearnerModel
from deepchem_meta.metalearning._heads import class_weights, dense_layer
from deepchem_meta.metalearning._positive_number import PositiveNumber
from deepchem_meta.metalearning.embedding_algorithm import EmbeddingAlgorithm
from deepchem_meta.models.optimizers import Adam

__all__ = ["MatchingNet"]


class MatchingNet(EmbeddingAlgorithm):
    r"""Matching networks: nearest neighbours, softly, in a meta-learned embedding.

    A query example gets the labels of the support examples, weighted by its attention to them:

    .. math:: P(y = k \mid x) \propto
              \sum_{i: y_i = k} w_i \exp(\tau \cos(f_\theta(x), f_\theta(x_i)))

    with the sample weights :math:`w_i`. There are no steps of adaptation.

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
    temperature : float, optional
        :math:`\tau`. By default it is meta-learned, from 10; the paper has a fixed 1.
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
    Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra, "Matching Networks for One Shot
    Learning", NeurIPS 2016, https://arxiv.org/abs/1606.04080

    Notes
    -----
    The paper's full context embeddings, recurrent networks over the support set, are not
    implemented: one embedding serves support and query.
    """

    def __init__(
        self,
        learner: Any,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        temperature: float | None = None,
        ways: int | None = None,
        **options: Any,
    ):
        learner = LearnerModel.of(learner)
        scale = PositiveNumber("temperature", temperature, 10.0, learner)
        super().__init__(
            learner,
            ways=ways,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            own_variables=scale.variables,
            **options,
        )
        self._temperature = scale

    @property
    def temperature(self) -> float:
        """What cosines are multiplied by."""
        return float(self._temperature)

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the directions of the support examples, and their weight in each class."""
        return [
            tf.math.l2_normalize(support.features, axis=1),
            class_weights(support, self.ways),
        ]

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return the logarithms of the sums of attention, of shape (examples, ways)."""
        directions, weights = head
        cosines = tf.matmul(tf.math.l2_normalize(features, axis=1), directions, transpose_b=True)
        attention = tf.cast(self._temperature.tensor(), cosines.dtype) * cosines
        counted = (weights > 0) | tf.math.is_nan(weights)  # NaN, of a wrong label, is seen
        log_weights = tf.math.log(tf.where(counted, weights, tf.ones_like(weights)))
        terms = attention[:, :, tf.newaxis] + log_weights
        nothing = tf.constant(-1e9, terms.dtype)
        return tf.reduce_logsumexp(tf.where(counted, terms, nothing), axis=1)

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return the logits in Keras' layers; see `EmbeddingAlgorithm.head_layers`."""
        directions, weights = head
        kernel = float(self._temperature) * directions.T
        features = keras.layers.UnitNormalization(dtype=directions.dtype.name)(features)
        attention = keras.ops.expand_dims(dense_layer(kernel, None, features), -1)
        log_weights = np.where(weights > 0, np.log(np.where(weights > 0, weights, 1)), -1e9)
        return keras.ops.logsumexp(attention + log_weights.astype(weights.dtype), axis=(1,))
