"""Update rules of the inner loop, for the argument ``inner_optimizer`` of algorithms."""

from deepchem_meta.engine.inner_optimizers import Adam, GradientDescent, InnerOptimizer, Momentum

__all__ = ["Adam", "GradientDescent", "InnerOptimizer", "Momentum"]
