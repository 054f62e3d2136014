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
    assert notes(ranking()) == [
        "Measured: 3 compounds, SMILES in 'smiles', labels in 'active': 2 active, 1 inactive.",
        "Candidates: SMILES in 'structure'.",
    ]


def test_values_and_their_scale(ranking):
    values = {"task_type": "regression", "values": np.array([5.0, 7.5])}
    assert notes(ranking(**values, unit="nM")) == [
        "Measured: 2 compounds, SMILES in 'smiles', values in 'active', in nM, taken as "
        "-log10(mol/L): 5.00 to 7.50.",
        "The columns value, lower, upper and predicted_measured have the scale -log10(mol/L): 9 is "
        "1 nM, and 6 is 1 uM. More is better.",
        "Candidates: SMILES in 'structure'.",
    ]
    assert notes(ranking(**values)) == [
        "Measured: 2 compounds, SMILES in 'smiles', values in 'active': 5.00 to 7.50.",
        "The columns value, lower, upper and predicted_measured have the scale of 'active'. More "
        "is better.",
        "Candidates: SMILES in 'structure'.",
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
    assert notes(ranking(history=used))[2:] == [
        "History: 8 assays of 1,500 molecules, learned in 131 s; 1 assay was too small.",
        "7 rows of the history could not be read: "
        + "; ".join(f"line {n}: 'C(' cannot be read by RDKit" for n in range(7, 12))
        + "; and 2 more.",
    ]


def test_what_was_done_with_the_results_of_a_history(ranking):
    used = {"assays": 8, "molecules": 150, "too_small": 2, "unreadable": 0, "unreadable_rows": []}
    used |= {"seconds": 9.0, "merged": 6, "contradicting": 1, "qualified": 2, "range": [4.5, 9.0]}
    values = {"task_type": "regression", "values": np.array([5.0, 7.5])}
    lines = notes(ranking(history=used | {"range": None}))
    assert lines[2:] == [
        "History: 8 assays of 150 molecules, learned in 9 s; 2 assays were too small.",
        "6 results of the history were merged, of molecules with several in an assay; 1 molecule "
        "has results that differ.",
        '2 results of the history have a sign such as ">" and count as the number.',
    ]
    lines = notes(ranking(**values, history=used))
    assert "Values of the history: 4.5 to 9. More was taken for better." in lines


def test_a_history_of_an_encoder_that_was_saved_earlier(ranking):
    used = {"assays": 8, "molecules": 150, "too_small": 0}
    assert notes(ranking(history=used))[2:] == [
        "History: 8 assays of 150 molecules, 0 assays were too small.",
    ]


def test_values_that_contradict(ranking):
    values = {"task_type": "regression", "values": np.array([5.0, 7.5])}
    assert notes(ranking(**values, contradicting=[[2, 9]]))[-1] == (
        "1 molecule has values that differ by more than 1: lines 2 and 9 (the mean was taken)."
    )


def test_contradicting_labels_with_all_lines(ranking):
    # The molecule of line 3 is kept, that of line 9 is not.
    assert notes(ranking(contradicting=[[3, 7, 8], [9, 10]]))[2:] == [
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
                "1 row of the candidates is blank, and left out.",
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
                "2 rows of the candidates are blank, and left out.",
                "2 candidates could not be read: line 7: 'C(' cannot be read by RDKit; "
                "line 8: 'C(' cannot be read by RDKit.",
            ],
        ),
    ],
)
def test_whatever_was_left_out_is_said(count, lines, ranking):
    counts = dict.fromkeys(("missing", "merged", "unreadable", "blank"), count)
    made = ranking(**counts, unreadable_rows=WRONG[:count])
    made.measured.unreadable.extend(WRONG[:count])
    assert notes(made)[2:] == lines
