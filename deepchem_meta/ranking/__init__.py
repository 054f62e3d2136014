"""Ranks candidates by a few measured compounds of an assay."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepchem_meta.ranking._summary import summary
    from deepchem_meta.ranking.measured import Measured, read_measured
    from deepchem_meta.ranking.predictor import AssayPredictor, LeftOut, Predictions
    from deepchem_meta.ranking.ranker import Ranking, rank

_MODULES = {
    "AssayPredictor": "predictor",
    "LeftOut": "predictor",
    "Measured": "measured",
    "Predictions": "predictor",
    "Ranking": "ranker",
    "rank": "ranker",
    "read_measured": "measured",
    "summary": "_summary",
}

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


def __getattr__(name: str) -> Any:
    """Import what is used, when it is.

    The processes that read a library import `_library` alone, without TensorFlow's memory.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
