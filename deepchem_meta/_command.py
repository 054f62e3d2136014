"""The command ``deepchem-meta``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence

__all__ = ["main"]

_RANK = """\
Rank a library of candidates by the compounds of an assay that have been measured.

  deepchem-meta rank --support ten.csv --candidates library.csv -o ranked.csv

ten.csv has a column of SMILES and one of results: labels (1 and 0, active and inactive, yes and
no), values such as pIC50 or % inhibition, or concentrations with their unit, in the cells
("12 nM"), in the column's name ("IC50 (nM)") or in a column of units. "<10" and ">10" are taken for
10, and counted. Numbers have a point and no thousands separators. library.csv has a column of
SMILES. The columns are found by their names and contents, or named by the options below. Where it
is in doubt whether more is better, nothing is ranked. CSV files are read, library.smi too, and both
gzipped (.gz); .sdf, .mol and .xlsx are not. Molecules of more than 150 atoms count as unreadable.

The output has the candidates' columns and: probability (of being active), or value, lower and upper
(90% of measurements are expected between these); nearest, the most similar measured compound,
nearest_name, its name, and similarity; measured, for candidates that have been; warning; and rank.
Where the library has such a column, the new one is called predicted_rank, and so on. Values have
the scale of the results; concentrations are -log10 of mol/L: 9 is 1 nM. Values and intervals are
not valid for compounds beyond a bound such as ">10".
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 0, or 2 after an error, which is one line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.
    """
    options = vars(_parser().parse_args(arguments))
    options.pop("command")
    report = options.pop("report") or _beside(options["output"])
    try:
        with _silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is in the summary
            # TensorFlow is imported after the arguments are known to be right.
            ranking = importlib.import_module("deepchem_meta.ranking")
            done = ranking.rank(**options, report=None if report == "none" else report)
    except KeyboardInterrupt:
        sys.stderr.write("deepchem-meta: interrupted; nothing was written\n")
        return 130
    except (ValueError, TypeError, OSError, ImportError) as error:
        text = " ".join(str(error).split())
        sys.stderr.write(f"deepchem-meta: error: {text}\n")
        return 2
    return _print("\n".join(ranking.summary(done)) + "\n")


def _print(text: str) -> int:
    """Print a summary, and return the exit status: 2 if nothing takes it, which is said."""
    if sys.stdout is None:  # as Python has it where it is closed
        return 0
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(
            "deepchem-meta: error: the files were written, but the summary could not be printed: "
            f"{error}\n"
        )
        # What waits to be printed would raise once more when Python ends.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return 2
    return 0


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep off the terminal what TensorFlow's C++ writes of the machine, in processes too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _beside(output: str) -> str:
    """Return the name of the report, which stands beside the output."""
    return os.path.splitext(output)[0] + ".html"


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("deepchem-meta", description="Learn from few measurements.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    brief = "rank candidates by a few measured compounds"
    rank = commands.add_parser("rank", help=brief, description=_RANK, formatter_class=raw)
    add = rank.add_argument
    add("--support", required=True, metavar="CSV", help="the measured compounds")
    add("--candidates", required=True, metavar="CSV", help="the library; .smi too")
    add("-o", "--output", default="ranked.csv", metavar="CSV", help="default: ranked.csv")
    add("--report", metavar="HTML", help="default: beside the output; none: no report")
    history = "earlier assays to learn from, which takes minutes: the columns assay, smiles, and "
    history += "active (for labels) or value (for values)"
    add("--history", metavar="CSV", help=history)
    columns = rank.add_argument_group("columns and units, where they are not found")
    columns.add_argument("--smiles", metavar="COLUMN", help="SMILES of the measured compounds")
    columns.add_argument("--result", metavar="COLUMN", help="labels or values")
    columns.add_argument("--unit", choices=("M", "mM", "uM", "nM", "pM", "fM"))
    columns.add_argument("--candidate-smiles", metavar="COLUMN", help="SMILES of the candidates")
    columns.add_argument(
        "--duplicates",
        choices=("merge", "raise"),
        default="merge",
        help="molecules of several rows: majority or mean (merge), or an error (raise)",
    )
    more = rank.add_argument_group("output")
    more.add_argument("--order", choices=("rank", "library"), default="rank", help="of the rows")
    rate = "share of the candidates that is active, for labels; default: as measured"
    more.add_argument("--base-rate", type=float, metavar="SHARE", help=rate)
    return parser
