"""Rankings whose words are tested."""

from types import SimpleNamespace

import numpy as np
import pytest

from deepchem_meta.ranking import LeftOut, Measured


def make(**changes):
    values = changes.get("values", np.array([1.0, 0.0, 1.0]))
    measured = {
        **{"smiles": ["C"] * len(values), "canonical": ["C"] * len(values), "values": values},
        **{"lines": list(range(2, 2 + len(values))), "task_type": "classification"},
        **{"columns": ("smiles", "active"), "unit": None, "names": [""] * len(values)},
        **{"signs": [""] * len(values), "merged": 0, "contradicting": [], "unreadable": []},
        **{"missing": 0, "undecided": []},
    }
    made = {
        "held_out": {"shots": 16, "roc_auc": (0.6, 0.7, 0.8), "other": (1, 2, 3)},
        "left_out": LeftOut("roc_auc", 0.75, 9),
        **{"without_history": None, "history": None, "unreadable": 0, "unreadable_rows": []},
        **{"smiles": "structure", "blank": 0, "dissimilar": 0, "candidates": 2000},
        **{"seconds": 4.0, "report": None},
        **{"output": "ranked.csv", "columns": ["smiles", "value", "lower", "upper", "nearest"]},
    }
    made["columns"] += ["nearest_name", "similarity", "predicted_measured", "warning"]
    mine = measured.keys() & changes.keys() - made.keys()
    known = {name: changes.pop(name) for name in mine}
    return SimpleNamespace(measured=Measured(**measured | known), **made | changes)


@pytest.fixture
def ranking():
    """Give a function that makes a ranking of three labels, with changes.

    Changes are attributes of the ranking or of what was measured; `unreadable` is the ranking's.
    """
    return make
