"""Draws the enrichment curve on held-out assays as an SVG picture."""

from __future__ import annotations

import html
import importlib
import io
from typing import Any

import numpy as np

__all__ = ["curve_of", "labelled"]

_TITLE = "Actives found over candidates tested, in held-out assays"


def curve_of(held_out: dict[str, Any]) -> str:
    """Return the picture and what it shows as HTML, or why there is none."""
    curve = held_out.get("enrichment")
    if not curve:
        return "<p>The encoder has no figures on held-out assays.</p>"
    try:
        picture = _drawn(curve)
    except ImportError:
        return '<p>The curve needs Matplotlib: pip install "deepchem_meta[plot]".</p>'
    return (
        f'<div class="plot">{labelled(picture, _TITLE)}</div><p>On held-out assays with '
        f"{held_out['shots']} measured compounds. An active compound is one of the stronger half "
        "of its assay.</p>"
    )


def labelled(picture: str, label: str) -> str:
    """Return an SVG picture without what stands before it, with a label for screen readers."""
    svg = picture[picture.index("<svg") + len("<svg") :]
    return f'<svg role="img" aria-label="{html.escape(label)}"{svg}'


def _drawn(curve: dict[str, Any]) -> str:
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure = importlib.import_module("matplotlib.figure").Figure((6.4, 3.6), layout="constrained")
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
    return text.getvalue()
