"""What adaptation to held-out tasks gives: values, means, intervals, tables and plots."""

from __future__ import annotations

import importlib
from typing import Any

from deepchem_meta.evaluation.baselines import EstimatorBaseline, FittedEstimator
from deepchem_meta.evaluation.by_task import ByTask
from deepchem_meta.evaluation.comparison import Comparison
from deepchem_meta.evaluation.intervals import mean_and_interval
from deepchem_meta.evaluation.ranking import ScoredTasks, enrichment, hits_in_top, spearman
from deepchem_meta.evaluation.report import Evaluation
from deepchem_meta.evaluation.run_comparison import compare

__all__ = [
    "ByTask",
    "Comparison",
    "EstimatorBaseline",
    "Evaluation",
    "FewShotClassifier",
    "FewShotRegressor",
    "FittedEstimator",
    "ScoredTasks",
    "SimilarityClassifier",
    "SimilarityRegressor",
    "TanimotoKernel",
    "compare",
    "enrichment",
    "hits_in_top",
    "mean_and_interval",
    "spearman",
]


# The modules whose classes are scikit-learn's estimators.
_LAZY = {
    "FewShotClassifier": "estimators",
    "FewShotRegressor": "estimators",
    "SimilarityClassifier": "similarity",
    "SimilarityRegressor": "similarity",
    "TanimotoKernel": "similarity",
}


def __getattr__(name: str) -> Any:
    """Import scikit-learn with the classes that are its estimators, and not before."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
