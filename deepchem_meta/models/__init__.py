"""What is trained with: optimizers and learning rate schedules, as in ``deepchem.models``."""

from deepchem_meta.models import optimizers

__all__ = ["optimizers"]
