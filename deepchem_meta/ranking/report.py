"""Writes a ranking as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from deepchem_meta.ranking._summary import estimate_lines, notes
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
<h2>The best {shown} of {total} candidates</h2><div class="cards">{cards}</div>
<h2>What was measured</h2><ul>{notes}</ul><div class="cards">{measured}</div>
{unreadable}
</body>
</html>
"""
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
    rows = ranking.best[:_SHOWN]
    text = _PAGE.format(
        title=html.escape(f"Candidates ranked by {len(ranking.measured)} measured compounds"),
        estimate="".join(f"<p>{html.escape(line)}</p>" for line in estimate_lines(ranking)),
        curve=_curve(ranking.held_out),
        shown=len(rows),
        total=f"{ranking.candidates:,}",
        cards="".join(_candidate(row, ranking, smiles) for row in rows),
        notes="".join(f"<li>{html.escape(line)}</li>" for line in notes(ranking)),
        measured="".join(_known(ranking.measured)),
        unreadable=_unreadable(ranking),
    )
    part = path.with_name(path.name + ".tmp")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _candidate(row: list[str], ranking: Any, smiles: int) -> str:
    """Return the card of a candidate."""
    named = dict(zip(ranking.columns, row, strict=True))
    added = ranking.columns[-_added(ranking) :]
    score, *interval = (named[name] for name in added[:-4])
    nearest, similarity, measured, warning = (named[name] for name in added[-4:])
    what = f"probability {float(score):.2f}"
    if interval:
        what = f"{float(score):.2f} ({float(interval[0]):.2f} to {float(interval[1]):.2f})"
    lines = [f"<b>{what}</b>", _names(row, ranking, smiles)]
    if measured:
        lines.append(f'<span class="known">measured: {html.escape(measured)}</span>')
    lines.append(f"similarity {float(similarity):.2f} to {html.escape(_short(nearest))}")
    if warning:
        lines.append(f'<span class="warn">{html.escape(warning)}</span>')
    body = "<br>".join(line for line in lines if line)
    return f'<div class="card">{_picture(row[smiles])}{body}</div>'


def _added(ranking: Any) -> int:
    """Return how many columns were added to those of the library."""
    return 5 if ranking.measured.task_type == "classification" else 7


def _names(row: list[str], ranking: Any, smiles: int) -> str:
    """Return the first other cell of the library's, which is often a name."""
    own = row[: len(ranking.columns) - _added(ranking)]
    others = [cell for n, cell in enumerate(own) if n != smiles and cell.strip()]
    return html.escape(_short(others[0])) if others else ""


def _known(measured: Any) -> list[str]:
    """Return the cards of the measured compounds, the most active first."""
    cards = []
    for place in np.argsort(-measured.values, kind="stable")[:_SHOWN]:
        value = measured.values[place]
        text = f"{value:.2f}"
        if measured.task_type == "classification":
            text = "active" if value else "inactive"
        cards.append(
            f'<div class="card">{_picture(measured.smiles[place])}<b>{text}</b>, '
            f"line {measured.lines[place]}</div>"
        )
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


def _curve(held_out: dict[str, Any]) -> str:
    """Return the enrichment curve on held-out assays as a picture."""
    curve = held_out.get("enrichment")
    if not curve:
        return "<p>The encoder has no figures on held-out assays.</p>"
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
        figure_module = importlib.import_module("matplotlib.figure")
    except ImportError:
        return '<p>The curve needs Matplotlib: pip install "deepchem_meta[plot]".</p>'
    figure = figure_module.Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    tested = np.array(curve["tested"]) * 100
    low, middle, high = (np.array(part) * 100 for part in curve["found"])
    axes.plot([0, 100], [0, 100], color="0.6", linestyle=":", label="by chance")
    axes.fill_between(tested, low, high, alpha=0.2, label="half of the assays")
    axes.plot(tested, middle, label="median")
    axes.set(
        xlabel="best candidates that are tested, %",
        ylabel="actives that are found, %",
        xlim=(0, 100),
        ylim=(0, 100),
    )
    axes.legend(frameon=False)
    text = io.StringIO()
    with pyplot.rc_context({"svg.hashsalt": "deepchem_meta"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    picture = text.getvalue()
    return (
        f'<div class="plot">{picture[picture.index("<svg") :]}</div><p>On held-out assays with '
        f"{held_out['shots']} measured compounds. An active compound is one of the stronger half "
        "of its assay.</p>"
    )


def _picture(smiles: str) -> str:
    """Return a molecule as an SVG picture."""
    (molecule,), _ = read_molecules([smiles])
    if molecule is None:
        return ""
    draw = importlib.import_module("rdkit.Chem.Draw.rdMolDraw2D")
    drawer = draw.MolDraw2DSVG(200, 150)
    draw.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    picture = drawer.GetDrawingText()
    return picture[picture.index("<svg") :]


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
