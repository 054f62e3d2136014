"""Ranks candidates by a few measured compounds of an assay."""

from deepchem_meta.ranking.measured import Measured, read_measured
from deepchem_meta.ranking.predictor import AssayPredictor, LeftOut, Predictions
from deepchem_meta.ranking.ranker import Ranking, rank
from deepchem_meta.ranking.summary import summary

__all__ = [
    "AssayPredictor",
    "LeftOut",
    "Measured",
    "Predictions",
    "Ranking",
    "rank",
    "read_measured",
    "summary",
]
