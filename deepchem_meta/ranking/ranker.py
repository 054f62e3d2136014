"""Ranks a library of candidates by a few measured compounds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

from deepchem_meta._checks import check_option, check_rates
from deepchem_meta._replacing import replacing
from deepchem_meta.pretrained import AssayEncoder, load
from deepchem_meta.pretrained.history import history_columns, with_history
from deepchem_meta.ranking._added import DISSIMILAR, AddedCells
from deepchem_meta.ranking._formats import check_file
from deepchem_meta.ranking._library import Chunk, Library
from deepchem_meta.ranking._output import RankedRows
from deepchem_meta.ranking._words import unreadable
from deepchem_meta.ranking.measured import Measured, read_measured
from deepchem_meta.ranking.predictor import AssayPredictor, LeftOut, Predictions
from deepchem_meta.ranking.report import write_report
from deepchem_meta.tasks import Standardizer
from deepchem_meta.tasks._molecule_tables import DroppedRow

__all__ = ["DISSIMILAR", "Ranking", "rank"]

_LISTED = 1000  # unreadable rows that are remembered


class Ranking(NamedTuple):
    """What `rank` has done.

    Attributes
    ----------
    output : Path
        The CSV file of candidates.
    report : Path or None
        The HTML page.
    measured : Measured
        The measured compounds, with what was merged and left out.
    left_out : LeftOut
        How well they are predicted from each other.
    without_history : LeftOut or None
        The same with the encoder before the history; None without one.
    held_out : dict
        How well such rankings were on assays that the encoder was not trained on: the number of
        measured compounds, ``shots``, and the quartiles of each measure over assays. It belongs to
        the encoder before the history.
    history : dict or None
        How many ``assays`` and ``molecules`` of the history were learned from, and what else
        `with_history` counts.
    candidates : int
        The library's rows.
    smiles : str
        The column of the candidates' SMILES.
    blank : int
        How many rows of blank cells the library has besides.
    unreadable : int
        How many could not be read.
    unreadable_rows : list of DroppedRow
        The first 1000 of them.
    dissimilar : int
        How many resemble none of the measured compounds.
    columns : list of str
        Those of the output, except for the last one, the rank's.
    best : list of list of str
        The 50 best rows, except for their rank.
    seconds : float
        How long the candidates took, without what was done before.
    """

    output: Path
    report: Path | None
    measured: Measured
    left_out: LeftOut
    without_history: LeftOut | None
    held_out: dict[str, Any]
    history: dict[str, Any] | None
    candidates: int
    smiles: str
    blank: int
    unreadable: int
    unreadable_rows: list[DroppedRow]
    dissimilar: int
    columns: list[str]
    best: list[list[str]]
    seconds: float


def rank(
    support: str | os.PathLike,
    candidates: str | os.PathLike,
    output: str | os.PathLike = "ranked.csv",
    *,
    report: str | os.PathLike | None = None,
    history: str | os.PathLike | None = None,
    smiles: str | None = None,
    result: str | None = None,
    unit: str | None = None,
    candidate_smiles: str | None = None,
    order: str = "rank",
    base_rate: float | None = None,
    duplicates: str = "merge",
    encoder: AssayEncoder | None = None,
    verbose: int | str = "auto",
) -> Ranking:
    """Rank candidates by the few compounds of an assay that have been measured.

    Parameters
    ----------
    support : path
        A CSV file of the measured compounds: a column of SMILES and one of labels (1 and 0, active
        and inactive, ...), of values, or of concentrations with a unit; see `read_measured`.
    candidates : path
        A CSV file with a column of SMILES, or a .smi file, gzipped if its name ends in .gz. It is
        read more than once, in chunks, and may be larger than the memory. Molecules of more than
        150 atoms without hydrogens count as unreadable, since their descriptors take minutes.
    output : path, default "ranked.csv"
        The CSV file to write: the candidates' columns, and

        - ``probability`` of being active, or the predicted ``value`` with ``lower`` and ``upper``,
          between which 90% of measurements are expected;
        - ``nearest``, the most similar measured compound, ``nearest_name``, what it is called in
          the file of measured compounds, and its Tanimoto ``similarity``;
        - ``measured``, the result of a candidate that is itself among the measured compounds, with
          the sign of a bound;
        - ``warning``, where nothing similar was measured, the nearest compound has the same
          fingerprint, the candidate itself was left out of the measured compounds, or the row could
          not be read;
        - ``rank``, from 1.

        Values have the scale of the results; concentrations are -log10(mol/L). Where the library
        has a column of such a name, the new one is called ``predicted_...``, and
        ``predicted_predicted_...`` where it has that too.
    report : path, optional
        The HTML page to write.
    history : path, optional
        A CSV file of earlier assays, a row a result, with the columns ``assay``, ``smiles`` and
        ``active`` (for labels) or ``value`` (for values). The encoder is trained further on them,
        which takes minutes; see `with_history`.
    smiles, result, unit, duplicates : optional
        Of the measured compounds; see `read_measured`.
    candidate_smiles : str, optional
        The column of SMILES among the candidates, by default found as in `read_measured`.
    order : {"rank", "library"}, default "rank"
        Of the output's rows. Those that cannot be read come last by rank.
    base_rate : float, optional
        Which share of the candidates is active, above 0 and below 1, for probabilities. By default
        that of the measured compounds. The order does not depend on it. Values have no such rate.
    encoder : AssayEncoder, optional
        By default that of ``deepchem_meta.pretrained.load()``.
    verbose : {"auto", 0, 1}, default "auto"
        Whether to show progress; "auto" does on a terminal.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If a file or an argument is not as described, or a prediction is not finite.
    OSError
        If a file is not there, or a folder cannot be written to.
    ImportError
        If RDKit or scikit-learn is not installed.

    Notes
    -----
    The output and the report are written to temporary files in their folders, and put in place
    together at the end. After an exception nothing is written.
    """
    check_option("order", order, ("rank", "library"))
    check_option("verbose", verbose, ("auto", 0, 1))
    shown = verbose == 1 or (verbose == "auto" and sys.stdout is not None and sys.stdout.isatty())
    read = [Path(path) for path in (support, candidates, history) if path is not None]
    output = _checked_output("output", output, read)
    page = None if report is None else _checked_output("report", report, [*read, output])
    options = {"smiles": smiles, "result": result, "unit": unit, "duplicates": duplicates}
    measured = read_measured(support, **options)
    _check_rate(base_rate, measured)
    if history is not None:
        check_file(Path(history))
        history_columns(history, measured.task_type)
    library = Library(Path(candidates), candidate_smiles)
    with replacing(output, *([] if page is None else [page])) as parts:
        predictor = AssayPredictor(load() if encoder is None else encoder, measured, base_rate)
        without_history = None
        if history is not None:
            without_history = predictor.left_out()
            further = with_history(
                predictor.encoder, history, measured.task_type, verbose=int(shown)
            )
            predictor = AssayPredictor(further, measured, base_rate)
        ranked = _write(parts[0], library, predictor, order, _progress(shown))
        ranking = Ranking(
            output=output,
            report=page,
            measured=measured,
            left_out=predictor.left_out(),
            without_history=without_history,
            held_out=predictor.encoder.held_out(measured.task_type, len(measured)),
            history=predictor.encoder.about.get("history"),
            smiles=library.columns[library.smiles],
            blank=library.blank,
            **ranked,
        )
        if page is not None:
            write_report(parts[1], ranking, library.smiles)
    return ranking


def _write(
    path: Path,
    library: Library,
    predictor: AssayPredictor,
    order: str,
    progress: Callable[..., None],
) -> dict[str, Any]:
    """Rank all candidates, write them, and return what was counted."""
    started = time.perf_counter()
    added = AddedCells(predictor.measured, library.columns)
    columns = [*library.columns, *added.columns]
    with RankedRows(path.parent) as rows:
        counts = _rank_all(library, predictor, added, rows, progress)
        rows.write(path, [*columns, added.rank], order)
        return {
            "candidates": len(rows),
            "columns": columns,
            "best": rows.best(50),
            "seconds": time.perf_counter() - started,
            **counts,
        }


def _rank_all(
    library: Library,
    predictor: AssayPredictor,
    added: AddedCells,
    rows: RankedRows,
    progress: Callable[..., None],
) -> dict[str, Any]:
    """Score all candidates, and return what was counted."""
    found = {"unreadable": 0, "unreadable_rows": [], "dissimilar": 0}
    for chunk in library.chunks(predictor.featurizer, Standardizer()):
        predicted = predictor.predict(chunk.stored)
        bad = _unreadable_rows(chunk, library.smiles)
        found["dissimilar"] += int((predicted.similarity < DISSIMILAR).sum())
        found["unreadable"] += len(bad)
        found["unreadable_rows"] += [*bad.values()][: _LISTED - len(found["unreadable_rows"])]
        _add(chunk, bad, predicted, added, rows)
        progress(len(rows))
    progress(len(rows), finalize=True)
    return found


def _unreadable_rows(chunk: Chunk, smiles: int) -> dict[int, DroppedRow]:
    """Return the rows of a chunk that cannot be read, by their places."""
    texts = {n: "".join(chunk.rows[n][smiles : smiles + 1]) for n in sorted(chunk.reasons)}
    return {n: DroppedRow(chunk.lines[n], text, chunk.reasons[n]) for n, text in texts.items()}


def _add(
    chunk: Chunk,
    bad: dict[int, DroppedRow],
    predicted: Predictions,
    added: AddedCells,
    rows: RankedRows,
) -> None:
    """Add the rows of a chunk with what is predicted."""
    place = 0
    for n, row in enumerate(chunk.rows):
        cells = [*row, *[""] * added.width][: added.width]
        if n in bad:
            rows.add([*cells, *added.without_scores(unreadable(bad[n]))], float("nan"))
            continue
        rows.add([*cells, *added.of(chunk.canonical[n], predicted, place)], predicted.score[place])
        place += 1


def _check_rate(base_rate: float | None, measured: Measured) -> None:
    """Raise unless a base rate, if there is one, is a rate and belongs to labels."""
    if base_rate is None:
        return
    check_rates(base_rate, 2)
    if measured.task_type != "classification":
        raise ValueError(
            "`base_rate` must be left out unless labels were measured: it is the share of active "
            f"candidates. Received: base_rate={base_rate!r}, with values in {measured.columns[1]!r}"
        )


def _checked_output(name: str, path: Any, others: Sequence[Path]) -> Path:
    """Return where to write, unless it is one of the other files, or there is no such folder."""
    path = Path(path)
    if any(path.resolve() == other.resolve() for other in others):
        raise ValueError(
            f"`{name}` must be another file than those that are read or written besides. "
            f"Received: {name}={str(path)!r}"
        )
    if not path.resolve().parent.is_dir() or (path.exists() and not path.is_file()):
        raise ValueError(
            f"`{name}` must be a file in a folder that exists, and no pipe or device. "
            f"Received: {name}={str(path)!r}"
        )
    return path


def _progress(shown: bool) -> Callable[..., None]:
    """Return a function that shows how many candidates are done."""
    if not shown:
        return lambda done, finalize=False: None
    return keras.utils.Progbar(None, unit_name="candidate").update
