"""Predicts one assay's results for molecules, from its measured compounds and an encoder."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deepchem_meta.evaluation import spearman
from deepchem_meta.evaluation._tanimoto import tanimoto
from deepchem_meta.metalearning import GaussianProcessHead
from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.ranking.measured import Measured
from deepchem_meta.tasks import MoleculeFeatures, MorganCounts, SideBySide
from deepchem_meta.tasks.molecules import parse_smiles

__all__ = ["AssayPredictor", "LeftOut", "Predictions"]

_LEFT_OUT = 200  # pairs or compounds at most
_COVERAGE = 1.6449  # standard deviations of a normal distribution on either side of 90%


class Predictions(NamedTuple):
    """What is predicted for molecules.

    Attributes
    ----------
    score : float64 array of shape (molecules,)
        The probability of being active, or the predicted value.
    lower, upper : float64 arrays of shape (molecules,), or None
        Between which 90% of measured values are expected; None for probabilities.
    nearest : int64 array of shape (molecules,)
        The place of the measured compound that is most similar.
    similarity : float64 array of shape (molecules,)
        Its Tanimoto similarity, of Morgan counts.
    """

    score: np.ndarray
    lower: np.ndarray | None
    upper: np.ndarray | None
    nearest: np.ndarray
    similarity: np.ndarray


class LeftOut(NamedTuple):
    """How well measured compounds are predicted from the others.

    Attributes
    ----------
    measure : {"roc_auc", "spearman"}
    value : float
    repeats : int
        How often pairs or compounds were left out.
    """

    measure: str
    value: float
    repeats: int


class AssayPredictor:
    """An encoder with the head of one assay's measured compounds.

    Parameters
    ----------
    encoder : AssayEncoder
    measured : Measured
        The support set.
    base_rate : float, optional
        Which share of the molecules to predict is active; by default that of `measured`.

    Attributes
    ----------
    encoder : AssayEncoder
    measured : Measured
    featurizer : Featurizer
        Of what `predict` takes.
    """

    def __init__(self, encoder: AssayEncoder, measured: Measured, base_rate: float | None = None):
        self.encoder, self.measured = encoder, measured
        self._rate = base_rate
        self._process = encoder.process(measured.task_type)
        molecules = parse_smiles(measured.canonical)[0]
        self._x = encoder.featurizer(molecules)
        counts = MorganCounts()
        self._known = counts.compute(molecules)
        settings = [part.settings() for part in encoder.featurizer.parts]
        shared = counts.settings() in settings
        self._counts = settings.index(counts.settings()) if shared else len(settings)
        self.featurizer = encoder.featurizer if shared else SideBySide(encoder.featurizer, counts)
        self._adapted = self._process.adapt((self._x, self._targets))

    @property
    def _targets(self) -> np.ndarray:
        kind = np.int64 if self.measured.task_type == "classification" else np.float32
        return self.measured.values.astype(kind)[:, np.newaxis]

    def predict(self, stored: list[np.ndarray]) -> Predictions:
        """Predict molecules.

        Parameters
        ----------
        stored : list of arrays of shape (molecules, size)
            What the parts of `featurizer` computed.
        """
        counts = stored[self._counts]
        parts = stored[: len(self.encoder.featurizer.parts)]
        x = MoleculeFeatures(parts, self.encoder.featurizer)[np.arange(len(counts))]
        score, lower, upper = self._scores(self._adapted, x)
        alike = tanimoto(counts, self._known)
        nearest = alike.argmax(axis=1)
        return Predictions(score, lower, upper, nearest, alike[np.arange(len(alike)), nearest])

    def _scores(self, adapted: Any, x: np.ndarray) -> tuple:
        """Return probabilities, or values with their bounds."""
        classes = self.measured.task_type == "classification"
        if not len(x):  # a model is not called on nothing
            empty = np.zeros(0)
            return (empty, None, None) if classes else (empty, empty, empty)
        if classes:
            rate = self._rate
            if rate is not None:  # relative to the measured compounds, whose share is known
                share = self.measured.values.mean()
                odds = rate / (1 - rate) * (1 - share) / share
                rate = odds / (1 + odds)
            return _finite(adapted.predict_proba(x, base_rate=rate)[:, 1]), None, None
        values = _finite(adapted.predict(x)[:, 0].astype(np.float64))
        spread = _finite(_COVERAGE * adapted.predict_std(x)[:, 0].astype(np.float64))
        return values, values - spread, values + spread

    def left_out(self, seed: int = 0) -> LeftOut:
        """Predict measured compounds from the others.

        For labels, pairs of an active and an inactive compound are left out, up to 200 of them at
        random, and the share that is ranked rightly is the ROC-AUC. (Where one compound alone is
        left out, the other class becomes more frequent, and even a good model looks bad.) For
        values, each compound is left out, up to 200 at random, and the measure is the correlation
        of ranks. The kernel's few numbers are those that were adapted to all measured compounds.

        Parameters
        ----------
        seed : int, default 0

        References
        ----------
        Airola, A., Pahikkala, T., Waegeman, W., De Baets, B., and Salakoski, T. (2011). An
        experimental comparison of cross-validation techniques for estimating the area under the ROC
        curve. Computational Statistics & Data Analysis 55(4), 1828-1844.
        """
        rng = np.random.default_rng(seed)
        process = self._with_its_kernel()
        if self.measured.task_type == "classification":
            active, inactive = (np.flatnonzero(self.measured.values == k) for k in (1, 0))
            pairs = [(a, b) for a in active for b in inactive]
            chosen = rng.permutation(len(pairs))[:_LEFT_OUT]
            right = []
            for place in chosen:
                a, b = self._without(process, pairs[place])
                right.append(float(a > b) + 0.5 * float(a == b))
            return LeftOut("roc_auc", float(np.mean(right)), len(chosen))
        chosen = rng.permutation(len(self.measured))[:_LEFT_OUT]
        predicted = [self._without(process, (place,))[0] for place in chosen]
        known = self.measured.values[chosen]
        return LeftOut("spearman", spearman(known, np.array(predicted)), len(chosen))

    def _with_its_kernel(self) -> GaussianProcessHead:
        """Return a process whose kernel is that adapted to all measured compounds."""
        process = self.encoder.process(self.measured.task_type, kernel_steps=0)
        own = self._process.hyperparameters_of(self._adapted)
        process.hyperparameters = self._process.hyperparameters | own
        return process

    def _without(self, process: GaussianProcessHead, places: tuple[int, ...]) -> np.ndarray:
        """Return the scores of measured compounds, predicted from the others."""
        rest = np.setdiff1d(np.arange(len(self.measured)), places)
        adapted = process.adapt((self._x[rest], self._targets[rest]))
        return self._scores(adapted, self._x[list(places)])[0]


def _finite(predicted: np.ndarray) -> np.ndarray:
    """Return what is predicted, or raise if a number is not finite."""
    wrong = int((~np.isfinite(predicted)).sum())
    if wrong:
        raise ValueError(
            "Every prediction must be finite; results on a scale of about 1 to 1000 are computed "
            f"with safely. Received: {wrong} of {len(predicted)} that are not"
        )
    return predicted
