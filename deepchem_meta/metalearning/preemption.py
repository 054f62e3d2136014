"""A checkpoint when the process is told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import keras

__all__ = ["SaveOnSignal"]


class SaveOnSignal(keras.callbacks.Callback):
    """Ends `fit` after the meta-steps at hand, with a checkpoint, when the process is told to end.

    Job schedulers send SIGTERM some seconds before they end a process for good; others send a
    signal that one chooses (Slurm: ``--signal=USR1@60``). Within the `with` block the first of
    `signals` lets `fit` end as if a callback had stopped it: the last meta-step is saved, and
    ``fit(..., restore="auto")`` goes on from there. A second signal acts as it would without this.
    At the end of the block the process exits with the status that the signal has in a shell, 128
    and its number.

    Parameters
    ----------
    signals : sequence of signal.Signals, default (SIGTERM, SIGINT)
        What to wait for.

    Attributes
    ----------
    received : signal.Signals or None
        The signal that came.

    Raises
    ------
    RuntimeError
        On entering the block in a thread other than the main one, which alone may set handlers.

    Examples
    --------
    >>> import keras
    >>> import deepchem_meta as dc
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> learner = dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks())
    >>> maml = dc.metalearning.MAML(learner)
    >>> with dc.metalearning.SaveOnSignal() as saving:
    ...     history = maml.fit(3, restore="auto", callbacks=[saving])
    """

    def __init__(self, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)):
        super().__init__()
        self.received: signal.Signals | None = None
        self._signals = tuple(signal.Signals(number) for number in signals)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SaveOnSignal:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "`SaveOnSignal` must be entered in the main thread, which alone may set handlers "
                f"of signals. Received: a call in {threading.current_thread().name!r}"
            )
        self._before = {one: signal.signal(one, self._note) for one in self._signals}
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        self._give_back()
        if self.received is not None and kind is None:
            raise SystemExit(128 + self.received)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """End `fit` after this call if a signal has come."""
        self._stop()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """End `fit` here if a signal has come."""
        self._stop()

    def _stop(self) -> None:
        if self.received is not None:
            self.model.stop_training = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._give_back()  # a second one acts as usual

    def _give_back(self) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        self._before = {}
