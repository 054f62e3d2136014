"""Runs the examples for the gallery: their sources with a title, in a folder of their own."""

from __future__ import annotations

from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TITLES = {
    "attention_only": "Attention weights alone adapt",
    "custom_inner_rule": "An inner rule of your own",
    "dose_response": "Dose-response curves",
    "multi_worker": "Several worker processes, as on several machines",
    "omniglot": "Handwritten characters (Omniglot)",
    "sine_regression": "Sine curves, a learner of your own",
    "sinusoid_keras": "Sine curves, a Keras model",
    "tox21_keras": "Toxicity assays (Tox21), a Keras model",
    "tox21_maml": "Toxicity assays (Tox21), a learner of your own",
}
# What runs when the documentation is built; the others need data that are downloaded.
RUN = ("sine_regression", "sinusoid_keras", "dose_response", "attention_only", "custom_inner_rule")

_HEADER = """Examples
========

Scripts of the folder ``examples``, with what they print and draw. Those that need a download
(Tox21, Omniglot) are shown without their results. Each can be downloaded as a script and as a
notebook.
"""


def prepare(folder: Path) -> None:
    """Copy the examples into a folder that the gallery is made from.

    They write their figures beside themselves, and the gallery wants a title on top.
    """
    folder.mkdir(exist_ok=True)
    _write(folder / "GALLERY_HEADER.rst", _HEADER)
    for path in sorted(EXAMPLES.glob("*.py")):
        title = TITLES[path.stem]
        source = path.read_text(encoding="utf-8").removeprefix('"""')
        _write(folder / path.name, f'"""\n{title}\n{"=" * len(title)}\n\n{source}')


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # what is the same stays made
        path.write_text(text, encoding="utf-8")


class FigureFiles:
    """Puts the figures that a script has written into its page."""

    def __init__(self):
        self._seen: set[Path] = set()

    def __repr__(self) -> str:
        return "FigureFiles"

    def __call__(self, block, block_vars, gallery_conf):
        """Return reST for the PNG files that are new in the script's folder."""
        from sphinx_gallery.scrapers import figure_rst

        folder = Path(block_vars["src_file"]).parent
        names = []
        for path in sorted(folder.glob("*.png")):
            if path not in self._seen:
                self._seen.add(path)
                target = next(block_vars["image_path_iterator"])
                Path(target).write_bytes(path.read_bytes())
                names.append(target)
        return figure_rst(names, gallery_conf["src_dir"])
