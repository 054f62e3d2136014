"""What is said of a ranking."""

from types import SimpleNamespace

import numpy as np

from deepchem_meta.ranking._summary import estimate_lines, notes, summary


class Few(SimpleNamespace):
    def __len__(self):
        return len(self.values)


def ranking(**changes):
    measured = Few(
        values=np.array([1.0, 0.0, 1.0]),
        columns=("smiles", "active"),
        task_type="classification",
        unit=None,
        bounds=0,
        missing=0,
        merged=0,
        contradicting=[],
        unreadable=[],
    )
    made = SimpleNamespace(
        measured=measured,
        held_out={"shots": 16, "roc_auc": (0.6, 0.7, 0.8), "other": (1, 2, 3)},
        left_out=SimpleNamespace(measure="roc_auc", value=0.75),
        history=None,
        unreadable=0,
        unreadable_rows=[],
        dissimilar=0,
        candidates=2000,
        seconds=4.0,
        output="ranked.csv",
        report=None,
    )
    for name, value in changes.items():
        setattr(measured if hasattr(measured, name) else made, name, value)
    return made


def test_the_estimate():
    first, second = estimate_lines(ranking())
    assert first == (
        "On assays that the encoder had not seen, with 16 measured compounds: "
        "ROC-AUC 0.70 (half of the assays: 0.60 to 0.80)."
    )
    assert "some of the 3 measured compounds from the others: ROC-AUC 0.75." in second
    assert len(estimate_lines(ranking(held_out=None))) == 1


def test_rate_and_files():
    lines = summary(ranking(report="report.html"))
    assert lines[-2:] == [
        "2,000 candidates in 4 s (500 a second): ranked.csv",
        "Report: report.html",
    ]


def test_labels_and_values():
    assert notes(ranking()) == ["Measured: 3 compounds, labels in 'active': 2 active, 1 inactive."]
    values = ranking(task_type="regression", values=np.array([5.0, 7.5]), unit="nM")
    assert notes(values) == [
        "Measured: 2 compounds, values in 'active', in nM, taken as -log10(mol/L): 5.00 to 7.50."
    ]


def test_whatever_was_left_out_is_said():
    wrong = SimpleNamespace(line=7, smiles="C(", reason="is no SMILES")
    lines = notes(
        ranking(
            bounds=2,
            missing=3,
            merged=4,
            contradicting=[5, 6],
            unreadable_rows=[wrong],
            dissimilar=1200,
            history={"assays": 8, "molecules": 1500, "too_small": 1, "unreadable": 0},
        )
    )
    text = "\n".join(lines)
    for part in (
        "8 assays of 1,500 molecules; 1 assays were too small",
        "2 results are bounds",
        "3 rows of the measured compounds have no result",
        "4 rows were merged",
        "2 molecules have contradicting labels (lines 5, 6)",
        "1,200 candidates resemble none",
    ):
        assert part in text
    made = ranking(unreadable_rows=[wrong])
    made.unreadable = 1
    assert "1 candidates could not be read: line 7: 'C(' is no SMILES." in notes(made)
