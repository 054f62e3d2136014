"""A Gaussian process as the head of a network: deep kernel transfer."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_count, check_positive
from deepchem_meta.engine.learner_model import Embedding, LearnerModel
from deepchem_meta.metalearning._heads import class_weights, dense_layer, known_ways
from deepchem_meta.metalearning._kernels import (
    KERNELS,
    KernelValues,
    kernel_diagonal,
    kernel_values,
)
from deepchem_meta.metalearning._positive_number import PositiveNumber
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.adapted_task import AdaptedTask
from deepchem_meta.metalearning.embedding_algorithm import EmbeddingAlgorithm
from deepchem_meta.models.optimizers import Adam

__all__ = ["GaussianProcessHead"]


class Posterior(NamedTuple):
    """A Gaussian process given a support set: the head.

    Attributes
    ----------
    features : tensor of shape (examples, size)
    roots : tensor of shape (examples,)
        The square roots of the sample weights; 0 for padding.
    factor : tensor of shape (examples, examples)
        The Cholesky factor of the covariance of the weighted measurements.
    dual : tensor of shape (examples, outputs)
        What the kernel to the support set is multiplied by.
    center, spread : tensors of shape (outputs,)
        What is added to the means, and what they are multiplied by before: a regression's mean and
        standard deviation; the logarithms of the classes' shares, and 1.
    logs : tensor of shape (hyperparameters,)
        The logarithms of noise, amplitudes and length scale.
    """

    features: tf.Tensor
    roots: tf.Tensor
    factor: tf.Tensor
    dual: tf.Tensor
    center: tf.Tensor
    spread: tf.Tensor
    logs: tf.Tensor


# In a head, which may go on with what is about classes.
_LOGS = list(Posterior.__annotations__).index("logs")


class GaussianProcessHead(EmbeddingAlgorithm):
    r"""Deep kernel transfer: an exact Gaussian process on the embedding of a task's support set.

    The covariance of two examples is a sum of kernels of their embeddings :math:`u, v` of size
    :math:`d`, each with an amplitude :math:`a`:

    .. math:: \frac{a_1}{d} u^T v, \qquad
              a_2 \exp \frac{-\lVert u - v \rVert^2}{2 d \ell^2}, \qquad
              a_3 \frac{u^T v}{\lVert u \rVert^2 + \lVert v \rVert^2 - u^T v},

    and a measurement has the noise variance :math:`\sigma^2` besides. For regression a task's
    targets are standardised by the mean and the standard deviation of its support set, so that
    tasks of different units can be learned together; predictions are in the task's own unit. The
    loss is minus the logarithm of the predictive density of a query example's target.

    Classes are regressed on as 1 and -1, less the mean of the support set. With the posterior mean
    :math:`m_k` of a class, the variance :math:`v` and the class's share :math:`p_k` of the support
    set (with one example more of each class), its logit is
    :math:`s\,m_k / \sqrt{1 + \pi s^2 v / 8} + \log p_k`, which averages over what the process does
    not know (MacKay 1992): far from all examples it is the share. The loss is their cross-entropy.

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
    kernel : str or list of str, default "rbf"
        One of "linear", "rbf" and "tanimoto", or several for their sum. "tanimoto" is meant for
        features of at least 0, such as fingerprints.
    noise : float, optional
        :math:`\sigma^2`, above 0. By default it is meta-learned, from 0.1.
    kernel_steps : int, default 0
        Steps of gradient descent that adapt noise, amplitudes and length scale to each task, from
        the meta-learned values, on the mean logarithm of the marginal likelihood of its support
        set. The meta-gradient goes through them. 0 is deep kernel transfer.
    kernel_rate : float, default 0.1
        The learning rate of these steps, above 0, for the logarithms.
    ways : int, optional
        Classes of a task; None stands for those of a `KerasLearner`'s tasks and, where these have
        none, for regression.
    **options
        Those of `MetaAlgorithm`.

    Attributes
    ----------
    kernel : list of str
        The kernels.
    noise : float
        The present value of :math:`\sigma^2`.
    amplitudes : dict of str to float
        The present amplitude of each kernel.
    length_scale : float
        The present value of :math:`\ell`, which starts from 1.

    References
    ----------
    Patacchiola, Turner, Crowley, O'Boyle and Storkey, "Bayesian Meta-Learning for the Few-Shot
    Setting via Deep Kernels", NeurIPS 2020, https://arxiv.org/abs/1910.05199

    Chen, Tripp and Hernandez-Lobato, "Meta-learning Adaptive Deep Kernel Gaussian Processes for
    Molecular Property Prediction", ICLR 2023, https://arxiv.org/abs/2205.02708, which adapts the
    kernel until the marginal likelihood no longer grows.

    MacKay, "The Evidence Framework Applied to Classification Networks", Neural Computation 4, 1992.

    Notes
    -----
    The paper's loss is the marginal likelihood of all of a task's examples; the predictive
    density is what ranking and intervals are judged by. The noise of an example is divided by its
    sample weight.
    """

    for_regression = True

    def __init__(
        self,
        learner: Any,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        *,
        kernel: str | Sequence[str] = "rbf",
        noise: float | None = None,
        kernel_steps: int = 0,
        kernel_rate: float = 0.1,
        ways: int | None = None,
        **options: Any,
    ):
        kernel = _check_kernel(kernel)
        kernel_steps = check_count("kernel_steps", kernel_steps)
        kernel_rate = check_positive("kernel_rate", kernel_rate)
        learner = LearnerModel.of(learner)
        ways = known_ways(learner, ways)
        noise = PositiveNumber("noise", noise, 0.1, learner)
        amplitudes = [PositiveNumber(f"{name}_amplitude", None, 1.0, learner) for name in kernel]
        fixed = None if "rbf" in kernel else 1.0
        length_scale = PositiveNumber("length_scale", fixed, 1.0, learner)
        scale = PositiveNumber("scale", 1.0 if ways is None else None, 1.0, learner)
        numbers = [noise, *amplitudes, length_scale, scale]
        super().__init__(
            learner,
            ways=ways,
            meta_batch_size=meta_batch_size,
            optimizer=optimizer,
            model_dir=model_dir,
            own_variables=[variable for number in numbers for variable in number.variables],
            **options,
        )
        self.kernel = kernel
        self.kernel_steps = kernel_steps
        self.kernel_rate = kernel_rate
        self._noise = noise
        self._amplitudes = amplitudes
        self._length_scale = length_scale
        self._scale = scale
        self._numbers = numbers

    @property
    def hyperparameters(self) -> dict[str, float]:
        """The present values of the numbers that are learned, by name. They may be set."""
        return {number.name: float(number) for number in self._numbers if number.variables}

    @hyperparameters.setter
    def hyperparameters(self, values: dict[str, float]) -> None:
        known = {number.name: number for number in self._numbers if number.variables}
        if set(values) != set(known):
            raise ValueError(
                f"`hyperparameters` must be {', '.join(known)}. Received: {', '.join(values)}"
            )
        values = {name: check_positive(name, value) for name, value in values.items()}
        for name, value in values.items():
            known[name].assign(value)

    def hyperparameters_of(self, adapted: AdaptedTask) -> dict[str, float]:
        """Return the noise, amplitudes and length scale of a task, after `kernel_steps`.

        Parameters
        ----------
        adapted : AdaptedTask
            What `adapt` has given.

        Returns
        -------
        dict of str to float
            By the names of `hyperparameters`, of which they can be a part.
        """
        values = np.exp(adapted.head[_LOGS])
        numbers = zip([self._noise, *self._amplitudes, self._length_scale], values, strict=True)
        return {number.name: float(value) for number, value in numbers if number.variables}

    @property
    def noise(self) -> float:
        """The variance of a measurement."""
        return float(self._noise)

    @property
    def amplitudes(self) -> dict[str, float]:
        """What each kernel is multiplied by."""
        return {name: float(a) for name, a in zip(self.kernel, self._amplitudes, strict=True)}

    @property
    def length_scale(self) -> float:
        """The length scale of "rbf", in units of the square root of the number of features."""
        return float(self._length_scale)

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the process given a support set, as the list of a `Posterior`."""
        x = support.features
        weights = tf.ones_like(x[:, 0])
        if support.weights is not None:
            weights *= tf.cast(support.weights, x.dtype)
        y, center, spread = self._standardised(support, weights)
        roots = tf.sqrt(weights)
        numbers = [self._noise, *self._amplitudes, self._length_scale]
        logs = tf.stack([tf.cast(tf.math.log(n.tensor()), x.dtype) for n in numbers])
        weighted = roots[:, tf.newaxis] * y
        if self.kernel_steps:  # a loop in the graph, whose trace does not grow with the steps
            (logs,) = tf.while_loop(
                lambda logs: True,
                lambda logs: [self._kernel_step(logs, x, roots, weighted)],
                [logs],
                maximum_iterations=self.kernel_steps,
            )
        factor = self._factor(logs, x, roots)
        dual = roots[:, tf.newaxis] * tf.linalg.cholesky_solve(factor, weighted)
        return list(Posterior(x, roots, factor, dual, center, spread, logs))

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return logits; for regression the means and, after them, the standard deviations."""
        process = Posterior(*head)
        values = self._values(process.logs)
        size = features.shape[-1]
        squares = tf.reduce_sum(features**2, axis=1)
        known = tf.reduce_sum(process.features**2, axis=1)
        products = tf.matmul(features, process.features, transpose_b=True)
        both = squares[:, tf.newaxis], known[tf.newaxis]
        covariance = kernel_values(self.kernel, values, products, both, size)
        mean = tf.matmul(covariance, process.dual)
        explained = tf.linalg.triangular_solve(
            process.factor, tf.transpose(covariance * process.roots)
        )
        prior = kernel_diagonal(self.kernel, values, squares, size)
        variance = tf.nn.relu(prior - tf.reduce_sum(explained**2, axis=0))[:, tf.newaxis]
        if self.ways is not None:
            scale = tf.cast(self._scale.tensor(), mean.dtype)
            logits = scale * mean / tf.sqrt(1 + math.pi / 8 * scale**2 * variance)
            return logits + process.center
        deviation = tf.sqrt(variance + values.noise)
        return tf.concat(
            [process.center + process.spread * mean, process.spread * deviation], axis=1
        )

    def head_loss(self, embedded: Embedding, predicted: tf.Tensor) -> tf.Tensor:
        """Return the mean cross-entropy or, for regression, minus the mean log density.

        Parameters are those of `EmbeddingAlgorithm.head_loss`.
        """
        if self.ways is not None:
            return super().head_loss(embedded, predicted)
        mean, deviation = tf.split(predicted, 2, axis=1)
        wanted = tf.cast(tf.reshape(embedded.targets, tf.shape(mean)), mean.dtype)
        densities = -0.5 * ((wanted - mean) / deviation) ** 2 - tf.math.log(
            math.sqrt(2 * math.pi) * deviation
        )
        return self.mean_loss(embedded, -tf.reduce_mean(densities, axis=1))

    def outputs(self, predicted: tf.Tensor) -> tf.Tensor:
        """Return logits or probabilities in the model's form, or the means of regression."""
        if self.ways is not None:
            return super().outputs(predicted)
        return tf.split(predicted, 2, axis=1)[0]

    def predict_deviations(self, adapted: Adapted, x: Any) -> tf.Tensor:
        """Return the standard deviations of measurements of examples, of `predict`'s shape."""
        if self.ways is not None:
            return super().predict_deviations(adapted, x)
        return tf.split(self.predict_head(adapted, x), 2, axis=1)[1]

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return logits or means in Keras' layers; see `EmbeddingAlgorithm.head_layers`."""
        process = Posterior(*head)
        size = process.features.shape[1]
        noise, *amplitudes, length_scale = (float(v) for v in np.exp(process.logs))
        values = KernelValues(noise, amplitudes, length_scale)
        squares = keras.ops.sum(keras.ops.square(features), axis=1, keepdims=True)
        known = (process.features**2).sum(axis=1)[np.newaxis]
        products = dense_layer(process.features.T, None, features)
        covariance = kernel_values(self.kernel, values, products, (squares, known), size)
        if self.ways is None:
            return dense_layer(process.spread * process.dual, process.center, covariance)
        mean = dense_layer(process.dual, None, covariance)
        inverse = np.linalg.inv(process.factor.astype(np.float64)) * process.roots
        explained = dense_layer(inverse.T.astype(process.factor.dtype), None, covariance)
        prior = kernel_diagonal(self.kernel, values, squares, size)
        variance = keras.ops.relu(
            prior - keras.ops.sum(keras.ops.square(explained), axis=1, keepdims=True)
        )
        scale = float(self._scale)
        logits = scale * mean / keras.ops.sqrt(1 + math.pi / 8 * scale**2 * variance)
        return logits + process.center

    def _standardised(self, support, weights):
        """Return targets of shape (examples, outputs), and the `center` and `spread` of them."""
        column = weights[:, tf.newaxis]
        total = tf.reduce_sum(weights)
        if self.ways is not None:
            counts = class_weights(support, self.ways)
            counted = tf.reduce_sum(counts, axis=0)
            y = 2 * tf.sign(counts) - 1
            y -= tf.reduce_sum(column * y, axis=0) / total
            return y, tf.math.log((counted + 1) / (total + self.ways)), tf.ones_like(counted)
        y = tf.cast(support.targets, support.features.dtype)
        y = y[:, tf.newaxis] if y.shape.rank == 1 else y
        center = tf.reduce_sum(column * y, axis=0) / total
        spread = tf.sqrt(tf.reduce_sum(column * (y - center) ** 2, axis=0) / total)
        # All targets are equal where there is no spread, as of one example.
        spread = tf.where(spread > 0, spread, tf.ones_like(spread))
        return (y - center) / spread, center, spread

    def _values(self, logs):
        values = tf.unstack(tf.exp(logs))
        return KernelValues(values[0], values[1:-1], values[-1])

    def _factor(self, logs, x, roots):
        """Return the Cholesky factor of the covariance of the weighted measurements."""
        values = self._values(logs)
        products = tf.matmul(x, x, transpose_b=True)
        squares = tf.reduce_sum(x**2, axis=1)
        both = squares[:, tf.newaxis], squares[tf.newaxis]
        covariance = kernel_values(self.kernel, values, products, both, x.shape[-1])
        covariance *= roots[:, tf.newaxis] * roots
        # What rounding may make of the smallest eigenvalue.
        rounding = 10 * np.finfo(x.dtype.as_numpy_dtype).eps * tf.linalg.trace(covariance)
        diagonal = values.noise + tf.stop_gradient(rounding)
        return tf.linalg.cholesky(covariance + diagonal * tf.eye(tf.shape(x)[0], dtype=x.dtype))

    def _kernel_step(self, logs, x, roots, weighted):
        """Return the hyperparameters after a step up the marginal likelihood's gradient."""
        outputs = weighted.shape[1]
        with tf.GradientTape() as tape:
            tape.watch(logs)
            factor = self._factor(logs, x, roots)
            fit = tf.reduce_sum(weighted * tf.linalg.cholesky_solve(factor, weighted))
            volume = 2 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)))
            padding = tf.cast(tf.math.count_nonzero(roots == 0), x.dtype)
            loss = 0.5 * (fit + outputs * (volume - padding * logs[0]))
            loss /= tf.cast(tf.math.count_nonzero(roots), x.dtype) * outputs
        return logs - self.kernel_rate * tape.gradient(loss, logs)


def _check_kernel(kernel: Any) -> list[str]:
    """Return a list of names of kernels, or raise."""
    names = [kernel] if isinstance(kernel, str) else kernel
    good = isinstance(names, (list, tuple)) and names and all(name in KERNELS for name in names)
    if not good or len(set(names)) < len(names):
        raise ValueError(
            f"`kernel` must be one of {', '.join(map(repr, KERNELS))}, or a list of several. "
            f"Received: kernel={kernel!r}"
        )
    return list(names)
