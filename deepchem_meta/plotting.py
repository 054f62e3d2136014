"""Figures: curves of adaptation, a comparison, regression on one task, an episode of images.

Each function draws on given Axes, or on those of a new figure, and returns them, so that labels
can be changed and the figure be saved with ``ax.figure.savefig(path)``. Colours are those of Okabe
and Ito, which the colour-blind can tell apart; each also has a line style or mark of its own.

matplotlib is needed, and imported only when something is drawn::

    pip install "deepchem_meta[plot]"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count

__all__ = [
    "plot_adaptation",
    "plot_by_task",
    "plot_comparison",
    "plot_episode",
    "plot_regression",
]

_BLUE, _VERMILION = "#0072B2", "#D55E00"
_COLOURS = (_BLUE, _VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX"
_MARGIN = 0.1  # of the support points' range, on either side of a regression's curves
_PICTURE = 0.85  # the side of a picture in a column of 1
_ROW = 1.15  # leaves room for a line of text


def plot_adaptation(evaluations: Mapping[str, Any], metric: str = "loss", *, ax: Any = None) -> Any:
    """Draw a metric over the steps of adaptation, with its 95% interval, for each algorithm.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        What `evaluate` has returned, by the names for the legend.
    metric : str, default "loss"
        "loss" or the name of a metric that all of them have.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If `evaluations` is no dict or empty, or one of them does not have the metric.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from deepchem_meta.evaluation import Evaluation
    >>> from deepchem_meta.plotting import plot_adaptation
    >>> losses = [[3.0, 1.0], [4.0, 1.2], [5.0, 1.4]]  # of three tasks
    >>> maml = Evaluation({"loss": losses}, (0, 1), seed=0)
    >>> ax = plot_adaptation({"MAML": maml})
    >>> ax.get_xlabel()
    'steps of adaptation'
    """
    _check_evaluations(evaluations, metric)
    ax = _axes(ax)
    from matplotlib.ticker import MaxNLocator

    for i, (label, evaluation) in enumerate(evaluations.items()):
        order = np.argsort(evaluation.optimization_steps)
        steps = np.array(evaluation.optimization_steps)[order]
        mean, half = evaluation.mean[metric][order], evaluation.ci95[metric][order]
        colour = _COLOURS[i % len(_COLOURS)]
        style = _LINES[i % len(_LINES)] + _MARKERS[i % len(_MARKERS)]
        ax.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
        ax.plot(steps, mean, style, color=colour, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="steps of adaptation", ylabel=f"{metric.replace('_', ' ')} on query sets")
    units = " or ".join(sorted({evaluation.unit for evaluation in evaluations.values()}))
    ax.legend(title=f"mean and 95% interval over {units}")
    return ax


def plot_comparison(comparison: Any, *, ax: Any = None) -> Any:
    """Draw the metric that algorithms are compared by, with its 95% interval, the best on top.

    Parameters
    ----------
    comparison : Comparison
        What `compare` has returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If it is no comparison.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from deepchem_meta.evaluation import Comparison, Evaluation
    >>> from deepchem_meta.plotting import plot_comparison
    >>> losses = {"MAML": [[1.0], [1.2], [1.4]], "Reptile": [[1.5], [1.6], [2.0]]}  # of three tasks
    >>> ones = {name: Evaluation({"loss": loss}, (1,), seed=0) for name, loss in losses.items()}
    >>> ax = plot_comparison(Comparison(ones, "loss"))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['MAML', 'Reptile']

    Notes
    -----
    Intervals that overlap do not mean that there is no difference: see `Comparison.differences`.
    """
    if not all(hasattr(comparison, name) for name in ("mean", "ci95", "metric", "unit")):
        raise TypeError(
            f"`comparison` must be a Comparison, from `compare`. Received: {comparison!r}"
        )
    means, halves = comparison.mean, comparison.ci95
    ax = _rows_with_intervals({name: (means[name], halves[name]) for name in means}, ax)
    metric = comparison.metric.replace("_", " ")
    ax.set_xlabel(f"{metric} on query sets, mean and 95% interval over {comparison.unit}")
    return ax


def plot_by_task(tasks: Any, *, ax: Any = None) -> Any:
    """Draw a metric of each named task, with its 95% interval over draws, the largest on top.

    Parameters
    ----------
    tasks : ByTask
        What `Evaluation.by_task` has returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If it is no such record.
    ImportError
        If matplotlib is not installed.
    """
    if not all(hasattr(tasks, name) for name in ("values_of", "metric", "optimization_steps")):
        raise TypeError(f"`tasks` must be what `by_task` returns. Received: {tasks!r}")
    means = {name: (mean[-1], half[-1]) for name, (mean, half) in tasks.items()}
    names = sorted(means, key=lambda name: means[name][0], reverse=True)
    ax = _rows_with_intervals({name: means[name] for name in names}, ax)
    metric, steps = tasks.metric.replace("_", " "), _after(tasks.optimization_steps[-1])
    ax.set_xlabel(f"{metric} {steps}, mean and 95% interval over draws")
    return ax


def plot_regression(
    algorithm: Any,
    support: Sequence[Any],
    *,
    optimization_steps: Sequence[int] = (0, 1, 10),
    x: Any = None,
    truth: Any = None,
    ax: Any = None,
) -> Any:
    """Draw what a model predicts on a task of one variable, before and after adaptation.

    Parameters
    ----------
    algorithm : MetaAlgorithm
        Of a `KerasLearner` whose model has one input and one output.
    support : tuple of arrays of shape (examples, 1)
        ``(x, y)`` or ``(x, y, sample_weight)``, to adapt to. Examples of weight 0 are not drawn.
    optimization_steps : sequence of int, default (0, 1, 10)
        Steps of adaptation after which to draw a curve; 0 is before adaptation.
    x : float array of shape (points,) or (points, 1), optional
        Where to predict. By default 200 points over the range of the support set's x and a tenth
        of it on either side.
    truth : callable or float array of shape (points,) or (points, 1), optional
        The true values at `x`, or a function that is given x, of shape (points, 1), and returns
        them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Its axes are called x and y; ``ax.set(xlabel=..., ylabel=...)`` gives them a unit.

    Raises
    ------
    ValueError
        If x, y, the truth or the model's outputs are not one number for each example.
    ImportError
        If matplotlib is not installed.
    """
    known_x, known_y, *weights = map(np.asarray, support)
    drawn = np.asarray(weights[0]) > 0 if weights else np.full(len(known_x), True)
    points = np.transpose(
        [_column("The support set's x", known_x), _column("The support set's y", known_y)]
    )[drawn]
    grid = _grid(points[:, 0]) if x is None else _column("`x`", x)
    grid = grid.astype(np.result_type(known_x, np.float32))[:, np.newaxis]
    curves = {}
    if truth is not None:
        values = truth(grid) if callable(truth) else truth
        curves["truth"] = _column("`truth`", values, len(grid)), {"color": "black"}
    for i, steps in enumerate(optimization_steps):
        outputs = algorithm.adapt(support, steps).predict(grid)
        line = _LINES[-1 - i % len(_LINES)]  # solid is the truth
        style = {"color": _COLOURS[i % len(_COLOURS)], "linestyle": line}
        curves[_after(steps)] = _column("The model's output", outputs, len(grid)), style
    ax = _axes(ax)
    for label, (values, style) in curves.items():
        ax.plot(grid[:, 0], values, label=label, **style)
    ax.plot(*points.T, "o", color="black", zorder=3, label="support set")
    ax.set(xlabel="x", ylabel="y")
    ax.legend()
    return ax


def plot_episode(
    support: Sequence[Any],
    query: Sequence[Any],
    predictions: Any,
    *,
    names: Sequence[str] | None = None,
    max_queries: int = 8,
    cmap: str = "gray",
    ax: Any = None,
) -> Any:
    """Draw a few-shot task of images: the support set and, beside it, predictions of the query set.

    There is a row for each class. The predicted class stands under a query image, with a tick and
    in blue where it is right, with a cross and in orange where it is wrong.

    Parameters
    ----------
    support, query : tuple of arrays
        ``(x, y)`` or ``(x, y, sample_weight)`` of one task: images of shape
        (examples, height, width), or with a last axis of 1, 3 or 4 channels, as integers of up to
        255 or floats; and integer classes of shape (examples,) from 0. Examples of weight 0 are
        left out.
    predictions : array of shape (query examples,) or (query examples, classes)
        Predicted classes as integers, or their logits or probabilities.
    names : list of str, optional
        The classes' names, by default their numbers.
    max_queries : int, default 8
        How many query images of each class are drawn, the first. All count in the title.
    cmap : str, default "gray"
        The colour map of images with one channel; "gray_r" where 0 is the white of the paper.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit one another, or an argument is not as described.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.plotting import plot_episode
    >>> images = np.random.default_rng(0).random((4, 28, 28, 1))
    >>> classes = np.array([0, 0, 1, 1])
    >>> ax = plot_episode((images[::2], classes[::2]), (images, classes), np.array([0, 1, 1, 1]))
    >>> ax.get_title()
    '3 of 4 query images right'
    """
    check_count("max_queries", max_queries, minimum=1)
    predicted = _classes(predictions, len(query[1]))
    known, classes = _examples(support, support[1])
    images, pairs = _examples(query, np.transpose([query[1], predicted]))
    ways = 1 + max(classes.max(), pairs.max())
    names = list(map(str, range(ways))) if names is None else list(names)
    if len(names) < ways:
        raise ValueError(f"`names` must name each of {ways} classes. Received: names={names!r}")
    ax = _axes(ax)
    style = {
        "cmap": cmap,
        "vmin": min(known.min(), images.min()),
        "vmax": max(known.max(), images.max()),
    }
    first = np.bincount(classes).max() + 0.5  # column of query images
    for kind, name in enumerate(names):
        row = _ROW * kind
        ax.text(-0.15, row + _PICTURE / 2, name, ha="right", va="center")
        for column, image in enumerate(known[classes == kind]):
            _draw(ax, image, (column, row), "0.6", style)
        here = np.flatnonzero(pairs[:, 0] == kind)[:max_queries]
        for column, i in enumerate(here):
            guess = pairs[i, 1]
            mark, colour = ("✓", _BLUE) if guess == kind else ("✗", _VERMILION)
            left = first + column
            _draw(ax, images[i], (left, row), colour, style)
            below = {"ha": "center", "va": "top", "size": "small"}
            place = (left + _PICTURE / 2, row + _PICTURE)
            ax.text(*place, f"{mark} {names[guess]}", color=colour, **below)
    last = first + min(max_queries, np.bincount(pairs[:, 0]).max())
    for middle, text in (((first - 0.5) / 2, "support set"), ((first + last) / 2, "query set")):
        ax.text(middle - 0.1, -0.1, text, ha="center", va="bottom")
    ax.set(xlim=(-0.1, last), ylim=(_ROW * len(names), -0.4), xticks=[], yticks=[])
    ax.set_frame_on(False)
    right = pairs[:, 0] == pairs[:, 1]
    ax.set_title(f"{right.sum()} of {len(right)} query images right")
    return ax


def _rows_with_intervals(means: Mapping[str, tuple[float, float]], ax: Any) -> Any:
    """Draw a row for each name, with a mean and half an interval, the first on top."""
    ax = _axes(ax)
    rows = range(len(means))
    points, halves = zip(*means.values(), strict=True)
    ax.errorbar(points, rows, xerr=halves, fmt="o", color=_BLUE, capsize=4)
    ax.set(yticks=rows, yticklabels=list(means), ylim=(len(means) - 0.5, -0.5))
    return ax


def _axes(ax: Any) -> Any:
    """Return `ax`, or the Axes of a new figure."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "deepchem_meta[plot]"') from error
    return pyplot.subplots(layout="constrained")[1]


def _draw(
    ax: Any, image: np.ndarray, place: tuple[float, float], colour: str, style: dict[str, Any]
) -> None:
    """Draw an image in a frame, with its upper left corner at a place."""
    from matplotlib.patches import Rectangle

    left, top = place
    extent = (left, left + _PICTURE, top + _PICTURE, top)
    ax.imshow(image, extent=extent, interpolation="nearest", **style)
    frame = Rectangle(place, _PICTURE, _PICTURE, fill=False, edgecolor=colour, linewidth=1.5)
    ax.add_patch(frame)


def _check_evaluations(evaluations: Any, metric: str) -> None:
    if not isinstance(evaluations, Mapping) or not evaluations:
        raise TypeError(
            "`evaluations` must be a dict of names and at least one Evaluation. "
            f"Received: evaluations={evaluations!r}"
        )
    for label, evaluation in evaluations.items():
        if metric not in evaluation.mean:
            raise ValueError(
                f"`metric` must be one of {list(evaluation.mean)}, which {label!r} has. "
                f"Received: metric={metric!r}"
            )


def _after(steps: int) -> str:
    if steps == 0:
        return "before adaptation"
    return f"after {steps} step{'s' if steps > 1 else ''}"


def _column(name: str, values: Any, length: int | None = None) -> np.ndarray:
    """Return values as an array of one axis, or raise."""
    values = np.asarray(values)
    length = len(values) if length is None and values.ndim else length
    if values.shape not in {(length,), (length, 1)}:
        count = "examples" if length is None else length
        raise ValueError(
            f"{name} must have the shape ({count},) or ({count}, 1). Received: shape {values.shape}"
        )
    return values.reshape(-1)


def _grid(x: np.ndarray) -> np.ndarray:
    margin = _MARGIN * (x.max() - x.min())
    return np.linspace(x.min() - margin, x.max() + margin, 200)


def _classes(predictions: Any, length: int) -> np.ndarray:
    """Return predicted classes, of classes or of a score for each."""
    predictions = np.asarray(predictions)
    if predictions.ndim == 2:
        predictions = predictions.argmax(axis=1)
    if predictions.shape != (length,) or predictions.dtype.kind not in "iu":
        raise ValueError(
            f"`predictions` must be integers of shape ({length},), one for each query example, or "
            f"scores of shape ({length}, classes). "
            f"Received: dtype {predictions.dtype} and shape {predictions.shape}"
        )
    return predictions


def _examples(batch: Sequence[Any], classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a batch and something of each, without padding."""
    images, classes = np.asarray(batch[0]), np.asarray(classes)
    if images.ndim not in (3, 4) or len(images) != len(classes) or classes.dtype.kind not in "iu":
        raise ValueError(
            "A batch must have images of shape (examples, height, width) or (examples, height, "
            "width, channels) and as many integer classes. Received: images of shape "
            f"{images.shape}, classes of dtype {classes.dtype} and shape {classes.shape}"
        )
    there = np.asarray(batch[2]) > 0 if len(batch) == 3 else np.full(len(images), True)
    return images[there], classes[there]
