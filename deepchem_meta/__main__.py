"""Runs the command: ``python -m deepchem_meta``."""

import sys

from deepchem_meta._command import main

sys.exit(main())
