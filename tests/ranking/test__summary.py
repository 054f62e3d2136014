"""What is said of what a ranking rests on."""

import numpy as np
import pytest

from deepchem_meta.ranking._summary import notes, summary
from deepchem_meta.tasks._molecule_tables import DroppedRow

WRONG = [DroppedRow(n, "C(", "cannot be read by RDKit") for n in range(7, 14)]


def test_rate_and_files(ranking):
    lines = summary(ranking(report="report.html"))
    assert lines[-2:] == [
        "2,000 candidates in 4 s (500 a second): ranked.csv",
        "Report: report.html",
    ]
    assert summary(ranking(candidates=1, seconds=1.0))[-1].startswith("1 candidate in 1 s")


def test_labels(ranking):
    assert notes(ranking()) == ["Measured: 3 compounds, labels in 'active': 2 active, 1 inactive."]


def test_values_and_their_scale(ranking):
    values = {"task_type": "regression", "values": np.array([5.0, 7.5])}
    assert notes(ranking(**values, unit="nM")) == [
        "Measured: 2 compounds, values in 'active', in nM, taken as -log10(mol/L): 5.00 to 7.50.",
        "The columns value, lower, upper and predicted_measured have the scale -log10(mol/L): 9 is "
        "1 nM, and 6 is 1 uM. More is better.",
    ]
    assert notes(ranking(**values)) == [
        "Measured: 2 compounds, values in 'active': 5.00 to 7.50.",
        "The columns value, lower, upper and predicted_measured have the scale of 'active'. More "
        "is better.",
    ]


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        ([2.9, 1.0], "M", "Is the unit right? In M, all concentrations are above 1 mM."),
        ([3.1, 1.0], "M", None),
        ([12.1, 6.0], "fM", "Is the unit right? In fM, some are below 1 pM."),
        ([11.9, 6.0], "fM", None),
        ([2.9, 1.0], None, None),
    ],
)
def test_units_that_give_unusual_concentrations(values, unit, said, ranking):
    lines = notes(ranking(task_type="regression", values=np.array(values), unit=unit))
    assert [line for line in lines if line.startswith("Is the unit")] == ([said] if said else [])


def test_a_history_and_its_rows_that_cannot_be_read(ranking):
    used = {"assays": 8, "molecules": 1500, "too_small": 1, "unreadable": 7, "seconds": 131.4}
    used["unreadable_rows"] = [[n, "C(", "cannot be read by RDKit"] for n in range(7, 12)]
    assert notes(ranking(history=used))[1:] == [
        "History: 8 assays of 1,500 molecules, learned in 131 s; 1 assay was too small.",
        "7 rows of the history could not be read: "
        + "; ".join(f"line {n}: 'C(' cannot be read by RDKit" for n in range(7, 12))
        + "; and 2 more.",
    ]


def test_contradicting_labels_with_all_lines(ranking):
    # The molecule of line 3 is kept, that of line 9 is not.
    assert notes(ranking(contradicting=[[3, 7, 8], [9, 10]]))[1:] == [
        "2 molecules have contradicting labels: lines 3, 7 and 8 (the majority was taken); lines "
        "9 and 10 (left out: as many of either).",
    ]
    line = notes(ranking(contradicting=[[9, 10]] * 7))[-1]
    assert line.count("lines 9 and 10") == 5 and line.endswith("; and 2 more.")


@pytest.mark.parametrize(
    ("count", "lines"),
    [
        (
            1,
            [
                "1 row of the measured compounds has no result.",
                "1 row was merged into an earlier one of the same molecule.",
                "1 measured compound could not be read: line 7: 'C(' cannot be read by RDKit.",
                "1 candidate could not be read: line 7: 'C(' cannot be read by RDKit.",
            ],
        ),
        (
            2,
            [
                "2 rows of the measured compounds have no result.",
                "2 rows were merged into earlier ones of the same molecule.",
                "2 measured compounds could not be read: line 7: 'C(' cannot be read by RDKit; "
                "line 8: 'C(' cannot be read by RDKit.",
                "2 candidates could not be read: line 7: 'C(' cannot be read by RDKit; "
                "line 8: 'C(' cannot be read by RDKit.",
            ],
        ),
    ],
)
def test_whatever_was_left_out_is_said(count, lines, ranking):
    made = ranking(missing=count, merged=count, unreadable=count, unreadable_rows=WRONG[:count])
    made.measured.unreadable.extend(WRONG[:count])
    assert notes(made)[1:] == lines
