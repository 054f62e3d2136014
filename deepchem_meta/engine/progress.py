"""What callbacks and the progress bar see of meta-training: epochs of meta-steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.execution import LOGS, MEASURES

__all__ = ["EPOCH", "ModelProxy", "Progress"]

EPOCH = 1000
_MEASURE_EVERY = 200


class ModelProxy:
    """Stands in for the model that Keras callbacks expect.

    Attributes
    ----------
    stop_training : bool
        Set it to True to end `fit` after the running call.
    optimizer : keras.optimizers.Optimizer
        The meta-optimizer, whose `learning_rate` can be read and set.
    """

    def __init__(self, variables: Sequence[tf.Variable], optimizer: keras.optimizers.Optimizer):
        self.stop_training = False
        self.optimizer = optimizer
        self.history: keras.callbacks.History | None = None
        self._variables = list(variables)

    def get_weights(self) -> list[np.ndarray]:
        """Return the values of the learner's variables."""
        return [variable.numpy() for variable in self._variables]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Assign the learner's variables."""
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    def __getattr__(self, name: str) -> Any:
        advice = " Models are saved in `model_dir`, see `fit`." if name.startswith("save") else ""
        raise AttributeError(
            f"A callback asked for `model.{name}`. Meta-training gives callbacks a stand-in for "
            "the model, which has `stop_training`, `optimizer`, `get_weights` and `set_weights`."
            f"{advice}"
        )


class Progress:
    """Reports meta-steps to Keras callbacks.

    The last epoch may be shorter than the others. Its logs are the means of `LOGS` over its steps,
    of `MEASURES` over every 200th of them, from the first on, and what `validate` gives at its end.

    Parameters
    ----------
    steps : int
        Meta-steps to come.
    callbacks : list of keras.callbacks.Callback or None
    verbose : {"auto", 0, 1, 2}
        A progress bar (1), a line an epoch (2) or silence (0); "auto" is 1 on a terminal, else 0.
    model : ModelProxy
    epoch : int, default 1000
        Meta-steps of an epoch.
    validate : callable, optional
        Is called at the end of each epoch and gives logs.
    """

    def __init__(
        self,
        steps: int,
        callbacks: Any,
        verbose: Any,
        model: ModelProxy,
        *,
        epoch: int = EPOCH,
        validate: Callable[[], dict[str, float]] = dict,
    ):
        if verbose == "auto":
            verbose = 1 if sys.stdout.isatty() else 0
        self._steps = steps
        self._model = model
        self._done = 0
        self._epoch = epoch
        self._validate = validate
        self._rows = np.zeros((epoch, len(LOGS)))
        self._measures: list[np.ndarray] = []
        self._last_logs: dict[str, float] = {}
        self._params = {"verbose": verbose, "epochs": -(-steps // epoch)}
        self._callbacks = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=bool(verbose),
            model=model,
            **self._params,
            steps=min(steps, epoch),
        )

    @property
    def history(self) -> keras.callbacks.History:
        """The logs of each epoch."""
        return self._model.history

    @property
    def remaining(self) -> int:
        """Meta-steps left, 0 once a callback has asked to stop."""
        return 0 if self._model.stop_training else self._steps - self._done

    def room(self, done: int = 0) -> int:
        """Return how many meta-steps a call may take once `done` more are taken.

        A call ends where an epoch does, and before a meta-step that is measured.
        """
        position = (self._done + done) % self._epoch
        return min(
            _MEASURE_EVERY - position % _MEASURE_EVERY,
            self._epoch - position,
            self._steps - self._done - done,
        )

    @property
    def measure_now(self) -> bool:
        """Whether the next meta-step is one to measure."""
        return self._done % self._epoch % _MEASURE_EVERY == 0

    def measured(self, measures: np.ndarray) -> None:
        """Record `MEASURES` of the next meta-step."""
        self._measures.append(measures)

    def __enter__(self) -> Progress:
        self._callbacks.on_train_begin()
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        if kind is None:
            self._callbacks.on_train_end(self._last_logs)

    def begin(self) -> None:
        """Tell the callbacks that a call begins."""
        position = self._done % self._epoch
        if position == 0:
            steps = min(self._epoch, self._steps - self._done)
            self._callbacks.set_params({**self._params, "steps": steps})
            self._measures = []
            self._callbacks.on_epoch_begin(self._done // self._epoch)
        self._callbacks.on_train_batch_begin(position)

    def end(self, rows: np.ndarray) -> None:
        """Tell the callbacks what a call gave.

        Parameters
        ----------
        rows : float64 array of shape (steps, len(LOGS))
            A row for each meta-step taken.
        """
        start = self._done % self._epoch
        self._rows[start : start + len(rows)] = rows
        self._done += len(rows)
        logs = self._epoch_logs()
        short = {name: logs[name] for name in LOGS}  # what a progress bar has room for
        self._callbacks.on_train_batch_end((self._done - 1) % self._epoch, short)
        if self._done % self._epoch == 0 or self.remaining == 0:
            logs |= self._validate()
            self._callbacks.on_epoch_end((self._done - 1) // self._epoch, logs)
            self._last_logs = logs

    def _epoch_logs(self) -> dict[str, float]:
        """Return the means over the epoch so far."""
        if self._done == 0:
            return {}
        rows = self._rows[: (self._done - 1) % self._epoch + 1]
        means = [*rows.mean(axis=0).tolist(), *np.mean(self._measures, axis=0).tolist()]
        return dict(zip(LOGS + MEASURES, means, strict=True))
