"""What is said to expect of a ranking."""

import numpy as np
import pytest

from deepchem_meta.ranking._expected import estimate_lines
from deepchem_meta.ranking.predictor import LeftOut


def test_the_estimate(ranking):
    first, second = estimate_lines(ranking())
    assert first == (
        "On assays that the encoder had not seen, with 16 measured compounds, the nearest number "
        "that was tried: ROC-AUC 0.70 (half of the assays: 0.60 to 0.80)."
    )
    assert second == (
        "On yours, predicting some of the 3 measured compounds from the others: ROC-AUC 0.75. So "
        "few compounds leave this figure uncertain."
    )
    assert len(estimate_lines(ranking(held_out={}))) == 1


def test_a_number_of_compounds_that_was_tried(ranking):
    held_out = {"shots": 3, "roc_auc": (0.6, 0.7, 0.8)}
    assert "with 3 measured compounds: ROC-AUC" in estimate_lines(ranking(held_out=held_out))[0]


@pytest.mark.parametrize("tested", [[0, 0.1, 1], [0, 0.2, 1]])
def test_what_it_means_at_the_bench(tested, ranking):
    # Straight lines through 0: at 10% tested, half of what is found at 20%.
    scale = 1 if tested[1] == 0.1 else 2
    found = [[0, share * scale, 1] for share in (0.12, 0.15, 0.19)]
    held_out = {"shots": 3, "roc_auc": (0.6, 0.7, 0.8), "enrichment": {"tested": tested}}
    held_out["enrichment"]["found"] = found
    line = estimate_lines(ranking(held_out=held_out))[1]
    assert line.startswith(
        "There, testing the best 10% of the candidates found 12 to 19% of the actives in half of "
        "the assays. By chance it is 10%, and at best about 20%"
    )


def test_with_a_history(ranking):
    history = {"assays": 1, "molecules": 9, "too_small": 0, "unreadable": 0}
    first, second = estimate_lines(
        ranking(history=history, without_history=LeftOut("roc_auc", 0.84, 9))
    )
    assert "These figures belong to the encoder before the history" in first
    assert "if the history contains such assays, they are no estimate." in first
    assert "ROC-AUC 0.75; without the history 0.84. So few" in second


def test_candidates_like_nothing_measured(ranking):
    assert estimate_lines(ranking(dissimilar=1))[-1].startswith("1 candidate resembles none")
    assert estimate_lines(ranking(dissimilar=1200))[-1].startswith("1,200 candidates resemble none")


def test_bounds_make_intervals_invalid(ranking):
    made = ranking(
        task_type="regression",
        values=np.array([5.0, 7.5, 5.0, 4.0]),
        signs=["<", "", "<", ">"],
        unit="nM",
    )
    line = estimate_lines(made)[-1]
    assert line.startswith(
        "3 of the 4 results are bounds (<5.00 and >4.00 in the scale -log10(mol/L)), taken for the "
        "number. The values and 90% intervals of compounds beyond a bound are not valid"
    )
    made = ranking(task_type="regression", values=np.array([5.0, 7.5]), signs=["", ">"])
    assert estimate_lines(made)[-1].startswith(
        "1 of the 2 results is a bound (>7.50 in the scale active)"
    )
