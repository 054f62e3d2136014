"""Says in words what a ranking rests on."""

from __future__ import annotations

from typing import Any

__all__ = ["estimate_lines", "notes", "summary"]

_NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision_over_chance": "average precision over chance",
    "spearman": "correlation of ranks",
    "r2": "R²",
}


def summary(ranking: Any) -> list[str]:
    """Return the lines that the command prints of a `Ranking`."""
    lines = [*estimate_lines(ranking), *notes(ranking)]
    rate = ranking.candidates / max(ranking.seconds, 1e-9)
    lines.append(
        f"{ranking.candidates:,} candidates in {ranking.seconds:.0f} s ({rate:,.0f} a second): "
        f"{ranking.output}"
    )
    if ranking.report is not None:
        lines.append(f"Report: {ranking.report}")
    return lines


def estimate_lines(ranking: Any) -> list[str]:
    """Return what to expect of the ranking."""
    lines = []
    held_out = ranking.held_out
    if held_out:
        figures = [
            f"{_NAMES[name]} {values[1]:.2f} (half of the assays: {values[0]:.2f} to "
            f"{values[2]:.2f})"
            for name, values in held_out.items()
            if name in _NAMES
        ]
        lines.append(
            f"On assays that the encoder had not seen, with {held_out['shots']} measured "
            f"compounds: {', '.join(figures)}."
        )
    left_out = ranking.left_out
    measured = ranking.measured
    lines.append(
        f"On yours, predicting some of the {len(measured)} measured compounds from the others: "
        f"{_NAMES[left_out.measure]} {left_out.value:.2f}. So few compounds leave this figure "
        "uncertain."
    )
    return lines


def notes(ranking: Any) -> list[str]:
    """Return what was taken how, and what was left out."""
    measured = ranking.measured
    kind = f"labels in {measured.columns[1]!r}"
    if measured.task_type == "classification":
        active = int(measured.values.sum())
        kind += f": {active} active, {len(measured) - active} inactive"
    else:
        kind = f"values in {measured.columns[1]!r}"
        if measured.unit is not None:
            kind += f", in {measured.unit}, taken as -log10(mol/L)"
        kind += f": {measured.values.min():.2f} to {measured.values.max():.2f}"
    lines = [f"Measured: {len(measured)} compounds, {kind}."]
    if ranking.history is not None:
        used = ranking.history
        lines.append(
            f"History: {used['assays']} assays of {used['molecules']:,} molecules; "
            f"{used['too_small']} assays were too small, and {used['unreadable']} rows could not "
            "be read."
        )
    if measured.bounds:
        lines.append(f"{measured.bounds} results are bounds (such as >10), taken for the number.")
    if measured.missing:
        lines.append(f"{measured.missing} rows of the measured compounds have no result.")
    if measured.merged:
        lines.append(f"{measured.merged} rows were merged into earlier ones of the same molecule.")
    if measured.contradicting:
        shown = ", ".join(map(str, measured.contradicting[:5]))
        lines.append(
            f"{len(measured.contradicting)} molecules have contradicting labels (lines {shown}); "
            "the majority was taken, and none in a tie."
        )
    for what, count, rows in (
        ("measured compounds", len(measured.unreadable), measured.unreadable),
        ("candidates", ranking.unreadable, ranking.unreadable_rows),
    ):
        if count:
            shown = "; ".join(f"line {r.line}: {r.smiles!r} {r.reason}" for r in rows[:5])
            lines.append(f"{count} {what} could not be read: {shown}.")
    if ranking.dissimilar:
        lines.append(
            f"{ranking.dissimilar:,} candidates resemble none of the measured compounds; they have "
            "a warning."
        )
    return lines
