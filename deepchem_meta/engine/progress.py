"""What callbacks and the progress bar see of meta-training: epochs of meta-steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from deepchem_meta.engine.meta_step import LOGS
from deepchem_meta.engine.model_proxy import ModelProxy

__all__ = ["EPOCH", "Progress"]

EPOCH = 1000
_MEASURE_EVERY = 200
_SHORT = 10  # meta-steps; a loop of such runs would drown what a program prints


class Progress:
    """Reports meta-steps to Keras callbacks.

    The last epoch may be shorter than the others. Its logs are the means of `LOGS` over its steps,
    of what is measured over every 200th of them, from the first on, and what `validate` gives at
    its end.

    Parameters
    ----------
    steps : int
        Meta-steps to come.
    callbacks : list of keras.callbacks.Callback or None
    verbose : {"auto", 0, 1, 2}
        A progress bar (1), a line an epoch (2) or silence (0); "auto" is 1 on a terminal and in
        Jupyter, 0 for fewer than 10 meta-steps, and else 2.
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
            verbose = _usual_verbosity(steps)
        self._steps = steps
        self._model = model
        self._done = 0
        self._epoch = epoch
        self._validate = validate
        self._rows = np.zeros((min(epoch, steps), len(LOGS)))
        self._measures: list[dict[str, float]] = []
        self._last_logs: dict[str, float] = {}
        self._params = {"verbose": verbose, "epochs": -(-steps // epoch)}
        self._callbacks = keras.callbacks.CallbackList(
            [*_listed(callbacks), *([_ProgressBar()] if verbose else [])],
            add_history=True,
            model=model,
            **self._params,
            steps=min(steps, epoch),
        )

    @property
    def history(self) -> keras.callbacks.History:
        """The logs of each epoch."""
        return self._model.history

    @property
    def stops(self) -> bool:
        """Whether a callback has asked to stop."""
        return bool(self._model.stop_training)

    @stops.setter
    def stops(self, value: bool) -> None:
        self._model.stop_training = value

    @property
    def remaining(self) -> int:
        """Meta-steps left, 0 once a callback has asked to stop."""
        return 0 if self.stops else self._steps - self._done

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

    def measured(self, measures: dict[str, float]) -> None:
        """Record what was measured of the next meta-step."""
        self._measures.append(measures)

    def announce(self, what: str) -> None:
        """Say what takes time before the bar moves, where there is a bar."""
        if self._params["verbose"] == 1:
            sys.stdout.write(f"{what}\n")
            sys.stdout.flush()

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
        logs = dict(zip(LOGS, rows.mean(axis=0).tolist(), strict=True))
        for name in self._measures[0]:
            logs[name] = float(np.mean([measures[name] for measures in self._measures]))
        return logs


class _ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras' progress bar, whose clock starts once everything is compiled."""

    def __init__(self):
        super().__init__()
        self._compiled = False

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self._compiled:
            super().on_train_batch_end(batch, logs)
        else:
            self._reset_progbar()
            self._maybe_init_progbar()
            self._compiled = True


def _usual_verbosity(steps: int) -> int:
    """Return what ``verbose="auto"`` stands for."""
    if steps < _SHORT:
        return 0
    return 1 if sys.stdout.isatty() or "ipykernel" in sys.modules else 2


def _listed(callbacks: Any) -> list:
    """Return callbacks as a list, or raise for one that has no meaning here."""
    flat = keras.tree.flatten(callbacks) if callbacks else []
    for callback in flat:
        if not isinstance(callback, (keras.callbacks.Callback, keras.callbacks.CallbackList)):
            raise TypeError(
                "`callbacks` must be a list of keras.callbacks.Callback. "
                f"Received: callbacks={callbacks!r}"
            )
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise ValueError(
                'BackupAndRestore saves a model alone. `fit(..., restore="auto")` goes on from '
                "`model_dir`, with the optimizer, the count of meta-steps and the tasks. "
                "Received: callbacks with a BackupAndRestore"
            )
    return flat
