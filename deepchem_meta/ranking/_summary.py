"""Says in words what a ranking rests on."""

from __future__ import annotations

from typing import Any

from deepchem_meta.ranking._added import added_names
from deepchem_meta.ranking._expected import estimate_lines
from deepchem_meta.ranking._words import counted, enumerated, unreadable
from deepchem_meta.tasks._molecule_tables import DroppedRow

__all__ = ["notes", "summary"]

_FIRST = 5  # rows or molecules that are named
_USUAL = (3, 12)  # -log10(mol/L)


def summary(ranking: Any) -> list[str]:
    """Return the lines that the command prints of a `Ranking`."""
    lines = [*estimate_lines(ranking), *notes(ranking)]
    rate = ranking.candidates / max(ranking.seconds, 1e-9)
    lines.append(
        f"{counted(ranking.candidates, 'candidate')} in {ranking.seconds:.0f} s ({rate:,.0f} a "
        f"second): {ranking.output}"
    )
    if ranking.report is not None:
        lines.append(f"Report: {ranking.report}")
    return lines


def notes(ranking: Any) -> list[str]:
    """Return what was taken how, and what was left out."""
    measured = ranking.measured
    labels = measured.task_type == "classification"
    lines = [_labels(measured)] if labels else _values(measured, ranking.columns)
    lines.append(f"Candidates: SMILES in {ranking.smiles!r}.")
    if ranking.history is not None:
        lines += _history(ranking.history)
    if measured.missing:
        kinds = ("row of the measured compounds has", "rows of the measured compounds have")
        lines.append(f"{counted(measured.missing, *kinds)} no result.")
    if measured.merged:
        kinds = ("row was merged into an earlier one", "rows were merged into earlier ones")
        lines.append(f"{counted(measured.merged, *kinds)} of the same molecule.")
    if measured.contradicting:
        lines.append(_contradicting(measured))
    lines += _unreadable("measured compound", len(measured.unreadable), measured.unreadable)
    if ranking.blank:
        kinds = ("row of the candidates is", "rows of the candidates are")
        lines.append(f"{counted(ranking.blank, *kinds)} blank, and left out.")
    lines += _unreadable("candidate", ranking.unreadable, ranking.unreadable_rows)
    return lines


def _labels(measured: Any) -> str:
    active = int(measured.values.sum())
    return (
        f"{_taken(measured)}, labels in {measured.columns[1]!r}: "
        f"{active} active, {len(measured) - active} inactive."
    )


def _taken(measured: Any) -> str:
    compounds = counted(len(measured), "compound")
    return f"Measured: {compounds}, SMILES in {measured.columns[0]!r}"


def _values(measured: Any, columns: list[str]) -> list[str]:
    """Return which values were measured, and in which scale the output has them."""
    low, high = measured.values.min(), measured.values.max()
    taken = "" if measured.unit is None else f", in {measured.unit}, taken as {measured.scale}"
    names = dict(zip(reversed(added_names("regression")), reversed(columns), strict=False))
    shown = enumerated([names[name] for name in ("value", "lower", "upper", "measured")])
    scale = f"the scale of {measured.scale!r}"
    if measured.unit is not None:
        scale = f"the scale {measured.scale}: 9 is 1 nM, and 6 is 1 uM"
    lines = [
        f"{_taken(measured)}, values in {measured.columns[1]!r}{taken}: {low:.2f} to {high:.2f}.",
        f"The columns {shown} have {scale}. More is better.",
    ]
    if measured.unit is not None and (high < _USUAL[0] or high > _USUAL[1]):
        where = "all concentrations are above 1 mM" if high < _USUAL[0] else "some are below 1 pM"
        lines.append(f"Is the unit right? In {measured.unit}, {where}.")
    return lines


def _history(used: dict[str, Any]) -> list[str]:
    """Return what was learned from a history, and what could not be read.

    An encoder that an earlier version has saved lacks some of the counts.
    """
    kinds = ("assay was", "assays were")
    learned = f"learned in {used['seconds']:.0f} s; " if "seconds" in used else ""
    lines = [
        f"History: {counted(used['assays'], 'assay')} of {counted(used['molecules'], 'molecule')}, "
        f"{learned}{counted(used['too_small'], *kinds)} too small."
    ]
    if used.get("range"):
        low, high = used["range"]
        lines.append(f"Values of the history: {low:g} to {high:g}. More was taken for better.")
    if used.get("merged"):
        kinds = ("result of the history was", "results of the history were")
        differ = counted(used["contradicting"], "molecule has", "molecules have")
        lines.append(
            f"{counted(used['merged'], *kinds)} merged, of molecules with several in an assay; "
            f"{differ} results that differ."
        )
    if used.get("qualified"):
        kinds = ("result of the history has", "results of the history have")
        signs = 'a sign such as ">" and count as the number'
        lines.append(f"{counted(used['qualified'], *kinds)} {signs}.")
    rows = [DroppedRow(*row) for row in used.get("unreadable_rows", [])]
    return [*lines, *_unreadable("row", used.get("unreadable", 0), rows, of=" of the history")]


def _contradicting(measured: Any) -> str:
    """Return the lines of molecules whose results contradict, and what became of them."""
    kept = set(measured.lines)
    labels = measured.task_type == "classification"
    taken = "the majority was taken" if labels else "the mean was taken"
    groups = [
        f"lines {enumerated(lines)}"
        + (f" ({taken})" if lines[0] in kept else " (left out: as many of either)")
        for lines in measured.contradicting[:_FIRST]
    ]
    more = len(measured.contradicting) - len(groups)
    groups += [f"and {more} more"] if more else []
    kinds = ("molecule has", "molecules have")
    found = counted(len(measured.contradicting), *kinds)
    what = "contradicting labels" if labels else "values that differ by more than 1"
    return f"{found} {what}: {'; '.join(groups)}."


def _unreadable(what: str, count: int, rows: list[DroppedRow], of: str = "") -> list[str]:
    """Return a line that counts the rows that cannot be read and names the first."""
    if not count:
        return []
    shown = "; ".join(unreadable(row) for row in rows[:_FIRST])
    more = f"; and {count - _FIRST:,} more" if count > _FIRST else ""
    return [f"{counted(count, what)}{of} could not be read: {shown}{more}."]
