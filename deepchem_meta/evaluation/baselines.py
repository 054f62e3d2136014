"""What scikit-learn makes of each task's support set alone: what metalearning has to beat."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_score_names
from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.task_source import KnownSource
from deepchem_meta.evaluation.report import Evaluation
from deepchem_meta.tasks.padding import flatten, map_structure
from deepchem_meta.tasks.streams import as_source

__all__ = ["EstimatorBaseline", "FittedEstimator"]

# The logarithm of the least probability, that to which scikit-learn's log_loss clips.
_LEAST = np.log(np.finfo(np.float64).eps)


class EstimatorBaseline:
    """A scikit-learn estimator, fitted to the support set of each task anew.

    It learns nothing from other tasks, except what `features` may have learned. It adapts and is
    evaluated as the algorithms of `deepchem_meta.metalearning` are, on the same tasks.

    Parameters
    ----------
    estimator : sklearn.base.BaseEstimator
        A classifier or regressor with its settings. It is cloned for each task and itself left as
        it is. Give one that draws random numbers a `random_state`, to get the same result again.
    features : callable, optional
        Makes of x, with the example as first axis, an array of shape (examples, features), such
        as the `embed` method of a `KerasLearner`. By default x with all axes but the first
        flattened.
    name : str, optional
        What it is called in tables, by default the estimator's class.

    Attributes
    ----------
    estimator : sklearn.base.BaseEstimator
        As given.
    features : callable or None
        As given.
    name : str
        As given, or the estimator's class.
    optimization_steps : int
        Always 0: there are no steps of adaptation.

    Raises
    ------
    TypeError
        If `estimator` is neither a classifier nor a regressor, or a classifier without
        ``predict_proba`` and ``decision_function``; or `features` cannot be called.
    ImportError
        If scikit-learn is not installed: ``pip install "deepchem_meta[molecules]"``.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from deepchem_meta.evaluation import EstimatorBaseline
    >>> from deepchem_meta.tasks import SinusoidTasks
    >>> ridge = EstimatorBaseline(Ridge())
    >>> evaluation = ridge.evaluate(SinusoidTasks(shots=10), n_tasks=100)
    >>> evaluation.loss.shape
    (100, 1)

    References
    ----------
    Tian, Y., Wang, Y., Krishnan, D., Tenenbaum, J. B., and Isola, P. (2020). Rethinking few-shot
    image classification: a good embedding is all you need? ECCV. https://arxiv.org/abs/2003.11539

    Stanley, M., et al. (2021). FS-Mol: a few-shot learning dataset of molecules. NeurIPS Datasets
    and Benchmarks, which has random forests and nearest neighbours as baselines.

    Notes
    -----
    Examples of weight 0 are padding, and neither trained on nor scored. Other sample weights are
    passed on if the estimator's ``fit`` takes `sample_weight`, and else not used in training.

    Of a support set that has one class only, that class is predicted.
    """

    optimization_steps = 0

    def __init__(
        self,
        estimator: Any,
        *,
        features: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ):
        self._classifies = _check_estimator(estimator)
        if features is not None and not callable(features):
            raise TypeError(
                "`features` must be a function that makes features of x. "
                f"Received: features={features!r}"
            )
        self.estimator = estimator
        self.features = features
        self.name = type(estimator).__name__ if name is None else name

    def adapt(
        self, support: Any, optimization_steps: int | None = None, *, ways: int | None = None
    ) -> FittedEstimator:
        """Fit a clone of the estimator to a task's support set.

        Parameters
        ----------
        support : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, the first axis the example. For a classifier y
            has shape (examples,) or (examples, 1) and holds the numbers of classes, from 0.
        optimization_steps : int, optional
            Not used; it is there since other algorithms take it.
        ways : int, optional
            How many classes there are. By default one more than the largest in `support`, at
            least 2. For classifiers.

        Returns
        -------
        FittedEstimator

        Raises
        ------
        TypeError, ValueError
            If the batch is not as described, has no example of weight above 0, or has a class of
            `ways` or above.
        """
        x, y, weights = _without_padding(support)
        inputs = _features(self.features, x)
        estimator = _sklearn("base").clone(self.estimator)
        if not self._classifies:
            flat = y.ravel() if y.size == len(y) else y
            _fit(estimator, inputs, flat, weights)
            return FittedEstimator(estimator, self.features, shape=y.shape[1:])
        classes = _class_numbers(y)
        ways = max(2, classes.max() + 1) if ways is None else check_count("ways", ways, minimum=2)
        if classes.max() >= ways:
            raise ValueError(
                f"Classes must be numbers from 0 to ways - 1 = {ways - 1}. "
                f"Received: {classes.max()}"
            )
        if len(np.unique(classes)) == 1:  # which most classifiers refuse
            estimator = _sklearn("dummy").DummyClassifier(strategy="most_frequent")
        _fit(estimator, inputs, classes, weights)
        return FittedEstimator(estimator, self.features, ways=int(ways))

    def evaluate(
        self,
        tasks: Any,
        *,
        n_tasks: int = 600,
        optimization_steps: Any = (0,),
        seed: int = 0,
    ) -> Evaluation:
        """Fit the estimator to each of many tasks, and score the query sets.

        Parameters
        ----------
        tasks : object or tf.data.Dataset
            A source of tasks as `KerasLearner` takes it.
        n_tasks : int, default 600
            Tasks to fit to. Of a source that names its tasks (`AssayTasks`) each occurs equally
            often, so the number is rounded up to full rounds.
        optimization_steps : sequence of int, default (0,)
            Not used; the scores are those after 0 steps.
        seed : int, default 0
            What the tasks are drawn from. The same seed gives the tasks that `evaluate` of every
            algorithm has.

        Returns
        -------
        Evaluation
            With one column. "loss" is the mean of the squared error or, for classifiers, of the
            negative logarithm of the probability of the right class, with natural logarithms; as
            in `KerasLearner` an example's is multiplied by its sample weight, and the mean is over
            the examples whose weight is not 0. Classifiers have "accuracy", weighted by the sample
            weights. The scores of the source (`AssayTasks` has ROC-AUC and average precision) are
            of the predicted values, of the log-odds of two classes, or of the logarithms of the
            probabilities of more.

        Raises
        ------
        TypeError, ValueError
            If an argument or what the source gives is not as described.
        """
        source = KnownSource.of(as_source(tasks))
        check_count("n_tasks", n_tasks, minimum=1)
        check_count("seed", seed)
        chunks = EpisodeChunks(source, n_tasks, seed)
        rows = []
        for support, query, count in chunks:
            for task in range(count):
                episode = map_structure(lambda a, task=task: a[task], (support, query))
                rows.append(self._score(*episode, source))
        values = {name: np.array([[row[name]] for row in rows]) for name in rows[0]}
        settings = {"algorithm": self.name}
        return Evaluation(values, (0,), seed=seed, task_names=chunks.names, settings=settings)

    def _score(self, support: Any, query: Any, source: KnownSource) -> dict[str, float]:
        """Return the loss and the other scores of one task."""
        x, y, weights = _without_padding(query)
        w = 1.0 if weights is None else weights
        if self._classifies:
            ways, classes = _ways(source, support, query), _class_numbers(y)
            outputs = self.adapt(support, ways=ways).predict(x)
            right = outputs.argmax(axis=1) == classes
            losses = -outputs[np.arange(len(classes)), classes]
            values = {"loss": np.mean(w * losses), "accuracy": np.average(right, weights=weights)}
            outputs = outputs[:, 1:] - outputs[:, :1] if ways == 2 else outputs
        else:
            outputs = self.adapt(support).predict(x).reshape(y.shape)
            errors = np.square(np.float64(outputs) - y).reshape(len(y), -1)
            values = {"loss": np.mean(w * errors.mean(axis=1))}
        check_score_names(source.scores, values)
        own = {name: score(y, outputs, weights) for name, score in source.scores.items()}
        return values | own

    def __repr__(self) -> str:
        return f"EstimatorBaseline({self.estimator!r}, name={self.name!r})"


class FittedEstimator:
    """What `EstimatorBaseline.adapt` returns: the estimator after its fit to one task.

    Parameters
    ----------
    estimator : sklearn.base.BaseEstimator
        Fitted.
    features : callable or None
        What it was given in place of x.
    ways : int, optional
        Classes of a classifier; None for a regressor.
    shape : tuple of int, default ()
        That of a regressor's value for one example.

    Attributes
    ----------
    estimator : sklearn.base.BaseEstimator
        As given. Of a support set with one class it is a DummyClassifier.
    ways : int or None
        As given.
    """

    def __init__(
        self,
        estimator: Any,
        features: Callable[[Any], Any] | None,
        *,
        ways: int | None = None,
        shape: tuple[int, ...] = (),
    ):
        self.estimator = estimator
        self.ways = ways
        self._features = features
        self._shape = shape

    def predict(self, x: Any) -> np.ndarray:
        """Predict the classes or values of examples.

        Parameters
        ----------
        x : array or nested structure of arrays
            The first axis is the example.

        Returns
        -------
        float array
            Of a classifier the logarithms of the classes' probabilities, float64 of shape
            (examples, ways), with that of a class which the support set does not have, and the
            least of all, at -36.04, the logarithm of 2.2e-16. Where there is no ``predict_proba``
            the decision function is taken for logits. Of a regressor the values, in the shape of
            the support set's y.
        """
        inputs = _features(self._features, x)
        if self.ways is None:
            return np.reshape(self.estimator.predict(inputs), (len(inputs), *self._shape))
        outputs = np.full((len(inputs), self.ways), _LEAST)
        known = _log_probabilities(self.estimator, inputs)
        outputs[:, self.estimator.classes_] = np.maximum(known, _LEAST)
        return outputs


def _check_estimator(estimator: Any) -> bool:
    """Return whether the estimator is a classifier rather than a regressor, or raise."""
    base = _sklearn("base")
    if isinstance(estimator, base.BaseEstimator):
        if base.is_regressor(estimator):
            return False
        outputs = ("predict_proba", "decision_function")
        if base.is_classifier(estimator) and any(hasattr(estimator, name) for name in outputs):
            return True
    raise TypeError(
        "`estimator` must be a scikit-learn regressor, or a classifier with predict_proba or "
        f"decision_function. Received: estimator={estimator!r}"
    )


def _without_padding(batch: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return x, y and sample weights, or None, of the examples whose weight is above 0."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        raise TypeError(
            f"A batch must be (x, y) or (x, y, sample_weight). Received: {type(batch).__name__}"
        )
    x, y, *weights = batch
    x, y = map_structure(_plain, x), _plain(y)
    if y.dtype.kind not in "biuf" or y.ndim == 0:
        raise TypeError(
            f"y must be one array of numbers. Received: dtype {y.dtype} and shape {y.shape}"
        )
    w = _plain(weights[0]).astype(np.float64).ravel() if weights else np.ones(len(y))
    lengths = {np.shape(array)[:1] for array in (*flatten(x), y, w)}
    if len(lengths) != 1:
        shapes = map_structure(np.shape, x)
        raise ValueError(
            "x, y and sample weights must have the same number of examples, as first axis. "
            f"Received: x of shape {shapes}, y of shape {y.shape}, and {len(w)} weights"
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y must be finite. Received: NaN or infinity")
    if not np.isfinite(w).all():
        raise ValueError("Sample weights must be finite. Received: NaN or infinity")
    if (w < 0).any():
        raise ValueError(f"Sample weights must be at least 0. Received: {w.min()}")
    kept = w > 0
    if not kept.any():
        raise ValueError(
            "A batch must have an example of weight above 0. "
            f"Received: {len(w)} examples, none with such a weight"
        )
    return map_structure(lambda array: array[kept], x), y[kept], w[kept] if weights else None


def _plain(array: Any) -> np.ndarray:
    """Return an array of a batch as NumPy's, or raise if it would lose something."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            "Arrays must not be masked; sample weights of 0 leave examples out. "
            f"Received: a masked array of shape {array.shape}"
        )
    plain = np.asarray(array)
    if plain.dtype.kind == "c":
        raise TypeError(f"Arrays must be real. Received: dtype {plain.dtype}")
    if plain.ndim == 0:
        raise TypeError(
            "Arrays must have the examples as first axis. "
            f"Received: {type(array).__name__} without an axis"
        )
    return plain


def _features(function: Callable[[Any], Any] | None, x: Any) -> np.ndarray:
    """Return the features of examples, of shape (examples, features), or raise."""
    arrays = flatten(x)
    length = len(arrays[0])
    if function is None:
        if arrays[0] is not x:
            raise TypeError(
                "`features` must be given where x is not one array. "
                f"Received: features=None and x as a {type(x).__name__}"
            )
        return np.reshape(x, (length, -1))
    features = np.asarray(function(x))
    if features.ndim != 2 or len(features) != length:
        raise ValueError(
            f"`features` must return an array of shape ({length}, features). "
            f"Received: shape {features.shape}"
        )
    return features


def _class_numbers(y: np.ndarray) -> np.ndarray:
    """Return targets as integers of shape (examples,), or raise."""
    classes = y.astype(np.int64)
    if y.size != len(y) or np.any(classes != y) or np.any(classes < 0):
        raise ValueError(
            "For a classifier y must hold the number of each example's class, from 0, in an array "
            f"of shape (examples,) or (examples, 1). Received: shape {y.shape} and the values "
            f"{np.unique(y)[:10]}"
        )
    return classes.ravel()


def _ways(source: KnownSource, *batches: Any) -> int:
    """Return how many classes a source's tasks have; one that does not tell, this task."""
    known = source.ways
    largest = max(_class_numbers(np.asarray(batch[1])).max() for batch in batches)
    return max(2, int(largest) + 1) if known is None else known


def _fit(estimator: Any, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
    takes = _sklearn("utils.validation").has_fit_parameter(estimator, "sample_weight")
    options = {} if weights is None or not takes else {"sample_weight": weights}
    estimator.fit(x, y, **options)


def _log_probabilities(estimator: Any, x: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities of the classes that a classifier knows."""
    if hasattr(estimator, "predict_proba"):
        with np.errstate(divide="ignore"):
            return np.log(np.float64(estimator.predict_proba(x)))
    logits = np.float64(estimator.decision_function(x))
    if logits.ndim == 1:  # of two classes it is the log-odds
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ImportError(
            'EstimatorBaseline needs scikit-learn: pip install "deepchem_meta[molecules]"'
        ) from error
