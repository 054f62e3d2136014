"""What adaptation to held-out tasks gives: values, means, intervals, tables and plots."""

from deepchem_meta.evaluation.intervals import mean_and_interval
from deepchem_meta.evaluation.report import Evaluation

__all__ = ["Evaluation", "mean_and_interval"]
