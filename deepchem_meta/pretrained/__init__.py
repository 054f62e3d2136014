"""Encoders of molecules that are trained on the history of many assays."""

from deepchem_meta.pretrained.encoder import AssayEncoder
from deepchem_meta.pretrained.history import with_history
from deepchem_meta.pretrained.shipped import load
from deepchem_meta.pretrained.training import train_encoder

__all__ = ["AssayEncoder", "load", "train_encoder", "with_history"]
