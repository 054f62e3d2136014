"""Writes a ranking as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepchem_meta import __version__
from deepchem_meta.ranking._added import DISSIMILAR, added_names
from deepchem_meta.ranking._columns import find_names
from deepchem_meta.ranking._curve import curve_of, labelled
from deepchem_meta.ranking._expected import estimate_lines
from deepchem_meta.ranking._summary import notes
from deepchem_meta.ranking._words import counted
from deepchem_meta.tasks.molecules import read_molecules

__all__ = ["write_report"]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2rem; }}
.estimate {{ border-left: 4px solid #2a6fb0; background: #f2f7fc; padding: .8rem 1.2rem; }}
.cards {{ display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); }}
.card {{ border: 1px solid #d8dee6; border-radius: 8px; padding: .6rem; font-size: .85rem;
  overflow-wrap: anywhere; }}
.card svg {{ display: block; margin: auto; max-width: 100%; height: auto; }}
.card b {{ font-size: 1rem; }} .warn {{ color: #9a5b00; }} .known {{ color: #2a6fb0; }}
.plot svg {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; }}
td, th {{ border-bottom: 1px solid #d8dee6; padding: .25rem .8rem .25rem 0; text-align: left;
  overflow-wrap: anywhere; }}
li {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
<section class="estimate"><h2 style="margin-top:0">What to expect</h2>{estimate}</section>
<h2>How the best candidates are found</h2>{curve}
<h2>Where the ranking does not hold</h2><ul>{limits}</ul>
<h2>The best {shown} of {total}</h2><p>{legend}</p><div class="cards">{cards}</div>
<h2>What was measured</h2><ul>{notes}</ul><div class="cards">{measured}</div>
{unreadable}
<p><small>Written by deepchem_meta {version}.</small></p>
</body>
</html>
"""
_LIMITS = (
    "Other chemistry: of compounds that resemble none of the measured ones, the encoder knows "
    "something from other assays, but this assay has said nothing.",
    "Activity cliffs: compounds that differ by an atom are taken for much the same, and "
    "stereoisomers are not told apart. Where such a difference decides, the ranking does not see "
    "it.",
    "Another readout: the encoder has learned mostly from enzymes and receptors. Cell viability, "
    "solubility or a physical property may follow other rules.",
)
_LIMIT_OF_LABELS = (
    "Another share of actives: the probabilities hold for a library in which as large a share is "
    "active as among the measured compounds, or as was given as the base rate."
)
_SHOWN = 24  # candidates with a picture
_LISTED = 50  # rows that could not be read


def write_report(path: Path, ranking: Any, smiles: int) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
    ranking : Ranking
    smiles : int
        The place of the column of SMILES in the rows of `Ranking.best`.
    """
    measured = ranking.measured
    labels = measured.task_type == "classification"
    limits = (*_LIMITS, _LIMIT_OF_LABELS) if labels else _LIMITS
    shown = min(len(ranking.best), _SHOWN)
    text = _PAGE.format(
        title=html.escape(f"Candidates ranked by {counted(len(measured), 'measured compound')}"),
        estimate="".join(f"<p>{html.escape(line)}</p>" for line in estimate_lines(ranking)),
        curve=curve_of(ranking.held_out),
        limits=_items(limits),
        shown=shown,
        total=counted(ranking.candidates, "candidate"),
        legend=html.escape(_legend(measured)),
        cards="".join(_candidates(ranking, smiles)),
        notes=_items(notes(ranking)),
        measured="".join(_known(measured)),
        unreadable=_unreadable(ranking),
        version=__version__,
    )
    path.write_text(text, encoding="utf-8")


def _items(lines: Sequence[str]) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines)


def _legend(measured: Any) -> str:
    """Return what the numbers on the cards are."""
    what = f"A card has the predicted value, in the scale of {measured.scale}, and the bounds "
    what += "between which 90% of measurements are expected"
    if measured.task_type == "classification":
        what = "A card has the probability of being active"
    return (
        f"{what}, and the most similar measured compound. The similarity is Tanimoto's, of Morgan "
        "fingerprints: 1 for the same fingerprint, 0 for nothing in common. Below "
        f"{DISSIMILAR} a card has a warning."
    )


def _candidates(ranking: Any, smiles: int) -> list[str]:
    """Return the cards of the best candidates."""
    keys = added_names(ranking.measured.task_type)
    rows = ranking.best[:_SHOWN]
    own = [row[: -len(keys)] for row in rows]
    names = find_names(ranking.columns[: -len(keys)], own, {smiles})
    cards = []
    for row, name in zip(rows, names, strict=True):
        added = dict(zip(keys, row[-len(keys) :], strict=True))
        lines = [_score(added, ranking.measured), html.escape(_short(name)), *_neighbour(added)]
        body = "<br>".join(line for line in lines if line)
        cards.append(f'<div class="card">{_picture(row[smiles])}{body}</div>')
    return cards


def _score(added: dict[str, str], measured: Any) -> str:
    """Return what is predicted of a candidate."""
    if "probability" in added:
        return f"<b>probability {float(added['probability']):.2f}</b>"
    value, lower, upper = (f"{float(added[name]):.2f}" for name in ("value", "lower", "upper"))
    return f"<b>{html.escape(measured.scale)} {value}</b><br>90%: {lower} to {upper}"


def _neighbour(added: dict[str, str]) -> list[str]:
    """Return what a candidate's card says of the measured compounds."""
    nearest = html.escape(_short(added["nearest_name"] or added["nearest"]))
    lines = [f"similarity {float(added['similarity']):.2f} to {nearest}"]
    if added["measured"]:
        lines.insert(0, f'<span class="known">measured: {html.escape(added["measured"])}</span>')
    if added["warning"]:
        lines.append(f'<span class="warn">{html.escape(added["warning"])}</span>')
    return lines


def _known(measured: Any) -> list[str]:
    """Return the cards of the measured compounds, the most active first."""
    cards = []
    for place in np.argsort(-measured.values, kind="stable")[:_SHOWN]:
        text = html.escape(measured.shown(place, ".2f"))
        if measured.task_type == "classification":
            text = "active" if measured.values[place] else "inactive"
        name = html.escape(_short(measured.names[place]))
        body = f"<b>{text}</b>, line {measured.lines[place]}{'<br>' if name else ''}{name}"
        cards.append(f'<div class="card">{_picture(measured.smiles[place])}{body}</div>')
    return cards


def _unreadable(ranking: Any) -> str:
    """Return the table of rows that could not be read."""
    rows = [("measured", row) for row in ranking.measured.unreadable]
    rows += [("candidate", row) for row in ranking.unreadable_rows]
    if not rows:
        return ""
    total = len(ranking.measured.unreadable) + ranking.unreadable
    lines = [
        f"<tr><td>{kind}</td><td>{row.line}</td><td>{html.escape(_short(row.smiles, 80))}</td>"
        f"<td>{html.escape(row.reason)}</td></tr>"
        for kind, row in rows[:_LISTED]
    ]
    more = f"<p>and {total - len(lines):,} more</p>" if total > len(lines) else ""
    head = "<tr><th>file</th><th>line</th><th>SMILES</th><th>reason</th></tr>"
    return f"<h2>Rows that could not be read</h2><table>{head}{''.join(lines)}</table>{more}"


def _picture(smiles: str) -> str:
    """Return a molecule as an SVG picture."""
    (molecule,), _ = read_molecules([smiles])
    if molecule is None:
        return ""
    draw = importlib.import_module("rdkit.Chem.Draw.rdMolDraw2D")
    drawer = draw.MolDraw2DSVG(200, 150)
    draw.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    return labelled(drawer.GetDrawingText(), smiles)


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
