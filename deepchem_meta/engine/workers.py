"""The worker processes of a `tf.distribute` strategy: who writes, and what all must agree on."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["Workers"]


class Workers:
    """The processes that a strategy spreads a meta-step over; with other strategies there is one.

    Parameters
    ----------
    strategy : tf.distribute.Strategy
        The strategy.

    Attributes
    ----------
    several : bool
        Whether there is more than one.
    is_chief : bool
        Whether this is the one that writes and reports.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self.several, self.is_chief = False, True
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            jobs = resolver.cluster_spec().as_dict()
            self.several = sum(len(addresses) for addresses in jobs.values()) > 1
            place = (resolver.task_type, resolver.task_id)
            chief = ("chief", 0) if "chief" in jobs else ("worker", 0)
            self.is_chief = not self.several or place == chief
        self._mean = tf.function(self._reduce, autograph=False)

    def agree(self, seconds: float, stops: bool) -> tuple[float, bool]:
        """Return the mean of all workers' seconds, and whether any of them is to stop.

        All workers call it at the same place. They must take as many meta-steps a call, and the
        same calls, since each meta-step waits for all of them.
        """
        if not self.several:
            return seconds, stops
        mean, stopping = self._mean(tf.constant([seconds, float(stops)], tf.float64)).numpy()
        return float(mean), bool(stopping > 0)

    def wait(self) -> None:
        """Wait until all workers have come here."""
        self.agree(0.0, False)

    def _reduce(self, values):
        parts = self._strategy.run(lambda: values)
        return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, parts, axis=None)
