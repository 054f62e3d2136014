import logging
import os
import sys
from pathlib import Path

# Read when TensorFlow is imported, which autodoc does.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import deepchem_meta

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import _gallery  # noqa: E402
import _sequence  # noqa: E402

project = "deepchem_meta"
author = "The deepchem_meta authors"
copyright = f"2026, {author}"
release = version = deepchem_meta.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # the formulas need no network
]
exclude_patterns = ["_build", "_gallery_source", "gallery/*.ipynb", "gallery/*.py"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]

_gallery.prepare(HERE / "_gallery_source")
_sequence.draw(HERE / "meta_step.txt", HERE / "images" / "meta_step.svg")
sphinx_gallery_conf = {
    "examples_dirs": "_gallery_source",
    "gallery_dirs": "gallery",
    "filename_pattern": "|".join(f"/{name}" for name in _gallery.RUN),
    "image_scrapers": (_gallery.FigureFiles(),),
    "reset_modules": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "first_notebook_cell": (
        '# Install the package from a checkout first: %pip install ".[plot,molecules]"\n'
        'import sys\n\nsys.argv = ["example"]  # the script reads no arguments of the notebook\n'
    ),
}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True  # properties have an entry of their own
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types are in the docstrings, with shapes and units
# Attributes of one name in several classes, which autodoc looks up by the name alone.
suppress_warnings = ["ref.python"]
logging.getLogger("absl").setLevel(logging.WARNING)
