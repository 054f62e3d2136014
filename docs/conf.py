import os

# Read when TensorFlow is imported, which autodoc does.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import deepchem_meta

project = "deepchem_meta"
author = "The deepchem_meta authors"
copyright = f"2026, {author}"
release = version = deepchem_meta.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True  # properties have an entry of their own
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types are in the docstrings, with shapes and units
nitpicky = False
