"""What adaptation to held-out tasks gives: values, means, intervals, tables and plots."""

from deepchem_meta.evaluation.baselines import EstimatorBaseline, FittedEstimator
from deepchem_meta.evaluation.comparing import compare
from deepchem_meta.evaluation.comparison import Comparison
from deepchem_meta.evaluation.intervals import mean_and_interval
from deepchem_meta.evaluation.report import Evaluation

__all__ = [
    "Comparison",
    "EstimatorBaseline",
    "Evaluation",
    "FittedEstimator",
    "compare",
    "mean_and_interval",
]
