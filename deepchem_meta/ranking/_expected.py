"""Says in words what to expect of a ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepchem_meta.ranking._words import counted, enumerated

__all__ = ["SHARE_TESTED", "estimate_lines"]

#: The share of the candidates for which the estimate says how many actives it holds.
SHARE_TESTED = 0.1
_NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision_over_chance": "average precision over chance",
    "spearman": "correlation of ranks",
    "r2": "R²",
}


def estimate_lines(ranking: Any) -> list[str]:
    """Return what to expect of a `Ranking`, a sentence or some a line."""
    lines = [*_on_held_out(ranking), _on_measured(ranking)]
    if ranking.dissimilar:
        kinds = ("candidate resembles", "candidates resemble")
        lines.append(
            f"{counted(ranking.dissimilar, *kinds)} none of the measured compounds: a warning says "
            "so. Of such the assay itself says nothing."
        )
    if ranking.measured.bounds:
        lines.append(_on_bounds(ranking.measured))
    return lines


def _on_held_out(ranking: Any) -> list[str]:
    """Return the figures on held-out assays, and what they mean at the bench."""
    held_out = ranking.held_out
    if not held_out:
        return []
    figures = ", ".join(
        f"{_NAMES[name]} {values[1]:.2f} (half of the assays: {values[0]:.2f} to {values[2]:.2f})"
        for name, values in held_out.items()
        if name in _NAMES
    )
    shots = f"with {held_out['shots']} measured compounds"
    if held_out["shots"] != len(ranking.measured):
        shots += ", the nearest number that was tried"
    line = f"On assays that the encoder had not seen, {shots}: {figures}."
    if ranking.history is not None:
        line += (
            " These figures belong to the encoder before the history; if the history contains such "
            "assays, they are no estimate."
        )
    return [line, *_at_the_bench(held_out.get("enrichment"))]


def _at_the_bench(curve: dict[str, Any] | None) -> list[str]:
    """Return which share of the actives the best candidates held."""
    if not curve:
        return []
    low, _, high = (np.interp(SHARE_TESTED, curve["tested"], part) for part in curve["found"])
    return [
        f"There, testing the best {SHARE_TESTED:.0%} of the candidates found {100 * low:.0f} to "
        f"{high:.0%} of the actives in half of the assays. By chance it is {SHARE_TESTED:.0%}, and "
        f"at best about {2 * SHARE_TESTED:.0%}, since about half of these compounds are active."
    ]


def _on_measured(ranking: Any) -> str:
    """Return how well the measured compounds are predicted from each other."""
    left_out, before = ranking.left_out, ranking.without_history
    without = "" if before is None else f"; without the history {before.value:.2f}"
    return (
        f"On yours, predicting some of the {len(ranking.measured)} measured compounds from the "
        f"others: {_NAMES[left_out.measure]} {left_out.value:.2f}{without}. So few compounds leave "
        "this figure uncertain."
    )


def _on_bounds(measured: Any) -> str:
    """Return what bounds among the results mean for values and intervals."""
    texts = list(dict.fromkeys(measured.shown(place, ".2f") for place in measured.bounds))
    more = [] if len(texts) <= 3 else ["others"]
    shown = enumerated([*texts[:3], *more])
    are = "is a bound" if len(measured.bounds) == 1 else "are bounds"
    return (
        f"{len(measured.bounds)} of the {len(measured)} results {are} ({shown} in the scale "
        f"{measured.scale}), taken for the number. The values and 90% intervals of compounds "
        "beyond a bound are not valid: in a case of 6 bounds among 16 results, 20% of the true "
        "values beyond the bound lay inside their interval, and 91% of the others."
    )
