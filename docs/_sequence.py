"""Draws a sequence of calls, which a text file lists, as a picture."""

import re
from pathlib import Path

from matplotlib.figure import Figure

LINE = re.compile(r"(\w+) (-->|->) (\w+): (.+)")


def draw(text: Path, picture: Path) -> None:
    """Write an SVG file with an arrow for each line ``a -> b: what`` of a text file."""
    matches = [LINE.fullmatch(line) for line in text.read_text(encoding="utf-8").splitlines()]
    calls = [match.groups() for match in matches if match]
    names = list(dict.fromkeys(name for a, _, b, _ in calls for name in (a, b)))
    places = {name: 1.7 * place for place, name in enumerate(names)}
    figure = Figure(figsize=(1.25 * len(names), 0.42 * (len(calls) + 2)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.9, places[names[-1]] + 0.9)
    axes.set_ylim(-len(calls) - 0.6, 1.2)
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.4"}
    for name, place in places.items():
        axes.plot([place, place], [0.5, -len(calls)], color="0.75", linewidth=1, zorder=0)
        axes.text(place, 0.6, name, ha="center", va="center", fontsize=9, bbox=box)
    for row, (a, arrow, b, what) in enumerate(calls):
        start, end = places[a], places[b]
        style = {"arrowstyle": "->", "linestyle": "--" if arrow == "-->" else "-", "color": "C0"}
        axes.annotate("", (end, -row - 0.4), (start, -row - 0.4), arrowprops=style)
        white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85}
        middle = (start + end) / 2
        axes.text(middle, -row - 0.12, what, ha="center", va="center", fontsize=8, bbox=white)
    figure.savefig(picture, metadata={"Date": None})
