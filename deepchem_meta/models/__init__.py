"""What is trained with: optimizers and learning rate schedules, as in ``deepchem.models``."""

from __future__ import annotations

from deepchem_meta._deepchem import missing_attribute
from deepchem_meta.models import optimizers

__all__ = ["optimizers"]


def __getattr__(name: str) -> None:
    """Say where what is missing is to be had, if DeepChem has it."""
    raise missing_attribute(__name__, name)
